//! The object types that every program has.

mod average;
mod barrier;
mod cell;
mod channel;
mod counter;
mod mutex;
mod promise;
mod rwlock;
mod semaphore;

pub use average::{Average, AverageHandle, AverageMessages, WrongLength};
pub use barrier::{Barrier, BarrierHandle, BarrierMessages, BarrierWaitResult};
pub use cell::{CellObject, CellObjectHandle, CellObjectMessages};
pub use channel::{
    ChannelClosed, ChannelItem, ChannelKind, ChannelObject, ChannelObjectHandle, ChannelObjectMessages, NotRegistered,
    NotTaken, RecvError, RegisteredSender, TryRecvError,
};
pub use counter::{Counter, CounterHandle, CounterMessages};
pub use mutex::{Locked, MutexObject, MutexObjectHandle, MutexObjectMessages};
pub use promise::{AlreadySet, PromiseObject, PromiseObjectHandle, PromiseObjectMessages};
pub use rwlock::{RwLockObject, RwLockObjectHandle, RwLockObjectMessages};
pub use semaphore::{
    AcquireError, Permits, SemaphoreObject, SemaphoreObjectHandle, SemaphoreObjectMessages, TooManyPermits,
};
