//! `greenroom status`: who is in a cluster, and what they do.

use std::process::ExitCode;

use greenroom_actors::{Member, SlotTable};
use greenroom_rpc::proto::{ShardStatus, StatusReply, StatusRequest};
use serde::Serialize;

use super::reach::{self, ANSWER_TIMEOUT, NoAnswer};
use super::table::{self, Align};
use super::{ClusterArgument, Failure, client_runtime, output};

/// The words after `status`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct StatusCommand {
    #[command(flatten)]
    cluster: ClusterArgument,

    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

/// What is known of a cluster, as `--json` shows it.
#[derive(Debug, Serialize)]
struct ClusterReport {
    cluster: ClusterPart,
    nodes: Vec<NodePart>,
    totals: Totals,
}

#[derive(Debug, Serialize)]
struct ClusterPart {
    id: String,
    table_version: u64,
    slots: usize,
    nodes: usize,
    nodes_up: usize,
}

#[derive(Debug, Serialize)]
struct NodePart {
    name: String,
    address: String,
    /// `up` or `down`.
    state: &'static str,
    /// Why it is down.
    reason: Option<String>,
    /// The slots that the table gives the node, whether it is up or not.
    slots: usize,
    incarnation: Option<String>,
    version: Option<String>,
    uptime_ms: Option<u64>,
    shards: Vec<ShardPart>,
}

#[derive(Debug, Serialize)]
struct ShardPart {
    shard: u32,
    address: String,
    slots: u32,
    objects: u64,
    actors: u64,
    sessions: u64,
    streams: u64,
    calls: u64,
    calls_per_second: f64,
    parked: u64,
    refused: u64,
    panics: u64,
}

/// Sums over the shards that answered. Sessions are not among them: one client is a session in each shard it uses.
#[derive(Debug, Default, Serialize)]
struct Totals {
    slots: u64,
    objects: u64,
    actors: u64,
    calls: u64,
    calls_per_second: f64,
    parked: u64,
    refused: u64,
    panics: u64,
}

/// Shows the state of a cluster.
pub(super) fn run(command: &StatusCommand) -> Result<ExitCode, Failure> {
    let report = client_runtime()?.block_on(gather(&command.cluster.cluster.0))?;
    if command.json {
        output::json(&report);
    } else {
        output::line(report.text());
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks any node for the table, and then all that it names.
async fn gather(seeds: &[String]) -> Result<ClusterReport, Failure> {
    let table = reach::find_table(seeds).await?;
    let asked: Vec<_> = table.members.iter().map(|member| tokio::spawn(ask(member.address.clone()))).collect();
    let mut nodes = Vec::new();
    for (member, answer) in table.members.iter().zip(asked) {
        let answer = answer.await.unwrap_or_else(|error| Err(error.to_string()));
        nodes.push(NodePart::new(&table, member, answer));
    }
    Ok(ClusterReport::new(&table, nodes))
}

async fn ask(address: String) -> Result<StatusReply, String> {
    let answer = async {
        let mut control = reach::connect(&address).await?;
        reach::answer(&address, ANSWER_TIMEOUT, control.status(StatusRequest {})).await
    };
    answer.await.map_err(|(NoAnswer::Down(why) | NoAnswer::Senseless(why))| why)
}

impl ClusterReport {
    fn new(table: &SlotTable, nodes: Vec<NodePart>) -> Self {
        let mut totals = Totals::default();
        for shard in nodes.iter().flat_map(|node| &node.shards) {
            totals.slots += u64::from(shard.slots);
            totals.objects += shard.objects;
            totals.actors += shard.actors;
            totals.calls += shard.calls;
            totals.calls_per_second += shard.calls_per_second;
            totals.parked += shard.parked;
            totals.refused += shard.refused;
            totals.panics += shard.panics;
        }
        let cluster = ClusterPart {
            id: format!("{:016x}", table.cluster.0),
            table_version: table.version.0,
            slots: table.slots.len(),
            nodes: nodes.len(),
            nodes_up: nodes.iter().filter(|node| node.reason.is_none()).count(),
        };
        Self { cluster, nodes, totals }
    }

    /// The report for people.
    fn text(&self) -> String {
        let columns = [
            ("NODE", Align::Left),
            ("ADDRESS", Align::Left),
            ("STATE", Align::Left),
            ("SHARD", Align::Right),
            ("SLOTS", Align::Right),
            ("OBJECTS", Align::Right),
            ("ACTORS", Align::Right),
            ("CALLS/S", Align::Right),
            ("PARKED", Align::Right),
            ("SESSIONS", Align::Right),
        ];
        let mut rows: Vec<_> = self.nodes.iter().flat_map(NodePart::rows).collect();
        rows.push(self.totals.row());
        let ClusterPart { nodes, nodes_up, slots, .. } = &self.cluster;
        let mut text =
            format!("{nodes_up} of {nodes} nodes are up; {slots} slots\n\n{}", table::render(&columns, &rows));
        for node in &self.nodes {
            if let Some(reason) = &node.reason {
                text.push_str(&format!("\n\n{} is down: {reason}", node.name));
            }
        }
        text
    }
}

impl NodePart {
    fn new(table: &SlotTable, member: &Member, answer: Result<StatusReply, String>) -> Self {
        let (name, address) = (member.name.clone(), member.address.clone());
        let slots = table.slots.iter().filter(|place| place.primary == member.node).count();
        let answer = match answer {
            Ok(reply) if reply.name != name => Err(format!("another node, `{}`, answers at {address}", reply.name)),
            answer => answer,
        };
        match answer {
            Ok(reply) => Self {
                name,
                address,
                state: "up",
                reason: None,
                slots,
                incarnation: Some(format!("{:016x}", reply.incarnation)),
                version: Some(reply.version),
                uptime_ms: Some(reply.uptime_ms),
                shards: reply.shards.into_iter().map(ShardPart::new).collect(),
            },
            Err(reason) => Self {
                name,
                address,
                state: "down",
                reason: Some(reason),
                slots,
                incarnation: None,
                version: None,
                uptime_ms: None,
                shards: Vec::new(),
            },
        }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |cells: Vec<String>| {
            let mut row = vec![self.name.clone(), self.address.clone(), self.state.to_owned()];
            row.extend(cells);
            row
        };
        if self.shards.is_empty() {
            return vec![row(vec!["-".to_owned(); 7])];
        }
        self.shards.iter().map(|shard| row(shard.cells())).collect()
    }
}

impl ShardPart {
    fn new(status: ShardStatus) -> Self {
        Self {
            shard: status.shard,
            address: status.address,
            slots: status.slots,
            objects: status.objects,
            actors: status.actors,
            sessions: status.sessions,
            streams: status.streams,
            calls: status.calls,
            calls_per_second: status.calls_per_second,
            parked: status.parked,
            refused: status.refused,
            panics: status.panics,
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.shard.to_string(),
            self.slots.to_string(),
            self.objects.to_string(),
            self.actors.to_string(),
            format!("{:.0}", self.calls_per_second),
            self.parked.to_string(),
            self.sessions.to_string(),
        ]
    }
}

impl Totals {
    fn row(&self) -> Vec<String> {
        vec![
            "total".to_owned(),
            String::new(),
            String::new(),
            String::new(),
            self.slots.to_string(),
            self.objects.to_string(),
            self.actors.to_string(),
            format!("{:.0}", self.calls_per_second),
            self.parked.to_string(),
        ]
    }
}
