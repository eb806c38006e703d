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
    fn then_added(&mut self, added: u64) {
        self.count = added;
    }

    fn then_read(&self, reply: Result<u64, greenroom::Error>) {
        drop(reply);
    }

    fn then_returned(&mut self, reply: Result<u64, greenroom::Error>) -> u64 {
        reply.unwrap_or(0)
    }
}

fn main() {}
