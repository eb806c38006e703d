//! Synchronization in the shape of `std::sync`: the same names, an object's key more, and a `Result` for the network.

pub mod atomic;
mod barrier;
pub mod channel;
mod condvar;
mod event;
mod exchanger;
mod guard;
mod latch;
mod mutex;
mod notify;
mod once;
pub mod oneshot;
mod phaser;
mod promise;
mod rwlock;
mod semaphore;

pub use barrier::Barrier;
pub use condvar::{Condvar, WaitTimeoutResult};
pub use event::Event;
pub use exchanger::{Exchanger, NobodyWaits};
pub use greenroom_actors::objects::{
    Aborted, AcquireError, AlreadySet, BarrierWaitResult, PhaserError, PromiseError, SetError, TooManyPermits,
};
pub use latch::Latch;
pub use mutex::{Mutex, MutexGuard};
pub use notify::Notify;
pub use once::{Once, OnceCell};
pub use phaser::{Party, Phaser};
pub use promise::Promise;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphorePermit};
