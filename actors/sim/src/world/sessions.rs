//! The sessions of clients at one process, as the node keeps them: a session ends some time after its last stream.

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::SessionId;

use super::message::StreamId;

/// How long a session outlives its stream.
const GRACE_MS: u64 = 1_500;
/// A stream on which nothing was heard for so long is closed.
const SILENT_MS: u64 = 1_500;

#[derive(Debug)]
struct Session {
    stream: Option<StreamId>,
    closed_at_ms: u64,
}

/// The sessions and streams of one process.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    streams: BTreeMap<StreamId, (SessionId, u64)>,
    closed: BTreeSet<StreamId>,
}

impl Sessions {
    pub(crate) fn knows(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    pub(crate) fn open(&mut self, stream: StreamId, session: SessionId, now_ms: u64) {
        self.sessions.insert(session, Session { stream: Some(stream), closed_at_ms: 0 });
        self.streams.insert(stream, (session, now_ms));
    }

    /// Something came on a stream; the session it belongs to, if the stream is open.
    pub(crate) fn heard(&mut self, stream: StreamId, now_ms: u64) -> Option<SessionId> {
        let (session, heard_at) = self.streams.get_mut(&stream)?;
        *heard_at = now_ms;
        Some(*session)
    }

    /// Where replies to a session go.
    pub(crate) fn route(&self, session: SessionId) -> Option<StreamId> {
        self.sessions.get(&session)?.stream
    }

    /// Sessions that have calls or grants here, of which no stream may be known: they have some time to come.
    pub(crate) fn expect(&mut self, sessions: Vec<SessionId>, now_ms: u64) {
        for session in sessions {
            self.sessions.entry(session).or_insert(Session { stream: None, closed_at_ms: now_ms });
        }
    }

    /// A client says that its session ends.
    pub(crate) fn end(&mut self, session: SessionId) -> bool {
        self.sessions.remove(&session).is_some()
    }

    /// Closes silent streams, and ends the sessions that have stayed away.
    pub(crate) fn expire(&mut self, now_ms: u64) -> Vec<SessionId> {
        let silent: Vec<StreamId> =
            self.streams.iter().filter(|(_, (_, at))| at + SILENT_MS < now_ms).map(|(&stream, _)| stream).collect();
        for stream in silent {
            self.streams.remove(&stream);
            self.closed.insert(stream);
            for session in self.sessions.values_mut().filter(|session| session.stream == Some(stream)) {
                (session.stream, session.closed_at_ms) = (None, now_ms);
            }
        }
        let over = |session: &Session| session.stream.is_none() && session.closed_at_ms + GRACE_MS < now_ms;
        let ended: Vec<SessionId> =
            self.sessions.iter().filter(|(_, session)| over(session)).map(|(&id, _)| id).collect();
        for session in &ended {
            self.sessions.remove(session);
        }
        ended
    }
}
