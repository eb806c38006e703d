//! The ring: which nodes hold which slot, by consistent hashing.
//!
//! Karger and others, "Consistent Hashing and Random Trees", STOC 1997. Each node stands on the ring at
//! [`VIRTUAL_NODES`] places; a slot belongs to the first node clockwise of its own place, its backups are the next ones.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use hashring::HashRing;
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use crate::ids::{NodeId, SlotId};

/// Places on the ring for each node: with 128, the fullest of a few nodes has about a tenth more than its share.
pub const VIRTUAL_NODES: u16 = 128;

/// One place of a node. It hashes as its canonical bytes, so that every build agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
struct VirtualNode {
    node: NodeId,
    name: String,
    number: u16,
}

impl Hash for VirtualNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.name.as_bytes());
        state.write(&[0]);
        state.write(&self.number.to_le_bytes());
    }
}

struct Place(SlotId);

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(b"slot");
        state.write(&self.0.0.to_le_bytes());
    }
}

/// The nodes for each of `n_slots` slots, the primary first, then distinct backups: `copies` of them, or all nodes if there are fewer.
///
/// A node's places follow from its name, so that a change of the member list moves little.
pub fn place(nodes: &[(NodeId, &str)], n_slots: u16, copies: usize) -> Vec<Vec<NodeId>> {
    let mut ring = HashRing::with_hasher(Xxh3DefaultBuilder::new());
    for &(node, name) in nodes {
        ring.batch_add((0..VIRTUAL_NODES).map(|number| VirtualNode { node, name: name.to_owned(), number }).collect());
    }
    let wanted = copies.min(nodes.len());
    // The whole ring, once: `get_with_replicas` copies it at each call.
    let round = ring.get_with_replicas(&Place(SlotId(0)), ring.len().saturating_sub(1)).unwrap_or_default();
    let index: BTreeMap<(NodeId, u16), usize> =
        round.iter().enumerate().map(|(index, place)| ((place.node, place.number), index)).collect();
    (0..n_slots)
        .map(|slot| {
            let first = ring.get(&Place(SlotId(slot))).and_then(|place| index.get(&(place.node, place.number)));
            let first = first.copied().unwrap_or_default();
            let mut chosen: Vec<NodeId> = Vec::with_capacity(wanted);
            for place in round[first..].iter().chain(&round[..first]) {
                if chosen.len() == wanted {
                    break;
                }
                if !chosen.contains(&place.node) {
                    chosen.push(place.node);
                }
            }
            chosen
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(names: &[&'static str]) -> Vec<(NodeId, &'static str)> {
        (0..).map(NodeId).zip(names.iter().copied()).collect()
    }

    #[test]
    fn every_slot_has_distinct_copies() {
        for placed in place(&nodes(&["a", "b", "c", "d"]), 512, 3) {
            let distinct: std::collections::BTreeSet<_> = placed.iter().collect();
            assert_eq!((placed.len(), distinct.len()), (3, 3));
        }
        assert!(place(&nodes(&["a"]), 16, 2).iter().all(|placed| placed == &[NodeId(0)]));
        assert!(place(&[], 4, 2).iter().all(Vec::is_empty));
    }

    #[test]
    fn a_slot_with_fewer_copies_has_the_first_of_those_with_more() {
        let names = nodes(&["a", "b", "c", "d"]);
        let (all, two) = (place(&names, 512, 4), place(&names, 512, 2));
        assert!(all.iter().zip(&two).all(|(all, two)| all.len() == 4 && all[..2] == two[..]));
    }

    #[test]
    fn shares_are_even_enough() {
        let mut share = BTreeMap::new();
        for placed in place(&nodes(&["n1", "n2", "n3"]), 1024, 1) {
            *share.entry(placed[0]).or_insert(0) += 1;
        }
        assert!(share.values().all(|&slots| (220..=460).contains(&slots)), "{share:?}");
    }

    #[test]
    fn a_new_node_takes_slots_only_for_itself() {
        let before = place(&nodes(&["a", "b", "c"]), 1024, 1);
        let after = place(&nodes(&["a", "b", "c", "d"]), 1024, 1);
        let moved = before.iter().zip(&after).filter(|(old, new)| old != new);
        let mut count = 0;
        for (_, new) in moved {
            assert_eq!(new[0], NodeId(3));
            count += 1;
        }
        assert!((150..=380).contains(&count), "{count} of 1024 slots moved, about a quarter is due");
    }
}
