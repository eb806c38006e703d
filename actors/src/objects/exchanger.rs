//! The object behind `Exchanger<T>`: callers swap values in pairs.

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::WaitQueue;
use crate::ids::WaiterId;
use crate::waiter::Waiter;

/// Callers swap values in pairs; use it through the client's `Exchanger<T>`.
#[object(name = "Exchanger")]
#[derive(Debug, Serialize, Deserialize)]
pub struct ExchangerObject {
    /// The fingerprint of the values' type.
    shape: u64,
    /// One at most: who comes second meets the first. Each has what it offers.
    waiting: WaitQueue<Bytes, Bytes>,
}

#[object]
impl ExchangerObject {
    /// For values of the type with that fingerprint.
    pub fn new(shape: u64) -> Self {
        Self { shape, waiting: WaitQueue::default() }
    }

    /// Swaps `value` for that of the next caller.
    pub fn exchange(&mut self, value: Bytes, waiter: Waiter<Bytes>) {
        match self.waiting.pop() {
            Some((other, _, others)) => {
                other.reply(value);
                waiter.reply(others);
            }
            None => self.waiting.push(waiter, value),
        }
    }

    /// Swaps `value` for that of a caller who waits, if there is one.
    pub fn try_exchange(&mut self, value: Bytes) -> Option<Bytes> {
        let (other, _, others) = self.waiting.pop()?;
        other.reply(value);
        Some(others)
    }

    /// The caller gave up while it waited: what it offered, which may be large, is kept for nobody.
    fn waiter_gone(&mut self, _waiter: WaiterId) {
        self.waiting.forget_gone();
    }

    fn summary(&self) -> serde_json::Value {
        let offered: Vec<usize> = self.waiting.iter().map(Bytes::len).collect();
        json!({ "waiting": offered.len(), "offered_bytes": offered })
    }
}
