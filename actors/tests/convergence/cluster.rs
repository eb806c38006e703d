//! Nodes without content, their clocks, and the coordinator that they have.

use std::collections::{BTreeMap, BTreeSet};

use greenroom::{
    Changed, ClusterId, Coordinator, CoordinatorSettings, Epoch, Granter, Identity, Incarnation, Lease, LeaseSettings,
    MemberStatus, NodeId, RenewalAnswer, RenewalId, SlotId, TableVersion, Targets, View, ViewCommand,
};

pub(crate) const SLOTS: u16 = 64;
const STEP_MS: u64 = 20;
const SETTINGS: CoordinatorSettings =
    CoordinatorSettings { copies_max: 32, copies_per_node_max: 16, backoff_ms: 500, backoff_ms_max: 4000 };

/// Draws numbers from a seed (Steele and others, "Fast Splittable Pseudorandom Number Generators", 2014).
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }
}

/// A process that has joined.
pub(crate) struct Node {
    lease: Lease,
    /// Its clock, in thousandths of real time.
    rate: u64,
    /// The version of the view that it has installed.
    installed: TableVersion,
    primary_of: BTreeMap<SlotId, Epoch>,
    pub(crate) stalled_until: u64,
    pub(crate) wants_to_go: bool,
}

impl Node {
    fn clock(&self, now: u64) -> u64 {
        now * self.rate / 1000
    }

    fn is_stalled(&self, now: u64) -> bool {
        now < self.stalled_until
    }
}

pub(crate) struct Cluster {
    pub(crate) draws: Draws,
    pub(crate) now: u64,
    pub(crate) view: View,
    granter: Granter,
    coordinator: Coordinator,
    term: u64,
    voters: BTreeSet<Identity>,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    /// What the primaries keep.
    targets: Targets,
    /// Commands on their way, with the time at which they are applied.
    proposed: Vec<(u64, ViewCommand)>,
    /// Renewals on their way to the granter.
    renewals: Vec<(u64, NodeId, RenewalId)>,
    copies: BTreeMap<(SlotId, Epoch, NodeId), u64>,
    pub(crate) n_started: usize,
    pub(crate) n_handed_over: usize,
    pub(crate) failing_one_in: u64,
}

impl Cluster {
    pub(crate) fn new(seed: u64, n_nodes: u64, copies: u8) -> Self {
        let mut view = View::default();
        view.apply(&ViewCommand::Found { cluster: ClusterId(1), n_slots: SLOTS, copies });
        let mut granter = Granter::new(LeaseSettings::default());
        granter.became_leader(0, 1);
        let mut cluster = Self {
            draws: Draws(seed),
            now: 0,
            view,
            granter,
            coordinator: Coordinator::new(SETTINGS),
            term: 1,
            voters: BTreeSet::new(),
            nodes: BTreeMap::new(),
            targets: Targets::default(),
            proposed: Vec::new(),
            renewals: Vec::new(),
            copies: BTreeMap::new(),
            n_started: 0,
            n_handed_over: 0,
            failing_one_in: 20,
        };
        (0..n_nodes).for_each(|_| cluster.join(None));
        cluster
    }

    /// A new process joins; with the disk of `earlier`, which is dead, if that is given.
    pub(crate) fn join(&mut self, earlier: Option<NodeId>) {
        let drawn = self.draws.below(u64::MAX - 1) + 1;
        let member = earlier.and_then(|node| self.view.members.get(&node)).cloned();
        let name = member.as_ref().map_or_else(|| format!("n{drawn:x}"), |member| member.name.clone());
        let identity = member.as_ref().map_or(Identity(drawn), |member| member.identity);
        let replaces = member.map(|member| member.node);
        let command =
            ViewCommand::Join { name, address: "h:1".into(), incarnation: Incarnation(drawn), identity, replaces };
        let before = self.view.clone();
        let Changed::Joined(node) = self.view.apply(&command) else { panic!("{command:?} was refused") };
        self.check(&before, &command);
        let joined = Node {
            lease: Lease::new(LeaseSettings::default()),
            rate: 940 + self.draws.below(120),
            installed: self.view.version,
            primary_of: BTreeMap::new(),
            stalled_until: 0,
            wants_to_go: false,
        };
        self.nodes.insert(node, joined);
    }

