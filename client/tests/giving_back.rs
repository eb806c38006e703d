//! What a client has no use for any more is given back, whatever the network and the node do meanwhile.

mod common;
mod network;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{client, embedded, settings, soon, until, until_parked};
use greenroom::sync::channel::Channel;
use greenroom::sync::{Mutex, RwLock, Semaphore};
use greenroom::{Client, Counter, Error, Settings, Turn, object};
use greenroom_actors::objects::{ChannelObject, MutexObject};
use network::{Network, Weather};
use serde::{Deserialize, Serialize};

/// How long the others wait for what should be theirs.
const PATIENCE: Duration = Duration::from_secs(15);

/// Keeps its shard busy, and with it every object of a node that has one shard.
#[object]
#[derive(Debug, Default, Serialize, Deserialize)]
struct Busy {
    n_calls: u64,
}

static IS_BUSY: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

#[object]
impl Busy {
    /// Takes that long, and says through the flag of that number that it has begun.
    pub fn take(&mut self, flag: usize, ms: u64) {
        self.n_calls += 1;
        IS_BUSY[flag].store(true, Ordering::Release);
        std::thread::sleep(Duration::from_millis(ms));
    }
}

/// Keeps the node busy, from when this returns until the task that it returns has ended.
async fn keep_busy(client: &Client, flag: usize, ms: u64) -> tokio::task::JoinHandle<()> {
    let busy = client.object(Busy::named("busy"));
    let busy = tokio::spawn(async move { busy.take_async(flag, ms).await.expect("is done") });
    until("the node is busy", async || IS_BUSY[flag].load(Ordering::Acquire)).await;
    busy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_dropped_while_the_node_is_busy_is_given_back_when_it_has_time() {
    let node = embedded(|options| options.shards = Some(1));
    let hurried = Settings { timeout: Duration::from_millis(200), ..settings(node.address()) };
    let holder = Arc::new(Client::with_settings(hurried).await.expect("connects"));
    let other = Arc::new(client(node.address()).await);
    let lock = Mutex::named("m", 0_u64);
    let mut guard = lock.through(holder.clone()).lock_async().await.expect("locks");
    *guard = 7;
    let busy = keep_busy(&other, 0, 1_000).await;
    drop(guard);
    soon("the node is done", busy).await.expect("runs");
    let got = lock.through(other).lock_timeout_async(PATIENCE).await.expect("it has been given back");
    assert_eq!(*got, 7, "with its value");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_whose_release_times_out_is_given_back_though_its_handle_is_hasty() {
    let node = embedded(|options| options.shards = Some(1));
    let (holder, other) = (Arc::new(client(node.address()).await), Arc::new(client(node.address()).await));
    let semaphore = Semaphore::named("s", 1);
    let hasty = semaphore.through(holder.clone()).with_timeout(Duration::from_millis(50));
    assert_eq!(semaphore.through(holder).available_permits_async().await, Ok(1), "the stream is open");
    let permit = hasty.acquire_async().await.expect("acquires");
    let busy = keep_busy(&other, 1, 500).await;
    permit.release_async().await.expect_err("the node has no time");
    soon("the node is done", busy).await.expect("runs");
    let _permit = semaphore.through(other).acquire_timeout_async(PATIENCE).await.expect("it has been given back");
}

/// A caller gives up, and what tells the node so is lost with its stream; then the client has another one.
async fn give_up_unheard<T: 'static>(network: &Network, client: &Client, waiting: tokio::task::JoinHandle<T>) {
    network.becomes(Weather::Holding);
    waiting.abort();
    until("the word is on its way", async || network.n_held() > 0).await;
    network.cut();
    network.becomes(Weather::Calm);
    assert_eq!(client.object(Counter::named("c")).increment_async().await, Ok(1), "the client lives");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_not_granted_to_who_gave_up_though_the_word_of_it_was_lost() {
    let node = embedded(|options| options.shards = Some(1));
    let network = Network::around(&node).await;
    let (through, direct) = (Arc::new(client(&network.address).await), Arc::new(client(node.address()).await));
    let lock = Mutex::named("m", 0_u64);
    let held = lock.through(direct.clone()).lock_async().await.expect("locks");
    let waits = lock.through(through.clone());
    let waiting = tokio::spawn(async move { waits.lock_async().await.map(drop) });
    until_parked::<MutexObject>(&direct, "m", 1).await;
    give_up_unheard(&network, &through, waiting).await;
    held.unlock_async().await.expect("unlocks");
    drop(lock.through(direct).lock_timeout_async(PATIENCE).await.expect("nobody has it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_does_not_go_to_who_gave_up_though_the_word_of_it_was_lost() {
    let node = embedded(|options| options.shards = Some(1));
    let network = Network::around(&node).await;
    let (through, direct) = (Arc::new(client(&network.address).await), Arc::new(client(node.address()).await));
    let channel = Channel::<u64>::unbounded("ch");
    let receiver = channel.receiver().through(through.clone());
    let waiting = tokio::spawn(async move { receiver.recv_async().await });
    until_parked::<ChannelObject>(&direct, "ch", 1).await;
    give_up_unheard(&network, &through, waiting).await;
    let sender = channel.through(direct.clone()).sender_async().await.expect("sends");
    sender.send_async(7).await.expect("sends");
    assert_eq!(channel.receiver().through(direct).recv_timeout_async(PATIENCE).await, Ok(7));
}

/// Says on which lane it is called.
#[object]
#[derive(Debug, Default, Serialize, Deserialize)]
struct LaneTeller {
    n_calls: u64,
}

#[object]
impl LaneTeller {
    pub fn write(&mut self, turn: &mut Turn) -> u32 {
        self.n_calls += 1;
        turn.call_id().lane.0
    }

    pub fn n_calls(&self) -> u64 {
        self.n_calls
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_takes_cost_no_lanes() {
    const ROUNDS: u64 = 100;
    let node = embedded(|options| (options.shards, options.slots) = (Some(1), 1));
    let (client, other) = (client(node.address()).await, client(node.address()).await);
    let teller = client.object(LaneTeller::named("t"));
    let sees = other.object(LaneTeller::named("t"));
    teller.write_async().await.expect("writes");
    let mut n_untaken = 0;
    for round in 0..ROUNDS {
        let mut write = Box::pin(teller.write_async());
        let mut read = Box::pin(teller.n_calls_async());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        // A machine that takes this thread's turn away in the middle of a poll may bring an answer within it.
        let (write_waits, read_waits) =
            (write.as_mut().poll(&mut context).is_pending(), read.as_mut().poll(&mut context).is_pending());
        n_untaken += u64::from(write_waits && read_waits);
        until("it is written", async || sees.n_calls_async().await == Ok(round + 2)).await;
        // An answered call behind them on the same stream: their answers are here.
        teller.n_calls_async().await.expect("reads");
        drop((write, read));
        teller.n_calls_async().await.expect("reads");
    }
    assert!(n_untaken > ROUNDS / 2, "only {n_untaken} rounds left their answers");
    let lane = teller.write_async().await.expect("writes");
    assert!(lane < 20, "lane {lane} after {ROUNDS} rounds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_closed_while_its_stream_is_opened_again_ends_its_session() {
    let node = embedded(|options| options.shards = Some(1));
    let network = Network::around(&node).await;
    let (through, direct) = (client(&network.address).await, Arc::new(client(node.address()).await));
    let lock = Mutex::named("m", 0_u64);
    let guard = lock.through(Arc::new(through.clone())).lock_async().await.expect("locks");
    std::mem::forget(guard);
    network.becomes(Weather::Holding);
    network.cut();
    until("its greeting is on its way", async || network.n_held() > 0).await;
    through.close().await;
    network.becomes(Weather::Calm);
    drop(lock.through(direct).lock_timeout_async(PATIENCE).await.expect("nobody has it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_with_a_value_that_is_too_large_for_its_node_gives_its_lock_back_without_it() {
    let node = embedded(|options| options.frame_bytes_max = 100_000);
    let (holder, other) = (Arc::new(client(node.address()).await), Arc::new(client(node.address()).await));
    let (lock, locks) = (Mutex::named("m", Vec::<u8>::new()), RwLock::named("rw", Vec::<u8>::new()));
    let mut guard = lock.through(holder.clone()).lock_async().await.expect("locks");
    let mut writer = locks.through(holder.clone()).write_async().await.expect("locks");
    *guard = vec![7; 200_000];
    *writer = vec![7; 200_000];
    drop((guard, writer));
    let guard = lock.through(other.clone()).lock_timeout_async(PATIENCE).await.expect("it has been given back");
    assert_eq!(*guard, Vec::<u8>::new(), "its value is as before");
    let reader = locks.through(other).read_timeout_async(PATIENCE).await.expect("it has been given back");
    assert_eq!(*reader, Vec::<u8>::new(), "its value is as before");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_after_the_end_of_its_session_is_told_what_is_so() {
    let node = embedded(|options| options.session_grace_ms = 200);
    let network = Network::around(&node).await;
    let late = Arc::new(client(&network.address).await);
    let other = Arc::new(client(node.address()).await);
    let lock = Mutex::named("m", 0_u64);
    let mut guard = lock.through(late.clone()).lock_async().await.expect("locks");
    *guard = 7;
    let counter = late.object(Counter::named("c"));
    counter.increment_async().await.expect("increments");
    network.becomes(Weather::Holding);
    let unlock = tokio::spawn(async move { guard.unlock_async().await });
    let increment = tokio::spawn(async move { counter.increment_async().await });
    until("both calls are on their way", async || network.n_held() > 0).await;
    network.cut();
    let got = lock.through(other.clone()).lock_timeout_async(PATIENCE).await.expect("the session has ended");
    assert_eq!(*got, 0);
    network.becomes(Weather::Calm);
    let unlocked = soon("the late owner is told", unlock).await.expect("does not panic");
    assert!(matches!(unlocked, Err(Error::Superseded { .. })), "{unlocked:?}");
    assert_eq!(soon("the late caller is told", increment).await.expect("does not panic"), Ok(2));
    assert_eq!(other.object(Counter::named("c")).get_async().await, Ok(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ends_between_two_tries_to_open_its_stream_ends_its_session() {
    let node = embedded(|options| options.session_grace_ms = 600_000);
    let other = Arc::new(client(node.address()).await);
    let lock = Mutex::named("m", 0_u64);
    for n_yields in 0..20 {
        let network = Network::around(&node).await;
        let holder = client(&network.address).await;
        std::mem::forget(lock.through(Arc::new(holder.clone())).lock_async().await.expect("locks"));
        network.cut();
        for _ in 0..n_yields {
            tokio::task::yield_now().await;
        }
        soon("the client closes", holder.close()).await;
        drop(lock.through(other.clone()).lock_timeout_async(PATIENCE).await.expect("the session has ended"));
    }
}
