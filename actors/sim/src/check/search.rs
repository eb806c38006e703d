//! The search for an order of an object's calls.
//!
//! It is Wing and Gong's: of the steps that may come next (those that began before any other ended), one that the specification
//! allows is taken, and given up when nothing follows. As Lowe ("Testing for linearizability", 2017) does, it remembers
//! configurations and enters none twice. Where the history is quiet, a configuration is no more than a state, so there all ways
//! meet, and what went before need not be searched again. What else it does not look at, and why that loses nothing:
//!
//! - A step that is allowed, and by its reply changes nothing, is taken at once: later it would still have to be taken.
//! - Of equal steps the one that ends first is taken: in any order the two could change places.
//! - Unanswered steps may be taken or not. They are tried when all else has failed; never if the next step would have led
//!   to the same state without it, or would have been allowed before it as well; and never in a configuration that was
//!   reached with fewer of them.

use super::explain::Longest;
use super::visited::{Bits, Visited, fingerprint, mark};
use super::{Limits, Verdict};
use crate::history::{History, ObjectIndex, OperationId};
use crate::spec::{Entry, Specification, Step};

/// So many operations of each kind are told to people.
const TOLD_MAX: usize = 10;

/// A step that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Known(usize),
    Unanswered(usize),
}

/// A configuration on the way from the beginning to where the search is.
#[derive(Debug)]
struct Frame<State> {
    state: State,
    /// What led here.
    taken: Option<Move>,
    /// All answered steps before this one are done.
    low: usize,
    n_done: usize,
    done: u128,
    /// An answered step that is not done ends then, and none earlier.
    until: u64,
    /// What is still to be tried, last first.
    moves: Vec<Move>,
    /// Whether the unanswered steps are, or need not be, among the moves.
    widened: bool,
}

/// A search through the calls of one object.
#[derive(Debug)]
pub(super) struct Search<'a, S: Specification> {
    spec: &'a S,
    limits: Limits,
    /// Both by their beginning.
    known: Vec<Entry>,
    unanswered: Vec<Entry>,
    known_classes: Vec<usize>,
    unanswered_classes: Vec<usize>,
    done: Bits,
    used: Bits,
    visited: Visited,
    stack: Vec<Frame<S::State>>,
    steps: u64,
    /// By class, in which round it was last seen.
    seen: Vec<u64>,
    round: u64,
    longest: Longest,
}

impl<'a, S: Specification> Search<'a, S> {
    pub(super) fn new(spec: &'a S, mut known: Vec<Entry>, mut unanswered: Vec<Entry>, limits: Limits) -> Self {
        known.sort_by_key(|entry| entry.invoked_at);
        unanswered.sort_by_key(|entry| entry.invoked_at);
        let mut numbers = hashbrown::HashMap::<Step, usize>::new();
        let mut classes = |entries: &[Entry]| -> Vec<usize> {
            let mut number = |step| {
                let next = numbers.len();
                *numbers.entry(step).or_insert(next)
            };
            entries.iter().map(|entry| number(entry.step)).collect()
        };
        let (known_classes, unanswered_classes) = (classes(&known), classes(&unanswered));
        let seen = vec![0; numbers.len()];
        let (done, used, visited) = Default::default();
        let (stack, steps, round, longest) = (Vec::new(), 0, 0, Longest::default());
        #[rustfmt::skip]
        let search = Self {
            spec, limits, known, unanswered, known_classes, unanswered_classes, done, used, visited, stack, steps, seen, round,
            longest,
        };
        search
    }

