//! Shared objects for many threads, processes and machines, in the shape of `std::sync` and `std::collections`.
//!
//! An object has a type and a key, and whoever names both means the same one, from any thread of any process. A handle, such as
//! `Counter::named("hits")`, is a small value that is cloned, kept and sent; making one sends nothing, each call is a round
//! trip, and the first call makes the object. The objects live on the nodes of a cluster: of the one that `GREENROOM_CLUSTER`
//! names, or without it of a node inside the program.
//!
//! * [`sync`] and [`collections`] have the types of the library, [`Cell`], [`Counter`] and [`Average`] beside them.
//! * [`object`](macro@object) makes shared objects of a type of your own, whose methods run where the object is.
//! * [`cloud`](macro@cloud) makes functions that run as [cloud threads](mod@cloud).
//! * [`Combine`] and [`combine`](macro@combine) name functions that make one value of two, beside the data.
//! * [`Settings`] says what can be set, [`Error`] what can become of a call.
//!
//! ```no_run
//! use greenroom::sync::Mutex;
//! use greenroom::{Counter, Error};
//!
//! #[greenroom::main]
//! fn main() -> Result<(), Error> {
//!     let log = Mutex::named("log", Vec::<String>::new());
//!     let number = Counter::named("runs").increment()?;
//!     log.lock()?.push(format!("run {number} was here"));
//!     Ok(())
//! }
//! ```
//!
//! # Blocking and async
//!
//! Each method blocks and has a twin for async code, whose name ends in `_async`. On a thread that runs async tasks a blocking
//! call is refused with [`Error::Blocking`]. [`main`](macro@main) goes on an `async fn` as well, which runs on a tokio runtime:
//!
//! ```no_run
//! use greenroom::sync::Mutex;
//! use greenroom::{Counter, Error};
//!
//! #[greenroom::main]
//! async fn main() -> Result<(), Error> {
//!     let hits = Counter::named("hits");
//!     let hit = tokio::spawn(hits.increment_async());
//!     let mut total = Mutex::named("total", 0).lock_async().await?;
//!     *total += hit.await.expect("does not panic")?;
//!     total.unlock_async().await
//! }
//! ```
//!
//! # In a `static`
//!
//! A handle whose object is made without arguments can be a `static` as it is; for others there is
//! [`LazyLock`](std::sync::LazyLock), through which they are used as if it were not there:
//!
//! ```no_run
//! use std::sync::LazyLock;
//!
//! use greenroom::sync::{Event, Mutex};
//! use greenroom::{Counter, Error};
//!
//! static HITS: Counter = Counter::shared("hits");
//! static DOORS: Event = Event::shared("doors");
//! static TOTAL: LazyLock<Mutex<i32>> = LazyLock::new(|| Mutex::named("total", 0));
//!
//! fn hit() -> Result<(), Error> {
//!     DOORS.wait()?;
//!     *TOTAL.lock()? += 1;
//!     HITS.increment()?;
//!     Ok(())
//! }
//! # hit().expect("is only compiled");
//! ```

// The code that `#[object]` writes names `::greenroom`; inside this crate that is this crate.
extern crate self as greenroom;

mod average;
mod call;
mod cell;
mod cli;
mod client;
pub mod cloud;
pub mod collections;
mod connection;
mod counter;
mod directory;
mod face;
mod moving;
mod pending;
mod process;
mod run;
mod settings;
pub mod sync;
mod time;
mod value;

pub use average::Average;
pub use cell::Cell;
#[doc(hidden)]
pub use cli::stock_main;
pub use client::{Client, ConnectError};
pub use counter::Counter;
pub use greenroom_actors::combine::{Appendable, Combine, CombineError, Number};
#[doc(hidden)]
pub use greenroom_actors::expand;
pub use greenroom_actors::objects::WrongLength;
pub use greenroom_actors::{
    Access, CallId, Caller, Durability, Erased, Error, Fence, Grant, Grants, Handle, Holder, JobId, Message, NotHeld,
    Object, ObjectHandle, Owner, RawHandle, Refusal, ThreadFailure, ThreadId, Turn, WaitQueue, Waiter, WaiterId,
};
pub use greenroom_macros::{cloud, combine, main, object};
pub use process::{client, init, shutdown};
pub use run::{MainResult, run, run_async};
pub use settings::{Cluster, Settings};
pub use value::Value;
