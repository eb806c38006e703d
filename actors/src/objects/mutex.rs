//! The object behind `Mutex<T>` and its conditions: a value that one owner at a time may change.

use std::collections::BTreeMap;

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::shown::shown;
use crate::grants::{Grants, LOOK_FROM, NotHeld, WaitQueue};
use crate::ids::{Fence, Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;
use crate::waiter::Waiter;

/// A value of any type behind a lock, encoded by its clients; use it through the client's `Mutex<T>` and `Condvar<T>`.
///
/// The lock is fair: callers get it in the order of their arrival, and a caller that is notified arrives when it is.
/// The conditions are part of the lock, because giving it up and beginning to wait must be one turn.
#[object(name = "Mutex")]
#[derive(Debug, Serialize, Deserialize)]
pub struct MutexObject {
    /// The fingerprint of the value's type.
    shape: u64,
    value: Bytes,
    /// The lock, while somebody has it. It is free only if nobody waits for it.
    lock: Grants,
    queue: WaitQueue<Result<Locked, NotHeld>>,
    /// Who waits for a notification; conditions for which nobody waits are not kept.
    conditions: BTreeMap<String, WaitQueue<Result<Locked, NotHeld>>>,
    /// At this number of conditions the next new one looks for those whose waiters all gave up, as a `WaitQueue` does for calls.
    look_at: usize,
    /// The calls that a `notify_one` of that condition woke, until they have given up the lock that they got with it.
    notified: BTreeMap<WaiterId, String>,
}

/// A lock, with the value under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// Names this holding of the lock, for giving it back.
    pub grant: WaiterId,
    /// Grows with each holding of the lock.
    pub fence: Fence,
    /// The value, encoded.
    pub value: Bytes,
}

#[object]
impl MutexObject {
    /// A lock over a value of the type with that fingerprint.
    pub fn new(shape: u64, value: Bytes) -> Self {
        Self {
            shape,
            value,
            lock: Grants::default(),
            queue: WaitQueue::default(),
            conditions: BTreeMap::new(),
            look_at: LOOK_FROM,
            notified: BTreeMap::new(),
        }
    }

    /// Waits for the lock, and brings the value. It is never refused: the reply is shared with `wait`.
    pub fn lock(&mut self, waiter: Waiter<Result<Locked, NotHeld>>, turn: &mut Turn) {
        self.queue.push(waiter, ());
        self.hand_over(turn);
    }

    /// The lock with the value, if nobody has or awaits it.
    pub fn try_lock(&mut self, turn: &mut Turn) -> Option<Locked> {
        self.lock.is_empty().then(|| self.grant(turn.grant(), turn.owner(), turn))
    }

    /// Gives the lock back, with the value if it was changed.
    pub fn unlock(&mut self, grant: WaiterId, changed: Option<Bytes>, turn: &mut Turn) -> Result<(), NotHeld> {
        self.give_up(grant, changed)?;
        self.hand_over(turn);
        Ok(())
    }

    /// Gives the lock back as `unlock` does, waits for a notification of the condition, and then for the lock.
    pub fn wait(
        &mut self,
        grant: WaiterId,
        changed: Option<Bytes>,
        condition: String,
        waiter: Waiter<Result<Locked, NotHeld>>,
        turn: &mut Turn,
    ) {
        if let Err(error) = self.give_up(grant, changed) {
            return waiter.reply(Err(error));
        }
        self.await_condition(condition, waiter);
        self.hand_over(turn);
    }

    /// Sends the first who waits for the condition to the end of the lock's queue.
    pub fn notify_one(&mut self, condition: String, turn: &mut Turn) {
        self.wake_one(condition);
        self.hand_over(turn);
    }

    /// Sends all who wait for the condition to the end of the lock's queue, in their order.
    pub fn notify_all(&mut self, condition: String, turn: &mut Turn) {
        for (waiter, ()) in self.conditions.remove(&condition).unwrap_or_default().drain() {
            self.queue.push(waiter, ());
        }
        self.hand_over(turn);
    }

    /// Whether somebody has the lock.
    pub fn is_locked(&self) -> bool {
        !self.lock.is_empty()
    }

    fn grant(&mut self, grant: WaiterId, owner: Owner, turn: &Turn) -> Locked {
        Locked { grant, fence: self.lock.give(grant, owner, (), turn), value: self.value.clone() }
    }

