//! Nodes that are nothing but their part of the Raft group, each on a runtime of its own, and a network that can be cut.

#![allow(unreachable_pub, reason = "as any module of tests that is shared")]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use greenroom_actors::{Changed, Identity, Incarnation, NodeId, View, ViewCommand};
use greenroom_node::raft::{FROM_HEADER, LeaseCell, Me, RaftNode, RaftOptions, Standing};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};

/// How long anything may take that should happen soon.
pub const DEADLINE: Duration = Duration::from_secs(60);
pub const CLUSTER: &str = "test";

/// Who reaches whom: calls from one identity to another that do not get through.
pub type Cuts = Arc<Mutex<BTreeSet<(u64, u64)>>>;

/// A node with its server, on a runtime of its own. Dropping it is its sudden death: its connections break.
pub struct TestNode {
    pub raft: RaftNode,
    pub me: Me,
    pub lease: LeaseCell,
    runtime: Option<Runtime>,
}

impl Drop for TestNode {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A network of nodes.
#[derive(Default)]
pub struct World {
    cuts: Cuts,
}

impl World {
    /// A node that listens, and has neither founded nor joined.
    pub async fn node(&self, name: &str, data: Option<&Path>) -> TestNode {
        self.node_at(name, data, "127.0.0.1:0".parse().expect("is an address")).await
    }

    pub async fn node_at(&self, name: &str, data: Option<&Path>, address: SocketAddr) -> TestNode {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("starts a thread");
        let listener = runtime.spawn(bound(address)).await.expect("runs");
        let address = listener.local_addr().expect("is bound").to_string();
        let me = Me { cluster_name: CLUSTER.to_owned(), name: name.to_owned(), address };
        let raft = runtime.spawn(RaftNode::open(me.clone(), options(data))).await.expect("runs").expect("opens");
        let (cuts, to) = (Arc::clone(&self.cuts), raft.identity().0);
        let gate = move |request: Request<()>| {
            let from = request.metadata().get(FROM_HEADER).and_then(|from| from.to_str().ok()?.parse().ok());
            match from {
                Some(from) if cuts.lock().expect("no test panicked").contains(&(from, to)) => {
                    Err(Status::unavailable("cut off"))
                }
                _ => Ok(request),
            }
        };
        let service = tonic::service::interceptor::InterceptedService::new(raft.service(), gate);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        runtime.spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        let lease = raft.lease();
        let (shard, mut views) = (lease.clone(), raft.view());
        // Installs views, as a shard does.
        runtime.spawn(async move {
            loop {
                let version = views.borrow_and_update().version;
                shard.installed(version);
                if views.changed().await.is_err() {
                    return;
                }
            }
        });
        TestNode { raft, me, lease, runtime: Some(runtime) }
    }

    pub async fn founded(&self, name: &str) -> TestNode {
        let node = self.node(name, None).await;
        node.raft.found(16, 2, incarnation(), DEADLINE).await.expect("founds");
        node
    }

    pub async fn joined(&self, name: &str, seed: &TestNode) -> TestNode {
        let node = self.node(name, None).await;
        node.raft.join(std::slice::from_ref(&seed.me.address), incarnation(), DEADLINE).await.expect("joins");
        node
    }

    /// Three nodes, all of which vote.
    pub async fn three(&self) -> [TestNode; 3] {
        let a = self.founded("a").await;
        let (b, c) = (self.joined("b", &a).await, self.joined("c", &a).await);
        let voters: BTreeSet<Identity> = [&a, &b, &c].iter().map(|node| node.raft.identity()).collect();
        for node in [&a, &b, &c] {
            node.votes("all three vote", |now| *now == voters).await;
        }
        [a, b, c]
    }

    pub fn cut(&self, a: &TestNode, b: &TestNode) {
        let (a, b) = (a.raft.identity().0, b.raft.identity().0);
        self.cuts.lock().expect("no test panicked").extend([(a, b), (b, a)]);
    }

    pub fn heal(&self) {
        self.cuts.lock().expect("no test panicked").clear();
    }
}

impl TestNode {
    pub async fn views(&self, what: &str, is_so: impl FnMut(&Arc<View>) -> bool) -> Arc<View> {
        until(what, &mut self.raft.view(), is_so).await
    }

    pub async fn stands(&self, what: &str, is_so: impl FnMut(&Standing) -> bool) -> Standing {
        until(what, &mut self.raft.standing(), is_so).await
    }

    pub async fn votes(&self, what: &str, mut is_so: impl FnMut(&BTreeSet<Identity>) -> bool) {
        soon(what, || self.raft.voters().is_some_and(|voters| is_so(&voters))).await;
    }

    pub async fn has_lease(&self, what: &str, is_valid: bool) {
        soon(what, || self.lease.is_valid() == is_valid).await;
    }

    /// Waits until it is a member with a lease; when the cluster gives it up, as on a machine that is too busy, it joins anew.
    pub async fn belongs(&self, seeds: &[String]) {
        let belongs = async {
            let mut again = tokio::time::interval(Duration::from_millis(5));
            while !self.lease.is_valid() {
                again.tick().await;
                if matches!(*self.raft.standing().borrow(), Standing::Removed(_)) {
                    self.raft.join(seeds, incarnation(), DEADLINE).await.expect("joins anew");
                }
            }
        };
        tokio::time::timeout(DEADLINE, belongs).await.expect("it is one of them");
    }

    pub fn node(&self) -> NodeId {
        match &*self.raft.standing().borrow() {
            Standing::Member(node) => *node,
            other => panic!("{} is {other:?}", self.me.name),
        }
    }

    pub async fn proposes(&self, command: ViewCommand) -> Changed {
        self.raft.propose(command, DEADLINE).await.expect("is answered")
    }
}

/// Listens there, as soon as the runtime of a node that was there before has let the port go.
async fn bound(address: SocketAddr) -> TcpListener {
    let binds = async {
        let mut again = tokio::time::interval(Duration::from_millis(5));
        loop {
            again.tick().await;
            match TcpListener::bind(address).await {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                other => return other.expect("binds"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, binds).await.expect("the port is free")
}

/// Waits for a fact that is announced.
pub async fn until<T: Clone>(what: &str, from: &mut watch::Receiver<T>, mut is_so: impl FnMut(&T) -> bool) -> T {
    match tokio::time::timeout(DEADLINE, from.wait_for(|value| is_so(value))).await {
        Ok(value) => value.expect("the node is there").clone(),
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// Waits for a fact that nobody announces, by looking again.
pub async fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let looked = async {
        let mut again = tokio::time::interval(Duration::from_millis(5));
        while !is_so() {
            again.tick().await;
        }
    };
    let in_time = tokio::time::timeout(DEADLINE, looked).await;
    assert!(in_time.is_ok(), "{what}: not within {DEADLINE:?}");
}

pub fn options(data: Option<&Path>) -> RaftOptions {
    RaftOptions { data: data.map(Path::to_owned), ..RaftOptions::default() }
}

pub fn incarnation() -> Incarnation {
    Incarnation(rand::random::<u64>().max(1))
}

pub fn clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    u64::try_from(since.as_millis()).expect("it is before the end of time")
}
