//! A network that cuts, holds and swallows: calls are applied exactly once, and end at their deadlines.

mod common;
mod network;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{client, embedded, settings, soon, timed, until, until_parked};
use greenroom::sync::{Barrier, Mutex as SharedMutex, Promise};
use greenroom::{Client, Counter, Error, Settings};
use greenroom_actors::NodeLayout;
use greenroom_actors::objects::{BarrierObject, PromiseObject};
use greenroom_rpc::proto::control_server::ControlServer;
use network::{FakeControl, Network, Weather, black_hole, serve_control};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

/// How much later than its deadline a call may end on a busy machine.
const SLACK: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn every_increment_is_applied_exactly_once_however_often_connections_are_cut() {
    const CALLERS: usize = 8;
    const CUTS: u64 = 60;
    let node = embedded(|_| {});
    let network = Network::around(&node).await;
    let client = client(&network.address).await;
    let stop = Arc::new(AtomicBool::new(false));
    network.becomes(Weather::Cutting);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (client, stop) = (client.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut n_acknowledged = 0;
                while !stop.load(Ordering::Relaxed) {
                    // Each caller has a counter of its own, so each value that it is told must be the next one; and all share one.
                    let own = client.object(Counter::named(format!("own{caller}"))).increment_async().await;
                    let shared = client.object(Counter::named("shared")).increment_async().await;
                    n_acknowledged += 1;
                    assert_eq!(own, Ok(n_acknowledged));
                    shared.expect("is answered before its deadline");
                }
                n_acknowledged
            })
        })
        .collect();
    until("connections are cut", || async { network.n_cut() >= CUTS }).await;
    stop.store(true, Ordering::Relaxed);
    let mut n_acknowledged = 0;
    for caller in callers {
        n_acknowledged += soon("a caller", caller).await.expect("is told the next value");
    }
    println!("{n_acknowledged} increments, {} cuts", network.n_cut());
    let direct = common::client(node.address()).await;
    assert_eq!(direct.object(Counter::named("shared")).get_async().await, Ok(n_acknowledged));
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_meet_at_a_barrier_and_exclude_each_other_while_connections_are_cut() {
    const CALLERS: usize = 4;
    const ROUNDS: u64 = 40;
    let node = embedded(|_| {});
    let network = Network::around(&node).await;
    network.becomes(Weather::Cutting);
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let client = client(&network.address).await;
        callers.push(tokio::spawn(async move {
            let barrier = client.object(Barrier::named("gate", CALLERS));
            let sum = SharedMutex::named("sum", 0_u64).through(Arc::new(client.clone()));
            let mut n_led = 0;
            for round in 0..ROUNDS {
                let passed = barrier.wait_async().await.expect("passes");
                assert_eq!(passed.generation(), round, "nobody passes twice, nobody is left behind");
                n_led += u64::from(passed.is_leader());
                let mut guard = sum.lock_async().await.expect("locks");
                *guard += 1;
                guard.unlock_async().await.expect("unlocks");
            }
            n_led
        }));
    }
    let mut n_led = 0;
    for caller in callers {
        n_led += soon("a caller", caller).await.expect("runs");
    }
    println!("{} cuts", network.n_cut());
    assert!(network.n_cut() > 0);
    assert_eq!(n_led, ROUNDS, "one leader a round");
    let direct = Arc::new(client(node.address()).await);
    let guard = SharedMutex::named("sum", 0_u64).through(direct).lock_async().await.expect("locks");
    assert_eq!(*guard, CALLERS as u64 * ROUNDS);
    guard.unlock_async().await.expect("unlocks");
}