    /// Searches, and says how many steps were tried.
    pub(super) fn run(mut self, history: &History, object: ObjectIndex) -> (Verdict, u64) {
        self.enter(self.spec.initial(), None, 0, 0, 0);
        while let Some(frame) = self.stack.last_mut() {
            if frame.n_done == self.known.len() {
                return (Verdict::Linearizable, self.steps);
            }
            if let Some(next) = frame.moves.pop() {
                self.steps += 1;
                self.attempt(next);
            } else if frame.widened {
                self.leave();
            } else {
                self.widen();
            }
            if let Some(limit) = self.limit_reached() {
                let key = &history.objects()[object.0 as usize].key;
                let (placed, total) = (self.longest.placed, self.known.len());
                let why = format!("{limit} on {key}: the longest order so far has {placed} of {total} steps");
                return (Verdict::GaveUp { why }, self.steps);
            }
        }
        let explanation = Box::new(self.longest.explain(history, object, self.known.len()));
        let object = history.objects()[object.0 as usize].key.clone();
        (Verdict::NotLinearizable { object, explanation }, self.steps)
    }

    fn limit_reached(&self) -> Option<&'static str> {
        if self.steps > self.limits.steps_max {
            return Some("too many steps");
        }
        (self.visited.len() > self.limits.configurations_max).then_some("too many configurations")
    }

    /// Takes a step from the last frame, if it is allowed and leads to something new.
    fn attempt(&mut self, next: Move) {
        let Some(frame) = self.stack.last() else { return };
        let step = self.entry(next).step;
        let Some(state) = self.spec.apply(&frame.state, &step) else { return };
        if self.is_needless(next, &step, &state) {
            return;
        }
        let (mut low, mut n_done, mut done) = (frame.low, frame.n_done, frame.done);
        match next {
            Move::Known(index) => {
                self.done.insert(index);
                (n_done, done) = (n_done + 1, done ^ mark(index));
                low = self.done.next_absent(low);
            }
            Move::Unanswered(index) => self.used.insert(index),
        }
        if self.visited.insert(done ^ fingerprint(&state), &self.used) {
            self.enter(state, Some(next), low, n_done, done);
        } else {
            self.undo(next);
        }
    }

    /// Whether the step that leads to `state` could as well have come before, or without, the unanswered one that led to the last frame.
    fn is_needless(&self, next: Move, step: &Step, state: &S::State) -> bool {
        let [.., before, frame] = &self.stack[..] else { return false };
        let Some(Move::Unanswered(index)) = frame.taken else { return false };
        let Some(without) = self.spec.apply(&before.state, step) else { return false };
        if without == *state {
            return true;
        }
        let is_first = match next {
            Move::Known(_) => true,
            // Of two that can change places only one order is tried.
            Move::Unanswered(other) => self.unanswered_classes[other] < self.unanswered_classes[index],
        };
        is_first && self.spec.apply(&without, &self.unanswered[index].step).as_ref() == Some(state)
    }

    /// Makes a configuration the last, with the answered steps that can be taken in it.
    fn enter(&mut self, state: S::State, taken: Option<Move>, low: usize, n_done: usize, done: u128) {
        let (candidates, until, urgent) = self.candidates(low);
        let mut allowed = Vec::new();
        let mut forced = None;
        for index in candidates {
            let step = &self.known[index].step;
            if self.spec.apply(&state, step).is_none() {
                continue;
            }
            if self.spec.forced(step) {
                forced = Some(index);
                break;
            }
            allowed.push(index);
        }
        let urgent = self.known.get(urgent);
        if forced.is_none() && urgent.is_some_and(|urgent| self.spec.hopeless(&state, urgent)) {
            let moves = Vec::new();
            return self.stack.push(Frame { state, taken, low, n_done, done, until, moves, widened: true });
        }
        let (widened, allowed) = (forced.is_some(), forced.map_or(allowed, |index| vec![index]));
        let moves = allowed.into_iter().rev().map(Move::Known).collect();
        let hurry = !widened && self.spec.prefers_unanswered(&state);
        self.stack.push(Frame { state, taken, low, n_done, done, until, moves, widened });
        if hurry {
            self.widen();
        }
    }

    /// The answered steps that may come next, one of each class, the first due first; when the first of them ends, and which that is.
    fn candidates(&mut self, low: usize) -> (Vec<usize>, u64, usize) {
        let (mut candidates, mut until, mut urgent) = (Vec::new(), u64::MAX, usize::MAX);
        let mut index = self.done.next_absent(low);
        while let Some(entry) = self.known.get(index)
            && entry.invoked_at <= until
        {
            let end = entry.returned_at.unwrap_or(u64::MAX);
            if end < until {
                (until, urgent) = (end, index);
            }
            candidates.push(index);
            index = self.done.next_absent(index + 1);
        }
        self.spec.narrow(&mut candidates, &self.known);
        candidates.sort_by_key(|&index| (self.known[index].due, self.known[index].returned_at));
        self.round += 1;
        candidates.retain(|&index| {
            let seen = &mut self.seen[self.known_classes[index]];
            std::mem::replace(seen, self.round) != self.round
        });
        (candidates, until, urgent)
    }

    /// Adds the unanswered steps that might help to the last frame's moves.
    fn widen(&mut self) {
        let Some((low, until)) = self.stack.last().map(|frame| (frame.low, frame.until)) else { return };
        let targets = self.candidates(low).0;
        self.round += 1;
        let begun = self.unanswered.iter().take_while(|entry| entry.invoked_at <= until).count();
        let unused: Vec<_> = (0..begun).filter(|&index| !self.used.contains(index)).collect();
        // Looking is work too: without this a search could be long and have few steps.
        self.steps += unused.len() as u64;
        let mut moves = Vec::new();
        for (place, &index) in unused.iter().enumerate() {
            let class = self.unanswered_classes[index];
            if std::mem::replace(&mut self.seen[class], self.round) != self.round
                && self.helps(place, &unused, &targets)
            {
                moves.push(Move::Unanswered(index));
            }
        }
        if let Some(frame) = self.stack.last_mut() {
            moves.reverse();
            frame.moves.extend(moves);
            frame.widened = true;
        }
    }

    /// Whether one of the targets might be allowed after an unanswered step and some of the others.
    fn helps(&self, place: usize, unused: &[usize], targets: &[usize]) -> bool {
        let Some(frame) = self.stack.last() else { return false };
        let step = &self.unanswered[unused[place]].step;
        let Some(next) = self.spec.apply(&frame.state, step).filter(|next| *next != frame.state) else { return false };
        let others = unused.iter().enumerate().filter(|&(other, _)| other != place);
        let others: Vec<_> = others.map(|(_, &index)| self.unanswered[index].step).collect();
        targets.iter().any(|&target| self.spec.reachable(&next, &self.known[target].step, &others))
    }

    /// Gives the last frame up.
    fn leave(&mut self) {
        self.remember_longest();
        if let Some(taken) = self.stack.pop().and_then(|frame| frame.taken) {
            self.undo(taken);
        }
    }

    fn undo(&mut self, taken: Move) {
        match taken {
            Move::Known(index) => self.done.remove(index),
            Move::Unanswered(index) => self.used.remove(index),
        }
    }

    fn remember_longest(&mut self) {
        let Some(frame) = self.stack.last() else { return };
        let (low, until, placed) = (frame.low, frame.until, frame.n_done);
        if placed < self.longest.placed || !self.longest.state.is_empty() && placed == self.longest.placed {
            return;
        }
        let state = self.spec.describe(&frame.state);
        let taken: Vec<_> = self.stack.iter().rev().filter_map(|frame| frame.taken).take(TOLD_MAX).collect();
        let last = taken.into_iter().rev().map(|taken| self.entry(taken).operation).collect();
        let candidates = self.candidates(low).0;
        let stuck = candidates.into_iter().take(TOLD_MAX).map(|index| self.known[index].operation).collect();
        let begun = self.unanswered.iter().enumerate().take_while(|(_, entry)| entry.invoked_at <= until);
        let unused = begun.filter(|&(index, _)| !self.used.contains(index)).take(TOLD_MAX);
        let unanswered: Vec<OperationId> = unused.map(|(_, entry)| entry.operation).collect();
        self.longest = Longest { placed, state, last, stuck, unanswered };
    }

    fn entry(&self, next: Move) -> &Entry {
        match next {
            Move::Known(index) => &self.known[index],
            Move::Unanswered(index) => &self.unanswered[index],
        }
    }
}
