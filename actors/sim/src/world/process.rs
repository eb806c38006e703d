//! One process of a node: its copies of slots, its lease, its sessions, and its part in the Raft group.

use std::collections::BTreeMap;
use std::sync::Arc;

use greenroom_actors::{
    CallId, Coordinator, Granter, Host, Identity, Lease, LeaseSettings, Limits, NestedCall, NodeId, Now, ObjectNumber,
    Patience, ShardId, Share, SlotId, Targets, View,
};

use super::actor::Actor;
use super::clock::{Clock, Time};
use super::sessions::Sessions;

/// A process; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessId(pub(crate) usize);

/// A nested call that an object of this process has made.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) slot: SlotId,
    pub(crate) object: ObjectNumber,
    pub(crate) call: NestedCall,
    /// By the clock that only goes forward.
    pub(crate) send_at_ms: u64,
}

/// What a process knows of the Raft group.
#[derive(Debug)]
pub(crate) struct RaftSide {
    pub(crate) term: u64,
    pub(crate) is_leading: bool,
    pub(crate) leader: Option<ProcessId>,
    pub(crate) heard_at_ms: u64,
    pub(crate) timeout_ms: u64,
    /// How much of the log is applied here.
    pub(crate) applied: usize,
    pub(crate) granter: Granter,
    pub(crate) coordinator: Coordinator,
    /// Proposals of the coordinator that have not been answered.
    pub(crate) n_proposed: usize,
    pub(crate) round: u64,
    /// Since when a copy is being made.
    pub(crate) copying: BTreeMap<(SlotId, NodeId), u64>,
}

/// A process.
pub(crate) struct Process {
    pub(crate) machine: usize,
    pub(crate) identity: Identity,
    pub(crate) incarnation: u64,
    pub(crate) is_alive: bool,
    pub(crate) paused_until: Time,
    pub(crate) clock: Clock,
    pub(crate) node: Option<NodeId>,
    pub(crate) replaces: Option<NodeId>,
    pub(crate) wants_to_go: bool,
    pub(crate) asked_to_join_ms: u64,
    pub(crate) host: Host,
    pub(crate) lease: Lease,
    pub(crate) view: Arc<View>,
    pub(crate) targets: Targets,
    pub(crate) actors: BTreeMap<(SlotId, ObjectNumber), Actor>,
    pub(crate) sessions: Sessions,
    pub(crate) nested: BTreeMap<CallId, Origin>,
    /// Who asked for nested calls that this process runs.
    pub(crate) asked_by: BTreeMap<CallId, ProcessId>,
    pub(crate) raft: RaftSide,
}

impl Process {
    pub(crate) fn new(machine: usize, identity: Identity, incarnation: u64, clock: Clock) -> Self {
        let settings = LeaseSettings::default();
        let raft = RaftSide {
            term: 0,
            is_leading: false,
            leader: None,
            heard_at_ms: 0,
            timeout_ms: 400,
            applied: 0,
            granter: Granter::new(settings),
            coordinator: Coordinator::default(),
            n_proposed: 0,
            round: 0,
            copying: BTreeMap::new(),
        };
        Self {
            machine,
            identity,
            incarnation,
            is_alive: true,
            paused_until: 0,
            clock,
            node: None,
            replaces: None,
            wants_to_go: false,
            asked_to_join_ms: 0,
            host: empty_host(NodeId(u32::MAX)),
            lease: Lease::new(settings),
            view: Arc::new(View::default()),
            targets: Targets::default(),
            actors: BTreeMap::new(),
            sessions: Sessions::default(),
            nested: BTreeMap::new(),
            asked_by: BTreeMap::new(),
            raft,
        }
    }

    /// It is a member now.
    pub(crate) fn become_member(&mut self, node: NodeId) {
        self.node = Some(node);
        self.host = empty_host(node);
    }

    /// It is a member no more: it drops everything.
    pub(crate) fn drop_all(&mut self) {
        self.node = None;
        self.host = empty_host(NodeId(u32::MAX));
        self.lease = Lease::new(LeaseSettings::default());
        self.actors.clear();
        self.nested.clear();
        self.asked_by.clear();
        self.sessions = Sessions::default();
    }

    pub(crate) fn is_paused(&self, now: Time) -> bool {
        now < self.paused_until
    }

    pub(crate) fn steady_ms(&self, now: Time) -> u64 {
        self.clock.steady_ms(now)
    }

    pub(crate) fn now(&self, now: Time, seed: u64) -> Now {
        Now { ms: self.clock.wall_ms(now), seed }
    }

    /// Whether it may answer reads now.
    pub(crate) fn has_lease(&self, now: Time) -> bool {
        self.node.is_some() && self.lease.is_valid(self.steady_ms(now), self.host.view().version)
    }

    /// Whether it would answer a read of the slot now.
    pub(crate) fn serves(&self, slot: SlotId, now: Time) -> bool {
        self.is_alive && self.has_lease(now) && self.host.slot(slot).is_some_and(greenroom_actors::Slot::is_serving)
    }
}

fn empty_host(node: NodeId) -> Host {
    Host::new(node, Share { shard: ShardId(0), n_shards: 1 }, Limits::default(), Patience::default())
}
