//! What processes and clients say to each other.

use std::sync::Arc;

use bytes::Bytes;
use greenroom_actors::{
    Answer, CallId, Changed, NestedCall, NodeId, PeerMessage, RenewalAnswer, RenewalId, SessionId, View, ViewCommand,
    Wanted,
};

use super::process::ProcessId;

/// Who sends or receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    Process(ProcessId),
    Client(usize),
}

/// A stream between a client and a process: the client, and how many streams it opened before.
pub(crate) type StreamId = (usize, u64);

/// What is said.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    /// Between copies of a slot.
    Peer(NodeId, PeerMessage),
    /// The leader of a term has committed so much.
    Heartbeat { term: u64, committed: usize },
    /// Asks for a lease.
    Renew(NodeId, RenewalId),
    /// Answers that.
    Renewed(RenewalAnswer),
    /// Asks for a change of the view.
    Propose(NodeId, ViewCommand),
    /// Asks to become a member.
    Join(ViewCommand),
    /// Answers that.
    Joined(Changed),
    /// An object calls another one.
    Nested(NestedCall),
    /// Answers that.
    NestedAnswer(CallId, Answer),
    /// From a client.
    FromClient(StreamId, FromClient),
    /// To a client.
    ToClient(StreamId, ToClient),
}

/// A frame of a client.
#[derive(Clone, Debug)]
pub(crate) enum FromClient {
    /// Opens the stream; `resume` if the session was welcomed by this process before.
    Hello {
        session: SessionId,
        resume: bool,
    },
    Ping,
    Call(ClientCall),
    Cancel(ClientCall),
    Query(CallId, usize),
    Ack(CallId),
    /// The session ends.
    Bye(SessionId),
}

/// A call as a client sends it.
#[derive(Clone, Debug)]
pub(crate) struct ClientCall {
    pub(crate) call: CallId,
    pub(crate) object: usize,
    pub(crate) method: u16,
    pub(crate) arguments: Bytes,
    pub(crate) construction: Wanted,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) ack: Option<CallId>,
    /// Whether it was sent before.
    pub(crate) retry: bool,
}

/// A frame to a client.
#[derive(Clone, Debug)]
pub(crate) enum ToClient {
    Welcome,
    SessionEnded,
    Pong(Arc<View>),
    Reply(CallId, Answer),
}
