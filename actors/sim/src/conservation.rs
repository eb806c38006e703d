//! Counts that must come out right, in linear time: what was lost, what was done twice, what was forgotten.
//!
//! They hold whatever the order, so a history that is too much for the search still has them.

use hashbrown::{HashMap, HashSet};

use crate::call::{Call, CounterCall, QueueCall, Reply};
use crate::history::{History, ObjectIndex, Operation, Outcome};

/// The adds to a counter, against what it has in the end.
///
/// For counters that are only added to, by positive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterAccount {
    /// The value before the first call, which the caller knows, and the sum of all adds that were answered.
    pub acknowledged: i128,
    /// The sum of those that may have been applied or not.
    pub unknown: i128,
    /// The value in the end.
    pub last: i128,
}

impl CounterAccount {
    /// How much was acknowledged and is not there: 0 if all is well.
    pub fn lost(&self) -> i128 {
        (self.acknowledged - self.last).max(0)
    }

    /// How much is there that nobody added, or was added twice: 0 if all is well.
    pub fn doubled(&self) -> i128 {
        (self.last - self.acknowledged - self.unknown).max(0)
    }

    /// Whether nothing was lost or doubled.
    pub fn is_balanced(&self) -> bool {
        self.lost() == 0 && self.doubled() == 0
    }
}

/// Adds up a counter's history.
pub fn counter(history: &History, object: ObjectIndex, initial: i64, last: i64) -> CounterAccount {
    let mut account = CounterAccount { acknowledged: i128::from(initial), unknown: 0, last: i128::from(last) };
    for operation in of(history, object) {
        if let Call::Counter(CounterCall::Add(delta) | CounterCall::FetchAdd(delta)) = operation.call {
            match operation.outcome {
                Outcome::Returned(..) => account.acknowledged += i128::from(delta),
                Outcome::Unknown(_) | Outcome::Open => account.unknown += i128::from(delta),
                Outcome::NotApplied(_) => {}
            }
        }
    }
    account
}

/// For a counter whose every add is a power of 2 of its own: exactly which adds are wrong.
///
/// Returns the bits of the acknowledged adds that are missing, and those of bits that nobody may have added. An add that was done
/// twice shows as the one missing and the next bit there, so either is bad.
pub fn counter_bits(history: &History, object: ObjectIndex, last: i64) -> (u64, u64) {
    let (mut acknowledged, mut possible) = (0, 0);
    for operation in of(history, object) {
        if let Call::Counter(CounterCall::Add(delta) | CounterCall::FetchAdd(delta)) = operation.call {
            match operation.outcome {
                Outcome::Returned(..) => acknowledged |= delta.cast_unsigned(),
                Outcome::Unknown(_) | Outcome::Open => possible |= delta.cast_unsigned(),
                Outcome::NotApplied(_) => {}
            }
        }
    }
    let last = last.cast_unsigned();
    (acknowledged & !last, last & !(acknowledged | possible))
}

/// What went into a channel, against what came out. For values that are sent once each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelAccount {
    /// Values whose sending was answered, that nobody received, and that are not in the channel; without as many as calls to
    /// receive whose outcome nobody knows. In order.
    pub lost: Vec<i64>,
    /// How many unanswered calls may account for some of `lost`.
    pub excused: usize,
    /// Values that were received more than once, or received and still there.
    pub doubled: Vec<i64>,
    /// Values that were received, or are there, and that nobody sent, or whose sender was told that they are not in.
    pub invented: Vec<i64>,
    /// How many calls to receive are open in the end although values are there.
    pub forgotten: usize,
}

impl ChannelAccount {
    /// Whether nothing was lost, doubled, invented or forgotten.
    pub fn is_balanced(&self) -> bool {
        self.lost.len() <= self.excused && self.doubled.is_empty() && self.invented.is_empty() && self.forgotten == 0
    }
}

/// Adds up a channel's history; `left` are the values that are in it in the end.
pub fn channel(history: &History, object: ObjectIndex, left: &[i64]) -> ChannelAccount {
    let mut account = ChannelAccount::default();
    let (mut acknowledged, mut possible) = (Vec::new(), HashSet::new());
    let mut out = HashMap::<i64, usize>::new();
    let mut waiting = 0;
    for operation in of(history, object) {
        let Call::Queue(call) = operation.call else { continue };
        match (call, operation.outcome) {
            (QueueCall::Send(value) | QueueCall::TrySend(value), Outcome::Returned(Reply::Done, _)) => {
                acknowledged.push(value);
            }
            (QueueCall::Send(value) | QueueCall::TrySend(value), Outcome::Unknown(_) | Outcome::Open) => {
                possible.insert(value);
            }
            (_, Outcome::Returned(Reply::Number(value) | Reply::Value(Some(value)), _)) => {
                *out.entry(value).or_default() += 1;
            }
            (QueueCall::Recv | QueueCall::TryRecv, Outcome::Unknown(_)) => account.excused += 1,
            (QueueCall::Recv | QueueCall::TryRecv, Outcome::Open) => waiting += 1,
            _ => {}
        }
    }
    // One that is still open took nothing, unless its answer was lost.
    account.excused += waiting;
    account.forgotten = waiting.min(left.len());
    for &value in left {
        *out.entry(value).or_default() += 1;
    }
    account.lost = acknowledged.iter().copied().filter(|value| !out.contains_key(value)).collect();
    possible.extend(acknowledged);
    let mut seen: Vec<_> = out.into_iter().collect();
    seen.sort_unstable();
    account.doubled = seen.iter().filter(|(_, times)| *times > 1).map(|&(value, _)| value).collect();
    account.invented = seen.iter().map(|&(value, _)| value).filter(|value| !possible.contains(value)).collect();
    account.lost.sort_unstable();
    account
}

/// The calls of an object that were never answered, in order: after everything was healed, those that should have been are forgotten.
pub fn open(history: &History, object: ObjectIndex) -> impl Iterator<Item = &Operation> {
    let is_open = |operation: &&Operation| operation.outcome == Outcome::Open;
    of(history, object).filter(is_open).filter(|operation| !matches!(operation.call, Call::OwnerEnded(_)))
}

fn of(history: &History, object: ObjectIndex) -> impl Iterator<Item = &Operation> {
    history.operations().iter().filter(move |operation| operation.object == object)
}
