//! The commands that change a view, and what each of them does.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::join::{JoinRefusal, Joiner};
use super::{MemberStatus, Placement, Targets, View};
use crate::ids::{ClusterId, Epoch, Identity, Incarnation, NodeId, SlotId};

/// A change of the view that somebody proposes. Where an epoch stands beside a slot, the slot is left alone if it has another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewCommand {
    /// The cluster begins, without members.
    Found {
        /// Drawn at random; not 0.
        cluster: ClusterId,
        /// How many slots it has, for ever; not 0.
        n_slots: u16,
        /// How many copies of each slot there should be.
        copies: u8,
    },
    /// A process wants to be a member.
    Join {
        /// Its name.
        name: String,
        /// Where it answers control calls, as `host:port`.
        address: String,
        /// The process.
        incarnation: Incarnation,
        /// Who it is in the Raft group.
        identity: Identity,
        /// The member of the same identity, whose process is gone, and which makes way.
        replaces: Option<NodeId>,
    },
    /// A member wants to go.
    Leave(NodeId),
    /// A member is gone: its lease is over. It keeps its place in the slots of which no other copy is alive, and is suspected
    /// as long as there are such slots. Only who leads the Raft group proposes it, and grants the node nothing meanwhile.
    Remove {
        /// The member.
        node: NodeId,
        /// The nodes that have a lease: one of them goes on where the member was.
        alive: BTreeSet<NodeId>,
    },
    /// A member that was suspected is back.
    Restore(NodeId),
    /// A suspected member is gone for good, and what only it had is lost. Proposed like `Remove`.
    Forget(NodeId),
    /// These copies are too many, or their primary cannot reach them: it goes on without them.
    DropCopies(Vec<(SlotId, Epoch, NodeId)>),
    /// These nodes are to be given copies.
    StartCopies(Vec<(SlotId, Epoch, NodeId)>),
    /// These copies hold all that counts, says their primary.
    CopiesDone(Vec<(SlotId, Epoch, NodeId)>),
    /// These copies will not be finished.
    CopiesFailed(Vec<(SlotId, Epoch, NodeId)>),
    /// The primaries of these slots have stopped to serve, and these nodes, which hold all that they hold, go on.
    HandOver(Vec<(SlotId, Epoch, NodeId)>),
    /// What was lost is given up: these slots, if they are lost, begin anew, empty.
    AcceptLoss(Vec<(SlotId, Epoch)>),
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Changed {
    /// The view is another one now.
    Yes,
    /// Nothing: it was proposed from an older view, or has been done before.
    No,
    /// The process is a member, of this number.
    Joined(NodeId),
    /// The process cannot be a member.
    Refused(JoinRefusal),
}

impl View {
    /// Carries a command out. The version grows if anything changed.
    pub fn apply(&mut self, command: &ViewCommand) -> Changed {
        let changed = match command {
            ViewCommand::Found { cluster, n_slots, copies } => self.found(*cluster, *n_slots, *copies),
            ViewCommand::Join { name, address, incarnation, identity, replaces } => {
                let (incarnation, identity, replaces) = (*incarnation, *identity, *replaces);
                return self.join(&Joiner { name, address, incarnation, identity, replaces });
            }
            ViewCommand::Leave(node) => self.change_status(*node, MemberStatus::Up, MemberStatus::Leaving),
            ViewCommand::Remove { node, alive } => self.remove(*node, alive),
            ViewCommand::Restore(node) => self.change_status(*node, MemberStatus::Suspect, MemberStatus::Up),
            ViewCommand::Forget(node) => {
                let is_suspect = self.members.get(node).is_some_and(|member| member.status == MemberStatus::Suspect);
                is_suspect && self.forget(*node)
            }
            ViewCommand::DropCopies(slots) => {
                self.each(slots, |at, node| at.primary != Some(node) && at.in_sync.len() > 1 && take_out(at, node))
            }
            ViewCommand::StartCopies(slots) => self.start_copies(slots),
            ViewCommand::CopiesDone(slots) => self.each(slots, copy_done),
            ViewCommand::CopiesFailed(slots) => self.each(slots, |at, node| at.joining == Some(node) && stop_copy(at)),
            ViewCommand::HandOver(slots) => self.each(slots, hand_over),
            ViewCommand::AcceptLoss(slots) => self.accept_loss(slots),
        };
        if !changed {
            return Changed::No;
        }
        self.version.0 += 1;
        Changed::Yes
    }

    /// Whether `Remove` of that node, with these alive, would change anything.
    pub fn is_removable(&self, node: NodeId, alive: &BTreeSet<NodeId>) -> bool {
        let Some(member) = self.members.get(&node) else { return false };
        member.status != MemberStatus::Suspect
            || !self.slots.iter().any(|placement| placement.in_sync.contains(&node))
            || self.slots.iter().any(|at| at.joining == Some(node) || can_spare(at, node, alive))
    }

    fn found(&mut self, cluster: ClusterId, n_slots: u16, copies: u8) -> bool {
        if self.cluster != ClusterId(0) || cluster == ClusterId(0) || n_slots == 0 {
            return false;
        }
        (self.cluster, self.copies) = (cluster, copies.max(1));
        self.slots = vec![Placement::default(); usize::from(n_slots)];
        true
    }

    fn change_status(&mut self, node: NodeId, from: MemberStatus, to: MemberStatus) -> bool {
        match self.members.get_mut(&node) {
            Some(member) if member.status == from => {
                member.status = to;
                true
            }
            _ => false,
        }
    }

