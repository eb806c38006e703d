//! The view: who belongs to the cluster, and who holds which slot in which epoch.
//!
//! It is the state machine of the one Raft group that a cluster has. Every command is deterministic, and compare-and-set on
//! the epochs that it names, so that whoever proposes from an older view changes nothing. Primary and backups by a
//! configuration kept elsewhere: Lin and others, "PacificA", 2008.

mod change;
mod check;
mod join;
mod targets;
mod voters;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ClusterId, Epoch, Identity, Incarnation, NodeId, SlotId, TableVersion};
use crate::table::{Member, SlotPlace, SlotTable};

pub use change::{Changed, ViewCommand};
pub use join::{JoinRefusal, MEMBERS_MAX, NAME_BYTES_MAX};
pub use targets::Targets;

/// A node of the view. Each process that joins gets a number of its own, which is never given to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewMember {
    /// Its number.
    pub node: NodeId,
    /// Its name; it decides the node's places on the ring, so a node that is started anew is given what it had.
    pub name: String,
    /// Where it answers control calls, as `host:port`.
    pub address: String,
    /// The process.
    pub incarnation: Incarnation,
    /// Who it is in the Raft group: kept on its disk, or drawn anew if it has none.
    pub identity: Identity,
    /// What the cluster thinks of it.
    pub status: MemberStatus,
}

/// What the cluster thinks of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberStatus {
    /// It serves.
    Up,
    /// It wants to go: its slots are moved to others first.
    Leaving,
    /// Its lease is over, and it holds the last copies of some slots: they wait for it. It is `Up` when it is back, and has to
    /// say again that it wants to go if it did.
    Suspect,
}

/// Who holds a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Grows with each change of `primary` or `in_sync`.
    pub epoch: Epoch,
    /// Who orders the slot's calls; `None` if the slot's data is lost.
    pub primary: Option<NodeId>,
    /// Who holds a copy that counts, the primary among them.
    pub in_sync: Vec<NodeId>,
    /// Who is being given a copy, which does not count yet.
    pub joining: Option<NodeId>,
    /// Grows when the slot's data was lost and it began anew, empty.
    pub generation: u32,
}

/// The members and the placement of every slot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The cluster, drawn when it was founded; 0 before.
    pub cluster: ClusterId,
    /// Grows with each change.
    pub version: TableVersion,
    /// How many copies of each slot there should be.
    pub copies: u8,
    /// The members, by number.
    pub members: BTreeMap<NodeId, ViewMember>,
    /// The slots, by number.
    pub slots: Vec<Placement>,
    next_node: u32,
}

impl View {
    /// A view that never changes: `table` without copies.
    pub fn fixed(table: &SlotTable, incarnation: Incarnation) -> Self {
        let member = |member: &Member| {
            let Member { node, name, address } = member.clone();
            (node, ViewMember { node, name, address, incarnation, identity: Identity(0), status: MemberStatus::Up })
        };
        let placement = |place: &SlotPlace| Placement {
            epoch: place.epoch,
            primary: Some(place.primary),
            in_sync: vec![place.primary],
            ..Placement::default()
        };
        Self {
            cluster: table.cluster,
            version: table.version,
            copies: 1,
            members: table.members.iter().map(member).collect(),
            slots: table.slots.iter().map(placement).collect(),
            next_node: u32::try_from(table.members.len()).unwrap_or(u32::MAX),
        }
    }

    /// Where `slot` is; `None` if there is no such slot.
    pub fn placement(&self, slot: SlotId) -> Option<&Placement> {
        self.slots.get(usize::from(slot.0))
    }

    /// The slots with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (SlotId, &Placement)> {
        (0..).map(SlotId).zip(&self.slots)
    }

    /// The member of that name.
    pub fn named(&self, name: &str) -> Option<&ViewMember> {
        self.members.values().find(|member| member.name == name)
    }

    /// Whether that member serves: it may be given copies.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.members.get(&node).is_some_and(|member| member.status == MemberStatus::Up)
    }

    /// Whether a copy of any slot is on `node`, or on its way there.
    pub fn holds_copies(&self, node: NodeId) -> bool {
        self.slots.iter().any(|placement| placement.in_sync.contains(&node) || placement.joining == Some(node))
    }

    /// How many slots have lost their data.
    pub fn n_lost(&self) -> usize {
        self.slots.iter().filter(|placement| placement.primary.is_none()).count()
    }

    /// What clients need of the view.
    pub fn table(&self) -> SlotTable {
        let member = |member: &ViewMember| Member {
            node: member.node,
            name: member.name.clone(),
            address: member.address.clone(),
        };
        let place = |placement: &Placement| SlotPlace {
            epoch: placement.epoch,
            primary: placement.primary.unwrap_or(NodeId::NOBODY),
            in_sync: placement.in_sync.clone(),
            generation: placement.generation,
        };
        SlotTable {
            cluster: self.cluster,
            version: self.version,
            members: self.members.values().map(member).collect(),
            slots: self.slots.iter().map(place).collect(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
