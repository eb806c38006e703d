//! What is under way while this process leads.

use std::collections::BTreeMap;
use std::sync::Arc;

use greenroom_actors::{Changed, Identity, Incarnation, NodeId, RenewalId, ViewCommand};
use greenroom_rpc::group::GroupRefusal;
use greenroom_rpc::proto::JoinRequest;
use openraft::{ChangeMembers, ServerState};
use tokio::sync::watch;

use super::group::{Group, Reply};
use super::types::Metrics;

/// What is under way while this process leads in one term.
#[derive(Default)]
pub(super) struct Leading {
    pub(super) term: u64,
    /// The last entry that this process had when it began.
    pub(super) from: u64,
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

impl Leading {
    /// What a process with these metrics begins to lead, if it leads.
    pub(super) fn new(metrics: &Metrics) -> Option<Self> {
        let leads = metrics.state == ServerState::Leader && metrics.running_state.is_ok();
        let from = metrics.last_log_index.unwrap_or(0);
        leads.then(|| Self { term: metrics.current_term, from, ..Self::default() })
    }

    /// Whether the view has all that was committed before this process began to lead; nothing is decided or granted before.
    ///
    /// A process that led and is started anew leads on in its term, with a view that is empty at first, and openraft would
    /// confirm at once that it leads: its members would be told that they are none, and drop what they have.
    pub(super) fn knows_all(&self, metrics: &Metrics) -> bool {
        metrics.last_applied.is_some_and(|applied| applied.index >= self.from)
    }
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

/// Whether most voters have answered this leader within half a lease; else it removes nobody.
///
/// A removal says who is alive, and stays in the log until it is committed. If most voters are gone, their leases do not end all
/// in the same moment: a removal of that moment would count some of them as alive, and take the others out of their slots when
/// the voters are back, long after. Within half a lease after the last answer no lease ends that was renewed until then.
pub(super) fn is_heard(metrics: &Metrics, lease_ms: u64) -> bool {
    metrics.millis_since_quorum_ack.is_some_and(|since| since <= lease_ms / 2)
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

#[cfg(test)]
mod tests {
    use openraft::{CommittedLeaderId, LogId};

    use super::*;

    fn metrics(state: ServerState, last: u64, applied: Option<u64>) -> Metrics {
        let mut metrics = Metrics::new_initial(7);
        (metrics.state, metrics.current_term, metrics.last_log_index) = (state, 3, Some(last));
        metrics.last_applied = applied.map(|index| LogId::new(CommittedLeaderId::new(3, 7), index));
        metrics
    }

    #[test]
    fn who_leads_on_after_a_new_start_knows_all_when_its_whole_log_is_applied() {
        let leading = Leading::new(&metrics(ServerState::Leader, 9, None)).expect("leads");
        for applied in [None, Some(0), Some(8)] {
            assert!(!leading.knows_all(&metrics(ServerState::Leader, 9, applied)), "{applied:?}");
        }
        assert!(leading.knows_all(&metrics(ServerState::Leader, 9, Some(9))));
        // What it adds itself takes nothing away.
        assert!(leading.knows_all(&metrics(ServerState::Leader, 12, Some(9))));
    }

    #[test]
    fn a_leader_that_most_voters_have_not_answered_for_half_a_lease_removes_nobody() {
        let heard = |since| is_heard(&Metrics { millis_since_quorum_ack: since, ..Metrics::new_initial(7) }, 500);
        assert_eq!([Some(0), Some(250), Some(251), None].map(heard), [true, true, false, false]);
    }

    #[test]
    fn who_follows_or_stands_leads_nothing() {
        for state in [ServerState::Follower, ServerState::Candidate, ServerState::Learner] {
            assert!(Leading::new(&metrics(state, 9, Some(9))).is_none(), "{state:?}");
        }
    }
}
