//! A cluster of three nodes with copies: what is acknowledged outlives a node that is lost.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{client, embedded, job, runtime, settings, soon, until};
use greenroom::collections::Blob;
use greenroom::sync::{Barrier, Mutex};
use greenroom::{Cell, Client, Counter, Error, Refusal, Settings};
use greenroom_actors::{NodeId, hash_object, place};
use greenroom_node::Node;
use tokio::task::{JoinHandle, spawn_blocking};

/// How long a session outlives its streams on these nodes.
const GRACE_MS: u64 = 1_000;

/// A member of a cluster that it founds or joins.
fn member(name: &str, join: &[&str]) -> Node {
    start(name, join, None, "127.0.0.1:0")
}

fn start(name: &str, join: &[&str], data: Option<&Path>, listen: &str) -> Node {
    embedded(|options| {
        options.alone = false;
        options.name = name.to_owned();
        options.join = join.iter().map(|&address| address.to_owned()).collect();
        options.slots = 32;
        options.session_grace_ms = GRACE_MS;
        options.group.data = data.map(Path::to_owned);
        options.listen = listen.parse().expect("is an address");
    })
}

/// Waits until there are that many members, and every slot has that many copies, where the ring wants them.
async fn until_copied(node: &Node, copies: usize, n_members: usize) {
    until("every slot has its copies", async || {
        let table = node.table();
        let members: Vec<_> = table.members.iter().map(|member| (member.node, member.name.as_str())).collect();
        let wanted = place(&members, u16::try_from(table.slots.len()).expect("few slots"), copies);
        members.len() == n_members
            && table.slots.iter().zip(&wanted).all(|(place, wanted)| {
                place.primary == wanted[0]
                    && place.in_sync.len() == copies
                    && place.in_sync.iter().all(|node| wanted.contains(node))
            })
    })
    .await;
}

