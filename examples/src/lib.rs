//! Applications on Greenroom, in the order in which to read them:
//!
//! 1. `montecarlo`: π from random points; the workers add to one counter.
//! 2. `kmeans`: clusters of handwritten digits; each centroid is an object, and the workers meet at a barrier.
//!
//! Each runs by itself (`cargo run --release --bin NAME`), on a node inside the program; with
//! `GREENROOM_CLUSTER=host:port` its objects live on the nodes of that cluster.

mod fresh;
pub mod kmeans;
mod progress;

pub use fresh::fresh;
pub use progress::Progress;
