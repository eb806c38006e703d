//! How an entry gets into a slot's log, and out of it once it is committed.

use bytes::Bytes;

use super::log::{Item, Logged, Target};
use super::{Effect, Role, SEED_STEP, Slot};
use crate::arrival::Now;
use crate::entry::{Entry, EntryKind, GiveUp};
use crate::ids::{CallId, LogIndex, Owner};
use crate::objects_table::ObjectNumber;
use crate::replies::{Abandoned, Answer};
use crate::turn::Stamp;

impl Slot {
    /// Orders what happens to an object.
    pub(super) fn order(&mut self, object: ObjectNumber, kind: EntryKind, now: Now, out: &mut Vec<Effect>) {
        self.objects.note_queued(object);
        let Some(kind) = self.order_alone(object, kind, now, out) else { return };
        self.append(Item::Object(Target::Number(object), kind), now, out);
        if planted!(ReplyBeforeCommit)
            && self.objects.get(object).is_some_and(|entry| !entry.instance().borrow().parked().is_empty())
        {
            self.committed = self.log.last().index;
            self.hand_out(out);
        }
    }

    /// Appends to the log. Time never goes back in a slot.
    pub(super) fn append(&mut self, item: Item, now: Now, out: &mut Vec<Effect>) {
        let logged = Logged { stamp: self.next_stamp(now), epoch: self.epoch, item };
        self.note_ordered(&logged);
        self.log.push(logged);
        self.advance(out);
    }

    /// The place, time and randomness of the next entry.
    pub(super) fn next_stamp(&mut self, now: Now) -> Stamp {
        self.now_ms = self.now_ms.max(now.ms);
        let last = self.log.last();
        let mut index = LogIndex(last.index.max(self.alone.last).0.saturating_add(1));
        let places_are_missing = matches!(&self.role, Role::Primary(leading) if leading.places_are_missing);
        if places_are_missing && self.leadership_of(last.epoch).is_none() {
            // The copy that ordered before may have given places that are in no log: fences grow all the same, if clocks agree.
            index = index.max(LogIndex(self.now_ms.saturating_mul(1_000)));
        }
        let seed = now.seed ^ index.0.wrapping_mul(SEED_STEP);
        Stamp { index, now_ms: self.now_ms, seed }
    }

    /// What the reply table and the table of owners learn from an entry: at the primary when it orders it, so that a retry
    /// is known and an owner may end in between; at a backup when it is committed, since until then it may be taken back.
    pub(super) fn note_ordered(&mut self, logged: &Logged) {
        let index = logged.stamp.index;
        match &logged.item {
            Item::Object(Target::Number(object), kind) => self.note_kind(*object, kind, index),
            Item::Object(Target::Name(_), _) => {}
            Item::Kill { call, expires_ms, .. } => self.replies.accept(*call, 0, 0, LogIndex(0), *expires_ms),
            // Nothing of an attempt may come in between. A client whose session has ended comes with another one.
            Item::EndSession { session, until_ms, .. } if session.attempt().is_some() => {
                self.replies.end(*session, *until_ms);
            }
            Item::EndSession { .. } => {}
        }
    }

    pub(super) fn note_kind(&mut self, object: ObjectNumber, kind: &EntryKind, index: LogIndex) {
        match kind {
            EntryKind::Call(entry) if entry.call != CallId::default() => {
                let object_type = self.objects.get(object).map(|entry| entry.object_type());
                let holds = |number| {
                    let method = object_type?.methods.get(usize::from(number))?;
                    Some(method.parks || object_type?.hooks.owner_gone.is_some())
                };
                // Objects do not end as sessions do.
                if !entry.call.session.is_object() && holds(entry.method).unwrap_or(false) {
                    self.owners.entry(entry.owner).or_default().insert(object);
                }
                let hash = self.objects.get(object).map_or(0, |entry| entry.hash());
                self.replies.accept(entry.call, entry.method, hash, index, entry.deadline_ms.unwrap_or(0));
            }
            EntryKind::Cancel { call, why: GiveUp::Cancelled, .. } | EntryKind::TakeBack { call, .. } => {
                // At the primary, it has given up already.
                if let Abandoned::Answered { body: Some(granted), .. } = self.replies.give_up(*call)
                    && matches!(kind, EntryKind::Cancel { .. })
                {
                    self.note_untaken(object, *call, granted);
                }
            }
            EntryKind::Then { lane, sequence, .. } => {
                // A reply may come twice, and late: another call may be out on the lane.
                if self.nested.get(&(object, *lane)).is_some_and(|out| out.call.sequence == *sequence) {
                    self.nested.remove(&(object, *lane));
                }
            }
            EntryKind::OwnerGone(owner) => {
                if let Some(objects) = self.owners.get_mut(owner) {
                    objects.remove(&object);
                    if objects.is_empty() {
                        self.owners.remove(owner);
                    }
                }
            }
            EntryKind::Call(_) | EntryKind::Read(_) | EntryKind::Cancel { .. } | EntryKind::Lose => {}
        }
    }

    /// Hands out what has been committed.
    pub(super) fn hand_out(&mut self, out: &mut Vec<Effect>) {
        let keep_after = self.keep_after();
        while let Some(mut logged) = self.log.hand_out(self.committed, keep_after) {
            if matches!(self.role, Role::Backup(_)) {
                self.now_ms = self.now_ms.max(logged.stamp.now_ms);
                self.resolve(&mut logged);
                if !self.is_in_image(logged.stamp.index) {
                    self.note_ordered(&logged);
                }
            }
            let Logged { stamp, epoch, item } = logged;
            match item {
                Item::Object(Target::Number(object), kind) => {
                    let entry = Entry { stamp, kind, led: self.leadership_of(epoch), is_logged: true };
                    out.push(Effect::Apply { object, entry });
                }
                Item::Object(Target::Name(_), _) => {}
                Item::Kill { call, fault, .. } => {
                    let answer = Answer { applied: false, index: LogIndex(0), result: Err(fault) };
                    self.replies.complete(call, &answer);
                    if matches!(self.role, Role::Primary(_)) {
                        out.push(Effect::Reply { call, answer });
                    }
                }
                Item::EndSession { session, until_ms, asked } => {
                    self.replies.end(session, until_ms);
                    if let (Some(call), Role::Primary(_)) = (asked, &self.role) {
                        out.push(Effect::Reply { call, answer: done() });
                    }
                    if matches!(self.role, Role::Backup(_)) {
                        // What is left are ephemeral objects, which were told where their state is.
                        self.owners.remove(&Owner::Session(session));
                    }
                }
            }
        }
    }

    /// Finds the object that an entry names, or adds it: the entry will be applied.
    pub(super) fn resolve(&mut self, logged: &mut Logged) {
        if let Item::Object(target, _) = &mut logged.item
            && let Target::Name(name) = target
        {
            let object = self.objects.find_or_add(name.name());
            self.objects.note_queued(object);
            *target = Target::Number(object);
        }
    }
}

/// What is said of a request that has been carried out and has no value.
pub(super) fn done() -> Answer {
    Answer { applied: false, index: LogIndex(0), result: Ok(Bytes::new()) }
}
