//! Ephemeral objects at the copy that orders: what happens to them is applied at once, and told to no other copy.
//!
//! That an object is made, made anew or deleted is in the log, and everything until such an entry has been applied is too;
//! new calls are refused for that moment. So entries of the two kinds never overtake each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Effect, Role, Slot};
use crate::arrival::{Arrival, Now};
use crate::caller::system;
use crate::durability::Durability;
use crate::entry::{Entry, EntryKind};
use crate::error::{Fault, Refusal};
use crate::ids::{Epoch, LogIndex};
use crate::objects_table::{ObjectName, ObjectNumber};
use crate::turn::Stamp;

/// The ephemeral objects whose state is here.
#[derive(Debug, Default)]
pub(super) struct Alone {
    /// Each, and whether entries of it may be in the log that have not been applied.
    objects: BTreeMap<ObjectNumber, bool>,
    /// The place of the last entry that was given one outside of the log: places only grow.
    pub(super) last: LogIndex,
}

impl Alone {
    pub(super) fn has(&self, object: ObjectNumber) -> bool {
        self.objects.contains_key(&object)
    }
}

impl Slot {
    /// The epoch in which this copy began to order, if it does.
    fn leadership(&self) -> Option<Epoch> {
        match &self.role {
            Role::Primary(leading) => Some(leading.since),
            Role::Backup(_) => None,
        }
    }

    /// The leadership under which an entry was ordered, if that is this copy's present one.
    pub(super) fn leadership_of(&self, ordered_in: Epoch) -> Option<Epoch> {
        self.leadership().filter(|&since| ordered_in >= since)
    }

    /// An entry that is in no log, and applied by this copy only.
    pub(super) fn unlogged(&self, stamp: Stamp, kind: EntryKind) -> Entry {
        Entry { stamp, kind, led: self.leadership(), is_logged: false }
    }

    /// Applies what happens to an ephemeral object at once, if it may be; else gives it back, for the log.
    pub(super) fn order_alone(
        &mut self,
        object: ObjectNumber,
        kind: EntryKind,
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Option<EntryKind> {
        let has_others = self.has_followers();
        let Some(in_log) = self.alone.objects.get_mut(&object) else { return Some(kind) };
        *in_log |= kind.remakes();
        // Where there are no other copies, what is logged is applied at once as well.
        if *in_log || !has_others {
            return Some(kind);
        }
        let stamp = self.next_stamp(now);
        self.alone.last = stamp.index;
        self.note_kind(object, &kind, stamp.index);
        out.push(Effect::Apply { object, entry: self.unlogged(stamp, kind) });
        None
    }

    /// Refuses calls of an ephemeral object that is being made or deleted, and demands that the cluster cannot meet.
    pub(super) fn check_alone(&self, arrival: &Arrival<'_>) -> Result<(), Refusal> {
        if let Some(asked) = arrival.durability {
            asked.check(self.copies)?;
        }
        let object = self.objects.find(arrival.object);
        if self.has_followers() && object.and_then(|object| self.alone.objects.get(&object)) == Some(&true) {
            return Err(Refusal::Unavailable("the object is being made or deleted".to_owned()));
        }
        Ok(())
    }

    /// Whether an earlier copy of the object may have accepted a call of which this slot knows nothing: what ephemeral objects
    /// were called is not in the log.
    pub(super) fn may_be_forgotten(&self, name: ObjectName<'_>, durability: Option<Durability>) -> bool {
        let is_ephemeral =
            |object| self.objects.get(object).is_some_and(|entry| entry.instance().borrow().is_ephemeral());
        let has_taken_over = matches!(&self.role, Role::Primary(leading) if leading.has_taken_over);
        has_taken_over
            && (durability == Some(Durability::Ephemeral) || self.objects.find(name).is_some_and(is_ephemeral))
    }

    /// Whether a call that is sent again, and of which nothing is known, may have been applied to a state that is gone. If that of
    /// the object is, the call is told so.
    pub(super) fn is_forgotten(&self, arrival: &Arrival<'_>) -> bool {
        self.may_be_forgotten(arrival.object, arrival.durability) && !self.is_at_rest_and_lost(arrival.object)
    }

    /// What is said of a call that was never accepted here, for good.
    pub(super) fn fate(&self, name: ObjectName<'_>, durability: Option<Durability>) -> Fault {
        if self.may_be_forgotten(name, durability) { forgotten() } else { Fault::Refused(Refusal::Expired) }
    }

    /// Whether the object is an ephemeral one that was lost, and nothing is on its way to it.
    pub(super) fn is_at_rest_and_lost(&self, name: ObjectName<'_>) -> bool {
        let entry = self.objects.find(name).and_then(|object| self.objects.get(object));
        entry.is_some_and(|entry| {
            let instance = entry.instance().borrow();
            entry.is_quiet() && instance.is_lost() && instance.is_ephemeral()
        })
    }

    /// What a call means here: to create an ephemeral object that was lost is to make it anew. The other copies, which cannot
    /// tell whether it was lost, are told so.
    pub(super) fn meant(&self, arrival: &Arrival<'_>) -> u16 {
        let creates = arrival.method == system::CREATE && self.is_at_rest_and_lost(arrival.object);
        if creates { system::CREATE_ANEW } else { arrival.method }
    }

    /// Entries of an object have been applied: it may have become ephemeral, or be no more.
    pub(super) fn note_alone(&mut self, object: ObjectNumber, out: &mut Vec<Effect>) {
        let Some(entry) = self.objects.get(object) else { return };
        let (home, is_quiet) = (entry.instance().borrow().home(), entry.is_quiet());
        match home {
            Some(home) if self.leadership() == Some(home) => {
                let in_log = self.alone.objects.entry(object).or_insert(true);
                *in_log &= !is_quiet;
            }
            // It was made under a leadership that is over.
            Some(_) => self.lose(object, out),
            None if self.alone.objects.remove(&object).is_some() => {
                self.nested.retain(|&(caller, _), _| caller != object);
            }
            None => {}
        }
    }

    /// This copy orders no more: the states that only it had are lost.
    pub(super) fn lose_all(&mut self, out: &mut Vec<Effect>) {
        self.replies.lose(&self.hashes_alone());
        for object in std::mem::take(&mut self.alone.objects).into_keys() {
            self.nested.retain(|&(caller, _), _| caller != object);
            self.lose(object, out);
        }
    }

    fn lose(&mut self, object: ObjectNumber, out: &mut Vec<Effect>) {
        self.objects.note_queued(object);
        let stamp = Stamp { index: self.committed, now_ms: self.now_ms, seed: 0 };
        let entry = Entry { stamp, kind: EntryKind::Lose, led: None, is_logged: false };
        out.push(Effect::Apply { object, entry });
    }

    /// The hashes of the ephemeral objects whose state is here.
    pub(super) fn hashes_alone(&self) -> BTreeSet<u64> {
        let hash = |&object: &ObjectNumber| Some(self.objects.get(object)?.hash());
        self.alone.objects.keys().filter_map(hash).collect()
    }
}

/// What is said of a call that may have been accepted by a copy that is gone.
pub(super) fn forgotten() -> Fault {
    Fault::Unknown {
        why: "the node that had the ephemeral object is gone, and with it what it knew of the call".to_owned(),
    }
}
