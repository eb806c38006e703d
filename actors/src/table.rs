//! The slot table: which node serves which slot, and in which epoch.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::ids::{ClusterId, Epoch, Incarnation, NodeId, ShardId, SlotId, TableVersion};
use crate::ring::place;

/// The default number of slots of a cluster.
pub const SLOTS_DEFAULT: u16 = 1024;

/// A node of the cluster, as every node and client knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its number.
    pub node: NodeId,
    /// Its name; it decides the node's places on the ring.
    pub name: String,
    /// Where it answers control calls, as `host:port`.
    pub address: String,
}

/// Who serves a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotPlace {
    /// The slot's epoch.
    pub epoch: Epoch,
    /// The node that orders its calls; [`NodeId::NOBODY`] if all copies are gone.
    pub primary: NodeId,
    /// The nodes that hold a copy which counts, the primary among them.
    pub in_sync: Vec<NodeId>,
    /// Grows when the slot's data was lost, and it began anew.
    pub generation: u32,
}

impl SlotPlace {
    /// Whether all copies of the slot are gone.
    pub fn is_lost(&self) -> bool {
        self.primary == NodeId::NOBODY
    }
}

/// A member list with a place for each slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotTable {
    /// The cluster.
    pub cluster: ClusterId,
    /// The table's version.
    pub version: TableVersion,
    /// The members, by number.
    pub members: Vec<Member>,
    /// The slots, by number.
    pub slots: Vec<SlotPlace>,
    /// Whether it never changes: then a node that is started anew is the only one that had what it had.
    pub fixed: bool,
}

impl SlotTable {
    /// The table of a cluster whose members are fixed: `members` as (name, address), in any order.
    pub fn fixed(cluster_name: &str, members: &[(String, String)], n_slots: u16) -> Self {
        let mut sorted: Vec<&(String, String)> = members.iter().collect();
        sorted.sort();
        let members: Vec<Member> = (0..)
            .map(NodeId)
            .zip(sorted)
            .map(|(node, (name, address))| Member { node, name: name.clone(), address: address.clone() })
            .collect();
        let named: Vec<(NodeId, &str)> = members.iter().map(|member| (member.node, member.name.as_str())).collect();
        let slots = place(&named, n_slots, 1)
            .into_iter()
            .map(|copies| SlotPlace {
                epoch: Epoch(1),
                primary: copies.first().copied().unwrap_or_default(),
                in_sync: copies,
                generation: 0,
            })
            .collect();
        let identity = (cluster_name, &members, n_slots);
        let identity = postcard::to_allocvec(&identity).expect("a member list can be encoded");
        Self { cluster: ClusterId(xxh3_64(&identity).max(1)), version: TableVersion(1), members, slots, fixed: true }
    }

    /// The slot of an object, from its hash.
    pub fn slot_of(&self, object_hash: u64) -> SlotId {
        slot_of(object_hash, self.slots.len())
    }

    /// Who serves `slot`; `None` if there is no such slot.
    pub fn place(&self, slot: SlotId) -> Option<&SlotPlace> {
        self.slots.get(usize::from(slot.0))
    }

    /// The member of that number.
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.node == node)
    }

    /// The version of an encoded table, without the rest of it.
    pub fn version_of(bytes: &[u8]) -> Option<TableVersion> {
        // The fields that it begins with.
        let (head, _) = postcard::take_from_bytes::<(ClusterId, TableVersion)>(bytes).ok()?;
        Some(head.1)
    }

    /// Whether every slot has a place on a member, so that looking one up cannot fail.
    pub fn is_sound(&self) -> bool {
        !self.slots.is_empty()
            && self.slots.len() <= usize::from(u16::MAX)
            && self.slots.iter().all(|place| place.is_lost() || self.member(place.primary).is_some())
    }
}

/// The slot of an object among `n_slots`, from its hash: the high bits choose (Lemire, "Fast Random Integer Generation", 2019).
pub fn slot_of(object_hash: u64, n_slots: usize) -> SlotId {
    let wide = u128::from(object_hash) * n_slots as u128;
    SlotId(u16::try_from(wide >> 64).unwrap_or(u16::MAX))
}

/// How one process of a node is divided: it publishes this, and it holds until the process ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeLayout {
    /// The node.
    pub node: NodeId,
    /// The process.
    pub incarnation: Incarnation,
    /// Where each shard listens, as `host:port`.
    pub shards: Vec<String>,
}

impl NodeLayout {
    /// The shard of this process that serves `slot`.
    pub fn shard_of(&self, slot: SlotId) -> ShardId {
        shard_of(slot, self.shards.len())
    }
}

/// The shard among `n_shards` that serves `slot`.
///
/// Slots that follow each other go to different shards, whichever node has them.
pub fn shard_of(slot: SlotId, n_shards: usize) -> ShardId {
    let n_shards = u16::try_from(n_shards.max(1)).unwrap_or(u16::MAX);
    ShardId(slot.0 % n_shards)
}
