//! Shared data in the shape of `std::collections`: the same names, an object's key more, and a `Result` for the network.

mod blob;
mod journal;
mod keyed;
mod list;
mod matrix;
pub(crate) mod pieces;
mod queue;
mod vector;

pub use blob::Blob;
pub use greenroom_actors::objects::{
    ArrayError, BlobError, Element, JournalError, MergeBy, Op, OutOfRange, Shape, TooManySnapshots, Trimmed,
};
pub use journal::{Follow, Journal, JournalIter};
pub use keyed::{
    KeyOrder, KeyedIter, KeyedMap, KeyedSet, Map, MapSnapshot, Ordered, OrderedMap, OrderedSet, Set, SetSnapshot,
    Unordered,
};
pub use list::{List, ListIter};
pub use matrix::Matrix;
pub use pieces::ReadError;
pub use queue::Queue;
pub use vector::Vector;
