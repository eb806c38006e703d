//! Stateful serverless computing: shared objects and cloud threads in the shape of `std::sync` and `std::thread`.

// The code that `#[object]` writes names `::greenroom`; inside this crate that is this crate.
extern crate self as greenroom;

mod average;
mod call;
mod cell;
mod cli;
mod client;
pub mod collections;
mod connection;
mod counter;
mod directory;
mod face;
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
    Access, CallId, Caller, Erased, Error, Fence, Grant, Grants, Handle, Holder, JobId, Message, NotHeld, Object,
    ObjectHandle, Owner, RawHandle, Refusal, Turn, WaitQueue, Waiter, WaiterId,
};
pub use greenroom_macros::{combine, main, object};
pub use process::{client, shutdown};
pub use run::{MainResult, run};
pub use settings::{Cluster, Settings};
pub use value::Value;
