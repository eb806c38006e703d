//! Sessions and streams of a shard: where the replies to a client go.

use std::sync::Arc;

use greenroom_actors::wire::{self, Hello, Reply};
use greenroom_actors::{Answer, CallId, Fault, JobId, LogIndex, Owner, OwnerNote, SessionId, TableVersion};
use greenroom_rpc::{Outbox, PushError};
use hashbrown::HashMap;

/// A stream of this shard; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StreamId(pub(crate) u64);

/// An open stream.
#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) session: SessionId,
    pub(crate) outbox: Arc<Outbox>,
    /// The table that the client was sent last on this stream.
    pub(crate) table: TableVersion,
}

/// A session: it outlives its stream by a grace period, and a stream may carry calls of other sessions.
#[derive(Debug)]
struct SessionState {
    /// The stream that carries its replies, and where they are written.
    route: Option<(StreamId, Arc<Outbox>)>,
    /// Whether the stream is its own, so that replies need not name the session.
    own: bool,
    /// When its last stream closed.
    closed_at_ms: Option<u64>,
    owned_job: Option<JobId>,
    /// When an attempt of a cloud thread ends by itself, if its stream is open or not.
    ends_ms: Option<u64>,
    /// Whether an attempt of a cloud thread has ended, or been ended, before that.
    has_ended: bool,
    /// What the client says of itself.
    process: Arc<str>,
}

impl SessionState {
    fn new(route: Option<(StreamId, Arc<Outbox>)>, own: bool) -> Self {
        let process = Arc::from("");
        Self { route, own, closed_at_ms: None, owned_job: None, ends_ms: None, has_ended: false, process }
    }
}

/// How much later than its deadline an attempt of a cloud thread ends here: by so much clocks may differ.
pub(crate) const SKEW_MS: u64 = 1_000;

/// What a client may say of itself, in bytes; the rest is cut.
const PROCESS_BYTES_MAX: usize = 64;

/// A session that has ended, and the job that ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedSession {
    pub(crate) session: SessionId,
    pub(crate) job: Option<JobId>,
    /// Until when it may come back, if it is an attempt of a cloud thread.
    pub(crate) ends_ms: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    streams: HashMap<StreamId, StreamState>,
    sessions: HashMap<SessionId, SessionState>,
}

