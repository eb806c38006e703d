//! What must be so of ephemeral objects: each state is on one node, and whoever is answered is answered from the one that is.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::{Answer, CallId, Entry, EntryKind, Instance, Lane, Sequence, SessionId, SlotId};

use super::World;
use super::process::ProcessId;
use crate::history::{OperationId, Outcome};

/// One state of an ephemeral object, from its making on: the slot, how often its data was lost, the object's hash, and the
/// place of its making.
type Making = (SlotId, u32, u64, u64);

/// The ephemeral objects, seen from outside of the world.
#[derive(Debug, Default)]
pub(crate) struct Ephemerals {
    /// Where each state is.
    homes: BTreeMap<Making, ProcessId>,
    /// Which state each call was applied to.
    applied_to: BTreeMap<CallId, Making>,
    /// States of which some answer has left, by object; all but the last are gone.
    spoke: BTreeMap<(SlotId, u64), Vec<Making>>,
    /// The calls of ephemeral objects in the history.
    calls: BTreeMap<OperationId, CallId>,
    /// Reads that were asked of more than one state.
    unclear: BTreeSet<CallId>,
    /// All of these calls.
    ids: BTreeSet<CallId>,
}

impl World {
    /// A client begins a call of an ephemeral object.
    pub(crate) fn note_ephemeral_call(&mut self, operation: OperationId, call: CallId) {
        self.ephemerals.calls.insert(operation, call);
        self.ephemerals.ids.insert(call);
    }

    pub(crate) fn is_ephemeral_call(&self, call: CallId) -> bool {
        self.ephemerals.ids.contains(&call)
    }

    /// Whether a lane is one of calls of ephemeral objects; one of which the first call was taken back has no call of its own.
    pub(crate) fn is_ephemeral_lane(&self, session: SessionId, lane: Lane) -> bool {
        let from = |sequence| CallId { session, lane, sequence: Sequence(sequence) };
        self.ephemerals.ids.range(from(0)..=from(u64::MAX)).next().is_some()
    }

    /// A copy of an ephemeral object has applied an entry.
    pub(crate) fn note_ephemeral(
        &mut self,
        id: ProcessId,
        life: (SlotId, u32),
        name: u64,
        instance: &Instance,
        entry: &Entry,
    ) {
        if !instance.exists() {
            return;
        }
        let making = (life.0, life.1, name, instance.made_at().0);
        let home = *self.ephemerals.homes.entry(making).or_insert(id);
        let seen = if home == id { Ok(()) } else { Err(format!("{making:?} is on p{} and on p{}", home.0, id.0)) };
        self.judge(seen, "the state of an ephemeral object is on one node");
        if let EntryKind::Read(call) = &entry.kind
            && let Some(earlier) = self.ephemerals.applied_to.insert(call.call, making)
            && earlier != making
        {
            // It was asked twice, and the answers do not tell which of the two it is.
            self.ephemerals.unclear.insert(call.call);
        }
        if let EntryKind::Call(call) = &entry.kind
            && self.is_ephemeral_call(call.call)
        {
            let earlier = self.ephemerals.applied_to.insert(call.call, making);
            let again = earlier.is_none_or(|earlier| earlier == making);
            let seen =
                if again { Ok(()) } else { Err(format!("{} was applied to {earlier:?} and to {making:?}", call.call)) };
            self.judge(seen, "no call is applied to two states of an ephemeral object");
        }
    }

    /// An answer to a call of an ephemeral object leaves.
    pub(crate) fn check_ephemeral_reply(&mut self, call: CallId, answer: &Answer) {
        if answer.result.is_err() || !self.clocks_are_bounded {
            return;
        }
        let Some(&making) = self.ephemerals.applied_to.get(&call) else { return };
        let spoke = self.ephemerals.spoke.entry((making.0, making.2)).or_default();
        if !spoke.contains(&making) {
            spoke.push(making);
        }
        let is_last = spoke.last() == Some(&making);
        let seen = if is_last { Ok(()) } else { Err(format!("{call}: {making:?} speaks after {:?}", spoke.last())) };
        self.judge(seen, "no answer is from a state of an ephemeral object that is gone");
    }

    /// The history, with an object for each state of an ephemeral one: what was applied to none is left out.
    pub(crate) fn split_history(&mut self) -> crate::History {
        let mut history = self.history.clone();
        let mut dropped = BTreeSet::new();
        let mut from_nowhere = None;
        for (&operation, call) in &self.ephemerals.calls {
            let OperationId(number) = operation;
            let Some(recorded) = history.operations.get(number).copied() else { continue };
            if Some(recorded.object) == self.system_history || self.ephemerals.unclear.contains(call) {
                dropped.insert(number);
                continue;
            }
            let Some(making) = self.ephemerals.applied_to.get(call) else {
                if let Outcome::Returned(..) = recorded.outcome {
                    from_nowhere = Some(format!("{call}: {recorded:?}"));
                }
                dropped.insert(number);
                continue;
            };
            let object = history.objects[recorded.object.0 as usize].clone();
            let index = history.object(format!("{} made at {making:?}", object.key), object.object_type);
            history.operations[number].object = index;
        }
        let mut number = 0;
        history.operations.retain(|_| {
            number += 1;
            !dropped.contains(&(number - 1))
        });
        let seen = from_nowhere.map_or(Ok(()), Err);
        self.judge(seen, "whoever is answered by an ephemeral object was applied to it");
        history
    }
}
