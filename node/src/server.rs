//! Starting and stopping a node: one thread a shard, and one for control.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix::System;
use axum::serve::ListenerExt as _;
use greenroom_actors::{DuplicateType, Incarnation, NodeLayout, Registry, SlotTable, View};
use greenroom_rpc::proto::group_server::GroupServer;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::oneshot;

use crate::control::{ControlService, Current, Serving, routes};
use crate::membership::{self, Setup};
use crate::options::NodeOptions;
use crate::place::{Installed, JobNames, Place};
use crate::ports::Ports;
use crate::raft::{GroupError, GroupService};
use crate::running::Running;

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
    /// The cluster does not take the node, or the node's folder cannot be used.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// A running node. Dropping it stops the node at once; [`stop`](Self::stop) lets it finish what is under way.
#[derive(Debug)]
pub struct Node {
    current: Arc<Current>,
    address: String,
    drain: Duration,
    stop: Option<oneshot::Sender<Farewell>>,
    ended: Option<oneshot::Receiver<Result<(), NodeError>>>,
    thread: Option<JoinHandle<()>>,
}

/// How a node is told to stop, and how long what is under way may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// The others go on: they take what it has first.
    Leave(Duration),
    /// Nobody is to take anything.
    End(Duration),
}

/// Tells whoever starts a node that it serves, or why it does not.
pub(crate) struct Ready(Sender<Result<(), NodeError>>);

impl Ready {
    pub(crate) fn done(self) {
        // Whoever started the node waits for this.
        let _ = self.0.send(Ok(()));
    }

    pub(crate) fn failed(self, error: NodeError) {
        let _ = self.0.send(Err(error));
    }
}

impl Node {
    /// Starts a node with the object types of this program, and waits until it serves: alone, as one of fixed members, or as
    /// a member of the cluster that it founds or joins.
    ///
    /// # Errors
    /// When an address is taken, a setting cannot be, two types have one name, or the cluster does not take the node.
    pub fn start(options: NodeOptions, metrics: Option<PrometheusHandle>) -> Result<Self, NodeError> {
        let registry = Registry::collect()?;
        // Shapes are worked out before any method runs.
        for object_type in registry.iter() {
            object_type.fingerprint();
        }
        let ports = Ports::bind(&options)?;
        let address = ports.address.clone();
        let drain = Duration::from_millis(options.drain_ms);
        let current = Arc::new(Current::new(metrics));
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let (ready, is_ready): (_, Receiver<Result<(), NodeError>>) = channel();
        let setup = Setup { options, registry, ports, current: Arc::clone(&current) };
        let thread = std::thread::Builder::new().name("greenroom-node".to_owned());
        let thread = thread.spawn(move || {
            let is_fixed = setup.options.alone || setup.options.members.is_some();
            let ended = System::new().block_on(async {
                match is_fixed {
                    true => run_fixed(setup, stopped, Ready(ready)).await,
                    false => membership::run(setup, stopped, Ready(ready)).await,
                }
            });
            // Not everybody asks how a node ended.
            let _ = end.send(ended);
        });
        let thread = thread.map_err(NodeError::Thread)?;
        let node = Self { current, address, drain, stop: Some(stop), ended: Some(ended), thread: Some(thread) };
        // The sender goes with the thread, so this cannot wait for ever.
        match is_ready.recv() {
            Ok(Ok(())) => Ok(node),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NodeError::Thread(std::io::Error::other("the node's thread has ended"))),
        }
    }

    /// Where the node answers control calls: what a client is given, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How the node is divided, or was until it had to join its cluster anew.
    pub fn layout(&self) -> NodeLayout {
        self.last().place.layout.clone()
    }

    /// The slot table, as the node knows it.
    pub fn table(&self) -> SlotTable {
        self.last().place.newest().table.clone()
    }

    fn last(&self) -> Arc<Serving> {
        self.current.last().expect("a node that has been started has served")
    }

    /// Stops the node: a member leaves its cluster, new calls are refused, calls under way are answered, for at most the
    /// drain time; then streams end.
    pub fn stop(mut self) {
        self.say(Farewell::Leave(self.drain));
    }

    /// Stops the node as [`stop`](Self::stop) does, but does not leave its cluster: for one whose nodes all end now, or for a
    /// process that is soon started anew.
    pub fn stop_and_stay(mut self) {
        self.say(Farewell::End(self.drain));
    }

    /// Waits until the node ends by itself: an operator has made it leave its cluster, or it can take no part any more.
    ///
    /// # Errors
    /// Why it takes no part any more.
    pub async fn ended(&mut self) -> Result<(), NodeError> {
        match &mut self.ended {
            Some(ended) => {
                let how = ended.await;
                self.ended = None;
                how.unwrap_or_else(|_| Err(NodeError::Thread(std::io::Error::other("the node's thread has ended"))))
            }
            None => Ok(()),
        }
    }

    fn say(&mut self, farewell: Farewell) {
        if let Some(stop) = self.stop.take() {
            // The node may have ended by itself.
            let _ = stop.send(farewell);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.say(Farewell::End(Duration::ZERO));
    }
}

pub(crate) fn incarnation() -> Incarnation {
    Incarnation(rand::random::<u64>().max(1))
}

/// Serves the control port, with what the group of a cluster asks if there is one.
pub(crate) fn serve_control(listener: TcpListener, current: &Arc<Current>, group: Option<GroupServer<GroupService>>) {
    let router = routes(ControlService { current: Arc::clone(current), started: Instant::now() }, group);
    match tokio::net::TcpListener::from_std(listener) {
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
}

/// The place of a node whose cluster has fixed members, or none but itself.
fn fixed_place(setup: &Setup) -> Result<Place, NodeError> {
    let Setup { options, registry, ports, .. } = setup;
    let alone = vec![(options.name.clone(), ports.address.clone())];
    let members = options.members.as_ref().map_or(alone, |members| members.0.clone());
    let table = SlotTable::fixed(&options.cluster_name, &members, options.slots);
    let me = table.members.iter().find(|member| member.name == options.name);
    let me = me.ok_or_else(|| NodeError::NotAMember(options.name.clone()))?;
    let layout = NodeLayout { node: me.node, incarnation: incarnation(), shards: ports.shard_addresses.clone() };
    Ok(Place {
        options: options.clone(),
        registry: registry.clone(),
        job_names: JobNames::default(),
        newest: Installed::new(Arc::new(View::fixed(&table, layout.incarnation)), None).into(),
        proposals: None,
        leases: Vec::new(),
        layout,
    })
}

async fn run_fixed(setup: Setup, stopped: oneshot::Receiver<Farewell>, ready: Ready) -> Result<(), NodeError> {
    let started = fixed_place(&setup).map(Arc::new).and_then(|place| {
        let running = Running::start(&place, &setup.ports.shards).map_err(NodeError::Thread)?;
        Ok((place, running))
    });
    let (place, running) = match started {
        Ok(started) => started,
        Err(error) => {
            ready.failed(error);
            return Ok(());
        }
    };
    let Setup { ports, current, .. } = setup;
    current.store(Some(Arc::new(Serving { place: Arc::clone(&place), shards: running.shards.clone() })));
    serve_control(ports.control, &current, None);
    let incarnation = place.incarnation().0;
    tracing::info!(node = place.options.name, shards = running.shards.len(), incarnation, "ready");
    ready.done();
    let (Farewell::Leave(patience) | Farewell::End(patience)) = stopped.await.unwrap_or(Farewell::End(Duration::ZERO));
    current.stop_if(true);
    running.drain(patience).await;
    current.store(None);
    running.stop();
    Ok(())
}
