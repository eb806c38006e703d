//! k-means: on shared objects, and beside it the same on plain threads.
//!
//! [`threads`] is the program that was ported; `diff src/kmeans/threads.rs src/kmeans/shared.rs` is the port.

mod data;
mod job;
mod points;
mod quality;
mod seeding;
pub mod shared;
pub mod threads;

pub use data::{Data, DataError, Source};
pub use job::{Failure, Job, Outcome};
pub use points::{Points, Sum};
pub use quality::Quality;
