extern crate greenroom_actors as greenroom;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

#[object]
#[derive(Default, Serialize, Deserialize)]
struct Counter {
    count: u64,
}

#[object]
impl Counter {
    fn holders(&self) -> usize {
        0
    }

    fn summary(&self) {}
}

fn main() {}
