//! Answers that nobody took: a caller gave up when its call had been answered, and the slot did not know yet.
//!
//! A cancel has its place in the log, and what the caller was granted is taken back there, before whatever follows: a caller
//! that gives up and calls again finds everything as it was. The answer is in the outcomes at hand, or the slot has seen it
//! since the cancel was ordered.

use bytes::Bytes;

use crate::entry::{Entry, EntryKind, GiveUp, Outcomes};
use crate::ids::CallId;
use crate::instance::Instance;

impl Instance {
    /// The take-back that a cancel comes to, if its call has been answered.
    pub(crate) fn take_back_of(&mut self, entry: &Entry, out: &mut Outcomes) -> Option<Entry> {
        let EntryKind::Cancel { call, waiter, method, why: GiveUp::Cancelled } = entry.kind else { return None };
        let noted = self.extras.as_mut().and_then(|extras| extras.untaken.remove(&call));
        let by_earlier_object = waiter.0 < self.made_at.0;
        if self.parked.contains_key(&waiter) || self.object_type.hooks.grant_cancelled.is_none() {
            return None;
        }
        let granted = noted.or_else(|| {
            // It is one of the last, if it is there.
            let (_, answer) = out.answers.iter().rev().find(|(answered, _)| *answered == call)?;
            let granted = answer.result.clone().ok()?;
            // Also where there is nothing to take back any more: the slot must not keep it for a cancel that has been.
            out.taken_back.push(call);
            Some(granted)
        })?;
        if by_earlier_object {
            return None;
        }
        let kind = EntryKind::TakeBack { call, grant: waiter, method, granted: Some(granted) };
        Some(Entry { stamp: entry.stamp, kind, led: entry.led, is_logged: entry.is_logged })
    }

    /// Keeps the answer of a call for its cancel, which is on its way.
    pub(crate) fn note_untaken(&mut self, call: CallId, granted: Bytes) {
        self.extras.get_or_insert_default().untaken.insert(call, granted);
    }
}
