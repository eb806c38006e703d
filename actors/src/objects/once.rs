//! The object behind `OnceCell<T>` and `Once`: a value that exactly one caller makes.

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::{Grants, NotHeld, WaitQueue};
use crate::ids::{Fence, Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;
use crate::waiter::Waiter;

/// A value that one caller makes, once, encoded by its clients; use it through the client's `OnceCell<T>` or `Once`.
#[object(name = "OnceCell")]
#[derive(Debug, Serialize, Deserialize)]
pub struct OnceObject {
    /// The fingerprint of the value's type.
    shape: u64,
    value: Option<Bytes>,
    /// The turn to make the value: one at most is given out.
    initializer: Grants,
    /// Callers that want the value, or else to make it.
    candidates: WaitQueue<Begun>,
    /// Callers that only want the value.
    waiting: WaitQueue<Bytes>,
}

/// What a caller that would make the value is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Begun {
    /// The value is there.
    Value(Bytes),
    /// It is the caller's turn to make it.
    Initialize(Initializer),
}

/// The turn to make a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initializer {
    /// Names it.
    pub grant: WaiterId,
    /// Grows with each turn of the cell.
    pub fence: Fence,
}

/// Why a value was not set. The one that there is, or that comes, stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SetError {
    /// There is a value.
    #[error("the cell has a value already")]
    AlreadySet,
    /// Another caller is about to make one.
    #[error("another caller is about to make the cell's value")]
    Initializing,
}

#[object]
impl OnceObject {
    /// A cell for a value of the type with that fingerprint.
    pub fn new(shape: u64) -> Self {
        Self {
            shape,
            value: None,
            initializer: Grants::default(),
            candidates: WaitQueue::default(),
            waiting: WaitQueue::default(),
        }
    }

    /// The value, or the turn to make it; waits while another has the turn.
    pub fn begin(&mut self, waiter: Waiter<Begun>, turn: &mut Turn) {
        match &self.value {
            Some(value) => waiter.reply(Begun::Value(value.clone())),
            None => {
                self.candidates.push(waiter, ());
                self.hand_over(turn);
            }
        }
    }

    /// Sets the value and ends the turn to make it.
    pub fn finish(&mut self, grant: WaiterId, value: Bytes) -> Result<(), NotHeld> {
        self.initializer.take_back(grant)?;
        self.install(value);
        Ok(())
    }

    /// Ends the turn to make the value without one: the next caller gets it.
    pub fn abandon(&mut self, grant: WaiterId, turn: &mut Turn) -> Result<(), NotHeld> {
        self.initializer.take_back(grant)?;
        self.hand_over(turn);
        Ok(())
    }

    /// Sets the value, if there is none and nobody is about to make one.
    pub fn set(&mut self, value: Bytes) -> Result<(), SetError> {
        if self.value.is_some() {
            return Err(SetError::AlreadySet);
        }
        if !self.initializer.is_empty() {
            return Err(SetError::Initializing);
        }
        self.install(value);
        Ok(())
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<Bytes> {
        self.value.clone()
    }

    /// Waits for the value.
    pub fn wait(&mut self, waiter: Waiter<Bytes>) {
        match &self.value {
            Some(value) => waiter.reply(value.clone()),
            None => self.waiting.push(waiter, ()),
        }
    }

    /// Whether there is a value.
    pub fn is_initialized(&self) -> bool {
        self.value.is_some()
    }

    fn install(&mut self, value: Bytes) {
        self.candidates.reply_all(&Begun::Value(value.clone()));
        self.waiting.reply_all(&value);
        self.value = Some(value);
    }

    /// Gives the turn to make the value to the first who still waits for it.
    fn hand_over(&mut self, turn: &Turn) {
        if self.initializer.is_empty()
            && let Some((waiter, owner, ())) = self.candidates.pop()
        {
            let grant = waiter.id();
            let fence = self.initializer.give(grant, owner, (), turn);
            waiter.reply(Begun::Initialize(Initializer { grant, fence }));
        }
    }

    /// The caller gave up after it was given the turn.
    fn grant_cancelled(&mut self, grant: WaiterId, turn: &mut Turn) {
        if self.initializer.take(grant).is_some() {
            self.hand_over(turn);
        }
    }

    /// An owner has ended: what it would have made will not come.
    fn owner_gone(&mut self, owner: Owner, turn: &mut Turn) {
        if !self.initializer.take_all_of(owner).is_empty() {
            self.hand_over(turn);
        }
    }

    fn holders(&self) -> Vec<Holder> {
        self.initializer.holders(|()| "initializer".to_owned())
    }

    fn summary(&self) -> serde_json::Value {
        json!({
            "value_bytes": self.value.as_ref().map(Bytes::len),
            "initializing": !self.initializer.is_empty(),
            "waiting": self.candidates.len() + self.waiting.len(),
        })
    }
}
