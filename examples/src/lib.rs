//! Applications on Greenroom, in the order in which to read them:
//!
//! 1. `montecarlo`: π from random points; the workers add to one counter.
//! 2. `kmeans`: clusters of handwritten digits; each centroid is an object, and the workers meet at a barrier.
//! 3. `philosophers`: who needs two things at a time; on locks, on semaphores, and on plain threads.
//! 4. `boundedbuffer`: who waits for what; a monitor of one's own, a lock with two conditions, and a channel.
//! 5. `barbershop`: the sleeping barber; a channel with few places, an event, and a promise for each customer.
//! 6. `santa`: the Santa Claus problem; one story on local objects, on shared objects, and with cloud threads.
//! 7. `wordcount`: map-reduce over text files; cloud threads merge what they count into one map.
//! 8. `workerpool`: workers that are processes, on the nodes of a cluster.
//!
//! [`idioms`] has small programs on `std::sync` and their ports, and the guide that shows how they differ.
//!
//! Each but the last runs by itself (`cargo run --release --bin NAME`), on a node inside the program; with
//! `GREENROOM_CLUSTER=host:port` its objects live on the nodes of that cluster.

mod backend;
mod fresh;
pub mod idioms;
pub mod kmeans;
mod progress;
pub mod santa;
pub mod wordcount;

pub use backend::backend;
pub use fresh::fresh;
pub use progress::Progress;
