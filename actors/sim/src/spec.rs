//! Sequential specifications: what an object may answer when calls come one after the other.
//!
//! A call that waits (for a lock, a value, a permit) is allowed only in a state in which it need not: it takes effect at a moment
//! within its duration at which it could be answered. Who of several that wait is first is not specified.

mod barrier;
mod counter;
mod map;
mod mutex;
mod promise;
mod queue;
mod register;
mod semaphore;

use std::fmt::Debug;
use std::hash::Hash;

use crate::call::{Call, Reply};
use crate::history::{ClientId, OperationId};

pub use barrier::BarrierSpec;
pub use counter::CounterSpec;
pub use map::MapSpec;
pub use mutex::{Holding, MutexSpec, MutexState};
pub use promise::PromiseSpec;
pub use queue::{QueueSpec, QueueState};
pub use register::RegisterSpec;
pub use semaphore::{SemaphoreSpec, SemaphoreState};

/// What a type of objects promises.
///
/// Only `initial` and `apply` say what is right; all else makes the search faster, and must not change its result.
pub trait Specification {
    /// All that later answers depend on.
    type State: Clone + Eq + Hash + Debug;

    /// The state before the first call.
    fn initial(&self) -> Self::State;

    /// The state after the step, if the step may be taken in this one with its reply, or with any if it has none.
    fn apply(&self, state: &Self::State, step: &Step) -> Option<Self::State>;

    /// The state in a few words, for people.
    fn describe(&self, state: &Self::State) -> String {
        format!("{state:?}")
    }

    /// The moments at which a call takes effect, all within its duration; an unanswered call may reach only the first.
    fn phases(&self) -> &'static [Phase] {
        &[Phase::Whole]
    }

    /// Whether it matters who calls. Where it does not, equal steps of several clients are one to the search.
    fn knows_clients(&self) -> bool {
        false
    }

    /// Looks through all that will be searched, once; may tighten entries, set when they are due, and drop those that cannot matter.
    fn prepare(&mut self, _entries: &mut Vec<Entry>) {}

    /// Entries that cannot be right together in any order, and why, if that is plain to see.
    fn refute(&self, _entries: &[Entry]) -> Option<(&'static str, Vec<Entry>)> {
        None
    }

    /// Whether a step that is allowed now may be taken at once, because taking it later instead would allow nothing more.
    /// So it is with a reply that shows that nothing was changed; a write of the value that is there is no such step,
    /// since later it may overwrite another.
    fn forced(&self, _step: &Step) -> bool {
        false
    }

    /// Drops those of the candidates that cannot come next because another of them has to come before.
    fn narrow(&self, _candidates: &mut Vec<usize>, _entries: &[Entry]) {}

    /// Whether nothing leads on from a state in which no step is [`forced`](Self::forced), because `urgent`, which ends before any
    /// that is no candidate begins, cannot become allowed in time.
    fn hopeless(&self, _state: &Self::State, _urgent: &Entry) -> bool {
        false
    }

    /// Whether unanswered steps are to be tried before others here, because little else will help.
    fn prefers_unanswered(&self, _state: &Self::State) -> bool {
        false
    }

    /// Whether some of these unanswered steps, in some order, might bring about a state in which `target` is allowed,
    /// and leads to another state than without them.
    /// A yes too many costs time; a no too many would be wrong.
    fn reachable(&self, _state: &Self::State, _target: &Step, _unanswered: &[Step]) -> bool {
        true
    }
}

/// One moment at which an operation takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// What was called.
    pub call: Call,
    /// What was answered; `None` if nobody knows.
    pub reply: Option<Reply>,
    /// Who called; everybody is the same where the specification does not know clients.
    pub client: ClientId,
    /// Which of the operation's moments this is.
    pub phase: Phase,
}

/// Which of an operation's moments a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The only one.
    Whole,
    /// The caller begins to wait for others.
    Arrive,
    /// The caller need no longer wait.
    Leave,
}

/// A step, with the time in which it must be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The operation that it is a step of.
    pub operation: OperationId,
    /// The step.
    pub step: Step,
    /// Not before.
    pub invoked_at: u64,
    /// Not after; `None` if it may be taken at any later time or never.
    pub returned_at: Option<u64>,
    /// The search tries steps that are due earlier first. By default that is the end of the operation.
    pub due: u64,
}
