use super::*;
use crate::lease::{LeaseSettings, RenewalId};
use crate::view::tests::{joined, placed};

/// A view and its coordinator, whose granter has led since 0.
struct Bench {
    view: View,
    granter: Granter,
    coordinator: Coordinator,
    voters: BTreeSet<Identity>,
    now: u64,
}

impl Bench {
    /// Members of these names, all of which renew; the slots are on node 0.
    fn new(names: &[&str], n_slots: u16, copies: u8) -> Self {
        let mut granter = Granter::new(LeaseSettings::default());
        granter.became_leader(0, 1);
        let coordinator = Coordinator::new(few_at_a_time());
        let view = joined(names, n_slots, copies);
        let mut bench = Self { view, granter, coordinator, voters: BTreeSet::new(), now: 0 };
        bench.run(2000, &[]);
        bench
    }

    /// Lets time pass, in which all renew but these, and nothing that is proposed is applied; returns the last
    /// proposals.
    fn run(&mut self, ms: u64, silent: &[u32]) -> Vec<ViewCommand> {
        let mut commands = Vec::new();
        for _ in 0..ms / 50 {
            self.now += 50;
            for &node in self.view.members.keys().filter(|node| !silent.contains(&node.0)) {
                self.granter.renewal(node, RenewalId(self.now));
            }
            self.granter.begin_round();
            self.granter.confirmed(&self.view, self.now);
            commands = self.coordinator.step(&self.view, &mut self.granter, &self.voters, self.now);
        }
        commands
    }

    fn step(&mut self) -> Vec<ViewCommand> {
        self.run(50, &[])
    }

    fn apply(&mut self, commands: &[ViewCommand]) {
        commands.iter().for_each(|command| _ = self.view.apply(command));
        self.view.check().expect("the view is sound");
    }

    /// The first slot for which the ring wants exactly these.
    fn slot_of(&self, nodes: &[u32]) -> SlotId {
        let nodes: Vec<NodeId> = nodes.iter().copied().map(NodeId).collect();
        let mut slots = self.view.iter().map(|(slot, _)| slot);
        slots.find(|&slot| self.coordinator.targets().of_slot(slot) == nodes).expect("the ring has such a slot")
    }

    /// Puts every slot where the ring wants it.
    fn settle(&mut self) {
        for slot in (0..self.view.slots.len()).map(|slot| SlotId(u16::try_from(slot).expect("few slots"))) {
            let nodes: Vec<u32> = self.coordinator.targets().of_slot(slot).iter().map(|node| node.0).collect();
            placed(&mut self.view, slot, &nodes);
        }
    }
}

fn removed(node: u32, alive: &[u32]) -> ViewCommand {
    ViewCommand::Remove { node: NodeId(node), alive: alive.iter().copied().map(NodeId).collect() }
}

/// Limits that a small cluster reaches.
fn few_at_a_time() -> CoordinatorSettings {
    CoordinatorSettings { copies_max: 32, copies_per_node_max: 8, ..CoordinatorSettings::default() }
}

#[test]
fn where_all_is_as_it_should_be_nothing_is_proposed() {
    let mut bench = Bench::new(&["a", "b", "c"], 64, 2);
    bench.settle();
    assert_eq!(bench.run(2000, &[]), []);
}

#[test]
fn no_copy_is_too_many_while_nobody_is_known_to_be_there() {
    let mut bench = Bench::new(&["a", "b", "c"], 16, 2);
    bench.settle();
    bench.view.members.values_mut().for_each(|member| member.status = MemberStatus::Suspect);
    assert_eq!(bench.run(2000, &[0, 1, 2]), [], "one of them may be the only one that comes back");
}

#[test]
fn missing_copies_are_started_within_the_limits() {
    let mut bench = Bench::new(&["a", "b", "c", "d"], 64, 2);
    let settings = CoordinatorSettings { copies_max: 32, copies_per_node_max: 8, ..CoordinatorSettings::default() };
    bench.coordinator = Coordinator::new(settings);
    let commands = bench.step();
    let [ViewCommand::StartCopies(slots)] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(slots.len(), 8, "all of them come from one node");
    assert!(slots.iter().all(|&(slot, _, node)| bench.coordinator.targets().of_slot(slot).contains(&node)));
    bench.apply(&commands);
    assert_eq!(bench.step(), [], "that node has enough to do");
}

#[test]
fn who_is_silent_is_removed_and_held_until_it_is_released() {
    let mut bench = Bench::new(&["a", "b", "c"], 16, 2);
    bench.settle();
    assert_eq!(bench.run(500, &[2]), []);
    assert_eq!(bench.run(50, &[2]), [removed(2, &[0, 1])]);
    assert!(bench.granter.is_held(NodeId(2)));
    assert_eq!(bench.run(200, &[]), [], "it is not proposed twice, and a late renewal is not heard");
    bench.apply(&[removed(2, &[0, 1])]);
    bench.granter.release(NodeId(2));
    let commands = bench.step();
    assert!(matches!(&commands[..], [ViewCommand::StartCopies(_)]), "{commands:?}");
}

