//! Synchronization in the shape of `std::sync`: the same names, an object's key more, and a `Result` for the network.

pub mod atomic;
pub mod channel;
mod condvar;
mod guard;
mod mutex;
pub mod oneshot;
mod promise;
mod rwlock;
mod semaphore;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use greenroom_actors::objects::{
    AcquireError, AlreadySet, Barrier, BarrierHandle, BarrierWaitResult, TooManyPermits,
};
pub use mutex::{Mutex, MutexGuard};
pub use promise::Promise;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphorePermit};
