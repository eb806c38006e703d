extern crate greenroom_actors as greenroom;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

#[object]
#[derive(Serialize, Deserialize)]
struct Counter {
    count: u64,
}

#[object]
impl Counter {
    pub fn get(&self) -> u64 {
        self.count
    }
}

fn main() {}
