//! What all parts of the group's node share.

use std::sync::Arc;

use greenroom_actors::{ClusterId, Identity, NodeId, View};
use greenroom_rpc::group::GroupRefusal;
use tokio::sync::{mpsc, oneshot, watch};

use super::candidacy::Heard;
use super::disk::{CLUSTER, Disk};
use super::error::GroupError;
use super::lease_cell::Holding;
use super::log_store::on_disk;
use super::network::Peers;
use super::node::Me;
use super::options::RaftOptions;
use super::questions::{Answer, Question};
use super::types::{Metrics, Raft};

/// What the node is to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not joined yet.
    Outside,
    /// A member, of this number.
    Member(NodeId),
    /// It was a member of this number, and the cluster has given it up. It drops what it has, and may join anew.
    Removed(NodeId),
    /// It takes no part in the group any more, and will not before it is started anew.
    Failed(GroupError),
}

/// Something that only who leads can do.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) question: Question,
    pub(super) reply: Reply,
}

/// Where the answer goes. Whoever waits finds it closed if there is none, and asks again.
pub(super) type Reply = oneshot::Sender<Result<Answer, GroupRefusal>>;

/// What all parts of the group's node share.
pub(super) struct Group {
    pub(super) me: Me,
    pub(super) identity: Identity,
    pub(super) options: RaftOptions,
    pub(super) raft: Raft,
    pub(super) view: watch::Receiver<Arc<View>>,
    pub(super) peers: Arc<Peers>,
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) disk: Option<Arc<Disk>>,
    pub(super) standing: watch::Sender<Standing>,
    pub(super) holding: Arc<Holding>,
    pub(super) heard: Heard,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = f.debug_struct("Group");
        text.field("me", &self.me).field("identity", &self.identity).field("cluster", &self.peers.cluster());
        text.finish_non_exhaustive()
    }
}

/// Where the group is led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Led {
    /// In this process.
    Here,
    /// By the node at this address.
    At(String),
    /// Nobody is known to lead.
    Nowhere,
}

impl Group {
    /// The node belongs to that cluster; it keeps so on its disk, if it has not known before.
    pub(super) async fn adopt(&self, cluster: ClusterId) -> Result<(), GroupRefusal> {
        if self.peers.cluster() == cluster {
            return Ok(());
        }
        let known = (cluster, self.me.cluster_name.clone());
        self.peers.adopt(cluster)?;
        let kept = on_disk(self.disk.as_ref(), move |disk| disk.set_fact(CLUSTER, &known)).await;
        kept.map_err(|error| {
            tracing::error!(%error, "the node cannot keep which cluster it belongs to");
            GroupRefusal::NotReady
        })
    }

    /// Why the node takes no part any more.
    pub(super) fn failure(&self, why: &dyn std::fmt::Display) -> GroupError {
        match self.disk.as_ref().and_then(|disk| disk.broken()) {
            Some(error) => GroupError::Data(error.clone()),
            None => GroupError::Ended(why.to_string()),
        }
    }

    /// Where the group is led, as far as this node knows.
    pub(super) fn led(&self, metrics: &Metrics) -> Led {
        let Some(leader) = metrics.current_leader else { return Led::Nowhere };
        if leader == self.identity.0 {
            return Led::Here;
        }
        match metrics.membership_config.membership().get_node(&leader) {
            Some(address) => Led::At(address.clone()),
            None => Led::Nowhere,
        }
    }
}
