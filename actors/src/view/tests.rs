use super::*;
use crate::ids::{Epoch, SlotId};

pub(crate) fn join(name: &str, identity: u64) -> ViewCommand {
    ViewCommand::Join {
        name: name.to_owned(),
        address: format!("{name}:1"),
        incarnation: Incarnation(identity + 100),
        identity: Identity(identity),
        replaces: None,
    }
}

/// A cluster whose members are these, from node 0; the first has every slot.
pub(crate) fn joined(names: &[&str], n_slots: u16, copies: u8) -> View {
    let mut view = View::default();
    view.apply(&ViewCommand::Found { cluster: ClusterId(1), n_slots, copies });
    for (name, identity) in names.iter().zip(0..) {
        view.apply(&join(name, identity));
    }
    view
}

/// Gives the slot to these, the primary first.
pub(crate) fn placed(view: &mut View, slot: SlotId, nodes: &[u32]) {
    let nodes: Vec<NodeId> = nodes.iter().copied().map(NodeId).collect();
    let placement = &mut view.slots[usize::from(slot.0)];
    (placement.primary, placement.in_sync) = (nodes.first().copied(), nodes);
}

fn removal(node: u32, alive: &[u32]) -> ViewCommand {
    ViewCommand::Remove { node: NodeId(node), alive: alive.iter().copied().map(NodeId).collect() }
}

/// Three members; slot 0 is on 0 and 1, slot 1 on 1 and 0, slot 2 on 0 alone, slot 3 on 1 and 2.
fn three() -> View {
    let mut view = joined(&["a", "b", "c"], 4, 2);
    for (slot, nodes) in [&[0_u32, 1][..], &[1, 0], &[0], &[1, 2]].into_iter().enumerate() {
        placed(&mut view, SlotId(u16::try_from(slot).unwrap_or_default()), nodes);
    }
    view.check().expect("the view is sound");
    view
}

fn at(view: &View, slot: usize) -> (u64, Option<u32>, Vec<u32>) {
    let at = &view.slots[slot];
    (at.epoch.0, at.primary.map(|node| node.0), at.in_sync.iter().map(|node| node.0).collect())
}

#[test]
fn a_removed_node_leaves_only_slots_that_have_a_living_copy() {
    let mut view = three();
    assert_eq!(view.apply(&removal(0, &[1, 2])), Changed::Yes);
    assert_eq!(at(&view, 0), (2, Some(1), vec![1]), "a backup goes on");
    assert_eq!(at(&view, 1), (2, Some(1), vec![1]), "a primary goes on without its backup");
    assert_eq!(at(&view, 2), (1, Some(0), vec![0]), "the last copy waits");
    assert_eq!(at(&view, 3), (1, Some(1), vec![1, 2]));
    assert_eq!(view.members[&NodeId(0)].status, MemberStatus::Suspect);
    assert_eq!(view.apply(&removal(0, &[1, 2])), Changed::No);
}

#[test]
fn a_slot_whose_copies_are_all_away_waits_for_any_of_them() {
    let mut view = three();
    view.apply(&removal(1, &[0]));
    assert_eq!(at(&view, 3), (1, Some(1), vec![1, 2]));
    view.apply(&removal(2, &[0]));
    assert_eq!(at(&view, 3), (1, Some(1), vec![1, 2]));
    view.apply(&ViewCommand::Restore(NodeId(2)));
    assert_eq!(view.apply(&removal(1, &[0, 2])), Changed::Yes);
    assert_eq!(at(&view, 3), (2, Some(2), vec![2]), "the one that came back has all that was committed");
    assert!(!view.members.contains_key(&NodeId(1)), "nothing waits for it any more");
}

#[test]
fn only_a_living_copy_becomes_primary() {
    for alive in [1, 2] {
        let mut view = three();
        placed(&mut view, SlotId(0), &[0, 1, 2]);
        view.apply(&removal(0, &[alive]));
        assert_eq!(view.slots[0].primary, Some(NodeId(alive)));
    }
}

