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
    pub fn object(&self) -> u64 {
        self.count
    }

    pub fn add(&mut self, delta: u64) {
        self.count += delta;
    }

    pub fn add_async(&mut self, delta: u64) {
        self.count += delta;
    }
}

fn main() {}
