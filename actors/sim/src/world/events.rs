//! What happens, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::clock::Time;
use super::message::{Endpoint, Message};
use super::process::ProcessId;
use greenroom_actors::{ObjectNumber, SlotId};

/// Something that happens at a time.
#[derive(Debug)]
pub(crate) enum Event {
    /// A process looks at its clock.
    Tick(ProcessId),
    /// An object's actor takes what is in its mailbox.
    Act(ProcessId, SlotId, ObjectNumber),
    /// What an object's actor did is told to its slot.
    Outcome(ProcessId, SlotId, ObjectNumber),
    /// A message arrives.
    Deliver { from: Endpoint, to: Endpoint, message: Message },
    /// What a leader has proposed may be committed.
    Commit(ProcessId),
    /// A quorum is asked whether the process leads still, in that term and round.
    RoundAsked(ProcessId, u64, u64),
    /// The quorum's answer is here, about all that was committed up to an index.
    RoundAnswered { process: ProcessId, term: u64, round: u64, confirmed: Option<usize> },
    /// A client looks at its clock.
    ClientTick(usize),
    /// A machine starts a process.
    Start(usize),
    /// A process dies.
    Die(ProcessId),
    /// Something goes wrong, or is mended.
    Trouble,
}

impl Event {
    /// The process that has to run for it to happen.
    pub(crate) fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Tick(process) | Self::Act(process, ..) | Self::Outcome(process, ..) | Self::Die(process) => {
                Some(*process)
            }
            Self::Deliver { to: Endpoint::Process(process), .. } => Some(*process),
            Self::RoundAnswered { process, .. } | Self::Commit(process) => Some(*process),
            _ => None,
        }
    }
}

struct Due(Time, u64, Event);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// The events that are to come.
#[derive(Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Reverse<Due>>,
    next: u64,
}

impl Events {
    /// Of two events at one time, the one that was added first comes first.
    pub(crate) fn add(&mut self, at: Time, event: Event) {
        self.next += 1;
        self.heap.push(Reverse(Due(at, self.next, event)));
    }

    pub(crate) fn next(&mut self) -> Option<(Time, Event)> {
        self.heap.pop().map(|Reverse(Due(at, _, event))| (at, event))
    }
}
