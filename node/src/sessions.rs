//! Sessions and streams of a shard: where the replies to a client go.

use std::sync::Arc;

use greenroom_actors::wire::Reply;
use greenroom_actors::{Answer, CallId, Fault, JobId, LogIndex, SessionId, TableVersion};
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
}

/// A session that has ended, and the job that ends with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndedSession {
    pub(crate) session: SessionId,
    pub(crate) job: Option<JobId>,
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

    pub(crate) fn open(&mut self, stream: StreamId, session: SessionId, owned_job: Option<JobId>, outbox: Arc<Outbox>) {
        let route = Some((stream, Arc::clone(&outbox)));
        self.sessions.insert(session, SessionState { route, own: true, closed_at_ms: None, owned_job });
        self.streams.insert(stream, StreamState { session, outbox, table: TableVersion(0) });
    }

    pub(crate) fn stream(&mut self, stream: StreamId) -> Option<&mut StreamState> {
        self.streams.get_mut(&stream)
    }

    /// The calls of a session that is not the stream's own come by this stream: so will its replies.
    pub(crate) fn route(&mut self, session: SessionId, stream: StreamId) {
        let Some(state) = self.streams.get(&stream) else { return };
        let own = state.session == session;
        let route = Some((stream, Arc::clone(&state.outbox)));
        let owned_job = self.sessions.get(&session).and_then(|known| known.owned_job);
        self.sessions.insert(session, SessionState { route, own, closed_at_ms: None, owned_job });
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
        Some(EndedSession { session, job: state.owned_job })
    }

    /// Ends the sessions that have had no stream for the grace period.
    pub(crate) fn expire(&mut self, now_ms: u64, grace_ms: u64) -> Vec<EndedSession> {
        let mut ended = Vec::new();
        self.sessions.retain(|&session, state| {
            let over = state.closed_at_ms.is_some_and(|closed| now_ms >= closed.saturating_add(grace_ms));
            if over {
                ended.push(EndedSession { session, job: state.owned_job });
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
