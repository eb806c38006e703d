//! Nested calls of one object: those whose reply has not come back.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ids::{CallId, Lane, Owner, Sequence, WaiterId};
use crate::turn::Turn;

/// A nested call that is out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct PendingCall {
    pub(crate) sequence: Sequence,
    /// The continuation's number.
    pub(crate) then: u16,
    /// What the continuation wants to remember.
    pub(crate) context: Bytes,
    /// The waiters in it: if the continuation fails, they are answered for it.
    pub(crate) waiters: Vec<WaiterId>,
    pub(crate) deadline_ms: u64,
    pub(crate) parent: CallId,
    pub(crate) owner: Owner,
    /// The objects that wait for this object's turn.
    pub(crate) chain: Box<[u64]>,
}

/// The nested calls that are out, by lane. It is replicated state: lanes are chosen by rule, numbers come from the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct NestedTable {
    lanes: Vec<Option<PendingCall>>,
    /// Lanes before the first: calls that were forgotten may still be out on them.
    base: u32,
}

impl NestedTable {
    /// Notes a call of `turn`. Its number is the turn's place in the log, which never comes again.
    pub(crate) fn start(
        &mut self,
        turn: &Turn,
        (then, context, waiters): (u16, Bytes, Vec<WaiterId>),
        deadline_ms: u64,
        chain: &[u64],
    ) -> (Lane, Sequence) {
        let sequence = Sequence(turn.fence().0);
        let free = self.lanes.iter().position(Option::is_none).unwrap_or(self.lanes.len());
        if free == self.lanes.len() {
            self.lanes.push(None);
        }
        let (parent, owner) = (turn.call_id(), turn.owner());
        self.lanes[free] =
            Some(PendingCall { sequence, then, context, waiters, deadline_ms, parent, owner, chain: chain.into() });
        (Lane(self.base.saturating_add(u32::try_from(free).unwrap_or(u32::MAX))), sequence)
    }

    /// Takes the call out, if it is still waited for.
    pub(crate) fn finish(&mut self, lane: Lane, sequence: Sequence) -> Option<PendingCall> {
        let slot = self.lanes.get_mut(lane.0.checked_sub(self.base)? as usize)?;
        if slot.as_ref()?.sequence == sequence { slot.take() } else { None }
    }

    /// Waits for none of them any more.
    pub(crate) fn forget(&mut self) {
        self.base = self.base.saturating_add(u32::try_from(self.lanes.len()).unwrap_or(u32::MAX));
        self.lanes.clear();
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.iter().all(Option::is_none)
    }
}
