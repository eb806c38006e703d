//! What a slot does with what applying entries left behind.

use bytes::Bytes;

use super::{Effect, Role, Slot, moved};
use crate::entry::Outcomes;
use crate::error::{Fault, Refusal};
use crate::ids::{CallId, LogIndex};
use crate::objects_table::ObjectNumber;
use crate::replies::{Answer, Completed};

impl Slot {
    /// An object's actor has applied entries: keep and send the replies.
    ///
    /// `leased` says whether this node may still answer reads, by a clock that was read after they were made.
    pub fn handle_outcomes(&mut self, object: ObjectNumber, outcomes: Outcomes, leased: bool, out: &mut Vec<Effect>) {
        let is_primary = matches!(self.role, Role::Primary(_));
        self.objects.note_applied(object, outcomes.n_applied, outcomes.last_index);
        let was_alone = self.alone.has(object);
        self.note_alone(object, out);
        let is_alone = was_alone || self.alone.has(object);
        for (call, answer) in outcomes.answers {
            if matches!(answer.result, Err(Fault::Refused(Refusal::NotCreated))) {
                // The caller tries again with the arguments, as the same call.
                self.replies.withdraw(call, answer.index);
            } else if self.is_untaken(call, &answer)
                && let Ok(granted) = &answer.result
                && !outcomes.taken_back.contains(&call)
            {
                // The cancel is behind the entries that were just applied.
                self.note_untaken(object, call, granted.clone());
            }
            if is_primary {
                let answer = if self.may_tell(&answer, is_alone, leased) { answer } else { moved() };
                out.push(Effect::Reply { call, answer });
            }
        }
        if is_primary {
            self.timers.extend(outcomes.timers.iter().map(|&(at, waiter, call)| (at, object, waiter, call)));
            for (deadline_ms, waiter, call) in outcomes.ended_timers {
                self.timers.remove(&(deadline_ms, object, waiter, call));
            }
        }
        if outcomes.nested.is_empty() {
            return;
        }
        let Some(entry) = self.objects.get(object) else { return };
        let job = entry.job();
        if !is_primary && entry.instance().borrow().is_ephemeral() {
            // They are of a state that is gone.
            return;
        }
        for call in outcomes.nested {
            self.nested.insert((object, call.call.lane), call.clone());
            if is_primary {
                out.push(Effect::Nested { object, job, call });
            }
        }
    }

    /// Keeps an answer; says whether its caller had given up, and its cancel is to come.
    fn is_untaken(&mut self, call: CallId, answer: &Answer) -> bool {
        match self.replies.complete(call, answer) {
            Completed::GivenUp => true,
            // The image's table may know of a cancel that the object has yet to see.
            Completed::Known => self.is_in_image(answer.index),
            Completed::Kept => false,
        }
    }

    /// Whether an answer is true whoever else may think that they serve: one that was committed with the others is, a read is
    /// only under a lease, and so is what this copy did alone, as with an ephemeral object.
    fn may_tell(&self, answer: &Answer, is_ephemeral: bool, leased: bool) -> bool {
        let is_read = !answer.applied && answer.index == LogIndex(0) && answer.result.is_ok();
        match is_read || is_ephemeral {
            true => leased && self.check_serving().is_ok(),
            false => leased || !self.is_alone(),
        }
    }

    /// Keeps the answer of a call for its cancel, if the object wants to know that nobody has taken it.
    pub(super) fn note_untaken(&self, object: ObjectNumber, call: CallId, granted: Bytes) {
        if self.takes_back(object)
            && let Some(entry) = self.objects.get(object)
        {
            entry.instance().borrow_mut().note_untaken(call, granted);
        }
    }
}
