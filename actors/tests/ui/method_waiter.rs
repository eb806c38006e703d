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
    pub fn read(&self, waiter: greenroom::Waiter<u64>) {
        drop(waiter);
    }

    pub fn both(&mut self, waiter: greenroom::Waiter<u64>) -> u64 {
        drop(waiter);
        self.count
    }

    #[when(self.count > 0)]
    pub fn guarded(&mut self, waiter: greenroom::Waiter<u64>) {
        drop(waiter);
    }

    pub fn twice(&mut self, one: greenroom::Waiter<u64>, two: greenroom::Waiter<u64>) {
        drop((one, two));
    }
}

fn main() {}
