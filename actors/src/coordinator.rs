//! The coordinator: proposes what brings the cluster to where the ring wants it. It runs where the Raft group's leader
//! is.
//!
//! It decides nothing: whatever it proposes is a command that leaves alone what has changed meanwhile. It keeps no
//! state that another coordinator would need.

mod backoff;

use std::collections::{BTreeMap, BTreeSet};

use crate::granter::Granter;
use crate::ids::{Epoch, Identity, NodeId, SlotId};
use crate::view::{MemberStatus, Placement, Targets, View, ViewCommand};

use backoff::Backoff;

/// How fast the coordinator moves copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoordinatorSettings {
    /// The most copies that are being made at a time in the cluster.
    pub copies_max: usize,
    /// The most of them from or to one node.
    pub copies_per_node_max: usize,
    /// For how long a node is left alone with a slot of which a copy to it failed once, in milliseconds; twice as long
    /// each time.
    pub backoff_ms: u64,
    /// The longest such time, in milliseconds.
    pub backoff_ms_max: u64,
}

impl Default for CoordinatorSettings {
    fn default() -> Self {
        Self { copies_max: 256, copies_per_node_max: 128, backoff_ms: 500, backoff_ms_max: 60_000 }
    }
}

/// A copy that is being made, as it was seen last.
#[derive(Clone, Copy, Debug)]
struct Copying {
    node: NodeId,
    primary: Option<NodeId>,
    was_cancelled: bool,
}

/// Plans the next changes of the view. One that has just begun to lead starts from nothing.
#[derive(Debug, Default)]
pub struct Coordinator {
    settings: CoordinatorSettings,
    targets: Targets,
    copying: BTreeMap<SlotId, Copying>,
    backoff: Backoff,
    given_up: BTreeSet<(SlotId, NodeId)>,
}

type Slots = Vec<(SlotId, Epoch, NodeId)>;