    /// Takes a node whose lease is over out of every slot that has another copy on a living node.
    fn remove(&mut self, node: NodeId, alive: &BTreeSet<NodeId>) -> bool {
        if !self.is_removable(node, alive) {
            return false;
        }
        self.take_out_where(node, |placement| can_spare(placement, node, alive), |other| alive.contains(&other));
        if !self.slots.iter().any(|placement| placement.in_sync.contains(&node)) {
            self.members.remove(&node);
        } else if let Some(member) = self.members.get_mut(&node) {
            member.status = MemberStatus::Suspect;
        }
        true
    }

    /// Takes a node that is gone for good out of every slot; those of which it had the last copy are lost.
    pub(super) fn forget(&mut self, node: NodeId) -> bool {
        if self.members.remove(&node).is_none() {
            return false;
        }
        let up: BTreeSet<NodeId> = self.members.keys().copied().filter(|&other| self.is_up(other)).collect();
        self.take_out_where(node, |placement| placement.in_sync.len() > 1, |other| up.contains(&other));
        for placement in self.slots.iter_mut().filter(|placement| placement.in_sync == [node]) {
            placement.epoch.0 += 1;
            placement.in_sync.clear();
            (placement.primary, placement.joining) = (None, None);
        }
        true
    }

    /// Takes a node out of the slots that can spare it. Where it was primary, the one goes on that the ring likes best, of those
    /// that may if there are any.
    fn take_out_where(
        &mut self,
        node: NodeId,
        can_spare: impl Fn(&Placement) -> bool,
        may_go_on: impl Fn(NodeId) -> bool,
    ) {
        let targets = Targets::of(self);
        for (slot, placement) in (0..).map(SlotId).zip(&mut self.slots) {
            if placement.joining == Some(node) {
                stop_copy(placement);
            }
            if !placement.in_sync.contains(&node) || !can_spare(placement) {
                continue;
            }
            take_out(placement, node);
            if placement.primary == Some(node) {
                let liked = targets.order(slot).iter().chain(&placement.in_sync);
                let mut holders = liked.copied().filter(|other| placement.in_sync.contains(other));
                let first = placement.in_sync.first().copied();
                // A copy that was being made by the old primary is begun anew by the next one.
                (placement.primary, placement.joining) = (holders.find(|&other| may_go_on(other)).or(first), None);
            }
        }
    }

    fn start_copies(&mut self, slots: &[(SlotId, Epoch, NodeId)]) -> bool {
        let may_join: Vec<_> = slots.iter().copied().filter(|&(_, _, node)| self.is_up(node)).collect();
        self.each(&may_join, |at, node| {
            let may = at.joining.is_none() && at.primary.is_some() && !at.in_sync.contains(&node);
            if may {
                at.joining = Some(node);
            }
            may
        })
    }

    fn accept_loss(&mut self, slots: &[(SlotId, Epoch)]) -> bool {
        let targets = Targets::of(self);
        let mut changed = false;
        for &(slot, epoch) in slots {
            if let Some(placement) = self.slots.get_mut(usize::from(slot.0))
                && placement.epoch == epoch
                && placement.primary.is_none()
                && let Some(&node) = targets.order(slot).first()
            {
                *placement = begun(Epoch(epoch.0 + 1), node, placement.generation + 1);
                changed = true;
            }
        }
        changed
    }

    /// Changes the slots that have the epochs which are named; says whether any was changed.
    fn each(
        &mut self,
        slots: &[(SlotId, Epoch, NodeId)],
        mut change: impl FnMut(&mut Placement, NodeId) -> bool,
    ) -> bool {
        let mut changed = false;
        for &(slot, epoch, node) in slots {
            if let Some(placement) = self.slots.get_mut(usize::from(slot.0))
                && placement.epoch == epoch
            {
                changed |= change(placement, node);
            }
        }
        changed
    }
}

/// A slot that has no data yet.
pub(super) fn begun(epoch: Epoch, node: NodeId, generation: u32) -> Placement {
    Placement { epoch, primary: Some(node), in_sync: vec![node], generation, ..Placement::default() }
}

/// Whether `node` has a copy, and another that is alive has one too.
fn can_spare(placement: &Placement, node: NodeId, alive: &BTreeSet<NodeId>) -> bool {
    placement.in_sync.contains(&node) && placement.in_sync.iter().any(|other| *other != node && alive.contains(other))
}

fn take_out(placement: &mut Placement, node: NodeId) -> bool {
    let before = placement.in_sync.len();
    placement.in_sync.retain(|&other| other != node);
    let changed = placement.in_sync.len() < before;
    placement.epoch.0 += u64::from(changed);
    changed
}

/// Ends a copy that is being made. The epoch grows, so that a late word on this copy says nothing of the next one to that node.
fn stop_copy(placement: &mut Placement) -> bool {
    placement.joining = None;
    placement.epoch.0 += 1;
    true
}

fn copy_done(placement: &mut Placement, node: NodeId) -> bool {
    if placement.joining != Some(node) {
        return false;
    }
    placement.joining = None;
    placement.in_sync.push(node);
    placement.epoch.0 += 1;
    true
}

/// It does not ask whether `to` is up: the primary has stopped, and goes on only in another epoch.
fn hand_over(placement: &mut Placement, to: NodeId) -> bool {
    if placement.primary == Some(to) || !placement.in_sync.contains(&to) {
        return false;
    }
    (placement.primary, placement.joining) = (Some(to), None);
    placement.epoch.0 += 1;
    true
}
