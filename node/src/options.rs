//! The settings of a node: flags, environment variables, defaults, and why each is as it is.

use std::net::SocketAddr;
use std::str::FromStr;

use greenroom_actors::{Limits, SLOTS_DEFAULT};
use greenroom_rpc::FRAME_BYTES_MAX;

use crate::raft::RaftOptions;

/// The settings of a node.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeOptions {
    /// The node's name in the member list; it decides the node's places on the ring.
    #[arg(long, env = "GREENROOM_NODE_NAME", default_value = "n1")]
    pub name: String,

    /// Where control calls, /healthz and /metrics are answered; shard i listens on the port plus 1 + i (port 0: any free ports).
    #[arg(long, env = "GREENROOM_LISTEN", default_value = "127.0.0.1:7400")]
    pub listen: SocketAddr,

    /// The host that others reach the node by, where it is not the address that it listens on.
    #[arg(long, env = "GREENROOM_ADVERTISE")]
    pub advertise: Option<String>,

    /// All nodes of a cluster without copies, as NAME=HOST:PORT,…, the same list on each: none joins, and none is replaced.
    #[arg(long, env = "GREENROOM_MEMBERS")]
    pub members: Option<MemberList>,

    /// Control addresses of nodes of the cluster that this node joins, as HOST:PORT,…; without it, it founds one.
    #[arg(long, env = "GREENROOM_JOIN", value_delimiter = ',', conflicts_with = "members")]
    pub join: Vec<String>,

    /// How many nodes hold each object, if there are as many; a cluster with c copies bears the loss of c - 1 nodes, one after
    /// the other, while most of its voters live. It is chosen when the cluster is founded.
    #[arg(long, env = "GREENROOM_COPIES", default_value_t = 2)]
    pub copies: u8,

    /// What the nodes agree by.
    #[command(flatten)]
    pub group: RaftOptions,

    /// Whether the node is all of its cluster for ever, as one inside another program is.
    #[arg(skip)]
    pub alone: bool,

    /// The cluster's name; nodes and clients of different clusters refuse each other.
    #[arg(long, env = "GREENROOM_CLUSTER_NAME", default_value = "greenroom")]
    pub cluster_name: String,

    /// Shards, each with a thread of its own; by default one a core.
    #[arg(long, env = "GREENROOM_SHARDS")]
    pub shards: Option<u16>,

    /// Slots of the cluster, the units of placement; fixed for the cluster's life. Far more than shards, so that load spreads evenly.
    #[arg(long, env = "GREENROOM_SLOTS", default_value_t = SLOTS_DEFAULT)]
    pub slots: u16,

    /// Calls that may wait in one object's mailbox; beyond it callers are told to back off. Bounds memory under overload.
    #[arg(long, env = "GREENROOM_MAILBOX_MAX", default_value_t = Limits::default().mailbox_max)]
    pub mailbox_max: u32,

    /// Calls of one method that may be parked in one object (at a barrier, for a lock); each costs some 200 bytes and no thread.
    #[arg(long, env = "GREENROOM_PARKED_MAX", default_value_t = Limits::default().parked_max)]
    pub parked_max: u32,

    /// The largest call or reply in bytes; larger data passes through objects in pieces.
    #[arg(long, env = "GREENROOM_FRAME_BYTES_MAX", default_value_t = FRAME_BYTES_MAX)]
    pub frame_bytes_max: usize,

    /// Replies in bytes that may wait for a client that does not read, before its stream is closed; one value for many calls counts once.
    #[arg(long, env = "GREENROOM_STREAM_QUEUE_BYTES_MAX", default_value_t = 256 << 20)]
    pub stream_queue_bytes_max: usize,

    /// How long a session outlives its connection, in milliseconds: the time to come back in, before what it holds is released.
    #[arg(long, env = "GREENROOM_SESSION_GRACE_MS", default_value_t = 10_000)]
    pub session_grace_ms: u64,

    /// How long an object keeps its actor after its last call, in milliseconds; an actor costs some 850 bytes.
    #[arg(long, env = "GREENROOM_ACTOR_IDLE_MS", default_value_t = 10_000)]
    pub actor_idle_ms: u64,

    /// Actors that a shard keeps at most; beyond it the longest idle ones stop, and start again at their next call.
    #[arg(long, env = "GREENROOM_ACTORS_MAX", default_value_t = 20_000)]
    pub actors_max: usize,

    /// How long a stopping node waits for what is under way, in milliseconds.
    #[arg(long, env = "GREENROOM_DRAIN_MS", default_value_t = 5_000)]
    pub drain_ms: u64,
}

impl NodeOptions {
    /// The settings of a node inside another program: alone, on free ports of the loopback interface, else as the
    /// environment says.
    ///
    /// # Errors
    /// When a variable cannot be read.
    pub fn embedded() -> Result<Self, String> {
        #[derive(clap::Parser)]
        struct Parser {
            #[command(flatten)]
            options: NodeOptions,
        }
        let parsed = <Parser as clap::Parser>::try_parse_from(["node", "--listen", "127.0.0.1:0"]);
        let options = parsed.map_err(|error| error.to_string())?.options;
        Ok(Self {
            name: "embedded".to_owned(),
            members: None,
            join: Vec::new(),
            advertise: None,
            alone: true,
            ..options
        })
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { mailbox_max: self.mailbox_max, parked_max: self.parked_max, ..Limits::default() }
    }
}

/// The nodes of a cluster, as (name, `host:port`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberList(pub Vec<(String, String)>);

impl FromStr for MemberList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut members: Vec<(String, String)> = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, address) = item.split_once('=').ok_or_else(|| format!("`{item}` is not NAME=HOST:PORT"))?;
            if name.is_empty() || !address.contains(':') {
                return Err(format!("`{item}` is not NAME=HOST:PORT"));
            }
            if members.iter().any(|(known, _)| known == name) {
                return Err(format!("the name `{name}` is given twice"));
            }
            members.push((name.to_owned(), address.to_owned()));
        }
        if members.is_empty() { Err("the list is empty".to_owned()) } else { Ok(Self(members)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_list_names_each_node_once() {
        let list = MemberList(vec![("a".into(), "h:1".into()), ("b".into(), "h:2".into())]);
        assert_eq!("a=h:1, b=h:2".parse(), Ok(list));
        assert!("a=h:1,a=h:2".parse::<MemberList>().is_err());
        assert!("h:1".parse::<MemberList>().is_err());
        assert!("".parse::<MemberList>().is_err());
    }
}
