//! Calls whose callers have given up, or ask what became of them.

use super::log::Item;
use super::{Effect, Slot, busy, refused};
use crate::arrival::Now;
use crate::durability::Durability;
use crate::entry::{EntryKind, GiveUp};
use crate::error::{Fault, Refusal};
use crate::ids::{CallId, LogIndex, WaiterId};
use crate::objects_table::{ObjectName, ObjectNumber};
use crate::replies::{Abandoned, Admission, Answer};

/// How long a call of an object that was cancelled before it came is remembered; no nested call lives longer.
const KILLED_FOR_MS: u64 = 2 * crate::instance::NESTED_TIMEOUT_MS;

impl Slot {
    /// The caller of `call` has given up: its wait ends, or what it was granted is taken back.
    ///
    /// A call that has not arrived yet will not be run when it does.
    pub fn handle_cancel(&mut self, call: CallId, name: ObjectName<'_>, now: Now, out: &mut Vec<Effect>) {
        if self.check_serving().is_err() || !self.replies.may_be_of(call, name.hash) {
            // The object of a cancel that names another one would take back what that one granted.
            return;
        }
        match self.replies.give_up(call) {
            Abandoned::Unseen => self.kill(call, Fault::Cancelled, now, out),
            Abandoned::Running { index, method } => {
                let Some(object) = self.objects.find(name) else { return };
                let cancel = EntryKind::Cancel { call, waiter: WaiterId(index.0), method, why: GiveUp::Cancelled };
                self.order(object, cancel, now, out);
            }
            Abandoned::Answered { index, method, body: granted } => {
                let Some(object) = self.objects.find(name) else { return };
                if self.takes_back(object) {
                    let take_back = EntryKind::TakeBack { call, grant: WaiterId(index.0), method, granted };
                    self.order(object, take_back, now, out);
                }
            }
            Abandoned::Nothing => {}
        }
    }

    /// Tells a caller that has given up that its lane is free, unless the call still runs: its answer will tell.
    pub fn confirm_cancel(&self, call: CallId, out: &mut Vec<Effect>) {
        if matches!(self.replies.admission(call), Admission::Stale | Admission::Busy) {
            let answer = Answer { applied: false, index: LogIndex(0), result: Err(Fault::Cancelled) };
            out.push(Effect::Reply { call, answer });
        }
    }

    /// Whether the object wants to know that nobody has taken what a call was granted.
    pub(super) fn takes_back(&self, object: ObjectNumber) -> bool {
        self.objects.get(object).is_some_and(|entry| entry.object_type().hooks.grant_cancelled.is_some())
    }

    /// What became of `call` of that object? One that was never accepted never will be: a lane only moves forward.
    pub fn handle_query(
        &mut self,
        call: CallId,
        (name, durability): (ObjectName<'_>, Option<Durability>),
        now: Now,
        out: &mut Vec<Effect>,
    ) {
        if let Err(refusal) = self.check_serving() {
            return out.push(refused(call, refusal));
        }
        match self.replies.admission(call) {
            Admission::Running(_) => {}
            Admission::Done(answer) => out.push(Effect::Reply { call, answer }),
            Admission::New => self.kill(call, self.fate(name, durability), now, out),
            Admission::Busy => out.push(refused(call, busy())),
            Admission::Stale => out.push(refused(call, Refusal::Stale)),
        }
    }

    /// What became of `call`, of a session that has ended on this shard? One that was never accepted never will be.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`] when that is not known any more, or not yet. That this copy takes no calls now.
    pub fn handle_late_query(
        &mut self,
        call: CallId,
        (name, durability): (ObjectName<'_>, Option<Durability>),
        now: Now,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        self.check_serving()?;
        match self.replies.admission(call) {
            Admission::New if self.replies.knows(call.session) => {
                self.kill(call, self.fate(name, durability), now, out);
            }
            Admission::Done(answer) => out.push(Effect::Reply { call, answer }),
            Admission::New | Admission::Running(_) | Admission::Busy | Admission::Stale => {
                return Err(Refusal::SessionEnded);
            }
        }
        Ok(())
    }

    /// Answers a call that was never accepted, for good: it will not be run when it comes.
    fn kill(&mut self, call: CallId, fault: Fault, now: Now, out: &mut Vec<Effect>) {
        if self.replies.admission(call) != Admission::New {
            return;
        }
        let expires_ms = now.ms.saturating_add(KILLED_FOR_MS);
        self.append(Item::Kill { call, fault, expires_ms }, now, out);
    }
}
