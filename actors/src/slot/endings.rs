//! What ends: sessions, attempts of cloud threads, and jobs. Each object that is concerned is told by an entry of its own.

use bytes::Bytes;

use super::log::Item;
use super::{Effect, Slot, ordering, refused};
use crate::arrival::Now;
use crate::caller::system;
use crate::entry::{CallEntry, EntryKind, Wanted};
use crate::ids::{CallId, JobId, Owner, SessionId};
use crate::replies::ENDED_FOR_MS;
use crate::wire::AttemptEnd;

impl Slot {
    /// A session has ended: every object that it concerns is told, once, in order.
    ///
    /// An attempt of a cloud thread may come back until `ends_ms`: so long its end is remembered at least.
    pub fn handle_session_end(&mut self, session: SessionId, ends_ms: Option<u64>, now: Now, out: &mut Vec<Effect>) {
        if self.check_serving().is_err() {
            return;
        }
        self.release(session, now, out);
        // Sessions of objects end by time: their calls have deadlines, and may be retried until then.
        if !session.is_object() && self.replies.knows(session) && !self.replies.has_ended(session) {
            let until_ms = remembered_until(ends_ms, now);
            self.append(Item::EndSession { session, until_ms, asked: None }, now, out);
        }
    }

    /// An attempt of a cloud thread has ended, as `asked` says: what it holds here is released, and its later calls are refused.
    ///
    /// That is answered once every copy that counts has it.
    pub fn handle_attempt_end(&mut self, asked: CallId, end: AttemptEnd, now: Now, out: &mut Vec<Effect>) {
        if let Err(refusal) = self.check_serving() {
            return out.push(refused(asked, refusal));
        }
        let session = end.session;
        let is_known = self.replies.knows(session) || self.owners.contains_key(&Owner::Session(session));
        if !is_known && !end.fence {
            return out.push(Effect::Reply { call: asked, answer: ordering::done() });
        }
        self.release(session, now, out);
        let until_ms = remembered_until(end.ends_ms, now);
        self.append(Item::EndSession { session, until_ms, asked: Some(asked) }, now, out);
    }

    /// Tells each object that concerns the session that it has ended.
    fn release(&mut self, session: SessionId, now: Now, out: &mut Vec<Effect>) {
        let owner = Owner::Session(session);
        for object in self.owners.get(&owner).cloned().unwrap_or_default() {
            self.order(object, EntryKind::OwnerGone(owner), now, out);
        }
    }

    /// A job has ended: its objects go.
    pub fn handle_job_end(&mut self, job: JobId, now: Now, out: &mut Vec<Effect>) {
        if self.check_serving().is_err() {
            return;
        }
        for object in self.objects.of_job(job) {
            let entry = CallEntry {
                call: CallId::default(),
                owner: Owner::Session(CallId::default().session),
                method: system::DELETE,
                arguments: Bytes::new(),
                construction: Wanted::Anything,
                durability: None,
                deadline_ms: None,
                chain: Box::default(),
            };
            self.order(object, EntryKind::Call(entry), now, out);
        }
    }
}

/// Until when the end of a session is remembered that may come back until `ends_ms`.
fn remembered_until(ends_ms: Option<u64>, now: Now) -> u64 {
    ends_ms.map_or(now.ms, |ends_ms| ends_ms.max(now.ms)).saturating_add(ENDED_FOR_MS)
}
