//! The object behind `Latch`: a count that goes down to zero, once, and is awaited.

use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::WaitQueue;
use crate::waiter::Waiter;

/// A count that goes down to zero, once; use it through the client's `Latch`.
#[object(name = "Latch")]
#[derive(Debug, Serialize, Deserialize)]
pub struct LatchObject {
    count: u64,
    waiting: WaitQueue<()>,
}

#[object]
impl LatchObject {
    /// A latch that opens after so many counts.
    pub fn new(count: u64) -> Self {
        Self { count, waiting: WaitQueue::default() }
    }

    /// Counts down by `n`, at most to zero, where the latch opens; returns what is left.
    pub fn count_down_by(&mut self, n: u64) -> u64 {
        self.count = self.count.saturating_sub(n);
        if self.count == 0 {
            self.waiting.reply_all(&());
        }
        self.count
    }

    /// Waits until the latch is open.
    pub fn wait(&mut self, waiter: Waiter<()>) {
        match self.count {
            0 => waiter.reply(()),
            _ => self.waiting.push(waiter, ()),
        }
    }

    /// How many counts are left.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn summary(&self) -> serde_json::Value {
        json!({ "count": self.count, "waiting": self.waiting.len() })
    }
}
