//! What must be so, however things go: what was committed, seen from outside of the world.

use std::collections::BTreeMap;

use greenroom_actors::{
    Answer, CallId, Entry, EntryKind, Fault, Instance, NodeId, ObjectNumber, Outcomes, Refusal, SessionId, SlotId, View,
};
use xxhash_rust::xxh3::xxh3_64;

use super::World;
use super::process::ProcessId;

/// A slot, and how often its data was lost before.
type Life = (SlotId, u32);

/// All that was committed.
#[derive(Debug, Default)]
pub(crate) struct Ghost {
    /// A hash of each entry, by its place.
    logs: BTreeMap<Life, BTreeMap<u64, u64>>,
    /// What each copy was handed out last.
    copies: BTreeMap<(ProcessId, SlotId), u64>,
    /// A hash of each object behind each entry.
    states: BTreeMap<(Life, u64, u64), u64>,
    /// The answer of each call, with its place.
    answers: BTreeMap<(Life, CallId), (u64, Answer)>,
    /// Where each call was ordered.
    ordered: BTreeMap<(Life, CallId), u64>,
}

impl Ghost {
    pub(crate) fn forget_copy(&mut self, id: ProcessId, slot: SlotId) {
        self.copies.remove(&(id, slot));
    }

    pub(crate) fn forget_process(&mut self, id: ProcessId) {
        self.copies.retain(|key, _| key.0 != id);
    }

    /// A committed entry is never lost or changed, and copies are handed out all of them in order.
    fn note_entry(&mut self, life: Life, copy: (ProcessId, SlotId), index: u64, hash: u64) -> Result<bool, String> {
        let log = self.logs.entry(life).or_default();
        if let Some(last) = self.copies.insert(copy, index) {
            let expected = log.range(last + 1..).next().map(|(&index, _)| index);
            if index <= last {
                return Err(format!("slot {}: p{} is handed out {index} behind {last}", life.0, copy.0.0));
            }
            if expected.is_some_and(|expected| expected != index) {
                let text = format!("slot {}: p{} is handed out {index} behind {last}", life.0, copy.0.0);
                return Err(format!("{text}, and {expected:?} was committed"));
            }
        }
        match log.get(&index) {
            Some(&known) if known == hash => Ok(false),
            Some(_) => Err(format!("slot {}: p{} has another entry at {index}", life.0, copy.0.0)),
            None if log.last_key_value().is_some_and(|(&last, _)| last > index) => {
                Err(format!("slot {}: p{} has an entry at {index}, where others have none", life.0, copy.0.0))
            }
            None => {
                log.insert(index, hash);
                Ok(true)
            }
        }
    }

    /// No call is ordered twice, unless it was refused for want of arguments in between.
    fn note_call(&mut self, life: Life, call: CallId, index: u64) -> Result<(), String> {
        let Some(earlier) = self.ordered.insert((life, call), index) else { return Ok(()) };
        let was_refused = self.answers.get(&(life, call)).is_some_and(|(_, answer)| is_not_created(answer));
        if was_refused { Ok(()) } else { Err(format!("call {call} is at {earlier} and at {index}")) }
    }
}

fn is_not_created(answer: &Answer) -> bool {
    matches!(answer.result, Err(Fault::Refused(Refusal::NotCreated)))
}

fn hash_of(value: &impl serde::Serialize) -> u64 {
    postcard::to_allocvec(value).map_or(0, |bytes| xxh3_64(&bytes))
}

impl World {
    fn life(&self, id: ProcessId, slot: SlotId) -> Life {
        let view = self.processes[id.0].host.view();
        (slot, view.placement(slot).map_or(0, |placement| placement.generation))
    }

    /// A copy hands out an entry: it is committed.
    pub(crate) fn note_handed_out(&mut self, id: ProcessId, slot: SlotId, object: ObjectNumber, entry: &Entry) {
        if !entry.is_logged {
            return;
        }
        let life = self.life(id, slot);
        let name = self.processes[id.0].host.slot(slot).and_then(|copy| Some(copy.objects().get(object)?.hash()));
        let hash = hash_of(&entry.kind) ^ name.unwrap_or(0) ^ entry.stamp.seed ^ entry.stamp.now_ms;
        let index = entry.stamp.index.0;
        self.say(|| format!("p{}        commits {index} of slot {slot}: {}", id.0, shown(&entry.kind)));
        let noted = self.ghost.note_entry(life, (id, slot), index, hash);
        if let (Ok(true), EntryKind::Call(call)) = (&noted, &entry.kind)
            && !self.is_ephemeral_call(call.call)
        {
            let once = self.ghost.note_call(life, call.call, index);
            self.judge(once, "no call is applied twice");
        }
        self.judge(noted.map(|_| ()), "a committed entry is never lost or changed");
    }