async fn cluster() -> (Vec<Node>, Client) {
    let first = spawn_blocking(|| member("n1", &[])).await.expect("starts");
    let seed = first.address().to_owned();
    let mut nodes = vec![first];
    for name in ["n2", "n3"] {
        let seed = seed.clone();
        nodes.push(spawn_blocking(move || member(name, &[&seed])).await.expect("starts"));
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
    spawn_blocking(move || drop(dead)).await.expect("ends");
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

#[tokio::test(flavor = "multi_thread")]
async fn an_ephemeral_object_is_lost_with_its_node_and_made_anew_by_whoever_wants_it() {
    let (mut nodes, client) = cluster().await;
    let counters: Vec<Counter> = (0..30).map(|n| client.object(Counter::named(format!("e{n}")).ephemeral())).collect();
    for counter in &counters {
        assert_eq!(soon("adds", counter.add_async(7)).await, Ok(7));
    }
    let too_many = client.object(Counter::named("three").replicated(3));
    let refused = soon("answers", too_many.add_async(1)).await;
    let too_few = Refusal::TooFewCopies { asked: 3, copies: 2 };
    assert!(matches!(&refused, Err(Error::Refused { refusal, .. }) if *refusal == too_few), "{refused:?}");
    let as_replicated = client.object(Counter::named("e0").replicated(2));
    let refused = soon("answers", as_replicated.add_async(1)).await;
    let other = |refusal: &Refusal| matches!(refusal, Refusal::OtherDurability { .. });
    assert!(matches!(&refused, Err(Error::Refused { refusal, .. }) if other(refusal)), "{refused:?}");

    let dead = nodes.remove(2);
    spawn_blocking(move || drop(dead)).await.expect("ends");
    let mut n_lost = 0;
    for counter in &counters {
        match soon("answers", counter.get_async()).await {
            Ok(value) => assert_eq!(value, 7),
            Err(Error::ObjectLost { .. }) => {
                n_lost += 1;
                assert_eq!(soon("creates", counter.object().create_async()).await, Ok(true));
                assert_eq!(soon("adds", counter.add_async(1)).await, Ok(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(n_lost > 0, "the node had some of thirty");
    drop((client, nodes));
}

/// Starts or stops something that blocks.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    spawn_blocking(work).await.expect("does not panic")
}

/// Calls that go on until they are told to stop; none of them may fail.
struct Load {
    enough: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<i64>>,
    counters: Vec<Counter>,
}

impl Load {
    fn start(client: &Client) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let counters: Vec<Counter> = (0..16).map(|n| client.object(Counter::named(format!("load{n}")))).collect();
        let tasks = counters.iter().cloned().map(|counter| {
            let enough = Arc::clone(&enough);
            tokio::spawn(async move {
                let mut n_added = 0;
                while !enough.load(Ordering::Acquire) {
                    n_added += 1;
                    assert_eq!(counter.add_async(1).await, Ok(n_added), "each call is done once, in order");
                }
                n_added
            })
        });
        Self { tasks: tasks.collect(), enough, counters }
    }

    /// Waits until so many more calls have been answered of each counter.
    async fn until_more(&self, count: i64) {
        for counter in &self.counters {
            let before = soon("answers", counter.get_async()).await.expect("answers");
            until("calls go on", async || counter.get_async().await.expect("answers") >= before + count).await;
        }
    }

    /// Ends the calls, and looks whether each was counted.
    async fn end(self) {
        self.enough.store(true, Ordering::Release);
        for (task, counter) in self.tasks.into_iter().zip(&self.counters) {
            let n_added = soon("the calls end", task).await.expect("no call fails");
            assert_eq!(soon("answers", counter.get_async()).await, Ok(n_added));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_a_node_leaves_and_another_joins() {
    let (mut nodes, client) = cluster().await;
    let load = Load::start(&client);
    load.until_more(5).await;
    let seed = nodes[0].address().to_owned();
    nodes.push(blocking(move || member("n4", &[&seed])).await);
    until_copied(&nodes[0], 2, 4).await;
    let share = |node: &Node| {
        let (table, me) = (node.table(), node.layout().node);
        table.slots.iter().filter(|place| place.primary == me).count()
    };
    assert!((3..=14).contains(&share(&nodes[3])), "a quarter of 32 slots, or so: {}", share(&nodes[3]));
    load.until_more(5).await;
    for _ in 0..2 {
        let leaves = nodes.remove(1);
        blocking(move || leaves.stop()).await;
        load.until_more(5).await;
    }
    until_copied(&nodes[0], 2, 2).await;
    load.end().await;
    drop((client, nodes));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_the_node_that_founded_the_cluster_leaves() {
    let (mut nodes, client) = cluster().await;
    let load = Load::start(&client);
    load.until_more(5).await;
    let founder = nodes.remove(0);
    blocking(move || founder.stop()).await;
    load.until_more(5).await;
    until_copied(&nodes[0], 2, 2).await;
    load.end().await;
    drop((client, nodes));
}

/// The key of a lock that a node serves.
fn lock_on(node: &Node) -> String {
    let (table, me): (_, NodeId) = (node.table(), node.layout().node);
    let type_name = Mutex::named("m", 0_u64).object().object_type().name;
    let mut keys = (0..).map(|number| format!("lock{number}"));
    let is_there = |key: &String| {
        let slot = table.slot_of(hash_object(job(), type_name, key));
        table.place(slot).is_some_and(|place| place.primary == me)
    };
    keys.find(is_there).expect("there is one")
}

fn lock(client: &Client, key: &str) -> Mutex<u64> {
    Mutex::named(key, 0_u64).through(Arc::new(client.clone()))
}

async fn n_parked(lock: &Mutex<u64>) -> Option<usize> {
    let said = lock.object().describe_async().await.ok()?;
    Some(said["parked"].as_array().expect("is a list").len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_whose_node_and_whose_owner_die_together_is_free_after_the_grace_period() {
    let (mut nodes, client) = cluster().await;
    let key = lock_on(&nodes[2]);
    let (own, address) = (blocking(runtime).await, nodes[0].address().to_owned());
    let dying = own.spawn(async move { common::client(&address).await }).await.expect("connects");
    let (owned, on) = (lock(&dying, &key), own.handle().clone());
    let guard = soon("locks", on.spawn(async move { owned.lock_async().await })).await.expect("does not panic");
    let contender = lock(&client, &key);
    let waits = tokio::spawn(async move { contender.lock_async().await.map(drop) });
    let looks = lock(&client, &key);
    until("the other one waits", async || n_parked(&looks).await == Some(1)).await;

    let dead = nodes.remove(2);
    blocking(move || drop(dead)).await;
    // As if its process was killed: its streams break, and it says nothing.
    own.shutdown_background();
    assert_eq!(soon("gets the lock", waits).await.expect("does not panic"), Ok(()));
    std::mem::forget(guard);
    drop((client, dying, nodes));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_larger_than_a_frame_is_copied() {
    const FRAME_BYTES: usize = 2 << 20;
    let node = |name: &'static str, join: Vec<String>| {
        blocking(move || {
            embedded(|options| {
                (options.alone, options.name, options.join) = (false, name.to_owned(), join);
                (options.slots, options.frame_bytes_max) = (4, FRAME_BYTES);
            })
        })
    };
    let first = node("n1", Vec::new()).await;
    let client = client(first.address()).await;
    let bytes: Vec<u8> = (0..251_u8).cycle().take(4 * FRAME_BYTES).collect();
    let blob = Blob::named("large").through(Arc::new(client.clone()));
    soon("writes", blob.write_async(&bytes)).await.expect("writes");
    let second = node("n2", vec![first.address().to_owned()]).await;
    let third = node("n3", vec![first.address().to_owned()]).await;
    until_copied(&first, 2, 3).await;
    // Nearly as large as a call can be: it is shipped as well.
    let cell: Cell<Vec<u8>> = Cell::named("cell", Vec::new()).through(Arc::new(client.clone()));
    soon("sets", cell.set_async(bytes[..FRAME_BYTES - 1024].to_vec())).await.expect("sets");
    blocking(move || drop(first)).await;
    assert!(soon("reads", blob.read_async()).await.expect("reads") == bytes);
    assert_eq!(soon("gets", cell.get_async()).await.expect("gets").len(), FRAME_BYTES - 1024);
    drop((client, second, third));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_held_without_a_word_outlives_its_node() {
    let (mut nodes, client) = cluster().await;
    let key = lock_on(&nodes[2]);
    // It has a stream to the node that dies, and to no other, and no call is out.
    let holder = common::client(nodes[0].address()).await;
    let guard = soon("locks", lock(&holder, &key).lock_async()).await.expect("locks");
    let dead = nodes.remove(2);
    blocking(move || drop(dead)).await;
    let looks = lock(&client, &key);
    until("another node serves it", async || n_parked(&looks).await == Some(0)).await;
    let patience = Duration::from_millis(3 * GRACE_MS);
    let contender = lock(&client, &key).lock_timeout_async(patience).await;
    assert!(matches!(contender, Err(Error::TimedOut { .. })), "{contender:?}");
    soon("unlocks", guard.unlock_async()).await.expect("is still held");
    drop((client, holder, nodes));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_given_up_while_its_node_dies_leaves_no_waiter() {
    let (mut nodes, client) = cluster().await;
    let key = lock_on(&nodes[2]);
    let guard = soon("locks", lock(&client, &key).lock_async()).await.expect("locks");
    let looks = lock(&client, &key);
    let waits: Vec<_> = (0..4)
        .map(|_| {
            let contender = lock(&client, &key);
            tokio::spawn(async move { contender.lock_async().await.map(drop) })
        })
        .collect();
    until("four wait", async || n_parked(&looks).await == Some(4)).await;

    waits[0].abort();
    let dead = nodes.remove(2);
    let dies = tokio::spawn(blocking(move || drop(dead)));
    waits[1].abort();
    dies.await.expect("ends");
    waits[2].abort();
    until("one waits", async || n_parked(&looks).await == Some(1)).await;
    soon("unlocks", guard.unlock_async()).await.expect("is still held");
    let [.., last] = <[_; 4]>::try_from(waits).expect("are four");
    assert_eq!(soon("gets the lock", last).await.expect("does not panic"), Ok(()));
    until("nobody waits", async || n_parked(&looks).await == Some(0)).await;
    drop((client, nodes));
}

/// A folder of one test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("failover-{name}"));
    // It is not there at the first run.
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// Three nodes with folders, where each can be started anew.
struct WithFolders {
    folder: PathBuf,
    nodes: Vec<Option<Node>>,
    addresses: Vec<String>,
}

impl WithFolders {
    async fn start(test: &str) -> Self {
        let first = common::support::free_ports(9);
        let addresses = (0..3).map(|node| format!("127.0.0.1:{}", first + 3 * node)).collect();
        let mut cluster = Self { folder: folder(test), nodes: vec![None, None, None], addresses };
        for node in 0..3 {
            cluster.begin(node).await;
        }
        until_copied(cluster.node(0), 2, 3).await;
        cluster
    }

    fn node(&self, node: usize) -> &Node {
        self.nodes[node].as_ref().expect("runs")
    }

    /// Starts a node, or starts it anew.
    async fn begin(&mut self, node: usize) {
        let (data, addresses) = (self.folder.join(node.to_string()), self.addresses.clone());
        let is_first = self.nodes.iter().all(Option::is_none);
        let started = blocking(move || {
            std::fs::create_dir_all(&data).expect("can be made");
            let others: Vec<&str> = addresses.iter().map(String::as_str).filter(|_| !is_first).collect();
            start(&format!("n{}", node + 1), &others, Some(&data), &addresses[node])
        });
        self.nodes[node] = Some(started.await);
    }

    async fn stop(&mut self, node: usize) {
        let stops = self.nodes[node].take().expect("runs");
        blocking(move || stops.stop()).await;
    }

    /// These nodes are gone at the same time, without a word.
    async fn kill(&mut self, nodes: &[usize]) {
        let dying: Vec<_> = nodes.iter().map(|&node| self.nodes[node].take().expect("runs")).collect();
        let ends: Vec<_> = dying.into_iter().map(|node| spawn_blocking(move || drop(node))).collect();
        for end in ends {
            end.await.expect("ends");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_of_all_nodes_loses_nothing() {
    let mut cluster = WithFolders::start("rolling").await;
    let client = client(&cluster.addresses[1]).await;
    let load = Load::start(&client);
    for node in 0..3 {
        load.until_more(5).await;
        cluster.stop(node).await;
        cluster.begin(node).await;
        until_copied(cluster.node(node), 2, 3).await;
    }
    for node in 0..3 {
        load.until_more(5).await;
        cluster.kill(&[node]).await;
        load.until_more(5).await;
        cluster.begin(node).await;
        until_copied(cluster.node(node), 2, 3).await;
    }
    load.end().await;
    drop((client, cluster));
}

/// What a call came to, typed: `None` if it was answered.
fn refused<T, E>(answer: Result<T, Error<E>>) -> Option<&'static str> {
    match answer {
        Ok(_) | Err(Error::Method(_)) => None,
        Err(Error::Refused { refusal: Refusal::DataLost, .. }) => Some("data lost"),
        Err(Error::Refused { refusal: Refusal::Unavailable(_), .. } | Error::NotSent { .. }) => Some("unavailable"),
        Err(Error::Unknown { .. } | Error::ObjectLost { .. }) => Some("unknown"),
        Err(_) => Some("another error"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_death_before_copies_are_made_is_told_and_service_comes_back() {
    let mut cluster = WithFolders::start("second").await;
    let hurried = Settings { timeout: Duration::from_millis(700), ..settings(&cluster.addresses[0]) };
    let hurried = Client::with_settings(hurried).await.expect("connects");
    let client = client(&cluster.addresses[0]).await;
    let counters: Vec<Counter> = (0..40).map(|n| client.object(Counter::named(format!("c{n}")))).collect();
    for counter in &counters {
        assert_eq!(soon("adds", counter.add_async(7)).await, Ok(7));
    }
    cluster.kill(&[1, 2]).await;
    // One of three voters decides nothing, and its lease is over soon.
    let one = hurried.object(counters[0].clone());
    until("nothing is answered", async || refused(one.get_async().await).is_some()).await;
    for counter in &counters {
        let answer = soon("is answered in time", hurried.object(counter.clone()).add_async(1)).await;
        assert!(matches!(refused(answer.clone()), Some("unavailable" | "unknown")), "{answer:?}");
    }
    cluster.begin(1).await;
    // What only the two had waits for the other one, which may be alive for all that is known.
    let is_waiting = async |counter: &Counter| {
        let answer = soon("is answered in time", hurried.object(counter.clone()).get_async()).await;
        assert!(matches!(refused(answer.clone()), None | Some("unavailable" | "unknown")), "{answer:?}");
        answer.is_err()
    };
    until("some are answered again", async || {
        for counter in &counters {
            if !is_waiting(counter).await {
                return true;
            }
        }
        false
    })
    .await;
    cluster.begin(2).await;
    let mut n_lost = 0;
    for counter in &counters {
        let answer = soon("is answered", counter.get_async()).await;
        match refused(answer.clone()) {
            // What was in doubt may have been done, once.
            None => assert!(matches!(answer, Ok(7 | 8)), "{answer:?}"),
            Some("data lost") => n_lost += 1,
            Some(_) => panic!("{answer:?}"),
        }
    }
    assert!((1..30).contains(&n_lost), "what only the two had is lost, and is said to be: {n_lost}");
    drop((client, hurried, cluster));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_one_answers_and_of_two_bears_that_one_leaves() {
    let first = blocking(|| member("n1", &[])).await;
    let client = client(first.address()).await;
    let counters: Vec<Counter> = (0..20).map(|n| client.object(Counter::named(format!("c{n}")))).collect();
    for counter in &counters {
        assert_eq!(soon("adds", counter.add_async(1)).await, Ok(1));
    }
    let seed = first.address().to_owned();
    let second = blocking(move || member("n2", &[&seed])).await;
    until_copied(&first, 2, 2).await;
    for counter in &counters {
        assert_eq!(soon("adds", counter.add_async(1)).await, Ok(2));
    }
    // The one that founded the cluster goes, and with it the only vote: it passes that on first.
    blocking(move || first.stop()).await;
    until_copied(&second, 1, 1).await;
    for counter in &counters {
        assert_eq!(soon("adds", counter.add_async(1)).await, Ok(3));
    }
    drop((client, second));
}
