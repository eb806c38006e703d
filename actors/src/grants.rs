//! What objects that grant something are made of: who holds, and who waits.
//!
//! A grant is named by the id of its call, belongs to an owner that only serves its clean-up, and carries a fence.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{Fence, Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;
use crate::waiter::{Waiter, encode_reply};

/// Something that was given out, with what the object remembers of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant<T = ()> {
    /// Who has it.
    pub owner: Owner,
    /// Grows with each grant of the object.
    pub fence: Fence,
    /// Since when, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// What was given.
    pub what: T,
}

/// What an object has given out and expects back, by the id of the grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants<T = ()> {
    held: BTreeMap<WaiterId, Grant<T>>,
}

/// What a caller gives back is not held: it was given back before, or taken away when its owner ended. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotHeld {
    /// Names what is not held.
    pub grant: WaiterId,
}

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grant {} is not held, nothing was changed", self.grant)
    }
}

impl std::error::Error for NotHeld {}

impl<T> Default for Grants<T> {
    fn default() -> Self {
        Self { held: BTreeMap::new() }
    }
}

impl<T> Grants<T> {
    /// Gives `what` to the caller that the grant is named after; returns the fence.
    pub fn give(&mut self, grant: WaiterId, owner: Owner, what: T, turn: &Turn) -> Fence {
        let fence = turn.fence();
        self.held.insert(grant, Grant { owner, fence, since_ms: turn.now_ms(), what });
        fence
    }

    /// Takes the grant back; `None` if it is not held: it was given back, or taken from its owner.
    pub fn take(&mut self, grant: WaiterId) -> Option<Grant<T>> {
        self.held.remove(&grant)
    }

    /// Takes the grant back from a caller who returns it.
    ///
    /// # Errors
    /// When it is not held.
    pub fn take_back(&mut self, grant: WaiterId) -> Result<Grant<T>, NotHeld> {
        self.take(grant).ok_or(NotHeld { grant })
    }

    /// Takes back all that an owner holds.
    pub fn take_all_of(&mut self, owner: Owner) -> Vec<Grant<T>> {
        self.held_by(owner).into_iter().filter_map(|id| self.held.remove(&id)).collect()
    }

    /// The names of all that an owner holds.
    pub fn held_by(&self, owner: Owner) -> Vec<WaiterId> {
        self.held.iter().filter(|(_, grant)| grant.owner == owner).map(|(&id, _)| id).collect()
    }

    /// The grant of that name.
    pub fn get(&self, grant: WaiterId) -> Option<&Grant<T>> {
        self.held.get(&grant)
    }

    /// The grant of that name.
    pub fn get_mut(&mut self, grant: WaiterId) -> Option<&mut Grant<T>> {
        self.held.get_mut(&grant)
    }

    /// All grants, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (WaiterId, &Grant<T>)> {
        self.held.iter().map(|(&id, grant)| (id, grant))
    }

    /// What has been given out, the oldest first, to be changed.
    pub fn given_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.held.values_mut().map(|grant| &mut grant.what)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is given out.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// For an object's `holders`; `name` says what a grant is.
    pub fn holders(&self, name: impl Fn(&T) -> String) -> Vec<Holder> {
        let held = self.held.iter().map(|(&id, grant)| Holder {
            what: name(&grant.what),
            grant: id,
            owner: grant.owner,
            fence: grant.fence,
            since_ms: grant.since_ms,
        });
        held.collect()
    }
}

/// In a queue shorter than this nobody looks for calls that wait no more.
pub(crate) const LOOK_FROM: usize = 4;

/// Calls that wait for `R`, in order of arrival, each with what it wants.
///
/// Who gave up (deadline, cancel, end of the owner) is passed over, and forgotten at a cost that stays in proportion.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "T: Serialize + serde::de::DeserializeOwned")]
pub struct WaitQueue<R, T = ()> {
    waiting: VecDeque<(Waiter<R>, T)>,
    /// At this length the next push looks for calls that wait no more: twice what was left the last time, so that a queue
    /// whose length stays about the same is not looked through at each push.
    look_at: usize,
}

impl<R, T> Default for WaitQueue<R, T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), look_at: LOOK_FROM }
    }
}

impl<R, T> WaitQueue<R, T> {
    /// Adds a call at the end.
    pub fn push(&mut self, waiter: Waiter<R>, wants: T) {
        if self.waiting.len() >= self.look_at {
            self.forget_gone();
            self.look_at = LOOK_FROM.max(2 * self.waiting.len());
        }
        self.waiting.push_back((waiter, wants));
    }

    /// What the first call that still waits wants.
    pub fn first(&mut self) -> Option<&T> {
        self.skip_gone();
        self.waiting.front().map(|(_, wants)| wants)
    }

    /// What the first call that still waits wants, to be changed where it stands.
    pub fn first_mut(&mut self) -> Option<&mut T> {
        self.skip_gone();
        self.waiting.front_mut().map(|(_, wants)| wants)
    }

