//! Cloud threads: runs of a function in the shape of `std::thread`, whose calls of shared objects are their own.
//!
//! [`#[cloud]`](macro@crate::cloud) goes on a function; `function::spawn(arguments)` begins a run of it and returns its
//! [`JoinHandle`]. Arguments and result travel as values, also where the run is a thread of this process: so what works here
//! works elsewhere.
//!
//! ```no_run
//! use greenroom::{Counter, Error, cloud};
//!
//! #[cloud]
//! fn count(part: u64) -> Result<u64, Error> {
//!     Counter::named("parts").increment()?;
//!     Ok(part * part)
//! }
//!
//! #[greenroom::main]
//! fn main() -> Result<(), Error> {
//!     let threads: Vec<_> = (0..8).map(count::spawn).collect();
//!     for thread in threads {
//!         println!("{}", thread.join()?);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # What a thread holds
//!
//! Locks, permits, places in queues that a run has taken belong to that run, not to its process. They are released when the
//! function returns or panics, before [`join`](JoinHandle::join) returns. Calls that the function makes on threads or tasks
//! which it starts itself are its process's.
//!
//! # Cancellation
//!
//! A thread is asked to end, and not killed: once it is [cancelled](JoinHandle::cancel) its calls that wait in shared objects
//! fail with [`Error::Cancelled`](crate::Error::Cancelled), and so does every later call; code that only computes asks
//! [`current()`].
//!
//! # Where threads run
//!
//! `GREENROOM_BACKEND` says where; see [`Backend`]. Without it each run is an operating system's thread of this process, and dies
//! with it.

pub(crate) mod attempt;
pub(crate) mod backend;
mod builder;
mod current;
pub(crate) mod ending;
#[cfg(feature = "lambda")]
pub mod events;
mod execution;
mod executor;
#[doc(hidden)]
pub mod expand;
mod function;
mod gang;
mod handle;
mod indices;
#[cfg(feature = "lambda")]
pub(crate) mod lambda;
mod local;
mod logs;
mod map;
mod panics;
mod reduction;
pub(crate) mod running;
mod scope;

pub use backend::{Backend, BackendError};
pub use builder::Builder;
pub use current::{Current, current};
pub use executor::Executor;
pub use function::Call;
pub use gang::NotEnoughConcurrency;
pub use handle::{JoinHandle, Thread};
pub use indices::{Indices, Schedule};
#[cfg(feature = "lambda")]
pub use lambda::Lambda;
pub use logs::{LogWriter, log_writer};
pub use map::Map;
pub use reduction::Reduction;
pub use scope::{Scope, scope};

#[cfg(test)]
mod tests;
