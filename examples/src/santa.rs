//! The Santa Claus problem: one story, at a pole of local objects or of shared ones.

mod local;
mod place;
mod pole;
mod shared;
mod story;

pub use local::Local;
pub use place::Place;
pub use pole::{Condition, Pole, Size, Tally, Team};
pub use shared::{Shared, play};
pub use story::{Role, Times};
