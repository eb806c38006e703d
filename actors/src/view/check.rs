//! What is true of every view.

use std::collections::BTreeSet;

use super::{Placement, View};
use crate::ids::{Identity, NodeId, SlotId};

impl View {
    /// Checks what must be true of a view.
    ///
    /// # Errors
    /// The first thing that is not, with the slot or the member.
    pub fn check(&self) -> Result<(), String> {
        self.check_members()?;
        self.iter().try_for_each(|(slot, placement)| self.check_slot(slot, placement))
    }

    /// Checks that this view can follow `earlier`.
    ///
    /// # Errors
    /// The first thing that goes back.
    pub fn check_after(&self, earlier: &Self) -> Result<(), String> {
        let same = self.version == earlier.version;
        holds(self.version >= earlier.version, || "the version went back".into())?;
        holds(!same || self == earlier, || format!("two views of version {}", self.version))?;
        holds(self.next_node >= earlier.next_node, || "numbers of nodes are given again".into())?;
        for ((slot, now), before) in self.iter().zip(&earlier.slots) {
            let placed = |at: &Placement| (at.primary, at.in_sync.clone(), at.generation);
            let fault = |what: &str| format!("slot {slot}: {what}: {before:?}, then {now:?}");
            holds(now.epoch >= before.epoch, || fault("the epoch went back"))?;
            holds(now.epoch > before.epoch || placed(now) == placed(before), || fault("changed within an epoch"))?;
            let was_given_up = before.joining.is_some() && now.joining != before.joining;
            holds(!was_given_up || now.epoch > before.epoch, || fault("a copy ended within an epoch"))?;
            holds(now.generation >= before.generation, || fault("the generation went back"))?;
        }
        Ok(())
    }

    fn check_members(&self) -> Result<(), String> {
        let (mut names, mut identities) = (BTreeSet::new(), BTreeSet::new());
        for (node, member) in &self.members {
            let fault = |what: &str| format!("member {node}: {what}");
            holds(member.node == *node, || fault("it has another number"))?;
            holds(node.0 < self.next_node, || fault("its number will be given again"))?;
            holds(names.insert(&member.name), || fault("another one has its name"))?;
            // In a cluster of fixed members nobody has an identity.
            let is_own = member.identity == Identity(0) || identities.insert(member.identity);
            holds(is_own, || fault("another one has its identity"))?;
        }
        Ok(())
    }

    fn check_slot(&self, slot: SlotId, placement: &Placement) -> Result<(), String> {
        let Placement { primary, in_sync, joining, .. } = placement;
        let fault = |what: &str| format!("slot {slot}: {what}: {placement:?}");
        let distinct: BTreeSet<&NodeId> = in_sync.iter().collect();
        holds(primary.is_some() != in_sync.is_empty(), || fault("it is lost if and only if it has no copies"))?;
        holds(primary.is_none_or(|node| in_sync.contains(&node)), || fault("the primary holds a copy"))?;
        holds(distinct.len() == in_sync.len(), || fault("no node is in_sync twice"))?;
        holds(joining.is_none_or(|node| !in_sync.contains(&node)), || fault("who joins does not count yet"))?;
        holds(joining.is_none() || primary.is_some(), || fault("somebody gives the copy"))?;
        let known = |node: &NodeId| self.members.contains_key(node);
        holds(in_sync.iter().chain(joining).all(known), || fault("all its nodes are members"))
    }
}

fn holds(is_so: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::tests::joined;

    #[test]
    fn an_unsound_view_is_found_out() {
        let sound = joined(&["a", "b"], 2, 2);
        assert_eq!(sound.check(), Ok(()));
        let faults: [fn(&mut View); 7] = [
            |view| view.slots[0].in_sync.clear(),
            |view| view.slots[0].primary = None,
            |view| view.slots[0].primary = Some(NodeId(1)),
            |view| view.slots[0].in_sync.push(NodeId(0)),
            |view| view.slots[0].joining = Some(NodeId(0)),
            |view| view.slots[0].in_sync.push(NodeId(7)),
            |view| view.next_node = 1,
        ];
        for (number, fault) in faults.iter().enumerate() {
            let mut view = sound.clone();
            fault(&mut view);
            assert!(view.check().is_err(), "fault {number}");
        }
    }

    #[test]
    fn a_view_that_goes_back_is_found_out() {
        let earlier = joined(&["a", "b"], 2, 2);
        assert_eq!(earlier.check_after(&earlier), Ok(()));
        let mut view = earlier.clone();
        view.version.0 += 1;
        view.slots[0].in_sync.push(NodeId(1));
        assert!(view.check_after(&earlier).is_err(), "a change within an epoch");
        view.slots[0].epoch.0 += 1;
        assert_eq!(view.check_after(&earlier), Ok(()));
        assert!(earlier.check_after(&view).is_err(), "back");
    }
}
