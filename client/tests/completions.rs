//! What runs when a call completes may use the client: an executor may poll, or drop, whatever it likes where it is woken.
//!
//! The client completes calls on its own tasks, and so must not hold a lock of its own then. All that could wait for such a
//! lock is leaked here, so that a test that finds one fails and does not hang.

mod common;
mod network;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::{client, embedded, runtime, soon, until, until_parked};
use greenroom::sync::Mutex;
use greenroom::{Client, Error, object};
use greenroom_actors::objects::MutexObject;
use network::{Network, Weather};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(15);

/// Runs something where it is woken, once.
struct RunsWhenWoken(StdMutex<Option<Box<dyn FnOnce() + Send>>>);

impl Wake for RunsWhenWoken {
    fn wake(self: Arc<Self>) {
        let run = self.0.lock().expect("nobody panics with it").take();
        if let Some(run) = run {
            run();
        }
    }
}

#[object]
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tally {
    count: i64,
}

#[object]
impl Tally {
    pub fn increment(&mut self) -> i64 {
        self.count += 1;
        self.count
    }
}

/// A call that is out.
type Call = Pin<Box<dyn Future<Output = Result<i64, Error>> + Send>>;

/// A client behind a network, which holds one lock and waits for another that the other client has.
struct Scene {
    runtime: &'static Runtime,
    network: Network,
    client: &'static Client,
    other: Arc<Client>,
}

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn lock(key: &str, client: &Client) -> Mutex<u64> {
    Mutex::named(key, 0).through(Arc::new(client.clone()))
}

fn polled_by(call: &mut (impl Future + Unpin), waker: &Waker) -> bool {
    Pin::new(call).poll(&mut Context::from_waker(waker)).is_ready()
}

impl Scene {
    fn new() -> Self {
        let runtime = leak(runtime());
        let node = leak(embedded(|options| options.shards = Some(1)));
        let (network, client, other) = runtime.block_on(async {
            let network = Network::around(node).await;
            let client = client(&network.address).await;
            (network, client, common::client(node.address()).await)
        });
        Self { runtime, network, client: leak(client), other: Arc::new(other) }
    }

    fn tally(&self) -> TallyHandle {
        self.client.object(Tally::named("t"))
    }

    /// Makes a call, and where it is woken drops a guard and a call that waits; then both are given back, and the client lives.
    fn drops_where_it_is_woken(
        self,
        before: impl FnOnce(&Self),
        call: impl FnOnce(&Self) -> Call,
        then: impl FnOnce(&Self),
    ) {
        let held = lock("waited for", &self.other).lock().expect("locks");
        let guard = lock("held", self.client).lock().expect("locks");
        let waiting = lock("waited for", self.client);
        let mut waits = Box::pin(async move { waiting.lock_async().await });
        assert!(!polled_by(&mut waits, Waker::noop()));
        self.runtime.block_on(until_parked::<MutexObject>(&self.other, "waited for", 1));
        before(&self);
        let has_run = Arc::new(AtomicBool::new(false));
        let says = Arc::clone(&has_run);
        let run = move || {
            drop((waits, guard));
            says.store(true, Ordering::Release);
        };
        let waker = Waker::from(Arc::new(RunsWhenWoken(StdMutex::new(Some(Box::new(run))))));
        let mut call = call(&self);
        assert!(!polled_by(&mut call, &waker), "it is out");
        std::mem::forget(call);
        then(&self);
        self.runtime.block_on(until("it has been dropped", async || has_run.load(Ordering::Acquire)));
        self.network.becomes(Weather::Calm);
        let tally = self.tally();
        self.runtime.block_on(soon("the client goes on", async { tally.increment_async().await })).expect("counts");
        held.unlock().expect("unlocks");
        for key in ["held", "waited for"] {
            drop(lock(key, &self.other).lock_timeout(PATIENCE).expect("it has been given back"));
        }
    }

    fn increment(&self) -> Call {
        Box::pin(self.tally().increment_async())
    }
}

fn nothing(_: &Scene) {}

#[test]
fn a_call_that_is_answered() {
    Scene::new().drops_where_it_is_woken(nothing, Scene::increment, nothing);
}

#[test]
fn a_call_whose_time_is_over() {
    let hasty =
        |scene: &Scene| -> Call { Box::pin(scene.tally().with_timeout(Duration::from_millis(50)).increment_async()) };
    Scene::new().drops_where_it_is_woken(|scene| scene.network.becomes(Weather::Holding), hasty, nothing);
}

#[test]
fn a_call_whose_stream_breaks() {
    let hold = |scene: &Scene| scene.network.becomes(Weather::Holding);
    Scene::new().drops_where_it_is_woken(hold, Scene::increment, |scene| scene.network.cut());
}

#[test]
fn a_call_whose_stream_opens() {
    let break_off = |scene: &Scene| {
        scene.network.becomes(Weather::Holding);
        scene.network.cut();
        scene.runtime.block_on(until("its greeting is on its way", async || scene.network.n_held() > 0));
    };
    Scene::new().drops_where_it_is_woken(break_off, Scene::increment, |scene| scene.network.becomes(Weather::Calm));
}
