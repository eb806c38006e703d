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
    #[when(self.count)]
    pub fn take(&mut self) {
        self.count -= 1;
    }

    #[when(self.count >= amount)]
    pub fn take_many(&mut self, amount: u32) {
        self.count -= u64::from(amount);
    }

    #[when(self.permits > 0)]
    pub fn take_permit(&mut self) {}
}

fn main() {}
