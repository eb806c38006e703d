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
    pub fn add(&mut self, delta: u64, since: std::time::Instant) {
        self.count += delta;
        drop(since);
    }
}

fn main() {}
