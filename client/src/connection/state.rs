//! What a connection knows: its stream, and the calls that are out on it.

use std::sync::Arc;

use greenroom_actors::wire;
use greenroom_actors::{JobId, SessionId};
use greenroom_rpc::Outbox;
use tokio::sync::oneshot;

use crate::pending::{FreeLane, PendingCalls};

/// A job that ends with the client's session, if it has one of its own.
pub(crate) type OwnedJob = Option<JobId>;

/// Tells a caller that the stream is open, or why it is not.
pub(super) type Opened = oneshot::Sender<Result<(), String>>;

#[derive(Debug, Default)]
pub(super) enum Stream {
    #[default]
    Closed,
    Opening(Vec<Opened>),
    Open {
        outbox: Arc<Outbox>,
        session: SessionId,
        frame_bytes_max: usize,
    },
    Gone(String),
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) stream: Stream,
    pub(super) pending: PendingCalls,
    pub(super) acks: Vec<FreeLane>,
    /// The session that has been registered with the process.
    pub(super) registered: Option<SessionId>,
    /// The job that ends with that session.
    pub(super) owned_job: OwnedJob,
    /// Whether farewell was said on the stream. Its session has ended once the node has ended the stream.
    pub(super) farewell: bool,
    /// Whether the stream is opened again whenever it breaks.
    pub(super) lives: bool,
    pub(super) ticking: bool,
}

impl State {
    pub(super) fn goodbye(&mut self) {
        if let Stream::Open { outbox, .. } = &self.stream
            && outbox.push(wire::encode_goodbye).is_ok()
        {
            outbox.close();
            self.farewell = true;
        }
    }
}
