//! The object behind `RwLock<T>`: a value that many may read at a time, or one may change.

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::mutex::Locked;
use super::shown::shown;
use crate::grants::{Grants, NotHeld, WaitQueue};
use crate::ids::{Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;
use crate::waiter::Waiter;

/// A value of any type behind a lock for readers and writers, encoded by its clients; use it through the client's `RwLock<T>`.
///
/// Callers get the lock in the order of their arrival, readers that follow each other together.
#[object(name = "RwLock")]
#[derive(Debug, Serialize, Deserialize)]
pub struct RwLockObject {
    /// The fingerprint of the value's type.
    shape: u64,
    value: Bytes,
    /// Any number of readers, or one writer.
    held: Grants<Mode>,
    queue: WaitQueue<Locked, Mode>,
}

/// What a caller may do with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Mode {
    Read,
    Write,
}

#[object]
impl RwLockObject {
    /// A lock over a value of the type with that fingerprint.
    pub fn new(shape: u64, value: Bytes) -> Self {
        Self { shape, value, held: Grants::default(), queue: WaitQueue::default() }
    }

    /// Waits until nobody writes, and nobody who came before wants to; brings the value.
    pub fn read(&mut self, waiter: Waiter<Locked>, turn: &mut Turn) {
        self.queue.push(waiter, Mode::Read);
        self.hand_over(turn);
    }

    /// Waits until nobody else has the lock; brings the value.
    pub fn write(&mut self, waiter: Waiter<Locked>, turn: &mut Turn) {
        self.queue.push(waiter, Mode::Write);
        self.hand_over(turn);
    }

    /// The value to read, if nobody writes or waits.
    pub fn try_read(&mut self, turn: &mut Turn) -> Option<Locked> {
        self.try_grant(Mode::Read, turn)
    }

    /// The value to change, if nobody has the lock or waits.
    pub fn try_write(&mut self, turn: &mut Turn) -> Option<Locked> {
        self.try_grant(Mode::Write, turn)
    }

    /// Gives the lock back, with the value if a writer changed it. A reader's is passed over: a caller that does not know
    /// whether its `downgrade` arrived brings the value again.
    pub fn unlock(&mut self, grant: WaiterId, changed: Option<Bytes>, turn: &mut Turn) -> Result<(), NotHeld> {
        let held = self.held.take_back(grant)?;
        if held.what == Mode::Write
            && let Some(value) = changed
        {
            self.value = value;
        }
        self.hand_over(turn);
        Ok(())
    }

    /// Makes a reader of a writer, in one turn: nobody writes in between.
    pub fn downgrade(&mut self, grant: WaiterId, changed: Option<Bytes>, turn: &mut Turn) -> Result<(), NotHeld> {
        match self.held.get_mut(grant) {
            Some(held) if held.what == Mode::Write => held.what = Mode::Read,
            _ => return Err(NotHeld { grant }),
        }
        if let Some(value) = changed {
            self.value = value;
        }
        self.hand_over(turn);
        Ok(())
    }

    /// Whether the lock may be had so, whoever waits.
    fn is_free_to(&self, mode: Mode) -> bool {
        match mode {
            Mode::Write => self.held.is_empty(),
            // One writer, or only readers: any of them tells which.
            Mode::Read => self.held.iter().next().is_none_or(|(_, held)| held.what == Mode::Read),
        }
    }

    fn try_grant(&mut self, mode: Mode, turn: &Turn) -> Option<Locked> {
        let free = self.queue.first().is_none() && self.is_free_to(mode);
        free.then(|| self.grant(turn.grant(), turn.owner(), mode, turn))
    }

    fn grant(&mut self, grant: WaiterId, owner: Owner, mode: Mode, turn: &Turn) -> Locked {
        Locked { grant, fence: self.held.give(grant, owner, mode, turn), value: self.value.clone() }
    }

    /// Gives the lock to those at the head of the queue who may have it together.
    fn hand_over(&mut self, turn: &Turn) {
        while let Some(&mode) = self.queue.first()
            && self.is_free_to(mode)
            && let Some((waiter, owner, _)) = self.queue.pop()
        {
            let locked = self.grant(waiter.id(), owner, mode, turn);
            waiter.reply(locked);
        }
    }

    /// The caller gave up after the lock was given to it: nobody would give it back.
    fn grant_cancelled(&mut self, grant: WaiterId, turn: &mut Turn) {
        self.held.take(grant);
        self.hand_over(turn);
    }

    /// An owner has ended: what it changed is void, and what it held is free.
    fn owner_gone(&mut self, owner: Owner, turn: &mut Turn) {
        self.held.take_all_of(owner);
        self.hand_over(turn);
    }

    /// A writer that gave up no longer holds up the readers behind it.
    fn waiter_gone(&mut self, _waiter: WaiterId, turn: &mut Turn) {
        self.hand_over(turn);
    }

    fn holders(&self) -> Vec<Holder> {
        self.held.holders(|mode| match mode {
            Mode::Read => "read lock".to_owned(),
            Mode::Write => "write lock".to_owned(),
        })
    }

    fn summary(&self) -> serde_json::Value {
        let is_writing = !self.is_free_to(Mode::Read);
        let value = shown(self.shape, &self.value);
        json!({
            "value": value,
            "value_is_known": value.is_some(),
            "value_bytes": self.value.len(),
            "readers": if is_writing { 0 } else { self.held.len() },
            "writing": is_writing,
            "waiting": self.queue.len(),
        })
    }
}