impl Coordinator {
    /// One that has seen nothing yet.
    pub fn new(settings: CoordinatorSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Where the ring would have the slots of the view that was seen last.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// A copy that is being made takes too long: the next step ends it, and tries another node if the slot needs one.
    pub fn give_up(&mut self, slot: SlotId, node: NodeId) {
        self.given_up.insert((slot, node));
    }

    /// What to propose now, given the view that is installed and the voters of the Raft group; nothing while the
    /// granter does not lead.
    ///
    /// Nodes that are to be removed are held by `granter` from here on: whoever proposes the removal releases them when
    /// it has been answered, and passes in a view that has the answer from then on.
    pub fn step(
        &mut self,
        view: &View,
        granter: &mut Granter,
        voters: &BTreeSet<Identity>,
        now: u64,
    ) -> Vec<ViewCommand> {
        let overdue = granter.overdue(view, now);
        let alive = granter.alive(now);
        self.targets.refresh(view);
        self.observe(view, now);
        let members = self.plan_members(view, granter, &overdue, &alive, voters);
        // The rest would be planned for a view that is about to change.
        if !members.is_empty() || !granter.is_settled(now) {
            return members;
        }
        let stopped = ViewCommand::CopiesFailed(self.plan_stops(view, &alive));
        let dropped = ViewCommand::DropCopies(self.plan_drops(view, &alive));
        let started = ViewCommand::StartCopies(self.plan_starts(view, &alive, now));
        [stopped, dropped, started].into_iter().filter(|command| !is_empty(command)).collect()
    }

    /// Learns from the view which copies failed.
    fn observe(&mut self, view: &View, now: u64) {
        let before = std::mem::take(&mut self.copying);
        for (slot, placement) in view.iter() {
            let earlier = before.get(&slot);
            if let Some(&Copying { node, primary, was_cancelled }) = earlier
                && placement.joining != Some(node)
            {
                if placement.in_sync.contains(&node) {
                    self.backoff.succeeded(slot, node);
                } else if primary == placement.primary && !was_cancelled {
                    self.backoff.failed(slot, node, now, &self.settings);
                }
            }
            if let Some(node) = placement.joining {
                let same = earlier.filter(|earlier| earlier.node == node).copied();
                let seen = Copying { node, primary: placement.primary, was_cancelled: false };
                self.copying.insert(slot, same.unwrap_or(seen));
            }
        }
        self.backoff.forget_old(view, now, &self.settings);
        self.given_up.retain(|(slot, node)| self.copying.get(slot).is_some_and(|copying| copying.node == *node));
    }

    fn plan_members(
        &self,
        view: &View,
        granter: &mut Granter,
        overdue: &BTreeSet<NodeId>,
        alive: &BTreeSet<NodeId>,
        voters: &BTreeSet<Identity>,
    ) -> Vec<ViewCommand> {
        let mut commands = Vec::new();
        for (&node, member) in &view.members {
            let has_left = member.status == MemberStatus::Leaving
                && !view.holds_copies(node)
                && !voters.contains(&member.identity);
            if granter.is_held(node) {
                continue;
            }
            if member.status == MemberStatus::Suspect && alive.contains(&node) {
                commands.push(ViewCommand::Restore(node));
            } else if has_left || (overdue.contains(&node) && view.is_removable(node, alive)) {
                granter.hold(node);
                commands.push(ViewCommand::Remove { node, alive: alive.clone() });
            }
        }
        commands
    }

    /// The copies that are not to be finished: one end is away, they take too long, or the slot has what it needs
    /// without them.
    fn plan_stops(&mut self, view: &View, alive: &BTreeSet<NodeId>) -> Slots {
        let mut stopped = Slots::new();
        for (slot, placement) in view.iter() {
            let (Some(node), Some(primary)) = (placement.joining, placement.primary) else { continue };
            let is_needed = self.targets.of_slot(slot).contains(&node) || self.is_short(view, placement);
            let is_slow = self.given_up.contains(&(slot, node));
            let goes_on = view.is_up(node) && alive.contains(&node) && alive.contains(&primary) && is_needed;
            if goes_on && !is_slow {
                continue;
            }
            if let Some(copying) = self.copying.get_mut(&slot) {
                copying.was_cancelled = !is_slow;
            }
            stopped.push((slot, placement.epoch, node));
        }
        stopped
    }

    /// The copies that the ring does not want, of slots that have enough living ones without them. One of each slot at
    /// a time, as the epoch is another one then.
    fn plan_drops(&self, view: &View, alive: &BTreeSet<NodeId>) -> Slots {
        // Where nobody is up no copy is wanted, and yet one of them must be there when somebody is back.
        let enough = self.targets.n_copies().max(1);
        let surplus = |slot: SlotId, placement: &Placement| {
            let is_wanted = |node: &NodeId| self.targets.of_slot(slot).contains(node);
            let n_alive = |but: NodeId| placement.in_sync.iter().filter(|&&n| n != but && alive.contains(&n)).count();
            let may_go =
                |node: &NodeId| placement.primary != Some(*node) && !is_wanted(node) && n_alive(*node) >= enough;
            placement.in_sync.iter().copied().find(may_go).map(|node| (slot, placement.epoch, node))
        };
        let is_at_rest = |placement: &Placement| placement.joining.is_none() && placement.in_sync.len() > enough;
        view.iter().filter(|(_, at)| is_at_rest(at)).filter_map(|(slot, at)| surplus(slot, at)).collect()
    }

    /// The copies that are missing: first where there are too few, then where they are not where the ring wants them.
    fn plan_starts(&self, view: &View, alive: &BTreeSet<NodeId>, now: u64) -> Slots {
        let mut load = Load::of(view);
        let (short, rest): (Vec<_>, Vec<_>) = view.iter().partition(|(_, placement)| self.is_short(view, placement));
        let mut started = Slots::new();
        for (slot, placement) in short.into_iter().chain(rest) {
            let Some(primary) = placement.primary.filter(|primary| alive.contains(primary)) else { continue };
            if placement.joining.is_some() {
                continue;
            }
            if let Some(node) = self.next_copy(view, slot, now)
                && alive.contains(&node)
                && load.take(primary, node, &self.settings)
            {
                started.push((slot, placement.epoch, node));
            }
        }
        started
    }

    /// The node that should be given a copy: one that the ring wants to have it; if the slot has too few and a copy to
    /// that one failed lately, the next on the ring.
    fn next_copy(&self, view: &View, slot: SlotId, now: u64) -> Option<NodeId> {
        let placement = view.placement(slot)?;
        let nodes = if self.is_short(view, placement) { self.targets.order(slot) } else { self.targets.of_slot(slot) };
        let may_join = |node: &&NodeId| !placement.in_sync.contains(node) && !self.backoff.is_on(slot, **node, now);
        nodes.iter().find(may_join).copied()
    }

    /// Whether a slot has too few copies on nodes that stay.
    fn is_short(&self, view: &View, placement: &Placement) -> bool {
        placement.in_sync.iter().filter(|&&node| view.is_up(node)).count() < self.targets.n_copies()
    }
}

fn is_empty(command: &ViewCommand) -> bool {
    use ViewCommand::{CopiesFailed, DropCopies, StartCopies};
    matches!(command, CopiesFailed(slots) | DropCopies(slots) | StartCopies(slots) if slots.is_empty())
}

/// How many copies are being made, and from and to whom.
struct Load {
    total: usize,
    of_node: BTreeMap<NodeId, usize>,
}

impl Load {
    fn of(view: &View) -> Self {
        let mut load = Self { total: 0, of_node: BTreeMap::new() };
        for placement in &view.slots {
            if let (Some(node), Some(primary)) = (placement.joining, placement.primary) {
                load.add(primary, node);
            }
        }
        load
    }

    fn add(&mut self, from: NodeId, to: NodeId) {
        self.total += 1;
        *self.of_node.entry(from).or_default() += 1;
        *self.of_node.entry(to).or_default() += 1;
    }

    /// Takes a place for one more copy, if there is one.
    fn take(&mut self, from: NodeId, to: NodeId, settings: &CoordinatorSettings) -> bool {
        let of = |node: NodeId| self.of_node.get(&node).copied().unwrap_or_default();
        let has_room = self.total < settings.copies_max && of(from).max(of(to)) < settings.copies_per_node_max;
        if has_room {
            self.add(from, to);
        }
        has_room
    }
}

#[cfg(test)]
mod tests;
