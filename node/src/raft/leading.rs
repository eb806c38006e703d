//! What is under way while this process leads.

use std::collections::BTreeMap;
use std::sync::Arc;

use greenroom_actors::{Changed, Identity, Incarnation, NodeId, RenewalId, ViewCommand};
use greenroom_rpc::group::GroupRefusal;
use greenroom_rpc::proto::JoinRequest;
use openraft::ChangeMembers;
use tokio::sync::watch;

use super::group::{Group, Reply};

/// What is under way while this process leads in one term.
#[derive(Default)]
pub(super) struct Leading {
    pub(super) term: u64,
    /// Renewals by node: those that came since the round began, and those that the round is about.
    pub(super) waiting: BTreeMap<NodeId, (RenewalId, Reply)>,
    pub(super) in_round: BTreeMap<NodeId, (RenewalId, Reply)>,
    pub(super) is_in_round: bool,
    pub(super) is_changing_members: bool,
    /// Commands of the coordinator's own last step that are being written.
    pub(super) n_planned: usize,
    /// Processes that are joining, by identity.
    pub(super) joins: BTreeMap<u64, Joining>,
}

pub(super) struct Joining {
    pub(super) request: JoinRequest,
    pub(super) reply: Reply,
    pub(super) is_written: bool,
}

/// Who waits for a command.
pub(super) enum Purpose {
    /// The coordinator has planned it.
    Planned,
    /// Somebody has proposed it.
    Proposed(Reply),
    /// The process of that identity is joining.
    Join(u64),
}

/// Something that was under way has ended.
pub(super) enum Done {
    Round { term: u64, is_confirmed: bool },
    Written { term: u64, purpose: Purpose, held: Option<NodeId>, result: Result<Changed, GroupRefusal> },
    MembersChanged { term: u64 },
}

/// Changes who is in the group, or who votes; it ends when that is done, or never will be.
pub(super) async fn change_members(
    group: Arc<Group>,
    term: u64,
    change: ChangeMembers<u64, String>,
    mut settled: watch::Receiver<u64>,
) -> Done {
    tracing::info!(?change, "the group's members change");
    tokio::select! {
        // Who votes no more goes on as one that follows.
        changed = group.raft.change_membership(change, true) => {
            if let Err(error) = changed {
                tracing::debug!(%error, "the group's members have not changed");
            }
        }
        _ = settled.wait_for(|settled| *settled > term) => {}
    }
    Done::MembersChanged { term }
}

/// Whether a process asks again.
pub(super) fn is_same(known: &JoinRequest, again: &JoinRequest) -> bool {
    known.incarnation == again.incarnation && known.replaces == again.replaces && known.address == again.address
}

/// What a process that joins has written to the log.
pub(super) fn join_command(request: &JoinRequest) -> ViewCommand {
    ViewCommand::Join {
        name: request.name.clone(),
        address: request.address.clone(),
        incarnation: Incarnation(request.incarnation),
        identity: Identity(request.identity),
        replaces: request.replaces.map(NodeId),
    }
}
