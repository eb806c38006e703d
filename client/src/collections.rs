//! Shared data in the shape of `std::collections`: the same names, an object's key more, and a `Result` for the network.

mod blob;
mod journal;
mod list;
mod pieces;

pub use blob::Blob;
pub use greenroom_actors::objects::{BlobError, OutOfRange, Trimmed};
pub use journal::{Follow, Journal, JournalIter};
pub use list::{List, ListIter};
pub use pieces::ReadError;
