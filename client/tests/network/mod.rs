//! A network between a client and a node, which cuts, holds and swallows.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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

/// What the network does to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
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
    /// Changes when every connection is cut.
    cuts: watch::Receiver<()>,
    random: Mutex<StdRng>,
    n_cut: AtomicU64,
    /// What has been held back, in pieces.
    n_held: AtomicU64,
}

impl Proxy {
    async fn listen(
        target: &str,
        seed: u64,
        weather: watch::Receiver<Weather>,
        cuts: watch::Receiver<()>,
    ) -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("is bound");
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        let proxy = Arc::new(Self {
            target: target.to_owned(),
            weather,
            cuts,
            random,
            n_cut: AtomicU64::new(0),
            n_held: AtomicU64::new(0),
        });
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
        let mut cuts = self.cuts.clone();
        cuts.mark_unchanged();
        // Whichever direction ends first ends the connection, in the midst of whatever is under way in the other one.
        tokio::select! {
            () = self.pass(from_client, to_server, &left) => {}
            () = self.pass(from_server, to_client, &left) => {}
            _ = cuts.changed() => {}
        }
    }

    async fn pass(&self, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, left: &AtomicU64) {
        let mut buffer = vec![0; 4096];
        let mut weather = self.weather.clone();
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if *weather.borrow() == Weather::Holding {
                self.n_held.fetch_add(1, Ordering::Relaxed);
            }
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
pub struct FakeControl {
    pub table: SlotTable,
    pub layout: NodeLayout,
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
pub struct Network {
    pub address: String,
    weather: watch::Sender<Weather>,
    cuts: watch::Sender<()>,
    proxies: Vec<Arc<Proxy>>,
}

impl Network {
    pub async fn around(node: &Node) -> Self {
        let seed = rand::random::<u64>();
        println!("seed {seed}");
        let (weather, sees) = watch::channel(Weather::Calm);
        let (cuts, cut) = watch::channel(());
        let mut proxies = Vec::new();
        let mut layout = node.layout().clone();
        for (n, shard) in (0..).zip(&mut layout.shards) {
            let (proxy, address) = Proxy::listen(shard, seed ^ n, sees.clone(), cut.clone()).await;
            *shard = address.to_string();
            proxies.push(proxy);
        }
        let address = serve_control(node, layout).await;
        Self { address, weather, cuts, proxies }
    }

    pub fn becomes(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Cuts every connection; what is held back on them is lost.
    pub fn cut(&self) {
        self.cuts.send_replace(());
    }

    /// How many pieces have been held back.
    pub fn n_held(&self) -> u64 {
        self.proxies.iter().map(|proxy| proxy.n_held.load(Ordering::Relaxed)).sum()
    }

    pub fn n_cut(&self) -> u64 {
        self.proxies.iter().map(|proxy| proxy.n_cut.load(Ordering::Relaxed)).sum()
    }
}

/// Serves a layout that is not the node's own; returns where.
pub async fn serve_control(node: &Node, layout: NodeLayout) -> String {
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
pub async fn black_hole() -> String {
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
