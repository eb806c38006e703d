//! What a client has no use for any more is given back, whatever the network and the node do meanwhile.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{client, embedded, settings, soon, until};
use greenroom::sync::{Mutex, Semaphore};
use greenroom::{Client, Settings, object};
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
    let permit = hasty.acquire_async().await.expect("acquires");
    let busy = keep_busy(&other, 1, 500).await;
    permit.release_async().await.expect_err("the node has no time");
    soon("the node is done", busy).await.expect("runs");
    let _permit = semaphore.through(other).acquire_timeout_async(PATIENCE).await.expect("it has been given back");
}
