//! Synchronization in the shape of `std::sync`.

pub use greenroom_actors::objects::{Barrier, BarrierHandle, BarrierWaitResult};
