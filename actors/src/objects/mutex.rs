//! The object behind `Mutex<T>`: a value that one owner at a time may change.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};

use crate::ids::{Fence, Owner, WaiterId};
use crate::turn::Turn;
use crate::waiter::Waiter;

/// A value of any type behind a lock, encoded by its clients; use it through the client's `Mutex<T>`.
///
/// The lock is fair: callers get it in the order of their arrival.
#[object(name = "Mutex")]
#[derive(Debug, Serialize, Deserialize)]
pub struct MutexObject {
    /// The fingerprint of the value's type.
    shape: u64,
    value: Bytes,
    holder: Option<Holder>,
    queue: VecDeque<Waiter<Locked>>,
}

/// Who has the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    grant: WaiterId,
    owner: Owner,
    fence: Fence,
}

/// The lock, with the value under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// Names this holding of the lock; it grows with each.
    pub fence: Fence,
    /// The value, encoded.
    pub value: Bytes,
}

/// The lock was taken away from its holder, whose copy of the value is void.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Superseded {
    /// The fence of the void holding.
    pub fence: Fence,
}

impl fmt::Display for Superseded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holding {} of the lock has ended", self.fence)
    }
}

impl std::error::Error for Superseded {}

#[object]
impl MutexObject {
    /// A lock over a value of the type with that fingerprint.
    pub fn new(shape: u64, value: Bytes) -> Self {
        Self { shape, value, holder: None, queue: VecDeque::new() }
    }

    /// Waits for the lock, and brings the value.
    pub fn lock(&mut self, waiter: Waiter<Locked>, turn: &mut Turn) {
        // Who gave up meanwhile is forgotten, at a cost that stays in proportion.
        if self.queue.len().is_power_of_two() {
            self.queue.retain(Waiter::is_live);
        }
        self.queue.push_back(waiter);
        self.hand_over(turn);
    }

    /// The lock with the value, if nobody has or awaits it.
    pub fn try_lock(&mut self, turn: &mut Turn) -> Option<Locked> {
        if self.holder.is_some() {
            return None;
        }
        let fence = turn.fence();
        self.holder = Some(Holder { grant: turn.grant(), owner: turn.owner(), fence });
        Some(Locked { fence, value: self.value.clone() })
    }

    /// Gives the lock back, with the value if it was changed.
    pub fn unlock(&mut self, fence: Fence, changed: Option<Bytes>, turn: &mut Turn) -> Result<(), Superseded> {
        if self.holder.as_ref().is_none_or(|holder| holder.fence != fence) {
            return Err(Superseded { fence });
        }
        if let Some(value) = changed {
            self.value = value;
        }
        self.holder = None;
        self.hand_over(turn);
        Ok(())
    }

    /// Whether somebody has the lock.
    pub fn is_locked(&self) -> bool {
        self.holder.is_some()
    }

    /// Gives the lock to the first who still waits for it.
    fn hand_over(&mut self, turn: &Turn) {
        while self.holder.is_none()
            && let Some(waiter) = self.queue.pop_front()
        {
            if let Some(owner) = waiter.owner() {
                let fence = turn.fence();
                self.holder = Some(Holder { grant: waiter.id(), owner, fence });
                waiter.reply(Locked { fence, value: self.value.clone() });
            }
        }
    }

    /// The caller gave up after the lock was given to it: nobody would give it back.
    fn grant_cancelled(&mut self, grant: WaiterId, turn: &mut Turn) {
        if self.holder.as_ref().is_some_and(|holder| holder.grant == grant) {
            self.holder = None;
            self.hand_over(turn);
        }
    }

    /// An owner has ended: its copy of the value is void, and the lock is free.
    fn owner_gone(&mut self, owner: Owner, turn: &mut Turn) {
        if self.holder.as_ref().is_some_and(|holder| holder.owner == owner) {
            self.holder = None;
        }
        self.hand_over(turn);
    }
}
