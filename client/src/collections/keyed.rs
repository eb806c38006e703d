//! Maps and sets: what is found by a key.

mod binary;
mod bulk;
mod iter;
mod keys;
mod map;
mod ordered;
mod ordered_map;
mod ordered_set;
mod place;
mod set;
mod snapshot;

pub use iter::KeyedIter;
pub use keys::{KeyOrder, Ordered, Unordered};
pub use map::{KeyedMap, Map};
pub use ordered_map::OrderedMap;
pub use ordered_set::OrderedSet;
pub use set::{KeyedSet, Set};
pub use snapshot::{MapSnapshot, SetSnapshot};