    /// Gives the lock, if it is free, to the first who still waits for it.
    fn hand_over(&mut self, turn: &Turn) {
        if self.lock.is_empty()
            && let Some((waiter, owner, ())) = self.queue.pop()
        {
            let locked = self.grant(waiter.id(), owner, turn);
            waiter.reply(Ok(locked));
        }
    }

    /// The holder is done with the lock, and with the notification that woke it, if one did.
    fn give_up(&mut self, grant: WaiterId, changed: Option<Bytes>) -> Result<(), NotHeld> {
        self.lock.take_back(grant)?;
        self.notified.remove(&grant);
        if let Some(value) = changed {
            self.value = value;
        }
        Ok(())
    }

    fn await_condition(&mut self, condition: String, waiter: Waiter<Result<Locked, NotHeld>>) {
        if !self.conditions.contains_key(&condition) && self.conditions.len() >= self.look_at {
            self.conditions.retain(|_, waiting| !waiting.is_empty());
            self.look_at = LOOK_FROM.max(2 * self.conditions.len());
        }
        self.conditions.entry(condition).or_default().push(waiter, ());
    }

    fn wake_one(&mut self, condition: String) {
        let Some(waiting) = self.conditions.get_mut(&condition) else { return };
        let first = waiting.pop();
        if waiting.first().is_none() {
            self.conditions.remove(&condition);
        }
        if let Some((waiter, ..)) = first {
            self.notified.insert(waiter.id(), condition);
            self.queue.push(waiter, ());
        }
    }

    /// Nothing came of the call: if a notification woke it, another who waits for the condition gets it.
    fn pass_on(&mut self, call: WaiterId) {
        if let Some(condition) = self.notified.remove(&call) {
            self.wake_one(condition);
        }
    }

    /// The holder's copy of the value is void, and the lock is free.
    fn take_away(&mut self, grant: WaiterId, turn: &Turn) {
        if self.lock.take(grant).is_some() {
            self.pass_on(grant);
            self.hand_over(turn);
        }
    }

    /// The caller gave up after the lock was given to it: nobody would give it back.
    fn grant_cancelled(&mut self, grant: WaiterId, turn: &mut Turn) {
        self.take_away(grant, turn);
    }

    /// An owner has ended.
    fn owner_gone(&mut self, owner: Owner, turn: &mut Turn) {
        for grant in self.lock.held_by(owner) {
            self.take_away(grant, turn);
        }
    }

    /// A caller gave up while it waited, maybe after it was notified.
    fn waiter_gone(&mut self, waiter: WaiterId) {
        self.pass_on(waiter);
    }

    fn holders(&self) -> Vec<Holder> {
        self.lock.holders(|()| "lock".to_owned())
    }

    fn summary(&self) -> serde_json::Value {
        let value = shown(self.shape, &self.value);
        let conditions = self.conditions.iter().map(|(name, waiting)| (name.clone(), waiting.len().into()));
        json!({
            "value": value,
            "value_is_known": value.is_some(),
            "value_bytes": self.value.len(),
            "locked": self.is_locked(),
            "waiting": self.queue.len(),
            "conditions": conditions.collect::<serde_json::Map<_, _>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CallId, SessionId};
    use crate::waiter::{ParkedCall, ParkedCalls, enter, leave};

    #[test]
    fn conditions_of_a_constant_number_are_not_looked_through_at_each_wait() {
        let owner = Owner::Session(SessionId(1));
        let call = ParkedCall { call: CallId::default(), owner, method: 0, deadline_ms: None, since_ms: 0 };
        enter((0..1_000).map(|number| (WaiterId(number), call.clone())).collect::<ParkedCalls>());
        let mut mutex = MutexObject::new(0, Bytes::new());
        let mut looked = 0;
        for number in 0..1_000 {
            looked += u32::from(mutex.conditions.len() >= mutex.look_at);
            // Eight stay, and one comes and goes.
            let condition = format!("condition {}", number.min(8));
            mutex.await_condition(condition.clone(), Waiter::new(WaiterId(number)));
            if number >= 8 {
                mutex.wake_one(condition);
            }
        }
        assert!(looked <= 2, "{looked}");
        assert_eq!(mutex.conditions.len(), 8);
        leave();
    }
}
