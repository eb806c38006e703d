//! Channels and queues.

mod refutation;
mod sequence;

use hashbrown::{HashMap, HashSet};

use super::{Entry, Specification, Step};
use crate::call::{Call, QueueCall, Reply};

pub use sequence::QueueState;
use sequence::Sequences;

/// Values in order.
#[derive(Debug, Default)]
pub struct QueueSpec {
    capacity: Option<u64>,
    sequences: Sequences,
    /// When each value was received, from and to. Empty where values are not unique.
    received: HashMap<i64, (u64, u64)>,
    /// Whether values are unique, and nobody was told that there is no room.
    receive_early: bool,
    /// When the unanswered calls that may have taken a value began, in order; `None` where values are not unique.
    removals: Option<Vec<u64>>,
}

impl QueueSpec {
    /// A queue with room for so many values; `None` is any number.
    pub fn new(capacity: Option<u64>) -> Self {
        Self { capacity, ..Self::default() }
    }

    fn has_room(&self, state: &QueueState) -> bool {
        self.capacity.is_none_or(|capacity| state.len() < capacity)
    }

    /// When the receiving of a value begins and ends, after so many values that nobody received.
    ///
    /// The first of those was taken by an unanswered call, the second by another, so not before that many have begun; what is
    /// left stays for ever.
    fn window(&self, value: i64, unseen_before: u32) -> (u64, u64) {
        if let Some(&window) = self.received.get(&value) {
            return window;
        }
        let removals = self.removals.as_ref();
        let from = removals.map_or(0, |begun| begun.get(unseen_before as usize).copied().unwrap_or(u64::MAX));
        (from, u64::MAX)
    }

    /// All that was sent before comes out before.
    fn send(&self, state: &QueueState, value: i64) -> Option<QueueState> {
        let unseen = self.sequences.unseen(state);
        let (from, to) = self.window(value, unseen);
        let unseen = unseen + u32::from(!self.received.contains_key(&value));
        let fits = self.has_room(state) && self.sequences.latest(state) <= to;
        fits.then(|| self.sequences.push(state, value, from, unseen))
    }

    fn all_seen(&self) -> bool {
        self.removals.as_ref().is_some_and(Vec::is_empty)
    }

    fn take(&self, state: &QueueState, is_right: impl FnOnce(i64) -> bool) -> Option<QueueState> {
        let (front, rest) = self.sequences.pop(state)?;
        is_right(front).then_some(rest)
    }
}

impl Specification for QueueSpec {
    type State = QueueState;

    fn initial(&self) -> QueueState {
        QueueState::default()
    }

    fn apply(&self, state: &QueueState, step: &Step) -> Option<QueueState> {
        let Call::Queue(call) = step.call else { return None };
        match (call, step.reply) {
            (QueueCall::TrySend(_), Some(Reply::Refused)) => (!self.has_room(state)).then(|| state.clone()),
            (QueueCall::TryRecv, Some(Reply::Value(None))) => state.is_empty().then(|| state.clone()),
            (QueueCall::Send(value) | QueueCall::TrySend(value), None | Some(Reply::Done)) => self.send(state, value),
            (QueueCall::Recv, Some(Reply::Number(value))) | (QueueCall::TryRecv, Some(Reply::Value(Some(value)))) => {
                self.take(state, |front| front == value)
            }
            // What somebody else received was not taken by this one.
            (QueueCall::Recv | QueueCall::TryRecv, None) => {
                self.take(state, |front| !self.received.contains_key(&front))
            }
            _ => None,
        }
    }

    fn describe(&self, state: &QueueState) -> String {
        self.sequences.describe(state)
    }

