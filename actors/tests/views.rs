//! The view under commands in any order: valid, stale, repeated and mixed up.
//!
//! The number of cases is `PROPTEST_CASES`, or 200.

extern crate greenroom_actors as greenroom;

use std::collections::BTreeSet;

use greenroom::{
    Changed, ClusterId, Epoch, Identity, Incarnation, Lease, LeaseSettings, NodeId, Placement, SlotId, TableVersion,
    Targets, View, ViewCommand,
};
use proptest::collection::vec;
use proptest::prelude::*;

const SLOTS: u16 = 4;

/// Numbers from which a command is made when it is known what the view is.
type Draw = (u8, u16, u8, u8, u8);

fn cases(count: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(count), ..ProptestConfig::default() }
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    vec(any::<Draw>(), 1..200)
}

/// A command that somebody may propose who sees `view`, for the most part one that does something.
fn command(view: &View, (kind, slot, node, other, lag): Draw) -> ViewCommand {
    let slot = SlotId(slot % SLOTS);
    let nodes: Vec<NodeId> = view.members.keys().copied().collect();
    let pick = |number: u8| nodes.get(usize::from(number) % nodes.len().max(1)).copied().unwrap_or_default();
    let (node, other) = (pick(node), pick(other));
    let placement = view.placement(slot).cloned().unwrap_or_default();
    let epoch = Epoch(placement.epoch.0.saturating_sub(u64::from(lag.is_multiple_of(8))));
    let one = |node: NodeId| vec![(slot, epoch, node)];
    match kind % 16 {
        0 | 1 => join(view, lag, node),
        2 => ViewCommand::Leave(node),
        3 | 4 => {
            let alive =
                nodes.iter().copied().filter(|alive| *alive != node && (lag >> (alive.0 % 8)) & 1 == 0).collect();
            ViewCommand::Remove { node, alive }
        }
        5 | 6 => ViewCommand::Restore(node),
        7 => ViewCommand::Forget(node),
        8 => ViewCommand::DropCopies(one(other)),
        9..=11 => ViewCommand::StartCopies(one(other)),
        12 => ViewCommand::CopiesDone(one(placement.joining.unwrap_or(other))),
        13 => ViewCommand::CopiesFailed(one(placement.joining.unwrap_or(other))),
        14 => ViewCommand::HandOver(one(other)),
        _ => ViewCommand::AcceptLoss(vec![(slot, epoch)]),
    }
}

fn join(view: &View, lag: u8, replaced: NodeId) -> ViewCommand {
    let serial = view.version.0;
    // Some have the disk of a member, and some the name of one.
    let (name, identity, replaces) = match (lag % 4, view.members.get(&replaced)) {
        (0, Some(member)) => (member.name.clone(), member.identity, Some(replaced)),
        (1, Some(member)) => (member.name.clone(), Identity(serial + 1), None),
        _ => (format!("n{}", serial % 6), Identity(serial + 1), None),
    };
    ViewCommand::Join { name, address: "h:1".into(), incarnation: Incarnation(serial + 1), identity, replaces }
}

fn founded() -> View {
    let mut view = View::default();
    view.apply(&ViewCommand::Found { cluster: ClusterId(9), n_slots: SLOTS, copies: 2 });
    view
}

/// The epochs that a command names.
fn named(command: &ViewCommand) -> Vec<(SlotId, Epoch)> {
    match command {
        ViewCommand::DropCopies(slots)
        | ViewCommand::StartCopies(slots)
        | ViewCommand::CopiesDone(slots)
        | ViewCommand::CopiesFailed(slots)
        | ViewCommand::HandOver(slots) => slots.iter().map(|&(slot, epoch, _)| (slot, epoch)).collect(),
        ViewCommand::AcceptLoss(slots) => slots.clone(),
        ViewCommand::Found { .. }
        | ViewCommand::Join { .. }
        | ViewCommand::Leave(_)
        | ViewCommand::Remove { .. }
        | ViewCommand::Restore(_)
        | ViewCommand::Forget(_) => Vec::new(),
    }
}

/// Who counts after a command counted before, or was given a copy; the last copy goes only if somebody says that it is lost.
fn check_copies(command: &ViewCommand, before: &Placement, after: &Placement) -> Result<(), TestCaseError> {
    let begins = before.primary.is_none() && after.primary.is_some();
    let may_count = |node: &NodeId| {
        let is_done = matches!(command, ViewCommand::CopiesDone(_)) && before.joining == Some(*node);
        before.in_sync.contains(node) || is_done || begins
    };
    prop_assert!(after.in_sync.iter().all(may_count), "{command:?}: {before:?}, {after:?}");
    let may_lose = matches!(command, ViewCommand::Forget(_) | ViewCommand::Join { .. });
    prop_assert!(!after.in_sync.is_empty() || before.in_sync.is_empty() || may_lose, "{command:?} loses {before:?}");
    let may_begin = matches!(command, ViewCommand::AcceptLoss(_) | ViewCommand::Join { .. });
    prop_assert!(!begins || (may_begin && after.in_sync.len() == 1), "{command:?} begins {after:?}");
    prop_assert_eq!(after.generation, before.generation + u32::from(begins && before.epoch > Epoch(0)));
    let moves = before.primary.is_some() && after.primary.is_some() && before.primary != after.primary;
    let may_move = match command {
        ViewCommand::HandOver(_) => true,
        ViewCommand::Remove { node, alive } => {
            before.primary == Some(*node) && after.primary.is_some_and(|primary| alive.contains(&primary))
        }
        ViewCommand::Forget(node) => before.primary == Some(*node),
        ViewCommand::Join { replaces, .. } => before.primary == *replaces,
        _ => false,
    };
    prop_assert!(!moves || may_move, "{command:?}: {before:?}, {after:?}");
    Ok(())
}

