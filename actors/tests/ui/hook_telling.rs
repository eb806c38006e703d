extern crate greenroom_actors as greenroom;

use greenroom::{Holder, Turn};
use greenroom_macros::object;
use serde::{Deserialize, Serialize};

#[object]
#[derive(Default, Serialize, Deserialize)]
struct Writes {
    count: u64,
}

#[object]
impl Writes {
    fn holders(&mut self) -> Vec<Holder> {
        self.count += 1;
        Vec::new()
    }

    fn summary(self) -> serde_json::Value {
        self.count.into()
    }
}

#[object]
#[derive(Default, Serialize, Deserialize)]
struct Asks {
    count: u64,
}

#[object]
impl Asks {
    fn holders(&self, turn: &mut Turn) -> Vec<Holder> {
        turn.random();
        Vec::new()
    }

    async fn summary(&self) -> serde_json::Value {
        self.count.into()
    }
}

fn main() {}
