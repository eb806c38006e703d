//! A network that cuts, holds and swallows: calls are applied exactly once, and end at their deadlines.

mod common;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::{client, embedded, settings, soon, timed, until, until_parked};
use greenroom::sync::{Barrier, Mutex as SharedMutex};
use greenroom::{Client, Counter, Error, Settings};
use greenroom_actors::{NodeLayout, SlotTable};
use greenroom_node::Node;
use greenroom_rpc::proto::control_server::{Control, ControlServer};
use greenroom_rpc::proto::{
    DescribeObjectReply, DescribeObjectRequest, DescribeReply, DescribeRequest, ListObjectsReply, ListObjectsRequest,
    StatusReply, StatusRequest,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// How much later than its deadline a call may end on a busy machine.
const SLACK: Duration = Duration::from_secs(1);

/// What the network does to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Everything passes.
    Calm,
    /// A connection ends after a random number of bytes in either direction.
    Cutting,
    /// Nothing passes, and nothing ends.
    Holding,
}

/// A network between a client and one port.
struct Proxy {
    target: String,
    weather: watch::Receiver<Weather>,
    random: Mutex<StdRng>,
    n_cut: AtomicU64,
}

impl Proxy {
    async fn listen(target: &str, seed: u64, weather: watch::Receiver<Weather>) -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("is bound");
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        let proxy = Arc::new(Self { target: target.to_owned(), weather, random, n_cut: AtomicU64::new(0) });
        tokio::spawn(Arc::clone(&proxy).accept(listener));
        (proxy, address)
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(Arc::clone(&self).carry(client));
        }
    }

    async fn carry(self: Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(&self.target).await else { return };
        // Some connections end before the stream is open, most in the midst of the load.
        let passes = self.random.lock().unwrap_or_else(PoisonError::into_inner).random_range(1..20_000);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let left = AtomicU64::new(passes);
        // Whichever direction ends first ends the connection, in the midst of whatever is under way in the other one.
        tokio::select! {
            () = self.pass(from_client, to_server, &left) => {}
            () = self.pass(from_server, to_client, &left) => {}
        }
    }

    async fn pass(&self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, left: &AtomicU64) {
        let mut buffer = vec![0; 4096];
        let mut weather = self.weather.clone();
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let Ok(now) = weather.wait_for(|weather| *weather != Weather::Holding).await.map(|weather| *weather) else {
                return;
            };
            let before = left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(length as u64)));
            let before = usize::try_from(before.unwrap_or(0)).unwrap_or(usize::MAX);
            let cut = now == Weather::Cutting && before <= length;
            let passes = if cut { before } else { length };
            if to.write_all(&buffer[..passes]).await.is_err() {
                return;
            }
            if cut {
                self.n_cut.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }
}

/// Answers `Describe` with a layout whose shards are behind proxies.
struct FakeControl {
    table: SlotTable,
    layout: NodeLayout,
}

#[tonic::async_trait]
impl Control for FakeControl {
    async fn describe(&self, _: Request<DescribeRequest>) -> Result<Response<DescribeReply>, Status> {
        let encode = |error: postcard::Error| Status::internal(error.to_string());
        let table = postcard::to_allocvec(&self.table).map_err(encode)?.into();
        let layout = postcard::to_allocvec(&self.layout).map_err(encode)?.into();
        Ok(Response::new(DescribeReply { table, layout }))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn list_objects(&self, _: Request<ListObjectsRequest>) -> Result<Response<ListObjectsReply>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn describe_object(
        &self,
        _: Request<DescribeObjectRequest>,
    ) -> Result<Response<DescribeObjectReply>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}

/// A node as it is seen through the network.
struct Network {
    address: String,
    weather: watch::Sender<Weather>,
    proxies: Vec<Arc<Proxy>>,
}

impl Network {
    async fn around(node: &Node) -> Self {
        let seed = rand::random::<u64>();
        println!("seed {seed}");
        let (weather, sees) = watch::channel(Weather::Calm);
        let mut proxies = Vec::new();
        let mut layout = node.layout().clone();
        for (n, shard) in (0..).zip(&mut layout.shards) {
            let (proxy, address) = Proxy::listen(shard, seed ^ n, sees.clone()).await;
            *shard = address.to_string();
            proxies.push(proxy);
        }
        let address = serve_control(node, layout).await;
        Self { address, weather, proxies }
    }

    fn becomes(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    fn n_cut(&self) -> u64 {
        self.proxies.iter().map(|proxy| proxy.n_cut.load(Ordering::Relaxed)).sum()
    }
}

/// Serves a layout that is not the node's own; returns where.
async fn serve_control(node: &Node, layout: NodeLayout) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("is bound").to_string();
    let mut table = node.table().clone();
    table.members[0].address.clone_from(&address);
    let control = ControlServer::new(FakeControl { table, layout });
    let server = tonic::transport::Server::builder().add_service(control);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// An address that takes connections and says nothing.
async fn black_hole() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("is bound").to_string();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            kept.push(connection);
        }
    });
    address
}

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
    const CALLERS: u32 = 4;
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
    assert_eq!(*guard, u64::from(CALLERS) * ROUNDS);
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
    until_parked::<Barrier>(&direct, "gate", 1).await;
    network.becomes(Weather::Holding);
    let (ended, took) = soon("the parked call", parked).await.expect("runs");
    assert!(matches!(ended, Err(Error::Unknown { .. })), "{ended:?}");
    // The node's own word on a parked call is waited for two seconds longer.
    assert!(took >= TIMEOUT && took < TIMEOUT + Duration::from_secs(2) + SLACK, "{took:?}");
    until_parked::<Barrier>(&direct, "gate", 0).await;
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
