extern crate greenroom_actors as greenroom;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

#[object]
#[derive(Default, Serialize, Deserialize)]
struct Index {
    pages: Option<Vec<std::collections::HashMap<String, u64>>>,
    seen: std::collections::HashSet<u64>,
}

#[object]
impl Index {}

fn main() {}
