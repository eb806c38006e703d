//! Nodes in this process and in processes of their own, and clients of them.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

#[path = "../external/support/mod.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
pub mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom::{Client, Cluster, JobId, Object, Settings};
use greenroom_actors::{NodeId, SlotTable, hash_object};
use greenroom_node::{Node, NodeOptions};
use greenroom_rpc::dial;
use greenroom_rpc::proto::control_client::ControlClient;
use greenroom_rpc::proto::{StatusReply, StatusRequest};
use support::{Running, command, free_ports};

pub(crate) use support::DEADLINE;

/// The job of the tests' clients, unless a test says otherwise.
pub fn job() -> JobId {
    JobId::named("tests")
}

/// A node in this process.
pub fn embedded(change: impl FnOnce(&mut NodeOptions)) -> Node {
    let mut options = NodeOptions::embedded().expect("the environment can be read");
    options.shards = Some(2);
    options.slots = 64;
    change(&mut options);
    Node::start(options, None).expect("starts")
}

/// The settings of a client that is given one node.
pub fn settings(node: &str) -> Settings {
    let (cluster, job_name) = (Cluster::Nodes(vec![node.to_owned()]), Some("tests".to_owned()));
    Settings { cluster, job: Some(job()), job_name, ..Settings::default() }
}

/// A client of the cluster of that node; its tasks run on the current runtime.
pub async fn client(node: &str) -> Client {
    Client::with_settings(settings(node)).await.expect("connects")
}

/// A runtime with threads of its own, for clients that are used from plain threads.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("starts")
}

/// Waits until something is so.
pub async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !so().await {
        assert!(Instant::now() < deadline, "{what}: not within {DEADLINE:?}");
        tokio::task::yield_now().await;
    }
}

/// Waits for something that should happen at once.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(DEADLINE, future).await;
    in_time.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// How many calls are parked in an object.
pub async fn parked<T: Object>(client: &Client, key: &str) -> usize {
    let description = client.raw::<T>(key).describe_async().await.expect("describes");
    description["parked"].as_array().expect("is a list").len()
}

/// Waits until that many calls are parked in an object.
pub async fn until_parked<T: Object>(client: &Client, key: &str, count: usize) {
    until("calls are parked", || async { parked::<T>(client, key).await == count }).await;
}

/// What a node says of itself.
pub async fn status(node: &str) -> StatusReply {
    let channel = dial(node, DEADLINE).await.expect("answers");
    ControlClient::new(channel).status(StatusRequest {}).await.expect("answers").into_inner()
}

/// Three node processes of two shards each, on fixed ports.
pub struct Processes {
    first_port: u16,
    settings: &'static [&'static str],
    nodes: Vec<Option<Running>>,
}

impl Processes {
    const STRIDE: u16 = 3;

    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With further arguments for each node.
    pub fn with(settings: &'static [&'static str]) -> Self {
        let first_port = free_ports(3 * Self::STRIDE);
        let mut processes = Self { first_port, settings, nodes: vec![None, None, None] };
        for node in 0..3 {
            processes.start_node(node);
        }
        processes
    }

    /// Where a node answers.
    pub fn address(&self, node: usize) -> String {
        format!("127.0.0.1:{}", usize::from(self.first_port) + node * usize::from(Self::STRIDE))
    }

    /// Starts a node, or starts it anew.
    pub fn start_node(&mut self, node: usize) {
        let name = |node: usize| format!("n{}", node + 1);
        let members: Vec<String> = (0..3).map(|node| format!("{}={}", name(node), self.address(node))).collect();
        let mut command = command(env!("CARGO_BIN_EXE_greenroom"));
        command.args(["node", "--shards", "2", "--name", &name(node), "--listen", &self.address(node)]);
        command.args(self.settings);
        let mut process = Running::start(command.args(["--members", &members.join(",")]));
        process.line("ready: ");
        self.nodes[node] = Some(process);
    }

    /// The node's process is gone, without a word.
    pub fn kill(&mut self, node: usize) {
        let mut process = self.nodes[node].take().expect("runs");
        process.signal("KILL");
        process.end();
    }

    /// The node is asked to stop.
    pub fn terminate(&self, node: usize) {
        self.nodes[node].as_ref().expect("runs").signal("TERM");
    }

    /// Waits for the end of a node that was asked to stop.
    pub fn end(&mut self, node: usize) {
        let (status, errors) = self.nodes[node].take().expect("runs").end();
        assert_eq!(status.code(), Some(0), "{errors}");
    }
}

/// The keys of objects of a type that a node serves, without end.
pub fn keys_on<T: Object>(table: Arc<SlotTable>, node: usize) -> impl Iterator<Item = String> {
    let node = NodeId(u32::try_from(node).expect("is small"));
    (0..).map(|number| format!("key{number}")).filter(move |key| {
        let slot = table.slot_of(hash_object(job(), T::NAME, key));
        table.place(slot).is_some_and(|place| place.primary == node)
    })
}

/// A key of an object of that type that a node serves.
pub fn key_on<T: Object>(table: &Arc<SlotTable>, node: usize) -> String {
    keys_on::<T>(Arc::clone(table), node).next().expect("there is one")
}

/// What a future returns, and how long it took.
pub async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    let value = soon("a call ends", future).await;
    (value, started.elapsed())
}
