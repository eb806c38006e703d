//! Log entries: what a slot orders, and what applying one leaves behind.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::caller::{Construction, system};
use crate::durability::Durability;
use crate::error::{Fault, Refusal};
use crate::ids::{CallId, Epoch, Lane, LogIndex, Owner, Sequence, WaiterId};
use crate::object::{Access, ObjectType};
use crate::replies::Answer;
use crate::turn::Stamp;
use crate::waiter::ParkedCall;

/// One thing that happens to one object, in the order of its slot's log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its place, time and randomness.
    pub stamp: Stamp,
    /// What happens.
    pub kind: EntryKind,
    /// In which epoch this copy began to order, if it was this copy that ordered the entry, and has ordered since.
    pub led: Option<Epoch>,
    /// Whether it is in the log, which every copy has.
    pub is_logged: bool,
}

/// What can happen to an object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum EntryKind {
    /// A client or another object calls a method.
    Call(CallEntry),
    /// The same of a method that only reads, outside of the log: no copy but the primary sees it.
    Read(CallEntry),
    /// The caller of a call has given up: it waits no more.
    Cancel {
        /// The call.
        call: CallId,
        /// Its waiter.
        waiter: WaiterId,
        /// The call's method.
        method: u16,
        /// Why.
        why: GiveUp,
    },
    /// The caller of a call that has been answered had given up: what it was granted is taken back.
    TakeBack {
        /// The call.
        call: CallId,
        /// Names what it was granted.
        grant: WaiterId,
        /// The call's method.
        method: u16,
        /// What it was answered, if that is still kept.
        granted: Option<Bytes>,
    },
    /// A nested call of the object has its reply.
    Then {
        /// The lane of the nested call.
        lane: Lane,
        /// Its number.
        sequence: Sequence,
        /// Its encoded reply.
        result: Result<Bytes, Fault>,
    },
    /// An owner has ended.
    OwnerGone(Owner),
    /// This copy orders no more: an object whose state only it had is lost.
    Lose,
}

impl EntryKind {
    /// Whether it makes the object anew or removes it, whatever its state is.
    pub(crate) fn remakes(&self) -> bool {
        matches!(self, Self::Call(call) if matches!(call.method, system::FORCE_NEW | system::CREATE_ANEW | system::DELETE))
    }
}

/// Why a caller has given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GiveUp {
    /// Its deadline has passed.
    TimedOut,
    /// It said so.
    Cancelled,
}

/// A call as it is ordered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallEntry {
    /// Its id.
    pub call: CallId,
    /// Who makes it.
    pub owner: Owner,
    /// The method's number.
    pub method: u16,
    /// The encoded arguments.
    pub arguments: Bytes,
    /// How the caller would make the object.
    pub construction: Wanted,
    /// What the caller's handle says about the object's copies, if anything.
    pub durability: Option<Durability>,
    /// When it ends by itself if it is parked, in milliseconds since the Unix epoch.
    pub deadline_ms: Option<u64>,
    /// The objects that wait for it, as hashes.
    pub chain: Box<[u64]>,
}

/// What a caller says about how the object is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// Nothing: by default, or any that is there.
    Anything,
    /// With arguments of this hash, which the caller has not sent.
    Hash(u64),
    /// With these arguments.
    Arguments(Construction),
}

/// A call that an object makes of another one.
#[derive(Clone, Debug)]
pub struct NestedCall {
    /// Its id: the session is the calling object's.
    pub call: CallId,
    /// The type of the object that is called.
    pub object_type: &'static ObjectType,
    /// Its key.
    pub key: String,
    /// How to make it.
    pub construction: Option<Arc<Construction>>,
    /// What the handle says about the object's copies, if anything.
    pub durability: Option<Durability>,
    /// Whether it may have been made before, by another copy of the object that makes it.
    pub again: bool,
    /// The method's number.
    pub method: u16,
    /// The encoded arguments.
    pub arguments: Bytes,
    /// When it ends by itself, in milliseconds since the Unix epoch.
    pub deadline_ms: u64,
    /// The call in whose turn it was made.
    pub parent: CallId,
    /// The objects that wait for it, the caller last.
    pub chain: Vec<u64>,
}

/// What applying entries of one object left behind.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// How many entries were applied.
    pub n_applied: u32,
    /// The place of the last one in the log; of a read, what had been committed.
    pub last_index: LogIndex,
    /// Answers to callers, in order.
    pub answers: Vec<(CallId, Answer)>,
    /// Calls to other objects.
    pub nested: Vec<NestedCall>,
    /// Parked calls with deadlines, to be woken by.
    pub timers: Vec<(u64, WaiterId, CallId)>,
    /// The same of calls that wait no more.
    pub ended_timers: Vec<(u64, WaiterId, CallId)>,
    /// Calls whose answers above were taken back: their callers had given up.
    pub taken_back: Vec<CallId>,
    /// How many methods panicked.
    pub n_panics: u32,
}

/// A point in an [`Outcomes`] to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    answers: usize,
    nested: usize,
    timers: usize,
    ended_timers: usize,
}

impl Outcomes {
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            answers: self.answers.len(),
            nested: self.nested.len(),
            timers: self.timers.len(),
            ended_timers: self.ended_timers.len(),
        }
    }

    pub(crate) fn truncate(&mut self, mark: Mark) {
        self.answers.truncate(mark.answers);
        self.nested.truncate(mark.nested);
        self.timers.truncate(mark.timers);
        self.ended_timers.truncate(mark.ended_timers);
    }

    /// Answers a call that was parked, and ends its timer.
    pub(crate) fn answer_parked(&mut self, waiter: WaiterId, parked: &ParkedCall, answer: Answer) {
        self.end_timer(waiter, parked);
        self.answers.push((parked.call, answer));
    }

    /// A call is parked no more.
    pub(crate) fn end_timer(&mut self, waiter: WaiterId, parked: &ParkedCall) {
        self.ended_timers.extend(parked.deadline_ms.map(|deadline_ms| (deadline_ms, waiter, parked.call)));
    }

    /// Answers that nothing was applied by the entry at `index`, and why.
    pub(crate) fn refuse(&mut self, call: CallId, index: LogIndex, refusal: Refusal) {
        let result = Err(Fault::Refused(refusal));
        self.answers.push((call, Answer { applied: false, index, result }));
    }
}

impl Entry {
    /// Whether the entry leaves the object as it is.
    pub(crate) fn only_reads(&self, object_type: &ObjectType) -> bool {
        let call = match &self.kind {
            EntryKind::Read(_) => return true,
            EntryKind::Call(call) => call,
            _ => return false,
        };
        object_type.methods.get(usize::from(call.method)).is_some_and(|method| method.access() == Access::Read)
    }

    /// A copy to be kept for long: it shares no memory with the batch in which the entry came.
    pub(crate) fn to_keep(&self) -> Self {
        let mut copy = self.clone();
        if let EntryKind::Call(call) | EntryKind::Read(call) = &mut copy.kind {
            call.arguments = Bytes::copy_from_slice(&call.arguments);
        }
        copy
    }

    /// About how many bytes the entry keeps alive.
    pub(crate) fn size(&self) -> usize {
        let own = size_of::<Self>();
        match &self.kind {
            EntryKind::Call(call) | EntryKind::Read(call) => own + call.arguments.len(),
            EntryKind::Then { result: Ok(body), .. } => own + body.len(),
            EntryKind::TakeBack { granted, .. } => own + granted.as_ref().map_or(0, Bytes::len),
            EntryKind::Then { .. } | EntryKind::Cancel { .. } | EntryKind::OwnerGone(_) | EntryKind::Lose => own,
        }
    }
}