fn check_step(before: &View, command: &ViewCommand) -> Result<View, TestCaseError> {
    let mut after = before.clone();
    let changed = after.apply(command);
    prop_assert_eq!(after.check(), Ok(()), "{:?}", command);
    prop_assert_eq!(after.check_after(before), Ok(()), "{:?}", command);
    let grew = after.version > before.version;
    prop_assert!(grew || after == *before, "{command:?} changed the view and not its version");
    match changed {
        Changed::Yes => prop_assert!(grew),
        Changed::No | Changed::Refused(_) => prop_assert!(!grew),
        Changed::Joined(node) => prop_assert!(after.members.contains_key(&node)),
    }
    for ((slot, before), now) in before.iter().zip(&after.slots) {
        check_copies(command, before, now)?;
        if let Some((_, epoch)) = named(command).iter().find(|(named, _)| *named == slot) {
            prop_assert!(*epoch == before.epoch || now == before, "{command:?} is stale");
        }
    }
    let mut twice = after.clone();
    let again = twice.apply(command);
    prop_assert_eq!(&twice, &after, "{:?} changed something the second time: {:?}", command, again);
    Ok(after)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_view_is_sound_after_commands_in_any_order(draws in draws()) {
        let (mut view, mut earlier) = (founded(), Vec::new());
        for draw in draws {
            // Some commands come late, made by somebody who saw another view.
            let command = command(&view, draw);
            let late = usize::from(draw.4) % 5;
            earlier.push(command.clone());
            let command = if late == 0 { earlier[usize::from(draw.1) % earlier.len()].clone() } else { command };
            view = check_step(&view, &command)?;
        }
    }

    #[test]
    fn every_node_that_applies_the_same_commands_has_the_same_view(draws in draws()) {
        let mut view = founded();
        let mut commands = Vec::new();
        for draw in draws {
            commands.push(command(&view, draw));
            view.apply(&commands[commands.len() - 1]);
        }
        let mut other = founded();
        for command in &commands {
            let bytes = postcard::to_allocvec(command).expect("a command can be encoded");
            other.apply(&postcard::from_bytes(&bytes).expect("and decoded"));
        }
        prop_assert_eq!(&other, &view);
        let bytes = postcard::to_allocvec(&view).expect("a view can be encoded");
        prop_assert_eq!(postcard::from_bytes::<View>(&bytes), Ok(view));
    }

    #[test]
    fn the_voters_are_an_odd_number_of_which_most_live_and_they_rest(
        draws in draws(), alive in any::<u8>(), current in vec(0_usize..16, 1..=5),
    ) {
        let mut view = founded();
        draws.into_iter().for_each(|draw| _ = view.apply(&command(&view, draw)));
        let alive: BTreeSet<NodeId> = view.members.keys().copied().filter(|node| (alive >> (node.0 % 8)) & 1 == 1).collect();
        let known: Vec<Identity> = view.members.values().map(|member| member.identity).chain([Identity(u64::MAX)]).collect();
        let mut voters: BTreeSet<Identity> = current.iter().map(|&number| known[number % known.len()]).collect();
        let mut steps = 0;
        while let Some(next) = view.voters(&voters, &alive) {
            prop_assert!([1, 3, 5].contains(&next.len()), "{voters:?}, then {next:?}");
            let is_new = |identity: &Identity| !voters.contains(identity);
            let lives = |identity: &Identity| view.members.values().any(|m| m.identity == *identity && alive.contains(&m.node));
            prop_assert!(next.iter().filter(|identity| is_new(identity)).all(lives), "a new voter is alive");
            voters = next;
            steps += 1;
            prop_assert!(steps < 10, "they come to rest");
        }
    }

    #[test]
    fn a_holder_stops_before_its_granter_whatever_the_clocks_do_within_the_drift(
        sent in 0_u64..1_000_000, way_there in 0_u64..2000, way_back in 0_u64..2000, gain in 0_u64..=62,
        offset in 0_u64..1_000_000, holder_is_fast in any::<bool>(),
    ) {
        let settings = LeaseSettings::default();
        // Clocks in thousandths of real time; one in sixteen is 62.5 of them.
        let rate = |is_fast: bool| if is_fast { 1000 + gain } else { 1000 };
        let holder_clock = |real: u64| real * rate(holder_is_fast) / 1000;
        let granter_clock = |real: u64| offset + real * rate(!holder_is_fast) / 1000;
        let mut lease = Lease::new(settings);
        let id = lease.renewal_sent(holder_clock(sent));
        let granted_at = granter_clock(sent + way_there);
        lease.granted(id, TableVersion(1));
        for real in sent + way_there + way_back..sent + 4000 {
            let is_over = granter_clock(real) > granted_at + settings.granter_ms();
            prop_assert!(!is_over || !lease.is_valid(holder_clock(real), TableVersion(1)), "at {real}");
        }
    }
}

#[test]
fn the_targets_of_a_thousand_slots_are_kept_between_steps() {
    let mut view = View::default();
    view.apply(&ViewCommand::Found { cluster: ClusterId(9), n_slots: 1024, copies: 3 });
    for number in 0..10 {
        let name = format!("n{number}");
        let (incarnation, identity) = (Incarnation(number + 1), Identity(number + 1));
        view.apply(&ViewCommand::Join { name, address: "h:1".into(), incarnation, identity, replaces: None });
    }
    let mut targets = Targets::of(&view);
    let first = targets.order(SlotId(0)).as_ptr();
    targets.refresh(&view);
    assert_eq!(targets.order(SlotId(0)).as_ptr(), first, "nothing was made anew");
}
