//! Starting and stopping a node: one thread a shard, and one for control.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter, System};
use axum::serve::ListenerExt as _;
use greenroom_actors::{DuplicateType, Incarnation, NodeId, NodeLayout, Registry, ShardId, SlotTable, View};
use greenroom_rpc::proto::shard_server::ShardServer;
use greenroom_rpc::{MESSAGE_BYTES_MAX, WINDOW_BYTES};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::control::{ControlService, routes};
use crate::options::NodeOptions;
use crate::place::{Installed, JobNames, Place};
use crate::shard::{CloseStreams, Drain, Shard};
use crate::stream::StreamServer;

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// An address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The node is not in its own member list.
    #[error("the member list does not name this node, `{0}`: every node's list must name all nodes")]
    NotAMember(String),
    /// A number of slots or shards that cannot be.
    #[error("{0}")]
    Settings(String),
    /// Two object types have one name.
    #[error(transparent)]
    Types(#[from] DuplicateType),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running node. Dropping it stops the node at once; [`stop`](Self::stop) lets it finish what is under way.
#[derive(Debug)]
pub struct Node {
    place: Arc<Place>,
    stop: Option<oneshot::Sender<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    /// Starts a node with the object types of this program.
    ///
    /// # Errors
    /// When an address is taken, a setting cannot be, or two types have one name.
    pub fn start(options: NodeOptions, metrics: Option<PrometheusHandle>) -> Result<Self, NodeError> {
        let registry = Registry::collect()?;
        // Shapes are worked out before any method runs.
        for object_type in registry.iter() {
            object_type.fingerprint();
        }
        let (listeners, place) = prepare(options, registry)?;
        let (stop, stopped) = oneshot::channel();
        let at = Arc::clone(&place);
        let thread = std::thread::Builder::new().name("greenroom-node".to_owned());
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = thread.spawn(move || {
            System::new().block_on(serve(at, listeners, metrics, stopped, ready));
        });
        let thread = thread.map_err(NodeError::Thread)?;
        // The sender goes with the thread, so this cannot wait for ever.
        let _ = is_ready.recv();
        Ok(Self { place, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the node answers control calls: what a client is given, as `host:port`.
    pub fn address(&self) -> &str {
        &self.place.address
    }

    /// How the node is divided.
    pub fn layout(&self) -> &NodeLayout {
        &self.place.layout
    }

    /// The slot table.
    pub fn table(&self) -> SlotTable {
        self.place.newest().table.clone()
    }

    /// Stops the node: new calls are refused, calls under way are answered, for at most the drain time; then streams end.
    pub fn stop(mut self) {
        self.stop_within(Duration::from_millis(self.place.options.drain_ms));
    }

    fn stop_within(&mut self, patience: Duration) {
        if let Some(stop) = self.stop.take() {
            // The node may have ended by itself.
            let _ = stop.send(patience);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop_within(Duration::ZERO);
    }
}

struct Listeners {
    control: TcpListener,
    shards: Vec<TcpListener>,
}

/// Binds every port before anything starts, so that a failure leaves nothing behind.
fn prepare(options: NodeOptions, registry: Registry) -> Result<(Listeners, Arc<Place>), NodeError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let n_shards = options.shards.unwrap_or_else(|| u16::try_from(cores).unwrap_or(u16::MAX));
    if n_shards == 0 || options.slots < n_shards || options.slots == u16::MAX {
        let (slots, shards) = (options.slots, n_shards);
        return Err(NodeError::Settings(format!("{slots} slots for {shards} shards: a shard needs a slot at least")));
    }
    if options.mailbox_max == 0 || options.parked_max == 0 {
        return Err(NodeError::Settings("a mailbox and a waiting room need room for one call at least".to_owned()));
    }
    let control = bind(options.listen)?;
    let control_port = port(&control, options.listen)?;
    let mut shards = Vec::new();
    for shard in 0..n_shards {
        let port = match options.listen.port() {
            0 => Some(0),
            first => first.checked_add(1).and_then(|next| next.checked_add(shard)),
        };
        let port = port.ok_or_else(|| NodeError::Settings(format!("no port is left for shard {shard}")))?;
        shards.push(bind(SocketAddr::new(options.listen.ip(), port))?);
    }
    let host = match (&options.advertise, options.listen.ip()) {
        (Some(host), _) => host.clone(),
        (None, ip) if ip.is_unspecified() => {
            return Err(NodeError::Settings(format!(
                "nobody reaches a node at {ip}: say by --advertise what host to use"
            )));
        }
        (None, IpAddr::V6(ip)) => format!("[{ip}]"),
        (None, IpAddr::V4(ip)) => ip.to_string(),
    };
    let mut layout = NodeLayout { node: NodeId(0), incarnation: incarnation(), shards: Vec::new() };
    for listener in &shards {
        layout.shards.push(format!("{host}:{}", port(listener, options.listen)?));
    }
    let alone = vec![(options.name.clone(), format!("{host}:{control_port}"))];
    let members = options.members.as_ref().map_or(alone, |members| members.0.clone());
    let table = SlotTable::fixed(&options.cluster_name, &members, options.slots);
    let me = table.members.iter().find(|member| member.name == options.name);
    layout.node = me.ok_or_else(|| NodeError::NotAMember(options.name.clone()))?.node;
    let address = table.member(layout.node).map(|member| member.address.clone()).unwrap_or_default();
    let newest = Installed::new(Arc::new(View::fixed(&table, layout.incarnation)));
    let place = Place {
        options,
        registry,
        layout,
        address,
        job_names: JobNames::default(),
        newest: newest.into(),
        proposals: None,
    };
    Ok((Listeners { control, shards }, Arc::new(place)))
}

fn incarnation() -> Incarnation {
    Incarnation(rand::random::<u64>().max(1))
}

fn bind(address: SocketAddr) -> Result<TcpListener, NodeError> {
    let listener = TcpListener::bind(address).map_err(|source| NodeError::Listen { address, source })?;
    listener.set_nonblocking(true).map_err(|source| NodeError::Listen { address, source })?;
    Ok(listener)
}

fn port(listener: &TcpListener, address: SocketAddr) -> Result<u16, NodeError> {
    Ok(listener.local_addr().map_err(|source| NodeError::Listen { address, source })?.port())
}

async fn serve(
    place: Arc<Place>,
    listeners: Listeners,
    metrics: Option<PrometheusHandle>,
    stopped: oneshot::Receiver<Duration>,
    ready: std::sync::mpsc::Sender<()>,
) {
    let mut shards = Vec::new();
    let mut arbiters = Vec::new();
    for (number, listener) in (0..).zip(listeners.shards) {
        let arbiter = Arbiter::new();
        let at = Arc::clone(&place);
        let shard = Shard::start_in_arbiter(&arbiter.handle(), move |_| Shard::new(at, ShardId(number)));
        arbiter.spawn(serve_shard(Arc::clone(&place), shard.clone(), listener));
        shards.push(shard);
        arbiters.push(arbiter);
    }
    let stopping = Arc::new(AtomicBool::new(false));
    let service = ControlService { place: Arc::clone(&place), shards: shards.clone(), started: Instant::now() };
    let router = routes(service, metrics, Arc::clone(&stopping));
    match tokio::net::TcpListener::from_std(listeners.control) {
        Ok(listener) => {
            let listener = listener.tap_io(|stream| {
                // Without it an answer of two packets waits for the caller's delayed acknowledgement.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a control connection keeps its delay");
                }
            });
            drop(actix_rt::spawn(async move { axum::serve(listener, router).await }));
        }
        Err(error) => tracing::error!(%error, "the control port cannot be served"),
    }
    tracing::info!(node = place.options.name, shards = shards.len(), incarnation = place.incarnation().0, "ready");
    drop(ready);
    let patience = stopped.await.unwrap_or(Duration::ZERO);
    stopping.store(true, Ordering::Relaxed);
    drain(&shards, patience).await;
    for arbiter in arbiters {
        arbiter.stop();
        // A shard's thread that panicked has said so.
        let _ = arbiter.join();
    }
}

/// Waits until nothing is under way, for at most that long, and then ends the streams.
async fn drain(shards: &[Addr<Shard>], patience: Duration) {
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let deadline = Instant::now() + patience;
    for shard in shards {
        while let Ok(false) = shard.send(Drain).await {
            if Instant::now() >= deadline {
                tracing::warn!("stopping with calls still under way");
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
    for shard in shards {
        // A shard that is gone has no streams.
        let _ = shard.send(CloseStreams).await;
    }
    let flushed = Instant::now() + patience.min(Duration::from_millis(500));
    for shard in shards {
        while let Ok(false) = shard.send(Drain).await {
            if Instant::now() >= flushed {
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

async fn serve_shard(place: Arc<Place>, shard: Addr<Shard>, listener: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a shard's port cannot be served"),
    };
    let options = &place.options;
    let streams = StreamServer::new(shard, options.frame_bytes_max, options.stream_queue_bytes_max);
    let service = ShardServer::new(streams)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let served = Server::builder()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_keepalive_interval(Some(Duration::from_secs(5)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "a shard's server has ended");
    }
}