    fn propose(&mut self, command: ViewCommand) {
        let at = self.now + self.draws.below(60);
        self.proposed.push((at, command));
    }

    /// One step of everybody.
    fn step(&mut self) {
        self.now += STEP_MS;
        let now = self.now;
        self.run_nodes(now);
        self.run_granter(now);
        // Whoever proposes for the cluster waits for the answers before it goes on.
        let commands = self.coordinator.step(&self.view, &mut self.granter, &self.voters, now);
        for command in commands {
            self.n_started += if let ViewCommand::StartCopies(slots) = &command { slots.len() } else { 0 };
            match command {
                ViewCommand::Remove { .. } => self.propose(command),
                other => self.apply(&other),
            }
        }
        let alive = self.granter.alive(now);
        if let Some(voters) = self.view.voters(&self.voters, &alive) {
            self.voters = voters;
        }
        let (due, later) = std::mem::take(&mut self.proposed).into_iter().partition(|(at, _)| *at <= now);
        self.proposed = later;
        let due: Vec<_> = due;
        for (_, command) in due {
            self.apply(&command);
            if let ViewCommand::Remove { node, .. } = command {
                self.granter.release(node);
            }
        }
    }

    fn run_nodes(&mut self, now: u64) {
        let mut targets = std::mem::take(&mut self.targets);
        targets.refresh(&self.view);
        let (mut hand_over, mut leaving) = (Vec::new(), Vec::new());
        for (&id, node) in self.nodes.iter_mut().filter(|(_, node)| !node.is_stalled(now)) {
            if !self.draws.one_in(4) && node.installed != self.view.version {
                let primary = self.view.iter().filter(|(_, placement)| placement.primary == Some(id));
                node.primary_of = primary.map(|(slot, placement)| (slot, placement.epoch)).collect();
                node.installed = self.view.version;
            }
            if node.lease.is_renewal_due(node.clock(now)) {
                let renewal = node.lease.renewal_sent(node.clock(now));
                self.renewals.push((now + self.draws.below(80), id, renewal));
            }
            if node.wants_to_go && self.view.is_up(id) {
                leaving.push(ViewCommand::Leave(id));
            }
            for (&slot, &epoch) in &node.primary_of {
                let placement = &self.view.slots[usize::from(slot.0)];
                if placement.epoch == epoch
                    && placement.primary == Some(id)
                    && let Some(to) = targets.wanted_primary(&self.view, slot)
                {
                    hand_over.push((slot, epoch, to));
                }
            }
        }
        self.targets = targets;
        leaving.iter().for_each(|command| self.apply(command));
        self.n_handed_over += hand_over.len();
        if !hand_over.is_empty() {
            self.apply(&ViewCommand::HandOver(hand_over));
        }
        self.run_copies(now);
    }

    /// Copies are done after a while, if both ends run.
    fn run_copies(&mut self, now: u64) {
        let joining: Vec<_> =
            self.view.iter().filter_map(|(slot, at)| Some((slot, at.epoch, at.joining?, at.primary?))).collect();
        let before = std::mem::take(&mut self.copies);
        for (slot, epoch, node, primary) in joining {
            let fresh = now + 20 + self.draws.below(300);
            let done_at = before.get(&(slot, epoch, node)).copied().unwrap_or(fresh);
            let runs = |id: NodeId| self.nodes.get(&id).is_some_and(|node| !node.is_stalled(now));
            if now < done_at || !runs(node) || !runs(primary) {
                self.copies.insert((slot, epoch, node), done_at);
                continue;
            }
            let fails = self.failing_one_in > 0 && self.draws.one_in(self.failing_one_in);
            let end = if fails { ViewCommand::CopiesFailed } else { ViewCommand::CopiesDone };
            self.apply(&end(vec![(slot, epoch, node)]));
        }
    }

    fn run_granter(&mut self, now: u64) {
        for (at, node, id) in std::mem::take(&mut self.renewals) {
            if at <= now {
                self.granter.renewal(node, id);
            } else {
                self.renewals.push((at, node, id));
            }
        }
        self.granter.begin_round();
        for answer in self.granter.confirmed(&self.view, now) {
            match answer {
                RenewalAnswer::Granted(node, id, version) => {
                    if let Some(node) = self.nodes.get_mut(&node) {
                        node.lease.granted(id, version);
                    }
                }
                // It drops what it has, and joins anew.
                RenewalAnswer::NotMember(node, _) => {
                    if self.nodes.remove(&node).is_some_and(|node| !node.wants_to_go) {
                        self.join(None);
                    }
                }
            }
        }
    }

