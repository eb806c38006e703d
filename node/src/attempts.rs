//! Attempts of cloud threads: each has a session of its own, on a stream of the process that runs it.

use greenroom_actors::wire::{AttemptEnd, Request, parts};
use greenroom_actors::{CallId, Now, Refusal, SessionId, Slot};

use crate::core::Core;
use crate::sessions::{SKEW_MS, StreamId};

impl Core {
    /// A process says that it still runs the attempt. One that has ended here is not revived.
    pub(crate) fn keep_attempt(&mut self, session: SessionId, stream: StreamId, request: &Request<'_>) {
        if session.attempt().is_some() && self.sessions.knows(session) {
            self.sessions.route(session, stream, request.attempt_ends_ms);
        }
    }

    /// An attempt has ended, for one slot: it says so itself, or whoever gives it up.
    pub(crate) fn handle_attempt_end(&mut self, stream: StreamId, call: CallId, request: &Request<'_>, now: Now) {
        let end = match AttemptEnd::decode(&request.arguments) {
            Ok(end) => end,
            Err(error) => {
                let (method, why) = ("the end of an attempt".to_owned(), error.to_string());
                return self.refuse(call, Refusal::Arguments { method, why });
            }
        };
        if self.stopping {
            return self.refuse(call, Refusal::Stopping);
        }
        if !self.host.slot(request.slot).is_some_and(Slot::is_primary) {
            self.tell_table(stream);
            return self.refuse(call, Refusal::WrongPlace);
        }
        self.sessions.end_attempt(end.session);
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(slot) = self.slot_mut(request.slot) {
            slot.handle_attempt_end(call, end, now, &mut effects);
        }
        self.perform(request.slot, &mut effects, now);
        self.effects = effects;
    }
}

/// Whether a call may be of that session, which is not the stream's own.
///
/// # Errors
/// When the session has ended.
pub(crate) fn check_session(session: SessionId, is_new: bool, request: &Request<'_>, now: Now) -> Result<(), Refusal> {
    if session.attempt().is_some() {
        // The slots remember those that have ended earlier, for as long as their calls may come.
        let is_over = request.attempt_ends_ms.is_some_and(|ends_ms| now.ms >= ends_ms.saturating_add(SKEW_MS));
        return if is_over { Err(Refusal::AttemptEnded) } else { Ok(()) };
    }
    if is_new && request.flags & parts::RETRY != 0 && !session.is_object() {
        // Its replies are gone with it, so whether an earlier try was applied is not known here.
        return Err(Refusal::SessionEnded);
    }
    Ok(())
}
