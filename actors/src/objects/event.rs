//! The object behind `Event`: a flag that callers wait for.

use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::WaitQueue;
use crate::waiter::Waiter;

/// A flag that callers wait for; use it through the client's `Event`.
#[object(name = "Event")]
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct EventObject {
    set: bool,
    waiting: WaitQueue<()>,
}

#[object]
impl EventObject {
    /// Sets the flag: who waits comes through, and so does who comes, until it is cleared.
    pub fn set(&mut self) {
        self.set = true;
        self.waiting.reply_all(&());
    }

    /// Clears the flag: who comes has to wait.
    pub fn clear(&mut self) {
        self.set = false;
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.set
    }

    /// Waits until the flag is set.
    pub fn wait(&mut self, waiter: Waiter<()>) {
        if self.set { waiter.reply(()) } else { self.waiting.push(waiter, ()) }
    }

    fn summary(&self) -> serde_json::Value {
        json!({ "set": self.set, "waiting": self.waiting.len() })
    }
}
