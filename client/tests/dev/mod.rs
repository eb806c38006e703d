//! The stock command, and a cluster that it runs.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use std::process::Command;

use serde_json::Value;

use crate::support::{Running, Said, command, ports, run, signal};

/// The command.
pub const GREENROOM: &str = env!("CARGO_BIN_EXE_greenroom");
/// The ports of a node with two shards.
pub const NODE_PORTS: u16 = 3;

/// A cluster of three nodes with two shards each.
pub struct Dev {
    pub process: Running,
    pub cluster: String,
}

impl Dev {
    pub fn start() -> Self {
        let mut process =
            Running::start(command(GREENROOM).args(["dev", "--nodes", "3", "--shards", "2", "--port", "0"]));
        let cluster = process.line("export GREENROOM_CLUSTER=");
        Self { process, cluster }
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

    /// One of the nodes is gone, without a word.
    #[cfg(target_os = "linux")]
    pub fn kill_a_node(&self) {
        let id = self.process.id();
        let nodes = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("can be read");
        let first = nodes.split_whitespace().next().expect("has children").parse().expect("is a number");
        signal(first, "KILL");
    }
}
