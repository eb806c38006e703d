//! What is asked of the Raft group of the nodes, and why it may say no.

use std::time::Duration;

use greenroom_actors::{Changed, ClusterId, Identity, JoinRefusal, NodeId, TableVersion, View, ViewCommand};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::FRAME_BYTES_MAX;
use crate::link::dial;
use crate::proto::group_client::GroupClient;
use crate::proto::{ProposeRequest, ViewRequest};

/// The largest command that is taken, in bytes.
pub const COMMAND_BYTES_MAX: usize = 2 << 20;

/// Why the group did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum GroupRefusal {
    /// The node belongs to another cluster. Nothing was done.
    #[error("the node belongs to the cluster {ours:x}, and was asked for {theirs:x}", ours = .ours.0, theirs = .theirs.0)]
    OtherCluster {
        /// The cluster of the node that answers.
        ours: ClusterId,
        /// The one that was asked for.
        theirs: ClusterId,
    },
    /// The node belongs to a cluster of another name. Nothing was done.
    #[error("the node belongs to the cluster `{ours}`, and was asked for `{theirs}`")]
    OtherName {
        /// The name of the cluster of the node that answers.
        ours: String,
        /// The name that was asked for.
        theirs: String,
    },
    /// The two programs speak other versions of the wire's format. Nothing was done.
    #[error("the node speaks version {ours}, and who asks speaks version {theirs}")]
    OtherVersion {
        /// The version of the node that answers.
        ours: u32,
        /// The version of who asked.
        theirs: u32,
    },
    /// Another process is at the address now. Nothing was done: look at a newer view.
    #[error("another process is at this address now")]
    OtherProcess,
    /// The clocks of the two machines differ too much. Nothing was done: set the clock, and ask again.
    #[error("the clocks of the two machines differ by {apart_ms} ms, and may differ by {max_ms} ms")]
    Clock {
        /// By how much they differ.
        apart_ms: u64,
        /// By how much they may.
        max_ms: u64,
    },
    /// The node does not lead the group. Nothing was done: ask the one that does.
    #[error("the node does not lead the group")]
    NotLeader,
    /// The node does not lead the group any more. It may have been done: ask again.
    #[error("the node does not lead the group any more")]
    Deposed,
    /// The node has left the group or is stopping, or its disk failed. Nothing was done: ask another one.
    #[error("the node takes no part in the group")]
    NotReady,
    /// Too much is asked at the same time. Nothing was done: ask again.
    #[error("the group has too much to do")]
    Busy,
    /// Nobody answers. It may have been done: ask again.
    #[error("cannot reach {address}: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the network said.
        why: String,
    },
    /// No answer came in time. It may have been done, or will be.
    #[error("no answer in time{}", .last.as_ref().map_or_else(String::new, |last| format!("; the last try: {last}")))]
    Expired {
        /// What the last try came to, if it came to anything.
        last: Option<Box<Self>>,
    },
    /// Nobody proposes this command; the group does it by itself. Nothing was done.
    #[error("this is nobody's to propose: the group does it by itself")]
    NotProposed,
    /// The node that is to be forgotten may be alive. Nothing was done: only a suspected node without a lease is forgotten.
    #[error("the node {0} may be alive: only a suspected node without a lease is forgotten")]
    MayBeAlive(NodeId),
    /// The process cannot be a member.
    #[error(transparent)]
    Join(JoinRefusal),
    /// What was sent is not as agreed. Nothing was done.
    #[error("what was sent is not as agreed: {0}")]
    Malformed(String),
}

impl GroupRefusal {
    /// Whether the same question may have another answer soon, here or at another node.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::OtherProcess | Self::NotLeader | Self::Deposed | Self::NotReady | Self::Busy => true,
            Self::Unreachable { .. } | Self::Expired { .. } => true,
            Self::OtherCluster { .. } | Self::OtherName { .. } | Self::OtherVersion { .. } | Self::Clock { .. } => {
                false
            }
            Self::NotProposed | Self::MayBeAlive(_) | Self::Join(_) | Self::Malformed(_) => false,
        }
    }
}

/// A process has become a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// Its number.
    pub node: NodeId,
    /// The cluster.
    pub cluster: ClusterId,
}

/// The answer to a member that asked for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Renewal {
    /// It has one once it has installed the view of this version.
    Granted(TableVersion),
    /// It is no member, and will never be one again under this number.
    NotMember,
}

/// The view and the group that holds it, as far as one node has been told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// Who belongs to the cluster, and who holds what.
    pub view: View,
    /// Who leads the group; `None` if nobody is known to.
    pub leader: Option<Identity>,
    /// Who votes in it.
    pub voters: Vec<Identity>,
}

/// Encodes the result of a call.
pub fn encode_result<T: Serialize>(result: &Result<T, GroupRefusal>) -> bytes::Bytes {
    // Nothing but memory can lack for these types; an empty result is refused as malformed.
    postcard::to_allocvec(result).unwrap_or_default().into()
}

/// Decodes the result of a call.
///
/// # Errors
/// What was refused, or [`GroupRefusal::Malformed`].
pub fn decode_result<T: DeserializeOwned>(result: &[u8]) -> Result<T, GroupRefusal> {
    postcard::from_bytes(result).unwrap_or_else(|error| Err(GroupRefusal::Malformed(error.to_string())))
}

/// Proposes a change of the view of `cluster` to the node at `address`, which finds who leads.
///
/// # Errors
/// Why it was not done, as far as that is known.
pub async fn propose(
    address: &str,
    cluster: ClusterId,
    command: &ViewCommand,
    timeout: Duration,
) -> Result<Changed, GroupRefusal> {
    let unreachable = |why: String| GroupRefusal::Unreachable { address: address.to_owned(), why };
    let command = postcard::to_allocvec(command).map_err(|error| GroupRefusal::Malformed(error.to_string()))?;
    let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    let request = ProposeRequest { cluster: cluster.0, command: command.into(), timeout_ms, forwarded: false };
    let ask = async {
        let channel = dial(address, timeout).await.map_err(|error| unreachable(error.to_string()))?;
        let reply = GroupClient::new(channel).propose(request).await;
        decode_result(&reply.map_err(|status| unreachable(status.message().to_owned()))?.into_inner().result)
    };
    tokio::time::timeout(timeout, ask).await.unwrap_or(Err(GroupRefusal::Expired { last: None }))
}

/// Asks the node at `address` for the view; `None` if its cluster has fixed members, and so no group.
///
/// # Errors
/// [`GroupRefusal::NotReady`] before the node has joined its cluster, or that it does not answer.
pub async fn view(address: &str, timeout: Duration) -> Result<Option<GroupView>, GroupRefusal> {
    let unreachable = |why: String| GroupRefusal::Unreachable { address: address.to_owned(), why };
    let ask = async {
        let channel = dial(address, timeout).await.map_err(|error| unreachable(error.to_string()))?;
        match GroupClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX).view(ViewRequest {}).await {
            Ok(reply) => decode_result(&reply.into_inner().result).map(Some),
            Err(status) if status.code() == tonic::Code::Unimplemented => Ok(None),
            Err(status) => Err(unreachable(status.message().to_owned())),
        }
    };
    tokio::time::timeout(timeout, ask).await.unwrap_or_else(|_| Err(unreachable("no answer in time".to_owned())))
}
