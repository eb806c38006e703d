//! Whether this node may stand for election: only if most of the voters hear of no leader either.
//!
//! A voter that was cut off would otherwise come back with a higher term and depose a leader that is well, which costs all nodes
//! their leases for a while. Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 9.6 (pre-vote).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use openraft::ServerState;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::group::Group;
use super::network::Peer;

/// When a leader was heard last.
#[derive(Debug)]
pub(super) struct Heard {
    origin: Instant,
    /// In milliseconds since the origin, plus one; 0 if never.
    at: AtomicU64,
}

impl Default for Heard {
    fn default() -> Self {
        Self { origin: Instant::now(), at: AtomicU64::new(0) }
    }
}

impl Heard {
    fn clock_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A leader was heard.
    pub(super) fn now(&self) {
        self.at.fetch_max(self.clock_ms() + 1, Ordering::AcqRel);
    }

    fn is_within(&self, ms: u64) -> bool {
        let at = self.at.load(Ordering::Acquire);
        at > 0 && self.clock_ms() < at - 1 + ms
    }
}

/// Lets this node stand for election when it may, as long as the node is there.
pub(super) async fn stand(group: Arc<Group>) {
    let mut ticks = interval(Duration::from_millis(group.options.heartbeat_ms.max(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let may = may_stand(&group).await;
        group.raft.runtime_config().elect(may);
    }
}

impl Group {
    /// Whether this node leads and is heard by most, or hears of a leader.
    pub(super) fn is_led(&self) -> bool {
        let patience_ms = self.options.election_ms_max;
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        match metrics.state {
            ServerState::Leader => metrics.millis_since_quorum_ack.is_some_and(|since| since < patience_ms),
            _ => self.heard.is_within(patience_ms),
        }
    }
}

async fn may_stand(group: &Arc<Group>) -> bool {
    let me = group.identity.0;
    let members = Arc::clone(&group.raft.metrics().borrow().membership_config);
    let configs = members.membership().get_joint_config();
    if group.is_led() || !configs.iter().any(|config| config.contains(&me)) {
        return false;
    }
    let mut asked = JoinSet::new();
    let patience = Duration::from_millis(group.options.election_ms_min);
    for voter in members.membership().voter_ids().filter(|voter| *voter != me) {
        let Some(address) = members.membership().get_node(&voter) else { continue };
        let peer = Peer::new(&group.peers, voter, address);
        asked.spawn(async move { (voter, matches!(timeout(patience, peer.is_led()).await, Ok(Ok(false)))) });
    }
    let mut agreed = BTreeSet::from([me]);
    let is_most =
        |agreed: &BTreeSet<u64>| configs.iter().all(|config| 2 * config.intersection(agreed).count() > config.len());
    while !is_most(&agreed) {
        match asked.join_next().await {
            Some(Ok((voter, true))) => drop(agreed.insert(voter)),
            Some(_) => {}
            None => return false,
        }
    }
    true
}