/// Settings with a short time for each call.
fn hurried(address: &str, timeout: Duration) -> Settings {
    Settings { timeout, patience: timeout, ..settings(address) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_held_up_is_unknown_at_its_deadline_and_applied_at_most_once() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let node = embedded(|_| {});
    let network = Network::around(&node).await;
    let client = Client::with_settings(hurried(&network.address, TIMEOUT)).await.expect("connects");
    let counter = client.object(Counter::named("c"));
    assert_eq!(counter.increment_async().await, Ok(1));
    network.becomes(Weather::Holding);
    let (ended, took) = timed(counter.increment_async()).await;
    assert!(matches!(ended, Err(Error::Unknown { .. })), "{ended:?}");
    assert!(took >= TIMEOUT && took < TIMEOUT + SLACK, "{took:?}");
    let read = counter.get_async().await.expect_err("it is held up as well");
    assert!(matches!(read, Error::NoAnswer { .. }), "{read:?}");
    assert_eq!(read.applied(), Some(false), "it only reads");
    network.becomes(Weather::Calm);
    let mut last = 0;
    until("calls pass again", async || {
        last = counter.increment_async().await.unwrap_or(0);
        last > 0
    })
    .await;
    assert!((2..=3).contains(&last), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_call_that_is_cut_off_until_its_deadline_ends_soon_after() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let node = embedded(|_| {});
    let network = Network::around(&node).await;
    let through = client(&network.address).await;
    let direct = client(node.address()).await;
    let gate = through.object(Barrier::named("gate", 2)).with_timeout(TIMEOUT);
    let parked = tokio::spawn(async move { timed(gate.wait_async()).await });
    until_parked::<BarrierObject>(&direct, "gate", 1).await;
    network.becomes(Weather::Holding);
    let (ended, took) = soon("the parked call", parked).await.expect("runs");
    assert!(matches!(ended, Err(Error::Unknown { .. })), "{ended:?}");
    // The node's own word on a parked call is waited for two seconds longer.
    assert!(took >= TIMEOUT && took < TIMEOUT + Duration::from_secs(2) + SLACK, "{took:?}");
    until_parked::<BarrierObject>(&direct, "gate", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_takes_connections_and_never_answers_ends_a_call_at_its_deadline() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let node = embedded(|options| options.shards = Some(1));
    let layout = NodeLayout { shards: vec![black_hole().await], ..node.layout().clone() };
    let address = serve_control(&node, layout).await;
    let client = Client::with_settings(hurried(&address, TIMEOUT)).await.expect("connects");
    let (ended, took) = timed(client.object(Counter::named("c")).increment_async()).await;
    assert!(matches!(ended, Err(Error::NotSent { .. })), "{ended:?}");
    assert!(took < TIMEOUT + SLACK, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_takes_connections_and_never_answers_ends_a_call_at_its_deadline() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let node = embedded(|options| options.shards = Some(1));
    let mut table = node.table().clone();
    // The node that answers is a member, and serves nothing: all slots are the other one's.
    table.members[0].address = black_hole().await;
    table.members.push(greenroom_actors::Member {
        node: greenroom_actors::NodeId(1),
        name: "other".to_owned(),
        address: node.address().to_owned(),
    });
    let layout = NodeLayout { node: greenroom_actors::NodeId(1), ..node.layout().clone() };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("is bound").to_string();
    let control = ControlServer::new(FakeControl { table, layout });
    let server = tonic::transport::Server::builder().add_service(control);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let client = Client::with_settings(hurried(&address, TIMEOUT)).await.expect("connects");
    let (ended, took) = timed(client.object(Counter::named("c")).increment_async()).await;
    assert!(matches!(ended, Err(Error::NotSent { .. })), "{ended:?}");
    assert!(took < TIMEOUT + SLACK, "{took:?}");
}

#[tokio::test]
async fn a_cluster_that_takes_connections_and_never_answers_is_named() {
    let address = black_hole().await;
    let (refused, took) = timed(Client::with_settings(settings(&address))).await;
    let why = refused.expect_err("nobody answers").to_string();
    assert!(why.contains(&address) && why.contains("no answer within"), "{why}");
    assert!(took < Duration::from_secs(2) + SLACK, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_large_value_reaches_all_who_wait_on_one_stream() {
    const VALUE_BYTES: usize = 1 << 18;
    const N_WAITERS: usize = 64;
    let node = embedded(|options| options.stream_queue_bytes_max = 1 << 20);
    let client = client(node.address()).await;
    let promise = Promise::<Vec<u8>>::named("p").through(Arc::new(client.clone()));
    let waits: Vec<_> = (0..N_WAITERS)
        .map(|_| {
            let promise = promise.clone();
            tokio::spawn(async move { promise.get_async().await })
        })
        .collect();
    until_parked::<PromiseObject>(&client, "p", N_WAITERS).await;
    promise.set_async(vec![7; VALUE_BYTES]).await.expect("is set");
    for wait in waits {
        let value = soon("a waiter", wait).await.expect("does not panic").expect("is told the value");
        assert_eq!(value.len(), VALUE_BYTES);
    }
}
