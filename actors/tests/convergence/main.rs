//! A cluster whose nodes join, leave, die, stall and come back comes to rest where the ring wants it, and moves little.
//!
//! Nodes here have clocks that run apart, leases, and slots without content: a copy takes a random time, and may fail.
//! One seed decides all; the number of cases is `PROPTEST_CASES`, or 20.

extern crate greenroom_actors as greenroom;

mod cluster;

use greenroom::{SlotId, Targets};
use proptest::prelude::*;

use cluster::{Cluster, SLOTS};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(20),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_cluster_comes_to_rest_where_the_ring_wants_it(seed in any::<u64>(), n_nodes in 1_u64..7, copies in 1_u8..4) {
        let mut cluster = Cluster::new(seed, n_nodes, copies);
        for _ in 0..20 {
            let quiet = cluster.draws.below(1500);
            cluster.run(quiet);
            cluster.trouble();
        }
        cluster.heal();
        cluster.check_rest();
        let rested = cluster.view.version;
        cluster.run(5000);
        prop_assert_eq!(cluster.view.version, rested, "nothing moves when nothing changes");
    }
}

/// A cluster at rest in which no copy fails.
fn rested(n_nodes: u64, copies: u8) -> Cluster {
    let mut cluster = Cluster::new(7, n_nodes, copies);
    cluster.failing_one_in = 0;
    cluster.run(30_000);
    cluster.check_rest();
    (cluster.n_started, cluster.n_handed_over) = (0, 0);
    cluster
}

/// How many copies have to be made to come from one set of targets to another.
fn due(before: &Targets, after: &Targets) -> usize {
    let slots = (0..SLOTS).map(SlotId);
    slots.map(|slot| after.of_slot(slot).iter().filter(|node| !before.of_slot(slot).contains(node)).count()).sum()
}

#[test]
fn a_joining_node_moves_its_share_and_nothing_else() {
    let mut cluster = rested(4, 2);
    let before = Targets::of(&cluster.view);
    cluster.join(None);
    cluster.run(20_000);
    cluster.check_rest();
    let due = due(&before, &Targets::of(&cluster.view));
    assert_eq!(cluster.n_started, due, "each copy is made once");
    assert!((13..=45).contains(&due), "{due} copies were made, about a fifth of 128 is due");
    assert!(cluster.n_handed_over <= due, "{} slots were handed over", cluster.n_handed_over);
}

#[test]
fn a_node_that_dies_costs_the_copies_that_it_had() {
    let mut cluster = rested(4, 2);
    let node = *cluster.nodes.keys().next().expect("there are nodes");
    let had = cluster.view.slots.iter().filter(|placement| placement.in_sync.contains(&node)).count();
    cluster.nodes.remove(&node);
    cluster.run(20_000);
    cluster.check_rest();
    assert_eq!((cluster.n_started, cluster.view.n_lost()), (had, 0));
}

#[test]
fn a_node_that_leaves_hands_all_of_it_over_and_loses_nothing() {
    let mut cluster = rested(3, 1);
    let node = *cluster.nodes.keys().next().expect("there are nodes");
    let had = cluster.view.slots.iter().filter(|placement| placement.in_sync.contains(&node)).count();
    cluster.nodes.get_mut(&node).expect("it is there").wants_to_go = true;
    cluster.run(20_000);
    cluster.check_rest();
    assert_eq!((cluster.n_started, cluster.n_handed_over, cluster.view.n_lost()), (had, had, 0));
}

#[test]
fn a_short_stall_moves_nothing() {
    let mut cluster = rested(3, 2);
    let version = cluster.view.version;
    let now = cluster.now;
    cluster.nodes.values_mut().for_each(|node| node.stalled_until = now + 300);
    cluster.run(5000);
    assert_eq!(cluster.view.version, version);
}