    /// Takes the first call that still waits, with its owner.
    pub fn pop(&mut self) -> Option<(Waiter<R>, Owner, T)> {
        self.skip_gone();
        let (waiter, wants) = self.waiting.pop_front()?;
        let owner = waiter.owner()?;
        Some((waiter, owner, wants))
    }

    /// Takes all calls that still wait.
    pub fn drain(&mut self) -> impl Iterator<Item = (Waiter<R>, T)> + use<R, T> {
        std::mem::take(&mut self.waiting).into_iter().filter(|(waiter, _)| waiter.is_live())
    }

    /// Answers all calls that still wait with `value`, which is encoded once: however large it is, and however many wait.
    ///
    /// # Panics
    /// When `R`'s `Serialize` fails, or outside of an object's method.
    pub fn reply_all(&mut self, value: &R)
    where
        R: Serialize,
    {
        let mut body = None;
        for (waiter, _) in self.drain() {
            let body: &Bytes = body.get_or_insert_with(|| encode_reply(value));
            waiter.reply_encoded(body.clone());
        }
    }

    /// Takes those calls that still wait and want what `wanted` is true of, in order.
    pub fn drain_if(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Vec<(Waiter<R>, T)> {
        let (taken, left) = std::mem::take(&mut self.waiting)
            .into_iter()
            .filter(|(waiter, _)| waiter.is_live())
            .partition::<VecDeque<_>, _>(|(_, wants)| wanted(wants));
        self.waiting = left;
        taken.into()
    }

    /// How many calls there are at most: who gave up counts until it is looked for. Unlike [`len`](Self::len) it costs nothing.
    pub fn len_max(&self) -> usize {
        self.waiting.len()
    }

    /// How many calls still wait.
    pub fn len(&self) -> usize {
        self.waiting.iter().filter(|(waiter, _)| waiter.is_live()).count()
    }

    /// Whether no call waits.
    pub fn is_empty(&self) -> bool {
        !self.waiting.iter().any(|(waiter, _)| waiter.is_live())
    }

    /// What the calls that still wait want, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().filter(|(waiter, _)| waiter.is_live()).map(|(_, wants)| wants)
    }

    /// Drops the calls that wait no more. Objects with an `owner_gone` need not: they are passed over anyway.
    pub fn forget_gone(&mut self) {
        self.waiting.retain(|(waiter, _)| waiter.is_live());
    }

    fn skip_gone(&mut self) {
        while self.waiting.front().is_some_and(|(waiter, _)| !waiter.is_live()) {
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CallId, SessionId};
    use crate::waiter::{ParkedCall, ParkedCalls, enter, leave};

    /// A turn in which the calls of these numbers are parked.
    fn with_parked<R>(parked: impl IntoIterator<Item = u64>, run: impl FnOnce() -> R) -> R {
        let owner = Owner::Session(SessionId(1));
        let call = ParkedCall { call: CallId::default(), owner, method: 0, deadline_ms: None, since_ms: 0 };
        enter(parked.into_iter().map(|number| (WaiterId(number), call.clone())).collect::<ParkedCalls>());
        let output = run();
        leave();
        output
    }

    fn filled(numbers: impl IntoIterator<Item = u64>) -> WaitQueue<(), u64> {
        let mut queue = WaitQueue::default();
        for number in numbers {
            queue.push(Waiter::new(WaiterId(number)), number);
        }
        queue
    }

    #[test]
    fn who_gave_up_is_forgotten_before_the_queue_doubles() {
        let mut queue = with_parked(0..100, || filled(0..100));
        with_parked(50..1_050, || {
            for number in 100..1_050 {
                queue.push(Waiter::new(WaiterId(number)), number);
            }
            assert_eq!((queue.len(), queue.len_max()), (1_000, 1_000));
        });
        for number in 1_050..5_000 {
            with_parked([number], || queue.push(Waiter::new(WaiterId(number)), number));
            assert!(queue.len_max() <= 2_048, "{}", queue.len_max());
        }
        assert!(queue.len_max() < 10, "{}", queue.len_max());
    }

    #[test]
    fn a_queue_of_constant_length_is_not_looked_through_at_each_push() {
        with_parked(0..10_000, || {
            let mut queue = filled(0..1_024);
            let mut looked = 0;
            for number in 1_024..10_000 {
                looked += u32::from(queue.waiting.len() >= queue.look_at);
                queue.push(Waiter::new(WaiterId(number)), number);
                assert_eq!(queue.pop().map(|(_, _, wants)| wants), Some(number - 1_024));
            }
            assert!(looked <= 1, "{looked}");
        });
    }

    #[test]
    fn some_are_taken_and_the_others_keep_their_order() {
        with_parked((0..10).filter(|number| *number != 4), || {
            let mut queue = filled(0..10);
            let even: Vec<u64> = queue.drain_if(|number| number % 2 == 0).into_iter().map(|(_, wants)| wants).collect();
            assert_eq!(even, [0, 2, 6, 8]);
            assert_eq!(queue.iter().copied().collect::<Vec<_>>(), [1, 3, 5, 7, 9]);
        });
    }
}
