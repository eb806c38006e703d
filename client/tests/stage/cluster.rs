//! The real world: three nodes in this process, each with two shards, and clients that reach them through their ports.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use greenroom::{Client, Cluster, JobId, Settings};
use greenroom_node::{MemberList, Node, NodeOptions};

use super::Session;

#[path = "../external/support/mod.rs"]
mod support;

/// The objects of one scenario.
pub(super) struct Job {
    job: JobId,
    nodes: Vec<String>,
}

impl Job {
    pub(super) fn fresh() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { job: JobId::named(&format!("scenario {number}")), nodes: nodes() }
    }

    pub(super) fn session(&self, runtime: &tokio::runtime::Handle) -> Session {
        let settings =
            Settings { cluster: Cluster::Nodes(self.nodes.clone()), job: Some(self.job), ..Settings::default() };
        let client = runtime.block_on(Client::with_settings(settings)).expect("connects");
        let (caller, runtime) = (Arc::new(client.clone()), runtime.clone());
        Session { caller, end: Box::new(move || runtime.block_on(client.close())) }
    }
}

/// Where the three nodes answer; they run until the process ends.
fn nodes() -> Vec<String> {
    static NODES: OnceLock<Vec<Node>> = OnceLock::new();
    let nodes = NODES.get_or_init(|| {
        let first_port = support::free_ports(9);
        let address = |node: u16| format!("127.0.0.1:{}", first_port + 3 * node);
        let members: Vec<_> = (0..3).map(|node| (format!("n{node}"), address(node))).collect();
        (0..3).map(|node| start(node, &address(node), &members)).collect()
    });
    nodes.iter().map(|node| node.address().to_owned()).collect()
}

fn start(node: u16, address: &str, members: &[(String, String)]) -> Node {
    let options = NodeOptions {
        name: format!("n{node}"),
        listen: address.parse().expect("is an address"),
        members: Some(MemberList(members.to_vec())),
        shards: Some(2),
        slots: 64,
        ..NodeOptions::embedded().expect("the environment can be read")
    };
    Node::start(options, None).expect("starts")
}
