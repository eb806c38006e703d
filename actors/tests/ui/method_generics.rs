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
    pub fn add<T: Into<u64>>(&mut self, delta: T) {
        self.count += delta.into();
    }
}

fn main() {}
