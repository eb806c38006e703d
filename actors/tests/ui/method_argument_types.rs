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
    pub fn add(&mut self, delta: impl Into<u64>) {
        self.count += delta.into();
    }

    pub fn name(&mut self, name: &str) {
        self.count += name.len() as u64;
    }

    pub fn names(&mut self, names: Vec<&'static str>) {
        self.count += names.len() as u64;
    }

    pub fn turn(&mut self, turn: greenroom::Turn) {
        drop(turn);
    }

    pub fn text(&self) -> &str {
        "text"
    }
}

fn main() {}
