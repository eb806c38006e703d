extern crate greenroom_actors as greenroom;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

#[object]
#[derive(Default, Serialize, Deserialize)]
struct Counter;

#[object]
impl Counter {}

#[object]
impl Clone for Counter {
    fn clone(&self) -> Self {
        Self
    }
}

#[object]
fn count() {}

fn main() {}
