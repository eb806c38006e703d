//! The types of `openraft`, for our commands.

use greenroom_actors::{Changed, View, ViewCommand};

openraft::declare_raft_types!(
    /// Entries are commands, a snapshot is a view, and a node is where it answers control calls.
    pub(super) Types:
        D = ViewCommand,
        R = Changed,
        NodeId = u64,
        Node = String,
        SnapshotData = View,
);

pub(super) type Raft = openraft::Raft<Types>;
pub(super) type Entry = openraft::Entry<Types>;
pub(super) type LogId = openraft::LogId<u64>;
pub(super) type Vote = openraft::Vote<u64>;
pub(super) type StoredMembership = openraft::StoredMembership<u64, String>;
pub(super) type Metrics = openraft::RaftMetrics<u64, String>;
pub(super) type SnapshotMeta = openraft::SnapshotMeta<u64, String>;
pub(super) type StorageError = openraft::StorageError<u64>;
