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
    pub fn get(&self) -> u64 {
        self.count
    }

    pub fn ask(&mut self, turn: &mut greenroom::Turn) {
        turn.call(Self::named("other").message().get(), Self::then_got);
    }

    fn then_got(&mut self, reply: Result<String, greenroom::Error>) {
        drop(reply);
    }
}

fn main() {}
