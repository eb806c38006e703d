//! Shared data in the shape of `std::collections`: the same names, an object's key more, and a `Result` for the network.

mod list;
mod pieces;

pub use greenroom_actors::objects::OutOfRange;
pub use list::{List, ListIter};
pub use pieces::ReadError;
