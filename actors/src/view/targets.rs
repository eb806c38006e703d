//! Where the ring would have each slot.

use super::{MemberStatus, Placement, View};
use crate::ids::{NodeId, SlotId};
use crate::ring::place;

/// The nodes that the ring likes for each slot, best first.
///
/// Only members that are up count. It costs about a millisecond to make, so it is kept, and made anew when they change.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    members: Vec<(NodeId, String)>,
    copies: usize,
    order: Vec<Vec<NodeId>>,
}

impl Targets {
    /// The targets of `view`.
    pub fn of(view: &View) -> Self {
        let mut targets = Self::default();
        targets.refresh(view);
        targets
    }

    /// Makes them those of `view`, cheaply if its members are the same as before.
    pub fn refresh(&mut self, view: &View) {
        let up = || view.members.values().filter(|member| member.status == MemberStatus::Up);
        self.copies = usize::from(view.copies.max(1));
        let known = self.members.iter().map(|(node, name)| (*node, name.as_str()));
        if self.order.len() == view.slots.len() && known.eq(up().map(|member| (member.node, member.name.as_str()))) {
            return;
        }
        self.members = up().map(|member| (member.node, member.name.clone())).collect();
        let named: Vec<(NodeId, &str)> = self.members.iter().map(|(node, name)| (*node, name.as_str())).collect();
        let n_slots = u16::try_from(view.slots.len()).unwrap_or(u16::MAX);
        self.order = place(&named, n_slots, named.len());
    }

    /// The nodes that should hold `slot`, the primary first: as many as there should be copies, or all if there are
    /// fewer.
    pub fn of_slot(&self, slot: SlotId) -> &[NodeId] {
        let order = self.order(slot);
        &order[..order.len().min(self.copies)]
    }

    /// Whether every slot is where it should be, and nothing is under way.
    pub fn are_met(&self, view: &View) -> bool {
        view.iter().all(|(slot, placement)| {
            let targets = self.of_slot(slot);
            let is_wanted = |node: &NodeId| targets.contains(node);
            placement.primary == targets.first().copied()
                && placement.joining.is_none()
                && placement.in_sync.len() == targets.len()
                && placement.in_sync.iter().all(is_wanted)
        })
    }

    /// How many copies each slot can have now: as many as there should be, or as there are members that are up.
    pub fn n_copies(&self) -> usize {
        self.copies.min(self.members.len())
    }

    /// All members that are up, in the order in which the ring likes them for `slot`.
    pub fn order(&self, slot: SlotId) -> &[NodeId] {
        self.order.get(usize::from(slot.0)).map_or(&[], Vec::as_slice)
    }

    /// The node to which the primary of `slot` should hand over, if to any.
    ///
    /// A slot moves only when it is at rest: it has its copies, and none is being made, as that one would have to begin
    /// anew.
    pub fn wanted_primary(&self, view: &View, slot: SlotId) -> Option<NodeId> {
        let placement = view.placement(slot)?;
        let primary = placement.primary?;
        let targets = self.of_slot(slot);
        if placement.joining.is_some() || placement.in_sync.len() < targets.len() {
            return None;
        }
        let first = *targets.first()?;
        let is_leaving = view.members.get(&primary).is_none_or(|member| member.status == MemberStatus::Leaving);
        if is_leaving && !placement.in_sync.contains(&first) {
            // It is in the way of a node that wants to go: whoever is next will do.
            return self.best_of(placement, slot);
        }
        (first != primary && placement.in_sync.contains(&first)).then_some(first)
    }

    /// The holder of a copy that the ring likes best.
    fn best_of(&self, placement: &Placement, slot: SlotId) -> Option<NodeId> {
        self.order(slot).iter().find(|node| placement.in_sync.contains(node)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Epoch;
    use crate::view::ViewCommand;
    use crate::view::tests::{joined, placed};

    #[test]
    fn only_members_that_are_up_are_targets() {
        let mut view = joined(&["a", "b", "c"], 64, 2);
        view.apply(&ViewCommand::Leave(NodeId(1)));
        let targets = Targets::of(&view);
        assert!((0..64).map(SlotId).all(|slot| !targets.order(slot).contains(&NodeId(1))));
        assert!((0..64).map(SlotId).all(|slot| targets.of_slot(slot).len() == 2));
    }

    #[test]
    fn a_cluster_is_at_rest_when_every_slot_is_where_it_should_be() {
        let mut view = joined(&["a", "b", "c"], 16, 2);
        let targets = Targets::of(&view);
        assert!(!targets.are_met(&view), "a has everything");
        for slot in (0..16).map(SlotId) {
            let wanted: Vec<u32> = targets.of_slot(slot).iter().map(|node| node.0).collect();
            placed(&mut view, slot, &wanted);
        }
        assert!(targets.are_met(&view));
        view.slots[3].in_sync.reverse();
        assert!(targets.are_met(&view), "the order of the copies means nothing");
        view.slots[3].in_sync.pop();
        assert!(!targets.are_met(&view), "a copy is missing");
    }

    #[test]
    fn refreshed_targets_are_those_of_the_view() {
        let mut view = joined(&["a", "b"], 64, 2);
        let mut kept = Targets::of(&view);
        view.apply(&ViewCommand::Leave(NodeId(0)));
        kept.refresh(&view);
        assert!((0..64).map(SlotId).all(|slot| kept.order(slot) == Targets::of(&view).order(slot)));
    }

    #[test]
    fn a_primary_hands_over_to_the_first_target_when_it_has_a_copy_and_none_is_being_made() {
        let mut view = joined(&["a", "b", "c"], 64, 2);
        let targets = Targets::of(&view);
        let slot = (0..64).map(SlotId).find(|&slot| targets.of_slot(slot) == [NodeId(1), NodeId(2)]);
        let slot = slot.expect("some slot is liked by b, then by c");
        assert_eq!(targets.wanted_primary(&view, slot), None, "b has no copy");

        placed(&mut view, slot, &[0, 2]);
        assert_eq!(targets.wanted_primary(&view, slot), None, "c is not the first target");
        placed(&mut view, slot, &[0, 1]);
        assert_eq!(targets.wanted_primary(&view, slot), Some(NodeId(1)));
        let epoch = view.slots[usize::from(slot.0)].epoch;
        view.apply(&ViewCommand::StartCopies(vec![(slot, epoch, NodeId(2))]));
        assert_eq!(targets.wanted_primary(&view, slot), None, "a copy is being made");
        view.apply(&ViewCommand::CopiesFailed(vec![(slot, epoch, NodeId(2))]));
        view.apply(&ViewCommand::HandOver(vec![(slot, Epoch(epoch.0 + 1), NodeId(1))]));
        assert_eq!(targets.wanted_primary(&view, slot), None, "it is where it should be");
    }

    #[test]
    fn a_leaving_primary_hands_over_to_whoever_is_next() {
        let mut view = joined(&["a", "b", "c"], 64, 2);
        view.apply(&ViewCommand::Leave(NodeId(0)));
        let targets = Targets::of(&view);
        let slot = (0..64).map(SlotId).find(|&slot| targets.of_slot(slot)[0] == NodeId(1)).expect("one is b's");
        placed(&mut view, slot, &[0, 2]);
        assert_eq!(targets.wanted_primary(&view, slot), Some(NodeId(2)));
    }
}
