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
    #[when(self.count > 0)]
    fn helper(&mut self) {}

    #[when(self.count > 0)]
    #[when(self.count < 9)]
    pub fn take(&mut self) {}
}

fn main() {}