    fn apply(&mut self, command: &ViewCommand) {
        let before = self.view.clone();
        self.view.apply(command);
        self.check(&before, command);
    }

    /// The view is sound, and no primary that has a lease is passed over.
    fn check(&self, before: &View, command: &ViewCommand) {
        assert_eq!(self.view.check(), Ok(()), "{command:?}");
        assert_eq!(self.view.check_after(before), Ok(()), "{command:?}");
        if let ViewCommand::Remove { node, .. } = command
            && let Some(removed) = self.nodes.get(node)
        {
            let is_valid = removed.lease.is_valid(removed.clock(self.now), removed.installed);
            assert!(!is_valid || !before.holds_copies(*node), "{command:?} while it has a lease");
        }
    }

    pub(crate) fn run(&mut self, ms: u64) {
        (0..ms / STEP_MS).for_each(|_| self.step());
    }

    /// Something happens to a node.
    pub(crate) fn trouble(&mut self) {
        let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
        let node = nodes[usize::try_from(self.draws.below(nodes.len() as u64)).expect("few nodes")];
        match self.draws.below(8) {
            0 => self.join(None),
            1 if nodes.len() > 3 => {
                self.nodes.get_mut(&node).expect("it was drawn").wants_to_go = true;
            }
            2 if nodes.len() > 3 => _ = self.nodes.remove(&node),
            3 => {
                self.nodes.remove(&node);
                self.join(Some(node));
            }
            4 | 5 => {
                let until = self.now + self.draws.below(3000);
                self.nodes.get_mut(&node).expect("it was drawn").stalled_until = until;
            }
            6 => {
                self.term += 1;
                self.granter.became_leader(self.now, self.term);
                self.coordinator = Coordinator::new(SETTINGS);
            }
            // The coordinator stands still, and everybody else goes on.
            _ => {
                let until = self.now + self.draws.below(2000);
                while self.now < until {
                    self.now += STEP_MS;
                    self.run_nodes(self.now);
                }
            }
        }
    }

    /// Heals everything: who is gone for good is forgotten, what is lost is given up.
    pub(crate) fn heal(&mut self) {
        self.failing_one_in = 0;
        self.nodes.values_mut().for_each(|node| node.stalled_until = 0);
        self.run(3000);
        let gone: Vec<NodeId> =
            self.view.members.keys().filter(|node| !self.nodes.contains_key(node)).copied().collect();
        gone.into_iter().for_each(|node| self.apply(&ViewCommand::Forget(node)));
        let lost = self.view.iter().filter(|(_, at)| at.primary.is_none()).map(|(slot, at)| (slot, at.epoch)).collect();
        self.apply(&ViewCommand::AcceptLoss(lost));
        self.run(30_000);
    }

    /// Every slot has its copies on distinct living nodes, where the ring wants them, and no more.
    pub(crate) fn check_rest(&self) {
        let targets = Targets::of(&self.view);
        let living: BTreeSet<NodeId> =
            self.nodes.iter().filter(|(_, node)| !node.wants_to_go).map(|(&id, _)| id).collect();
        let members: BTreeSet<NodeId> = self.view.members.keys().copied().collect();
        assert_eq!(members, living, "who has gone is no member, and all others are");
        assert!(self.view.members.values().all(|member| member.status == MemberStatus::Up));
        for (slot, placement) in self.view.iter() {
            let wanted: BTreeSet<NodeId> = targets.of_slot(slot).iter().copied().collect();
            let have: BTreeSet<NodeId> = placement.in_sync.iter().copied().collect();
            assert_eq!(wanted.len(), living.len().min(usize::from(self.view.copies)));
            assert_eq!(have, wanted, "slot {slot}: {placement:?}");
            assert_eq!(placement.primary, targets.of_slot(slot).first().copied(), "slot {slot}");
            assert_eq!(placement.joining, None, "slot {slot}");
        }
    }
}
