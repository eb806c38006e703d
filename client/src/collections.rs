//! Shared data in the shape of `std::collections`: the same names, an object's key more, and a `Result` for the network.

mod keyed;

pub use greenroom_actors::objects::TooManySnapshots;
pub use keyed::{
    KeyOrder, KeyedIter, KeyedMap, KeyedSet, Map, MapSnapshot, Ordered, OrderedMap, OrderedSet, Set, SetSnapshot,
    Unordered,
};