    /// A copy has applied an entry.
    pub(crate) fn note_applied(
        &mut self,
        id: ProcessId,
        (slot, object): (SlotId, ObjectNumber),
        instance: &Instance,
        entry: &Entry,
    ) {
        let (life, index) = (self.life(id, slot), entry.stamp.index.0);
        let found = self.processes[id.0].host.slot(slot).and_then(|copy| Some(copy.objects().get(object)?.hash()));
        let Some(name) = found else { return };
        if instance.is_ephemeral() {
            return self.note_ephemeral(id, life, name, instance, entry);
        }
        if matches!(entry.kind, EntryKind::Read(_)) {
            return;
        }
        if instance.applied() != entry.stamp.index {
            // The image that the copy was made of is of a later moment.
            return;
        }
        let hash = hash_of(&(instance.encoded_state(), instance.parked()));
        let known = *self.ghost.states.entry((life, name, index)).or_insert(hash);
        let same = if known == hash {
            Ok(())
        } else {
            Err(format!(
                "{}, slot {slot} at {index}: p{} differs: {:02x?} {:?}",
                instance.object_type().name,
                id.0,
                instance.encoded_state(),
                instance.parked()
            ))
        };
        self.judge(same, "every copy of an object is equal behind an entry");
    }

    /// What a copy has to say to callers.
    pub(crate) fn note_answers(&mut self, id: ProcessId, slot: SlotId, outcomes: &Outcomes) {
        let life = self.life(id, slot);
        for (call, answer) in outcomes.answers.iter().filter(|(_, answer)| answer.index.0 > 0) {
            let told = hash_of(answer);
            let key = (life, *call);
            if self.is_ephemeral_call(*call) {
                continue;
            }
            let known = self.ghost.answers.get(&key);
            let same = known.is_none_or(|(hash, known)| known.index != answer.index || *hash == told);
            // A call that was refused for want of arguments comes again.
            if known.is_none_or(|(_, known)| known.index < answer.index) {
                self.ghost.answers.insert(key, (told, answer.clone()));
            }
            let seen = if same { Ok(()) } else { Err(format!("{call}: p{} says {answer:?}", id.0)) };
            self.judge(seen, "every copy answers a call alike");
        }
    }

    /// A reply that leaves is that of the committed entry.
    pub(crate) fn check_reply(&mut self, id: ProcessId, slot: SlotId, call: CallId, answer: &Answer) {
        self.say(|| format!("p{}        answers {call}: {}", id.0, told(answer)));
        if self.is_ephemeral_call(call) {
            return self.check_ephemeral_reply(call, answer);
        }
        if answer.index.0 == 0 || is_not_created(answer) {
            return;
        }
        let life = self.life(id, slot);
        let known = self.ghost.answers.get(&(life, call));
        let seen = match known {
            Some((known, _)) if *known == hash_of(answer) => Ok(()),
            Some((_, known)) => Err(format!("{call}: p{} says {answer:?}, it was {known:?}", id.0)),
            None => Err(format!("{call}: p{} says {answer:?}, and no copy has applied it", id.0)),
        };
        self.judge(seen, "a reply that leaves is that of the committed entry");
    }

    /// At most one node serves a slot at any time.
    pub(crate) fn check_serving(&mut self, id: ProcessId) {
        if !self.clocks_are_bounded {
            return;
        }
        let copies = self.processes[id.0].host.slots().iter().flatten().map(|copy| copy.id());
        let served: Vec<SlotId> = copies.filter(|&slot| self.processes[id.0].serves(slot, self.now)).collect();
        for slot in served {
            let serves = |other: &ProcessId| *other != id && self.processes[other.0].serves(slot, self.now);
            let other = self.running().find(serves);
            let seen = other.map_or(Ok(()), |other| Err(format!("p{} and p{} serve slot {slot}", id.0, other.0)));
            self.judge(seen, "at most one node serves a slot at any time");
        }
    }

    /// Nobody is removed from slots who may answer reads of them.
    pub(crate) fn check_removal(&mut self, before: &View, node: NodeId) {
        let Some(id) = self.process_of(node).filter(|_| self.clocks_are_bounded) else { return };
        if self.processes[id.0].has_lease(self.now) && before.holds_copies(node) {
            let seen = Err(format!("p{} is removed and has a lease", id.0));
            self.judge(seen, "nobody is removed who has a lease");
        }
    }

    /// A session was ended by some node: whoever had it is another from now on.
    pub(crate) fn note_session_ended(&mut self, session: SessionId) {
        let Some(&client) = self.session_names.get(&session) else { return };
        if self.ended_sessions.insert(session) {
            let name = crate::history::ClientId(session.0);
            self.history.owner_ended(name, self.now);
            self.abandon(client, session);
        }
    }
}

fn shown(kind: &EntryKind) -> String {
    match kind {
        EntryKind::Call(entry) => format!("call {} of method {}", entry.call, entry.method),
        other => {
            let mut text = format!("{other:?}");
            text.truncate(100);
            text
        }
    }
}

fn told(answer: &Answer) -> String {
    match &answer.result {
        Ok(body) => format!("{:02x?} at {}", body.as_ref(), answer.index),
        Err(fault) => format!("{fault:?}"),
    }
}
