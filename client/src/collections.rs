//! Shared data in the shape of `std::collections`: the same names, an object's key more, and a `Result` for the network.

mod iter;
mod keys;
mod map;
mod ordered;
mod ordered_map;
mod ordered_set;
mod pieces;
mod place;
mod set;
mod snapshot;

pub use greenroom_actors::objects::TooManySnapshots;
pub use iter::Iter;
pub use keys::{KeyOrder, Ordered, Unordered};
pub use map::{KeyedMap, Map};
pub use ordered_map::OrderedMap;
pub use ordered_set::OrderedSet;
pub use set::{KeyedSet, Set};
pub use snapshot::{MapSnapshot, SetSnapshot};
