//! Clients and three node processes: calls find their nodes, and nodes that go leave a typed error behind.

mod common;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::support::{command, free_ports, run};
use common::{Processes, client, embedded, key_on, keys_on, settings, soon, status, timed, until, until_parked};
use greenroom::sync::Barrier;
use greenroom::{Client, Cluster, ConnectError, Counter, Error, Settings, object};
use greenroom_actors::objects::{BarrierObject, CounterObject};
use serde::{Deserialize, Serialize};

/// How much later than its deadline a call may end on a busy machine.
const SLACK: Duration = Duration::from_secs(1);

fn barrier(client: &Client, key: &str) -> Barrier {
    client.object(Barrier::named(key, 2))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_one_node_reaches_every_shard_of_every_node() {
    let nodes = Processes::start();
    let client = client(&nodes.address(1)).await;
    let calls: Vec<_> = (0..300)
        .map(|key| tokio::spawn(client.object(Counter::named(format!("key{key}"))).increment_async()))
        .collect();
    for call in calls {
        assert_eq!(soon("a call", call).await.expect("runs"), Ok(1));
    }
    let mut n_objects = 0;
    for node in 0..3 {
        let status = status(&nodes.address(node)).await;
        assert_eq!(status.name, format!("n{}", node + 1));
        assert_eq!(status.shards.len(), 2);
        for shard in status.shards {
            assert!(shard.calls >= 10 && shard.objects >= 10 && shard.streams == 1, "{shard:?}");
            n_objects += shard.objects;
        }
    }
    assert_eq!(n_objects, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_from_many_threads_and_tasks_add_up() {
    const KEYS: usize = 10;
    let nodes = Processes::start();
    let client = client(&nodes.address(0)).await;
    let counter = |caller: usize, call: usize| Counter::named(format!("key{}", (caller + call) % KEYS));
    let threads: Vec<_> = (0..8)
        .map(|caller| {
            let client = client.clone();
            std::thread::spawn(move || {
                for call in 0..50 {
                    client.object(counter(caller, call)).add(1).expect("adds");
                }
            })
        })
        .collect();
    let tasks: Vec<_> = (0..64)
        .map(|caller| {
            let client = client.clone();
            tokio::spawn(async move {
                for call in 0..50 {
                    client.object(counter(caller, call)).add_async(1).await.expect("adds");
                }
            })
        })
        .collect();
    for task in tasks {
        soon("a task", task).await.expect("adds");
    }
    let joined = tokio::task::spawn_blocking(|| threads.into_iter().try_for_each(std::thread::JoinHandle::join));
    soon("the threads", joined).await.expect("runs").expect("add");
    let mut sum = 0;
    for key in 0..KEYS {
        sum += client.object(counter(key, 0)).get_async().await.expect("reads");
    }
    assert_eq!(sum, (8 + 64) * 50);
}

#[tokio::test]
async fn a_cluster_that_is_not_there_is_named() {
    let nowhere = format!("127.0.0.1:{}", free_ports(1));
    let (refused, _) = timed(Client::with_settings(settings(&nowhere))).await;
    let Err(ConnectError::Unreachable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains(&nowhere) && why.contains("no node of the cluster answers"), "{why}");

    let no_address = Client::with_settings(settings("not an address:1")).await;
    let Err(ConnectError::Unreachable(why)) = no_address else { panic!("{no_address:?}") };
    assert!(why.contains("`not an address:1` is not an address"), "{why}");
}

/// The process's own client connects at its first call, so this needs a process with an environment of its own.
#[test]
fn a_call_to_a_cluster_that_is_not_there_is_not_sent() {
    const CHILD: &str = "NOWHERE";
    if let Ok(nowhere) = std::env::var(CHILD) {
        let started = Instant::now();
        let called = Counter::named("c").get();
        let Err(Error::NotSent { object, why }) = called else { panic!("{called:?}") };
        assert_eq!(object, "Counter/c");
        assert!(why.contains(&nowhere), "{why}");
        assert!(started.elapsed() < SLACK + SLACK, "{:?}", started.elapsed());
        return;
    }
    let nowhere = format!("127.0.0.1:{}", free_ports(1));
    let mut child = command(std::env::current_exe().expect("is known"));
    child.args(["--exact", "a_call_to_a_cluster_that_is_not_there_is_not_sent", "--nocapture"]);
    child.env(CHILD, &nowhere).env("GREENROOM_CLUSTER", &nowhere).env("GREENROOM_TIMEOUT_MS", "300");
    let said = run(&mut child);
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.out.contains("1 passed"), "{said:?}");
}

#[tokio::test]
async fn a_blocking_call_is_refused_where_async_tasks_run_and_made_where_threads_may_block() {
    let node = embedded(|_| {});
    let counter = client(node.address()).await.object(Counter::named("c"));
    let refused = counter.increment();
    assert_eq!(refused, Err(Error::Blocking { object: "Counter/c".to_owned(), given_back: false }));
    let text = refused.expect_err("is refused").to_string();
    assert!(text.contains("_async"), "{text}");
    let made = tokio::task::spawn_blocking(move || counter.increment());
    assert_eq!(soon("the call", made).await.expect("runs"), Ok(1));
}

/// How a call ended, and when.
type Ended = (Result<i64, Error>, Duration);

/// Counters that are called without a pause until told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Vec<tokio::task::JoinHandle<Vec<Ended>>>,
}

impl Load {
    fn start(client: &Client, keys: &[String]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let calls = keys.iter().map(|key| {
            let (counter, stop) = (client.object(Counter::named(key)), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut ended = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    ended.push(timed(counter.increment_async()).await);
                }
                ended
            })
        });
        Self { calls: calls.collect(), stop }
    }

    async fn end(self) -> Vec<Vec<Ended>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ended = Vec::new();
        for calls in self.calls {
            ended.push(soon("the load", calls).await.expect("runs"));
        }
        ended
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_fails_its_own_calls_within_their_deadlines_and_no_others() {
    const TIMEOUT: Duration = Duration::from_millis(700);
    let mut nodes = Processes::start();
    let settings = Settings { timeout: TIMEOUT, patience: TIMEOUT, ..settings(&nodes.address(0)) };
    let client = Client::with_settings(settings).await.expect("connects");
    let table = client.table().await.expect("is known");
    let load = Load::start(&client, &[0, 1, 2].map(|node| key_on::<CounterObject>(&table, node)));

    let gates: Vec<String> = keys_on::<BarrierObject>(table, 2).take(2).collect();
    let endless = barrier(&client, &gates[0]);
    let limited = barrier(&client, &gates[1]).with_timeout(TIMEOUT * 2);
    let [endless, limited] = [endless, limited].map(|gate| tokio::spawn(async move { gate.wait_async().await }));
    for gate in &gates {
        until_parked::<BarrierObject>(&client, gate, 1).await;
    }

    let killed = Instant::now();
    nodes.kill(2);
    for (parked, limit) in [(endless, TIMEOUT), (limited, TIMEOUT * 2)] {
        let ended = soon("a parked call", parked).await.expect("runs");
        assert!(matches!(ended, Err(Error::Unknown { .. })), "{ended:?}");
        assert!(killed.elapsed() < limit + SLACK, "{:?}", killed.elapsed());
    }
    let calls = load.end().await;
    for (node, calls) in calls.iter().enumerate() {
        for (ended, took) in calls {
            assert!(*took < TIMEOUT + SLACK, "{ended:?} after {took:?}");
            match ended {
                Ok(_) => {}
                Err(Error::Unknown { .. } | Error::NotSent { .. }) if node == 2 => {}
                Err(error) => panic!("node {node}: {error}"),
            }
        }
    }
    assert!(calls[2].iter().any(|(ended, _)| ended.is_ok()) && calls[2].iter().any(|(ended, _)| ended.is_err()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_started_anew_serves_the_same_client_and_its_old_calls_are_unknown() {
    let mut nodes = Processes::start();
    let client = client(&nodes.address(0)).await;
    let table = client.table().await.expect("is known");
    let counter = client.object(Counter::named(key_on::<CounterObject>(&table, 2)));
    assert_eq!(counter.add_async(5).await, Ok(5));
    let gate = key_on::<BarrierObject>(&table, 2);
    let parked = tokio::spawn(barrier(&client, &gate).wait_async());
    until_parked::<BarrierObject>(&client, &gate, 1).await;

    nodes.kill(2);
    nodes.start_node(2);
    let (again, took) = timed(counter.add_async(1)).await;
    assert_eq!(again, Ok(1), "with a single copy the state went with the process");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let ended = soon("the parked call", parked).await.expect("runs");
    let Err(Error::Unknown { why, .. }) = ended else { panic!("{ended:?}") };
    assert!(why.contains("started anew"), "{why}");

    let waits = [0, 1].map(|_| tokio::spawn(barrier(&client, &gate).wait_async()));
    for wait in waits {
        assert_eq!(soon("a wait", wait).await.expect("runs").expect("passes").generation(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_tells_the_callers_of_parked_calls_at_once() {
    let mut nodes = Processes::start();
    let client = client(&nodes.address(0)).await;
    let table = client.table().await.expect("is known");
    let gate = key_on::<BarrierObject>(&table, 2);
    let parked = tokio::spawn(barrier(&client, &gate).wait_async());
    until_parked::<BarrierObject>(&client, &gate, 1).await;
    let asked = Instant::now();
    nodes.terminate(2);
    let ended = soon("the parked call", parked).await.expect("runs");
    let Err(Error::Unknown { why, .. }) = ended else { panic!("{ended:?}") };
    assert!(why.contains("has stopped"), "{why}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    nodes.end(2);
    assert_eq!(client.object(Counter::named(key_on::<CounterObject>(&table, 1))).increment_async().await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_that_a_stopping_node_applied_is_reported_as_not_applied() {
    let mut nodes = Processes::start();
    let settings = Settings { timeout: Duration::from_secs(1), ..settings(&nodes.address(0)) };
    let client = Client::with_settings(settings).await.expect("connects");
    let key = key_on::<CounterObject>(&client.table().await.expect("is known"), 2);
    let load = Load::start(&client, &vec![key.clone(); 32]);
    let counter = client.object(Counter::named(key));
    until("the load runs", || async { counter.get_async().await.expect("reads") > 500 }).await;
    nodes.terminate(2);
    nodes.end(2);
    let mut values = Vec::new();
    let mut n_unknown = 0;
    for (ended, _) in load.end().await.into_iter().flatten() {
        match ended {
            Ok(value) => values.push(value),
            Err(Error::Unknown { .. }) => n_unknown += 1,
            Err(error) => assert!(matches!(error, Error::NotSent { .. }), "{error}"),
        }
    }
    values.sort_unstable();
    let last = usize::try_from(*values.last().expect("some were answered")).expect("counts up");
    assert!(last <= values.len() + n_unknown, "{last} were applied: {} known, {n_unknown} unknown", values.len());
    values.dedup();
    assert!(last - values.len() <= n_unknown, "no value was given twice");
}

/// The calls that were applied in this process, by number.
static JOURNAL: Mutex<Option<HashMap<u64, u32>>> = Mutex::new(None);

/// Notes what was applied in the journal of its process.
#[object]
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Journalled {
    count: u64,
}

#[object]
impl Journalled {
    /// Notes a call.
    pub fn note(&mut self, call: u64) -> u64 {
        let mut journal = JOURNAL.lock().unwrap_or_else(PoisonError::into_inner);
        *journal.get_or_insert_default().entry(call).or_default() += 1;
        self.count += 1;
        self.count
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_node_applies_each_call_once_or_says_that_it_did_not() {
    const CALLERS: u64 = 32;
    let node = embedded(|_| {});
    let cluster = Cluster::Nodes(vec![node.address().to_owned()]);
    let settings = Settings { cluster, timeout: Duration::from_secs(1), ..Settings::default() };
    let client = Client::with_settings(settings).await.expect("connects");
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let object = client.object(Journalled::named(format!("{}", caller % 8)));
            tokio::spawn(async move {
                let mut ended = Vec::new();
                for call in (0..).map(|call| call * CALLERS + caller) {
                    let result = object.note_async(call).await;
                    let failed = result.is_err();
                    ended.push((call, result));
                    if failed {
                        return ended;
                    }
                }
                ended
            })
        })
        .collect();
    let n_applied = || JOURNAL.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, HashMap::len);
    until("the load runs", || async { n_applied() > 500 }).await;
    soon("the node stops", tokio::task::spawn_blocking(move || node.stop())).await.expect("runs");
    for caller in callers {
        for (call, ended) in soon("a caller", caller).await.expect("runs") {
            let journal = JOURNAL.lock().unwrap_or_else(PoisonError::into_inner);
            let times = journal.as_ref().and_then(|journal| journal.get(&call)).copied().unwrap_or(0);
            match ended.as_ref().map_err(Error::applied) {
                Ok(_) | Err(Some(true)) => assert_eq!(times, 1, "{call}: {ended:?}"),
                Err(Some(false)) => assert_eq!(times, 0, "{call}: {ended:?}"),
                Err(None) => assert!(times <= 1, "{call}: {ended:?}"),
            }
        }
    }
}
