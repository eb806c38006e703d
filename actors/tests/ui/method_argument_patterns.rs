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
    pub fn add(&mut self, (left, right): (u64, u64)) {
        self.count += left + right;
    }

    pub fn ignore(&mut self, _: u64) {}
}

fn main() {}
