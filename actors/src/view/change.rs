//! The commands that change a view, and what each of them does.

use serde::{Deserialize, Serialize};

use super::{MemberStatus, Placement, View, ViewMember};
use crate::ids::{ClusterId, Epoch, Identity, Incarnation, NodeId, SlotId};

/// A change of the view that somebody proposes. Where an epoch stands beside a slot, the slot is left alone if it has another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewCommand {
    /// The cluster begins, without members.
    Found {
        /// Drawn at random.
        cluster: ClusterId,
        /// How many slots it has, for ever.
        n_slots: u16,
        /// How many copies of each slot there should be.
        copies: u8,
    },
    /// A process wants to be a member. One of the same name and identity, whose process is gone, makes way.
    Join {
        /// Its name.
        name: String,
        /// Where it answers control calls, as `host:port`.
        address: String,
        /// The process.
        incarnation: Incarnation,
        /// Who it is in the Raft group.
        identity: Identity,
    },
    /// A member wants to go.
    Leave(NodeId),
    /// A member is gone: its lease is over. It keeps the slots of which it has the last copy, and the cluster waits for it.
    Remove(NodeId),
    /// A member that was suspected is back.
    Restore(NodeId),
    /// A member is gone for good, and what only it had is lost.
    Forget(NodeId),
    /// The primaries of these slots cannot reach these backups, and go on without them.
    DropCopies(Vec<(SlotId, Epoch, NodeId)>),
    /// These nodes are to be given copies.
    StartCopies(Vec<(SlotId, Epoch, NodeId)>),
    /// These copies hold all that counts, says their primary.
    CopiesDone(Vec<(SlotId, Epoch, NodeId)>),
    /// These copies will not be finished.
    CopiesFailed(Vec<(SlotId, Epoch, NodeId)>),
    /// The primaries of these slots have stopped to serve, and these nodes, which hold all that they hold, go on.
    HandOver(Vec<(SlotId, Epoch, NodeId)>),
    /// What was lost is given up: lost slots begin anew, empty.
    AcceptLoss,
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

/// Why a process cannot join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum JoinRefusal {
    /// Another process has that name.
    #[error(
        "a node named `{name}` is a member already, at {address}; it is removed if it is gone, and may be tried again"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Where the other one is.
        address: String,
    },
    /// There is no cluster yet.
    #[error("the cluster has not been founded")]
    NotFounded,
}

impl View {
    /// Carries a command out. The version grows if anything changed.
    pub fn apply(&mut self, command: &ViewCommand) -> Changed {
        let changed = match command {
            ViewCommand::Found { cluster, n_slots, copies } => self.found(*cluster, *n_slots, *copies),
            ViewCommand::Join { name, address, incarnation, identity } => {
                return self.join(name, address, *incarnation, *identity);
            }
            ViewCommand::Leave(node) => self.set_status(*node, MemberStatus::Up, MemberStatus::Leaving),
            ViewCommand::Remove(node) => self.remove(*node),
            ViewCommand::Restore(node) => self.set_status(*node, MemberStatus::Suspect, MemberStatus::Up),
            ViewCommand::Forget(node) => self.forget(*node),
            ViewCommand::StartCopies(slots) => self.start_copies(slots),
            ViewCommand::CopiesDone(slots) => self.each(slots.iter().copied(), copy_done),
            ViewCommand::CopiesFailed(slots) => self.each(slots.iter().copied(), |at, node| {
                let was = at.joining == Some(node);
                if was {
                    // A word on the copy that failed says nothing of the next one.
                    at.joining = None;
                    at.epoch.0 += 1;
                }
                was
            }),
            ViewCommand::HandOver(slots) => self.each(slots.iter().copied(), hand_over),
            ViewCommand::DropCopies(slots) => {
                self.each(slots.iter().copied(), |at, node| at.primary != Some(node) && take_out(at, node))
            }
            ViewCommand::AcceptLoss => self.accept_loss(),
        };
        if changed {
            self.version.0 += 1;
        }
        if changed { Changed::Yes } else { Changed::No }
    }

    fn found(&mut self, cluster: ClusterId, n_slots: u16, copies: u8) -> bool {
        if self.cluster != ClusterId(0) || cluster == ClusterId(0) {
            return false;
        }
        (self.cluster, self.copies) = (cluster, copies.max(1));
        self.slots = vec![Placement::default(); usize::from(n_slots)];
        true
    }

    fn join(&mut self, name: &str, address: &str, incarnation: Incarnation, identity: Identity) -> Changed {
        if self.cluster == ClusterId(0) {
            return Changed::Refused(JoinRefusal::NotFounded);
        }
        if let Some(known) = self.named(name).cloned() {
            if known.incarnation == incarnation {
                return Changed::Joined(known.node);
            }
            if known.identity != identity && known.status != MemberStatus::Suspect {
                let (name, address) = (known.name, known.address);
                return Changed::Refused(JoinRefusal::NameTaken { name, address });
            }
            // What the process before this one held in memory is gone.
            self.forget(known.node);
        }
        let is_first = self.next_node == 0;
        let node = NodeId(self.next_node);
        self.next_node += 1;
        let (name, address) = (name.to_owned(), address.to_owned());
        let status = MemberStatus::Up;
        self.members.insert(node, ViewMember { node, name, address, incarnation, identity, status });
        if is_first {
            for placement in &mut self.slots {
                *placement = begun(Epoch(1), node, 0);
            }
        }
        self.version.0 += 1;
        Changed::Joined(node)
    }

