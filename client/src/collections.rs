//! Shared data in the shape of `std::collections`: the same names, an object's key more, and a `Result` for the network.

mod queue;

pub use queue::Queue;
