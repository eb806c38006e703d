//! The contents of queues, shared between the states of a search.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};

/// At most so many values of a queue are told to people.
const DESCRIBED_MAX: usize = 8;

/// The contents of a queue: a stretch of a sequence of values that were sent.
///
/// A state is small however long the queue is, since the search keeps one for each of its steps. Equal states are those of equal
/// positions and fingerprints; a chance of 2^-64 for each pair is accepted.
#[derive(Clone, Debug, Default)]
pub struct QueueState {
    /// How many values were taken.
    head: u32,
    /// The last value that was sent: its place in `Sequences`, from 1. Its depth says how many were sent.
    last: u32,
    sent: u32,
    fingerprint: u64,
}

impl QueueState {
    /// How many values are in.
    pub fn len(&self) -> u64 {
        u64::from(self.sent - self.head)
    }

    /// Whether no values are in.
    pub fn is_empty(&self) -> bool {
        self.sent == self.head
    }
}

impl PartialEq for QueueState {
    fn eq(&self, other: &Self) -> bool {
        (self.head, self.sent, self.fingerprint) == (other.head, other.sent, other.fingerprint)
    }
}

impl Eq for QueueState {}

impl Hash for QueueState {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.head, self.sent, self.fingerprint).hash(hasher);
    }
}

/// Sequences of values as a tree, each value with the one that was sent before it.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    /// The node of number n is at n - 1; number 0 is the empty sequence.
    nodes: RefCell<Vec<Node>>,
}

/// `jump` leads to an ancestor such that any can be found in a logarithmic number of jumps (Myers' skew-binary lists).
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    value: i64,
    depth: u32,
    parent: u32,
    jump: u32,
    /// The latest beginning of the receiving of this value or one that was sent before.
    latest: u64,
    /// How many of the values up to this one nobody received.
    unseen: u32,
}

impl Sequences {
    pub(super) fn push(&self, state: &QueueState, value: i64, received_from: u64, unseen: u32) -> QueueState {
        let mut nodes = self.nodes.borrow_mut();
        let parent = node(&nodes, state.last);
        let jump = node(&nodes, parent.jump);
        let is_even = parent.depth - jump.depth == jump.depth - node(&nodes, jump.jump).depth;
        let jump = if is_even { jump.jump } else { state.last };
        let latest = received_from.max(parent.latest);
        nodes.push(Node { value, depth: state.sent + 1, parent: state.last, jump, latest, unseen });
        let last = u32::try_from(nodes.len()).expect("a search sends fewer than 2^32 values");
        let fingerprint = state.fingerprint ^ mark(value, state.sent);
        QueueState { last, sent: state.sent + 1, fingerprint, head: state.head }
    }

    /// The first value, and the state without it.
    pub(super) fn pop(&self, state: &QueueState) -> Option<(i64, QueueState)> {
        if state.is_empty() {
            return None;
        }
        let front = self.at(state, state.head);
        let fingerprint = state.fingerprint ^ mark(front, state.head);
        Some((front, QueueState { head: state.head + 1, fingerprint, ..*state }))
    }

    /// The latest beginning of the receiving of a value that was sent so far: of one that is out it was not later than now.
    pub(super) fn latest(&self, state: &QueueState) -> u64 {
        node(&self.nodes.borrow(), state.last).latest
    }

    /// How many of the values that were sent so far nobody received.
    pub(super) fn unseen(&self, state: &QueueState) -> u32 {
        node(&self.nodes.borrow(), state.last).unseen
    }

    pub(super) fn describe(&self, state: &QueueState) -> String {
        let values: Vec<_> = (state.head..state.sent).take(DESCRIBED_MAX).map(|place| self.at(state, place)).collect();
        let more = if state.len() > DESCRIBED_MAX as u64 { ", from the front" } else { "" };
        format!("{} values: {values:?}{more}", state.len())
    }

    /// The value that was sent after so many others.
    fn at(&self, state: &QueueState, place: u32) -> i64 {
        let nodes = self.nodes.borrow();
        let mut found = node(&nodes, state.last);
        while found.depth > place + 1 {
            let jump = node(&nodes, found.jump);
            found = if jump.depth > place { jump } else { node(&nodes, found.parent) };
        }
        found.value
    }
}

fn node(nodes: &[Node], number: u32) -> Node {
    number.checked_sub(1).map_or_else(Node::default, |index| nodes[index as usize])
}

/// What a value at a place adds to a fingerprint.
fn mark(value: i64, place: u32) -> u64 {
    crate::check::mix(value.cast_unsigned() ^ crate::check::mix(u64::from(place)))
}