    fn set_status(&mut self, node: NodeId, from: MemberStatus, to: MemberStatus) -> bool {
        match self.members.get_mut(&node) {
            Some(member) if member.status == from => {
                member.status = to;
                true
            }
            _ => false,
        }
    }

    /// Takes a node whose lease is over out of every slot that has another copy.
    fn remove(&mut self, node: NodeId) -> bool {
        if !self.members.contains_key(&node) {
            return false;
        }
        let preferred = self.targets();
        let (mut is_last, mut changed) = (false, false);
        for (placement, preferred) in self.slots.iter_mut().zip(&preferred) {
            changed |= clear_joining(placement, node);
            if !placement.in_sync.contains(&node) {
                continue;
            }
            if placement.in_sync.len() == 1 {
                is_last = true;
            } else {
                take_out(placement, node);
                if placement.primary == Some(node) {
                    placement.primary = successor(placement, preferred);
                }
                changed = true;
            }
        }
        if is_last {
            let is_new = self.set_status(node, MemberStatus::Up, MemberStatus::Suspect)
                || self.set_status(node, MemberStatus::Leaving, MemberStatus::Suspect);
            return changed || is_new;
        }
        self.members.remove(&node);
        true
    }

    /// Takes a node that is gone for good out of every slot; those of which it had the last copy are lost.
    fn forget(&mut self, node: NodeId) -> bool {
        let was_member = self.members.contains_key(&node);
        self.remove(node);
        for placement in &mut self.slots {
            if placement.in_sync == [node] {
                placement.epoch.0 += 1;
                placement.in_sync.clear();
                (placement.primary, placement.joining) = (None, None);
            }
        }
        self.members.remove(&node);
        was_member
    }

    fn start_copies(&mut self, slots: &[(SlotId, Epoch, NodeId)]) -> bool {
        let members = &self.members;
        let may_join: Vec<_> = slots.iter().copied().filter(|(_, _, node)| members.contains_key(node)).collect();
        self.each(may_join.into_iter(), |at, node| {
            let may = at.joining.is_none() && at.primary.is_some() && !at.in_sync.contains(&node);
            if may {
                at.joining = Some(node);
            }
            may
        })
    }

    fn accept_loss(&mut self) -> bool {
        let targets = self.targets();
        let mut changed = false;
        for (placement, target) in self.slots.iter_mut().zip(&targets) {
            if placement.primary.is_none()
                && let Some(&node) = target.first()
            {
                *placement = begun(Epoch(placement.epoch.0 + 1), node, placement.generation + 1);
                changed = true;
            }
        }
        changed
    }

    /// Changes the slots that have the epochs which are named; says whether any was changed.
    fn each(
        &mut self,
        slots: impl Iterator<Item = (SlotId, Epoch, NodeId)>,
        mut change: impl FnMut(&mut Placement, NodeId) -> bool,
    ) -> bool {
        let mut changed = false;
        for (slot, epoch, node) in slots {
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
fn begun(epoch: Epoch, node: NodeId, generation: u32) -> Placement {
    Placement { epoch, primary: Some(node), in_sync: vec![node], generation, ..Placement::default() }
}

/// The member of `in_sync` that the ring likes best.
fn successor(placement: &Placement, preferred: &[NodeId]) -> Option<NodeId> {
    let liked = preferred.iter().find(|node| placement.in_sync.contains(node));
    liked.or_else(|| placement.in_sync.first()).copied()
}

/// Takes a copy out, unless it is the last one.
fn take_out(placement: &mut Placement, node: NodeId) -> bool {
    if placement.in_sync.len() < 2 || !placement.in_sync.contains(&node) {
        return false;
    }
    placement.in_sync.retain(|&other| other != node);
    placement.epoch.0 += 1;
    true
}

fn clear_joining(placement: &mut Placement, node: NodeId) -> bool {
    // A copy that is being made by a primary which goes is begun anew by the next one.
    let stops = placement.joining == Some(node) || (placement.joining.is_some() && placement.primary == Some(node));
    if stops {
        placement.joining = None;
    }
    stops
}

fn copy_done(placement: &mut Placement, node: NodeId) -> bool {
    if placement.joining != Some(node) || placement.in_sync.contains(&node) {
        return false;
    }
    placement.joining = None;
    placement.in_sync.push(node);
    placement.epoch.0 += 1;
    true
}

fn hand_over(placement: &mut Placement, to: NodeId) -> bool {
    if placement.primary == Some(to) || !placement.in_sync.contains(&to) {
        return false;
    }
    (placement.primary, placement.joining) = (Some(to), None);
    placement.epoch.0 += 1;
    true
}
