//! The object behind `Notify`: wakes callers, one or all, and remembers one wake-up that came too early.

use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::WaitQueue;
use crate::ids::WaiterId;
use crate::turn::Turn;
use crate::waiter::Waiter;

/// Wakes callers, one or all; use it through the client's `Notify`.
#[object(name = "Notify")]
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct NotifyObject {
    /// A notification that nobody waited for.
    permit: bool,
    waiting: WaitQueue<Notified>,
}

/// Which notification a caller got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notified {
    /// One that was for one caller: if it gives up, it is for the next.
    One,
    /// One that was for all who waited.
    All,
}

#[object]
impl NotifyObject {
    /// Wakes who has waited longest; if nobody waits, the next who comes need not wait.
    pub fn notify_one(&mut self) {
        match self.waiting.pop() {
            Some((waiter, ..)) => waiter.reply(Notified::One),
            None => self.permit = true,
        }
    }

    /// Wakes everybody who waits now.
    pub fn notify_waiters(&mut self) {
        for (waiter, ()) in self.waiting.drain() {
            waiter.reply(Notified::All);
        }
    }

    /// Waits for a notification.
    pub fn notified(&mut self, waiter: Waiter<Notified>) {
        if std::mem::take(&mut self.permit) {
            waiter.reply(Notified::One);
        } else {
            self.waiting.push(waiter, ());
        }
    }

    /// Takes the permit, if there is one; returns whether there was.
    pub fn try_notified(&mut self) -> bool {
        std::mem::take(&mut self.permit)
    }

    /// The caller gave up after it was notified: another has to learn of it.
    fn grant_cancelled(&mut self, _grant: WaiterId, turn: &mut Turn) {
        if turn.granted("notified") == Some(Notified::One) || turn.granted("try_notified") == Some(true) {
            self.notify_one();
        }
    }

    fn summary(&self) -> serde_json::Value {
        json!({ "permit": self.permit, "waiting": self.waiting.len() })
    }
}
