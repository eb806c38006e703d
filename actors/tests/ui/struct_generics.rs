extern crate greenroom_actors as greenroom;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

#[object]
#[derive(Serialize, Deserialize)]
struct Cell<T> {
    value: T,
}

fn main() {}
