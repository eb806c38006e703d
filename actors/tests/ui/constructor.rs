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
    pub fn new(count: u64) -> Option<Self> {
        Some(Self { count })
    }
}

fn main() {}
