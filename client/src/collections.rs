//! Shared data in the shape of `std::collections`: the same names, an object's key more, and a `Result` for the network.

mod queue;

pub use queue::Queue;
mod blob;
mod journal;
mod list;
mod matrix;
mod pieces;
mod vector;

pub use blob::Blob;
pub use greenroom_actors::objects::{ArrayError, BlobError, Element, Op, OutOfRange, Shape, Trimmed};
pub use journal::{Follow, Journal, JournalIter};
pub use list::{List, ListIter};
pub use matrix::Matrix;
pub use pieces::ReadError;
pub use vector::Vector;
mod keyed;

pub use greenroom_actors::objects::TooManySnapshots;
pub use keyed::{
    KeyOrder, KeyedIter, KeyedMap, KeyedSet, Map, MapSnapshot, Ordered, OrderedMap, OrderedSet, Set, SetSnapshot,
    Unordered,
};