impl Sessions {
    pub(crate) fn knows(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    pub(crate) fn open(&mut self, stream: StreamId, hello: &Hello, outbox: Arc<Outbox>) {
        let (session, owned_job) = (hello.session, hello.owned_job);
        let route = Some((stream, Arc::clone(&outbox)));
        // What comes from outside ends on a terminal.
        let shown = hello.process.chars().filter(char::is_ascii_graphic).take(PROCESS_BYTES_MAX);
        let process = shown.collect::<String>().into();
        let state = SessionState { owned_job, process, ..SessionState::new(route, true) };
        self.sessions.insert(session, state);
        self.streams.insert(stream, StreamState { session, outbox, table: TableVersion(0) });
    }

    pub(crate) fn stream(&mut self, stream: StreamId) -> Option<&mut StreamState> {
        self.streams.get_mut(&stream)
    }

    /// The calls of a session that is not the stream's own come by this stream: so will its replies.
    ///
    /// One of an attempt of a cloud thread ends at `ends_ms` by itself.
    pub(crate) fn route(&mut self, session: SessionId, stream: StreamId, ends_ms: Option<u64>) {
        let Some(state) = self.streams.get(&stream) else { return };
        let own = state.session == session;
        let route = Some((stream, Arc::clone(&state.outbox)));
        let known = self.sessions.get(&session);
        let owned_job = known.and_then(|known| known.owned_job);
        let has_ended = known.is_some_and(|known| known.has_ended);
        // Else it is a cloud thread's, which the stream's process runs.
        let known = known.or_else(|| self.sessions.get(&state.session));
        let process = known.map(|known| Arc::clone(&known.process)).unwrap_or_default();
        let state = SessionState { owned_job, ends_ms, has_ended, process, ..SessionState::new(route, own) };
        self.sessions.insert(session, state);
    }

    /// Forgets a session that should not have been taken.
    pub(crate) fn unroute(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// Whether a live session owns the job.
    pub(crate) fn owns(&self, job: JobId) -> bool {
        self.sessions.values().any(|session| session.owned_job == Some(job))
    }

    pub(crate) fn close(&mut self, stream: StreamId, now_ms: u64) {
        self.streams.remove(&stream);
        for session in self.sessions.values_mut() {
            if session.route.as_ref().is_some_and(|route| route.0 == stream) {
                session.route = None;
                session.closed_at_ms = Some(now_ms);
            }
        }
    }

    /// Ends a session at its client's word, which came on `stream`: a later stream of the session outlives that word.
    pub(crate) fn end(&mut self, session: SessionId, stream: StreamId) -> Option<EndedSession> {
        let current = self.sessions.get(&session)?.route.as_ref().is_none_or(|route| route.0 == stream);
        if !current {
            return None;
        }
        let state = self.sessions.remove(&session)?;
        Some(EndedSession { session, job: state.owned_job, ends_ms: state.ends_ms })
    }

    /// An attempt of a cloud thread has ended on one of the slots; it is forgotten with the next sweep.
    pub(crate) fn end_attempt(&mut self, session: SessionId) {
        if let Some(state) = self.sessions.get_mut(&session) {
            state.has_ended = true;
        }
    }

    /// What is known of an owner: what its process says of itself, and, if it is away, when its session ends.
    pub(crate) fn note(&self, owner: Owner, grace_ms: u64) -> OwnerNote {
        let Owner::Session(session) = owner;
        let Some(state) = self.sessions.get(&session) else { return OwnerNote::default() };
        OwnerNote {
            process: (!state.process.is_empty()).then(|| state.process.to_string()),
            ends_at_ms: state.closed_at_ms.map(|closed| closed.saturating_add(grace_ms)),
        }
    }

    /// Ends the sessions that have had no stream for the grace period, or are attempts whose time is over.
    pub(crate) fn expire(&mut self, now_ms: u64, grace_ms: u64) -> Vec<EndedSession> {
        let mut ended = Vec::new();
        self.sessions.retain(|&session, state| {
            let over = state.closed_at_ms.is_some_and(|closed| now_ms >= closed.saturating_add(grace_ms))
                || state.ends_ms.is_some_and(|ends_ms| now_ms >= ends_ms.saturating_add(SKEW_MS))
                || state.has_ended;
            if over {
                ended.push(EndedSession { session, job: state.owned_job, ends_ms: state.ends_ms });
            }
            !over
        });
        ended.sort_by_key(|ended| ended.session);
        ended
    }

    /// Sends a reply to wherever the session is now. A session without a stream asks again when it is back.
    pub(crate) fn reply(&self, call: CallId, answer: Answer) {
        let Some(state) = self.sessions.get(&call.session) else { return };
        let Some((_, outbox)) = &state.route else { return };
        let mut reply = Reply {
            lane: call.lane,
            sequence: call.sequence,
            session: (!state.own).then_some(call.session),
            applied: answer.applied,
            index: (answer.index != LogIndex(0)).then_some(answer.index),
            table: None,
            fence: None,
            result: answer.result,
        };
        let mut sent = match &reply.result {
            Ok(body) => outbox.push_with_body(|out| reply.encode_head(out), body),
            Err(_) => outbox.push(|out| reply.encode(out)),
        };
        if let Err(PushError::TooLarge(bytes)) = sent {
            reply.result = Err(Fault::ReplyTooLarge { bytes: bytes as u64 });
            sent = outbox.push(|out| reply.encode(out));
        }
        if let Err(error) = sent {
            tracing::debug!(%call, %error, "a reply was not sent; the client will ask again");
        }
    }

    /// These sessions have calls or grants in a slot that this shard begins to serve: they have the grace period to come.
    pub(crate) fn expect(&mut self, sessions: &[SessionId], now_ms: u64) {
        for &session in sessions {
            let away = || SessionState { closed_at_ms: Some(now_ms), ..SessionState::new(None, true) };
            self.sessions.entry(session).or_insert_with(away);
        }
    }

    /// Sends every client the table, if the one that it was sent is older.
    pub(crate) fn tell_table(&mut self, version: TableVersion, table: &[u8]) {
        for stream in self.streams.values_mut().filter(|stream| stream.table < version) {
            stream.table = version;
            // A stream that is closing will be told again on the next one.
            let _ = stream.outbox.push(|out| wire::encode_table(table, out));
        }
    }

    /// Every open stream.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &StreamState> {
        self.streams.values()
    }

    pub(crate) fn n_sessions(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn n_streams(&self) -> usize {
        self.streams.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_shown_as_it_says_and_when_its_session_ends_if_it_is_away() {
        let mut sessions = Sessions::default();
        let (stream, session) = (StreamId(1), SessionId(7));
        let process = format!("4711@h\u{1b}[2J\u{202e}o{}", "x".repeat(1 << 20));
        sessions.open(stream, &Hello { session, process, ..Hello::default() }, Outbox::new(1 << 10, 1 << 10));
        let note = sessions.note(Owner::Session(session), 10_000);
        let shown = note.process.expect("is shown");
        assert!(shown.starts_with("4711@h[2Jox") && shown.len() == PROCESS_BYTES_MAX, "{shown}");
        assert_eq!(note.ends_at_ms, None);
        sessions.close(stream, 500);
        assert_eq!(sessions.note(Owner::Session(session), 10_000).ends_at_ms, Some(10_500));
        sessions.expire(10_500, 10_000);
        assert_eq!(sessions.note(Owner::Session(session), 10_000), OwnerNote::default());
    }
}
