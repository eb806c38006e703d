//! Greetings: how a stream begins.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{KIND_HELLO, KIND_WELCOME, WIRE_VERSION, put};
use crate::ids::{ClusterId, Incarnation, JobId, NodeId, SessionId, ShardId};

/// The first frame of a stream, from the side that opened it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The cluster that the caller means; 0 is "whichever you are".
    pub cluster: ClusterId,
    /// The node that the caller means.
    pub node: NodeId,
    /// Its process that the caller means; 0 is any.
    pub incarnation: Incarnation,
    /// The shard that the caller means.
    pub shard: ShardId,
    /// The caller's session.
    pub session: SessionId,
    /// Whether the session has been registered with this incarnation before, so that it must still be known.
    pub resume: bool,
    /// A job that lasts as long as the session.
    pub owned_job: Option<JobId>,
    /// What the caller's process says of itself, such as `4711@host`: for operators, and trusted by nobody.
    pub process: String,
    /// The name of the job that the caller means; empty if it has none.
    pub job_name: String,
    /// What proves who the caller is; empty as long as clusters trust their network.
    pub credential: Bytes,
}

/// The first frame of a stream in the other direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Welcome {
    /// The stream is open.
    Open {
        /// The node's process.
        incarnation: Incarnation,
        /// The node's clock in milliseconds since the Unix epoch.
        now_ms: u64,
        /// The largest frame that the node takes.
        frame_bytes_max: u64,
    },
    /// The stream will be closed, and why.
    Refused(HelloRefusal),
}

/// Why a node does not take a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum HelloRefusal {
    /// The node belongs to another cluster.
    #[error("the node belongs to cluster {0:?}")]
    Cluster(ClusterId),
    /// Another node, shard or incarnation listens here.
    #[error("node {node}, incarnation {incarnation}, shard {shard} listens here")]
    Place {
        /// The node.
        node: NodeId,
        /// Its process.
        incarnation: Incarnation,
        /// Its shard.
        shard: ShardId,
    },
    /// The session is not known any more: its replies are gone, so its calls cannot be retried.
    #[error("the session has ended on the node")]
    SessionEnded,
    /// The node is stopping.
    #[error("the node is stopping")]
    Stopping,
    /// The first frame was none, or not of this version.
    #[error("the stream began with something else than a greeting: {0}")]
    Malformed(String),
}

/// Appends a `Hello` frame to `out`.
pub fn encode_hello(hello: &Hello, out: &mut BytesMut) {
    out.extend_from_slice(&[KIND_HELLO, WIRE_VERSION]);
    put(out, hello);
}

/// Appends a `Welcome` frame to `out`.
pub fn encode_welcome(welcome: &Welcome, out: &mut BytesMut) {
    out.extend_from_slice(&[KIND_WELCOME, WIRE_VERSION]);
    put(out, welcome);
}