#[test]
fn a_late_word_on_a_copy_says_nothing_of_the_next_one() {
    let copy = vec![(SlotId(2), Epoch(1), NodeId(1))];
    let start = ViewCommand::StartCopies(copy.clone());
    let ends = [ViewCommand::CopiesFailed(copy.clone()), removal(1, &[0, 2]), ViewCommand::Forget(NodeId(1))];
    for end in ends {
        let mut view = three();
        placed(&mut view, SlotId(3), &[1]);
        view.apply(&start);
        if end == ViewCommand::Forget(NodeId(1)) {
            view.members.get_mut(&NodeId(1)).expect("it is a member").status = MemberStatus::Suspect;
        }
        assert_eq!(view.apply(&end), Changed::Yes);
        view.apply(&ViewCommand::Restore(NodeId(1)));
        let next = (SlotId(2), view.slots[2].epoch, NodeId(1));
        view.apply(&ViewCommand::StartCopies(vec![next]));
        assert_eq!(view.apply(&ViewCommand::CopiesDone(copy.clone())), Changed::No, "after {end:?}");
    }
}

#[test]
fn a_copy_counts_when_it_is_done() {
    let (mut view, copy) = (three(), vec![(SlotId(2), Epoch(1), NodeId(1))]);
    assert_eq!(view.apply(&ViewCommand::CopiesDone(copy.clone())), Changed::No, "none is being made");
    view.apply(&ViewCommand::StartCopies(copy.clone()));
    assert_eq!(at(&view, 2), (1, Some(0), vec![0]));
    view.apply(&ViewCommand::CopiesDone(copy));
    assert_eq!(at(&view, 2), (2, Some(0), vec![0, 1]));
}

#[test]
fn copies_go_only_to_members_that_are_up() {
    let mut view = three();
    view.apply(&ViewCommand::Leave(NodeId(2)));
    for node in [2, 9] {
        let command = ViewCommand::StartCopies(vec![(SlotId(2), Epoch(1), NodeId(node))]);
        assert_eq!(view.apply(&command), Changed::No);
    }
}

#[test]
fn a_primary_is_not_dropped_and_hands_over_only_to_a_copy() {
    let mut view = three();
    let of = |slot, node| vec![(SlotId(slot), Epoch(1), NodeId(node))];
    assert_eq!(view.apply(&ViewCommand::DropCopies(of(0, 0))), Changed::No);
    assert_eq!(view.apply(&ViewCommand::HandOver(of(0, 2))), Changed::No);
    assert_eq!(view.apply(&ViewCommand::HandOver(of(0, 1))), Changed::Yes);
    assert_eq!(at(&view, 0), (2, Some(1), vec![0, 1]));
    assert_eq!(view.apply(&ViewCommand::DropCopies(of(3, 2))), Changed::Yes);
    assert_eq!(at(&view, 3), (2, Some(1), vec![1]));
}

#[test]
fn only_a_suspect_is_forgotten_and_what_it_alone_had_is_lost_until_that_is_accepted() {
    let mut view = three();
    assert_eq!(view.apply(&ViewCommand::Forget(NodeId(0))), Changed::No);
    view.apply(&removal(0, &[1, 2]));
    assert_eq!(view.apply(&ViewCommand::Forget(NodeId(0))), Changed::Yes);
    assert_eq!((at(&view, 2), view.n_lost()), ((2, None, vec![]), 1));
    assert_eq!(view.apply(&ViewCommand::AcceptLoss(vec![(SlotId(2), Epoch(1))])), Changed::No);
    assert_eq!(view.apply(&ViewCommand::AcceptLoss(vec![(SlotId(2), Epoch(2)), (SlotId(0), Epoch(2))])), Changed::Yes);
    assert_eq!((view.slots[2].generation, view.slots[0].generation, view.n_lost()), (1, 0, 0));
    view.check().expect("the view is sound");
}
