//! What clients saw, and whether objects that are what they promise could have shown it to them.
//!
//! A run records each call that a client made and what came of it in a [`History`], or from many threads in a [`Recorder`].
//! [`check()`] then searches, object by object, for an order of the calls that the object's [`spec`] allows and that respects
//! who answered before whom began: a history that has one is linearizable. [`conservation`] counts, in linear time and without a
//! search, what was lost and what was done twice.
//!
//! Nothing here reads a clock or the machine: times come from the caller, and only [`History::write_to`] and
//! [`History::read_from`] touch a file.
//!
//! ```
//! use greenroom_sim::{Call, ClientId, CounterCall, History, Limits, ObjectType, Reply, Verdict, check};
//!
//! let mut history = History::new();
//! let hits = history.object("hits", ObjectType::Counter { initial: 0 });
//! for client in [1, 2] {
//!     // Both add one, one after the other, and both are told that the counter was 0: one update is lost.
//!     let call = history.invoke(ClientId(client), hits, Call::Counter(CounterCall::FetchAdd(1)), 10 * client);
//!     history.returned(call, Reply::Number(0), 10 * client + 5);
//! }
//! assert!(matches!(check(&history, &Limits::default()), Verdict::NotLinearizable { .. }));
//! ```

// The code that `#[object]` writes names `::greenroom`.
extern crate greenroom_actors as greenroom;

mod call;
mod check;
pub mod conservation;
mod file;
mod history;
mod objects;
mod recorder;
pub mod spec;
pub mod world;

pub use call::*;
pub use check::{Explanation, Limits, Report, Verdict, check, check_object, report};
pub use history::{ClientId, History, Object, ObjectIndex, Operation, OperationId, Outcome};
pub use recorder::Recorder;