#[test]
fn a_suspect_is_restored_when_it_renews_and_left_alone_until_then() {
    let mut bench = Bench::new(&["a", "b"], 16, 1);
    bench.settle();
    let commands = bench.run(550, &[0]);
    assert_eq!(commands, [removed(0, &[1])]);
    bench.apply(&commands);
    bench.granter.release(NodeId(0));
    assert_eq!(bench.view.members[&NodeId(0)].status, MemberStatus::Suspect);
    assert_eq!(bench.run(1000, &[0]), [], "nobody else has what it has");
    assert_eq!(bench.step(), [ViewCommand::Restore(NodeId(0))]);
}

#[test]
fn a_surplus_copy_is_dropped_when_enough_of_the_others_live() {
    let mut bench = Bench::new(&["a", "b", "c"], 64, 2);
    bench.settle();
    let slot = bench.slot_of(&[0, 1]);
    placed(&mut bench.view, slot, &[0, 1, 2]);
    let epoch = bench.view.slots[usize::from(slot.0)].epoch;
    assert_eq!(bench.run(50, &[]), [ViewCommand::DropCopies(vec![(slot, epoch, NodeId(2))])]);
    placed(&mut bench.view, slot, &[2, 0, 1]);
    assert_eq!(bench.run(50, &[]), [], "it is the primary, which hands over first");
    placed(&mut bench.view, slot, &[0, 2]);
    assert_eq!(bench.run(50, &[]), [ViewCommand::StartCopies(vec![(slot, epoch, NodeId(1))])], "it is needed");
}

#[test]
fn after_a_failed_copy_a_slot_that_is_short_takes_the_next_node_and_one_that_moves_waits() {
    let mut bench = Bench::new(&["a", "b", "c"], 64, 2);
    bench.settle();
    let short = bench.slot_of(&[0, 1]);
    let moves = bench.slot_of(&[0, 2]);
    placed(&mut bench.view, short, &[0]);
    placed(&mut bench.view, moves, &[0, 1]);
    let commands = bench.step();
    let first = [(short, Epoch(1), NodeId(1)), (moves, Epoch(1), NodeId(2))];
    assert_eq!(commands, [ViewCommand::StartCopies(first.to_vec())]);
    bench.apply(&commands);
    assert_eq!(bench.step(), []);
    bench.apply(&[ViewCommand::CopiesFailed(first.to_vec())]);
    assert_eq!(bench.step(), [ViewCommand::StartCopies(vec![(short, Epoch(2), NodeId(2))])]);
    let commands = bench.run(600, &[]);
    assert_eq!(commands, [ViewCommand::StartCopies(vec![(short, Epoch(2), NodeId(1)), (moves, Epoch(2), NodeId(2))])]);
}

#[test]
fn a_copy_that_is_given_up_or_whose_node_leaves_is_stopped() {
    let mut bench = Bench::new(&["a", "b", "c"], 64, 2);
    bench.settle();
    let slot = bench.slot_of(&[0, 1]);
    placed(&mut bench.view, slot, &[0]);
    let copy = vec![(slot, Epoch(1), NodeId(1))];
    bench.apply(&[ViewCommand::StartCopies(copy.clone())]);
    assert_eq!(bench.step(), []);
    bench.coordinator.give_up(slot, NodeId(1));
    assert_eq!(bench.step(), [ViewCommand::CopiesFailed(copy.clone())]);

    let mut left = Bench::new(&["a", "b", "c"], 64, 2);
    left.settle();
    placed(&mut left.view, slot, &[0]);
    left.apply(&[ViewCommand::StartCopies(copy.clone()), ViewCommand::Leave(NodeId(1))]);
    assert!(left.step().contains(&ViewCommand::CopiesFailed(copy)));
}

#[test]
fn who_leaves_is_removed_when_it_holds_nothing_and_does_not_vote() {
    let mut bench = Bench::new(&["a", "b", "c"], 16, 2);
    bench.settle();
    bench.apply(&[ViewCommand::Leave(NodeId(2))]);
    bench.step();
    assert!(!bench.granter.is_held(NodeId(2)), "it holds copies");
    bench.settle();
    bench.voters.insert(Identity(2));
    assert_eq!(bench.step(), [], "it votes");
    bench.voters.clear();
    assert_eq!(bench.step(), [removed(2, &[0, 1, 2])]);
}

#[test]
fn a_new_coordinator_plans_nothing_before_it_can_know_who_lives() {
    let mut bench = Bench::new(&["a", "b", "c"], 16, 2);
    bench.granter.became_leader(bench.now, 2);
    assert_eq!(bench.run(500, &[2]), []);
    assert_eq!(bench.run(100, &[2]), [removed(2, &[0, 1])]);
}