    fn prepare(&mut self, entries: &mut Vec<Entry>) {
        let mut sent = HashSet::new();
        if !entries.iter().filter_map(|entry| sent_by(&entry.step)).all(|value| sent.insert(value)) {
            return;
        }
        for entry in entries.iter() {
            if let (Some(value), Some(to)) = (received_by(&entry.step), entry.returned_at)
                && self.received.insert(value, (entry.invoked_at, to)).is_some()
            {
                // Received twice: that was refuted.
                return;
            }
        }
        let no_room_seen = entries.iter().any(|entry| entry.step.reply == Some(Reply::Refused));
        self.receive_early = !no_room_seen;
        let unanswered = entries.iter().filter(|entry| entry.returned_at.is_none() && sent_by(&entry.step).is_none());
        let mut removals: Vec<_> = unanswered.map(|entry| entry.invoked_at).collect();
        removals.sort_unstable();
        self.removals = Some(removals);
        let seen =
            entries.iter().filter(|entry| sent_by(&entry.step).is_some_and(|value| self.received.contains_key(&value)));
        let last_seen = seen.map(|entry| entry.invoked_at).max().unwrap_or(0);
        for entry in entries.iter_mut() {
            let Some(value) = sent_by(&entry.step) else { continue };
            if let Some((_, to)) = self.received.get(&value) {
                // It was sent, answered or not, before it was received.
                entry.returned_at = Some(entry.returned_at.unwrap_or(*to).min(*to));
                entry.due = entry.due.min(*to);
            } else if entry.returned_at.is_none_or(|at| at >= last_seen) {
                // It may still be in, behind all that came out.
                entry.due = u64::MAX;
            }
        }
        if !no_room_seen {
            // A value that nobody saw can only be in the way.
            entries.retain(|entry| entry.returned_at.is_some() || sent_by(&entry.step).is_none());
        }
    }

    fn refute(&self, entries: &[Entry]) -> Option<(&'static str, Vec<Entry>)> {
        refutation::refute(entries)
    }

    /// A value that is received before another is received at all was sent before it.
    fn narrow(&self, candidates: &mut Vec<usize>, entries: &[Entry]) {
        let window = |&index: &usize| sent_by(&entries[index].step).map(|value| self.window(value, 0));
        if let Some(first) = candidates.iter().filter_map(window).map(|(_, to)| to).min() {
            candidates.retain(|index| window(index).is_none_or(|(from, _)| from <= first));
        }
    }

    /// Who receives the value at the front, or some value that is in the way, begins too late.
    fn hopeless(&self, state: &QueueState, urgent: &Entry) -> bool {
        let Some((front, _)) = self.sequences.pop(state) else { return false };
        let needs_none = urgent.step.reply == Some(Reply::Value(None));
        if needs_none && urgent.returned_at.is_some_and(|until| self.sequences.latest(state) > until) {
            return true;
        }
        let needs_it_gone = needs_none || received_by(&urgent.step).is_some();
        self.receive_early && needs_it_gone && (self.all_seen() || self.received.contains_key(&front))
    }

    /// Nothing else takes a value from the front that nobody saw come out.
    fn prefers_unanswered(&self, state: &QueueState) -> bool {
        let Some((front, _)) = self.sequences.pop(state) else { return false };
        !self.received.is_empty() && !self.all_seen() && !self.received.contains_key(&front)
    }

    fn forced(&self, step: &Step) -> bool {
        let changes_nothing = matches!(step.reply, Some(Reply::Refused | Reply::Value(None)));
        changes_nothing || self.receive_early && received_by(step).is_some()
    }
}

fn sent_by(step: &Step) -> Option<i64> {
    match (step.call, step.reply) {
        (Call::Queue(QueueCall::TrySend(_)), Some(Reply::Refused)) => None,
        (Call::Queue(QueueCall::Send(value) | QueueCall::TrySend(value)), _) => Some(value),
        _ => None,
    }
}

fn received_by(step: &Step) -> Option<i64> {
    match (step.call, step.reply) {
        (Call::Queue(QueueCall::Recv), Some(Reply::Number(value)))
        | (Call::Queue(QueueCall::TryRecv), Some(Reply::Value(Some(value)))) => Some(value),
        _ => None,
    }
}
