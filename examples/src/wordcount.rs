//! Counting words: with cloud threads that merge what they count into a shared map, and beside it on plain threads.

mod failure;
mod part;
pub mod shared;
mod text;
pub mod threads;

pub use failure::Failure;
pub use part::{Counts, Part};
pub use text::Text;
