//! A cluster of three nodes with copies: what is acknowledged outlives a node that is lost.

mod common;

use std::sync::Arc;

use common::{client, embedded, soon, until};
use greenroom::sync::{Barrier, Mutex};
use greenroom::{Client, Counter};
use greenroom_node::Node;

/// A member of a cluster that it founds or joins.
fn member(name: &str, join: &[&str]) -> Node {
    embedded(|options| {
        options.alone = false;
        options.name = name.to_owned();
        options.join = join.iter().map(|&address| address.to_owned()).collect();
        options.slots = 32;
    })
}

/// Waits until every slot has that many copies.
async fn until_copied(node: &Node, copies: usize, primaries: usize) {
    until("every slot has its copies", async || {
        let table = node.table();
        let spread: std::collections::BTreeSet<_> = table.slots.iter().map(|place| place.primary).collect();
        table.slots.iter().all(|place| place.in_sync.len() == copies) && spread.len() == primaries
    })
    .await;
}

async fn cluster() -> (Vec<Node>, Client) {
    let first = tokio::task::spawn_blocking(|| member("n1", &[])).await.expect("starts");
    let seed = first.address().to_owned();
    let mut nodes = vec![first];
    for name in ["n2", "n3"] {
        let seed = seed.clone();
        nodes.push(tokio::task::spawn_blocking(move || member(name, &[&seed])).await.expect("starts"));
    }
    until_copied(&nodes[0], 2, 3).await;
    let client = client(nodes[1].address()).await;
    (nodes, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_three_spreads_its_slots_and_answers() {
    let (nodes, client) = cluster().await;
    for n in 0..50 {
        let counter = client.object(Counter::named(format!("c{n}")));
        assert_eq!(soon("adds", counter.add_async(n)).await, Ok(n));
    }
    drop((client, nodes));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_node() {
    let (mut nodes, client) = cluster().await;
    let counters: Vec<Counter> = (0..50).map(|n| client.object(Counter::named(format!("c{n}")))).collect();
    for counter in &counters {
        assert_eq!(soon("adds", counter.add_async(7)).await, Ok(7));
    }
    let lock = Mutex::named("m", 5_u64).through(Arc::new(client.clone()));
    let guard = soon("locks", lock.lock_async()).await.expect("locks");
    let gate = Barrier::named("gate", 2);
    let (one, two) = (client.object(gate.clone()), client.object(gate));
    let waiting = tokio::spawn(async move { one.wait_async().await });
    until("one waits", async || two.waiting_async().await == Ok(1)).await;

    let dead = nodes.remove(2);
    tokio::task::spawn_blocking(move || drop(dead)).await.expect("ends");
    for counter in &counters {
        assert_eq!(soon("adds", counter.add_async(1)).await, Ok(8));
    }
    assert!(soon("passes", two.wait_async()).await.expect("passes").is_leader());
    assert!(!soon("passes", waiting).await.expect("does not panic").expect("passes").is_leader());
    let contender = lock.clone();
    assert!(soon("is held", contender.try_lock_async()).await.expect("answers").is_none());
    soon("unlocks", guard.unlock_async()).await.expect("is still held");
    until_copied(&nodes[0], 2, 2).await;
    drop((client, nodes));
}
