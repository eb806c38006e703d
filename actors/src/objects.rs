//! The object types that every program has.

mod average;
mod barrier;
mod cell;
mod counter;
mod event;
mod exchanger;
mod latch;
mod mutex;
mod notify;
mod once;
mod phaser;
mod promise;

pub use average::{Average, AverageHandle, AverageMessages, WrongLength};
pub use barrier::{Aborted, Barrier, BarrierHandle, BarrierMessages, BarrierWaitResult};
pub use cell::{CellObject, CellObjectHandle, CellObjectMessages};
pub use counter::{Counter, CounterHandle, CounterMessages};
pub use event::{EventObject, EventObjectHandle, EventObjectMessages};
pub use exchanger::{ExchangerObject, ExchangerObjectHandle, ExchangerObjectMessages};
pub use latch::{LatchObject, LatchObjectHandle, LatchObjectMessages};
pub use mutex::{Locked, MutexObject, MutexObjectHandle, MutexObjectMessages, Superseded};
pub use notify::{Notified, NotifyObject, NotifyObjectHandle, NotifyObjectMessages};
pub use once::{Begun, OnceObject, OnceObjectHandle, OnceObjectMessages, SetError};
pub use phaser::{PhaserError, PhaserObject, PhaserObjectHandle, PhaserObjectMessages};
pub use promise::{AlreadySet, PromiseError, PromiseObject, PromiseObjectHandle, PromiseObjectMessages};
