//! Synchronization in the shape of `std::sync`: the same names, an object's key more, and a `Result` for the network.

pub mod atomic;
mod mutex;
mod promise;

pub use greenroom_actors::objects::{AlreadySet, Barrier, BarrierHandle, BarrierWaitResult};
pub use mutex::{Mutex, MutexGuard};
pub use promise::Promise;
