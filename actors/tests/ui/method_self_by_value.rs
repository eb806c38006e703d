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
    pub fn into_count(self) -> u64 {
        self.count
    }

    pub fn boxed(self: Box<Self>) {}
}

fn main() {}
