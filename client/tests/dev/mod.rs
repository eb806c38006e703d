//! The stock command, and a cluster that it runs.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::process::Command;

use serde_json::Value;

use crate::support::{Running, Said, command, ports, run, signal};

/// The command.
pub const GREENROOM: &str = env!("CARGO_BIN_EXE_greenroom");
/// Fewer slots than there are by default, so that copies are soon where they should be.
pub const N_SLOTS: usize = 96;
/// The ports of a node with two shards.
pub const NODE_PORTS: u16 = 3;

/// A cluster of three nodes with two shards each.
pub struct Dev {
    pub process: Running,
    pub cluster: String,
    /// The processes of the nodes n1, n2, …
    pub nodes: Vec<u32>,
    /// The words of the command that adds a node, without the program.
    pub more: Vec<String>,
}

impl Dev {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With further arguments, which count more than those of others.
    pub fn with(arguments: &[&str]) -> Self {
        Self::with_environment(arguments, &[])
    }

    /// With further arguments, and variables for the nodes.
    pub fn with_environment(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut dev = command(GREENROOM);
        dev.args(["dev", "--shards", "2", "--port", "0"]).args(arguments).envs(variables.iter().copied());
        let mut process = Running::start(dev.env("GREENROOM_SLOTS", N_SLOTS.to_string()));
        let cluster = process.line("export GREENROOM_CLUSTER=");
        let number = |line: String| line.rsplit(' ').next().and_then(|word| word.parse().ok()).expect("is a number");
        let nodes = (1..=ports(&cluster).len()).map(|node| number(process.line(&format!("n{node} at ")))).collect();
        let more = process.line("greenroom node ");
        let more = ["node"].into_iter().chain(more.split(' ')).map(str::to_owned).collect();
        Self { process, cluster, nodes, more }
    }

    /// One more node, by the line that `dev` prints.
    pub fn add_a_node(&self) -> Running {
        let mut node = Running::start(command(GREENROOM).args(&self.more));
        node.line("ready: ");
        node
    }

    pub fn tool(&self, words: &[&str]) -> Command {
        let mut tool = command(GREENROOM);
        tool.args(words).env("GREENROOM_CLUSTER", &self.cluster);
        tool
    }

    pub fn say(&self, words: &[&str]) -> Said {
        run(&mut self.tool(words))
    }

    /// Runs the tool, which must succeed, and returns what it prints without the line's end.
    pub fn ask(&self, words: &[&str]) -> String {
        let said = self.say(words);
        assert_eq!(said.status, Some(0), "{words:?}: {said:?}");
        said.out.trim_end_matches('\n').to_owned()
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.ask(&["status", "--json"])).expect("prints JSON")
    }

    pub fn all_ports(&self) -> impl Iterator<Item = u16> {
        ports(&self.cluster).into_iter().flat_map(|port| port..port + NODE_PORTS)
    }

    /// A node is gone, without a word.
    pub fn kill(&self, node: usize) {
        signal(self.nodes[node], "KILL");
    }
}
