//! `greenroom status`: who is in a cluster, and what they do.

use std::process::ExitCode;

use greenroom_actors::{Identity, MemberStatus, NodeId, Placement, Targets, View, ViewMember};
use greenroom_rpc::group::GroupView;
use greenroom_rpc::proto::{ShardStatus, StatusReply, StatusRequest};
use serde::Serialize;

use super::reach::{self, ANSWER_TIMEOUT, NoAnswer};
use super::table::{self, Align};
use super::{ClusterArgument, Failure, Tool, client_runtime, output};

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
    view_version: u64,
    /// Whether members never come and go.
    fixed: bool,
    /// Who leads the group that holds the view, as far as the node knows that was asked.
    leader: Option<String>,
    /// Who votes in it.
    voters: Vec<String>,
    nodes: usize,
    nodes_up: usize,
    slots: usize,
    /// How many copies of each slot there should be.
    copies: u8,
    /// Slots that have fewer copies, on nodes that stay, than there should be and can be.
    slots_short: usize,
    /// Slots of which one more copy is being made.
    slots_copied: usize,
    /// Slots whose last copy is on a node that does not answer.
    slots_waiting: usize,
    /// Slots of which no copy is left.
    slots_lost: usize,
}

#[derive(Debug, Serialize)]
struct NodePart {
    name: String,
    /// Its number, which no other process is ever given.
    number: u32,
    address: String,
    /// `up`, `leaving`, `suspect` (it has the last copy of something, and the others do not hear from it) or `down`.
    state: &'static str,
    /// Why it does not answer.
    reason: Option<String>,
    /// The slots that the node serves, by the view, whether it is up or not.
    primary: usize,
    /// The slots of which the node has a copy that another one serves, by the view.
    backup: usize,
    incarnation: Option<String>,
    version: Option<String>,
    uptime_ms: Option<u64>,
    shards: Vec<ShardPart>,
}

#[derive(Debug, Serialize)]
struct ShardPart {
    shard: u32,
    address: String,
    /// Slots that the shard serves; objects and parked calls are those of these slots.
    slots: u32,
    /// Slots of which the shard has a copy that another node serves.
    backup_slots: u32,
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
    backup_slots: u64,
    objects: u64,
    actors: u64,
    calls: u64,
    calls_per_second: f64,
    parked: u64,
    refused: u64,
    panics: u64,
}

/// Shows the state of a cluster.
pub(super) fn run(tool: &Tool, command: &StatusCommand) -> Result<ExitCode, Failure> {
    let report = client_runtime()?.block_on(gather(&command.cluster.cluster.0))?;
    if command.json {
        output::json(&report);
    } else {
        output::line(report.text(&tool.prompt));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks any node for the view, and then all that it names.
async fn gather(seeds: &[String]) -> Result<ClusterReport, Failure> {
    let group = reach::find_view(seeds).await?;
    let members = || group.view.members.values();
    let asked: Vec<_> = members().map(|member| tokio::spawn(ask(member.address.clone()))).collect();
    let mut nodes = Vec::new();
    for (member, answer) in members().zip(asked) {
        let answer = answer.await.unwrap_or_else(|error| Err(error.to_string()));
        nodes.push(NodePart::new(&group.view, member, answer));
    }
    // Their numbers say only in which order they came.
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(ClusterReport::new(&group, nodes))
}

async fn ask(address: String) -> Result<StatusReply, String> {
    let answer = async {
        let mut control = reach::connect(&address).await?;
        reach::answer(&address, ANSWER_TIMEOUT, control.status(StatusRequest {})).await
    };
    answer.await.map_err(|(NoAnswer::Down(why) | NoAnswer::Senseless(why))| why)
}

impl ClusterReport {
    fn new(group: &GroupView, nodes: Vec<NodePart>) -> Self {
        let mut totals = Totals::default();
        for shard in nodes.iter().flat_map(|node| &node.shards) {
            totals.slots += u64::from(shard.slots);
            totals.backup_slots += u64::from(shard.backup_slots);
            totals.objects += shard.objects;
            totals.actors += shard.actors;
            totals.calls += shard.calls;
            totals.calls_per_second += shard.calls_per_second;
            totals.parked += shard.parked;
            totals.refused += shard.refused;
            totals.panics += shard.panics;
        }
        let GroupView { view, leader, voters } = group;
        let name = |identity: &Identity| {
            let known = view.members.values().find(|member| member.identity == *identity);
            known.map_or_else(|| format!("{:016x}", identity.0), |member| member.name.clone())
        };
        let n_copies = Targets::of(view).n_copies();
        let n_staying = |at: &Placement| at.in_sync.iter().filter(|&&node| view.is_up(node)).count();
        let n_slots = |so: &dyn Fn(&Placement) -> bool| view.slots.iter().filter(|at| so(at)).count();
        let is_suspect =
            |node: &NodeId| view.members.get(node).is_some_and(|member| member.status == MemberStatus::Suspect);
        let cluster = ClusterPart {
            id: format!("{:016x}", view.cluster.0),
            view_version: view.version.0,
            fixed: view.is_fixed(),
            leader: leader.as_ref().map(name),
            voters: voters.iter().map(name).collect(),
            nodes: nodes.len(),
            nodes_up: nodes.iter().filter(|node| node.reason.is_none()).count(),
            slots: view.slots.len(),
            copies: view.copies.max(1),
            slots_short: n_slots(&|at| at.primary.is_some() && n_staying(at) < n_copies),
            slots_copied: n_slots(&|at| at.joining.is_some()),
            slots_waiting: n_slots(&|at| at.primary.is_some() && at.in_sync.iter().all(is_suspect)),
            slots_lost: view.n_lost(),
        };
        Self { cluster, nodes, totals }
    }

    /// The report for people.
    fn text(&self, prompt: &str) -> String {
        let columns = [
            ("NODE", Align::Left),
            ("ADDRESS", Align::Left),
            ("STATE", Align::Left),
            ("SHARD", Align::Right),
            ("PRIMARY", Align::Right),
            ("BACKUP", Align::Right),
            ("OBJECTS", Align::Right),
            ("ACTORS", Align::Right),
            ("CALLS/S", Align::Right),
            ("PARKED", Align::Right),
            ("SESSIONS", Align::Right),
        ];
        let mut rows: Vec<_> = self.nodes.iter().flat_map(NodePart::rows).collect();
        rows.push(self.totals.row());
        let ClusterPart { nodes, nodes_up, slots, copies, .. } = &self.cluster;
        let mut text = format!("{nodes_up} of {nodes} nodes are up; {slots} slots\n");
        if !self.cluster.fixed {
            let ClusterPart { view_version, leader, voters, .. } = &self.cluster;
            let leader = leader.as_ref().map_or_else(|| "nobody leads".to_owned(), |name| format!("{name} leads"));
            text.push_str(&format!("view {view_version}; {leader}, of the voters {}\n", voters.join(", ")));
        }
        let trouble = [
            (self.cluster.slots_short, format!("have fewer than {copies} copies")),
            (self.cluster.slots_copied, "are being copied".to_owned()),
            (self.cluster.slots_waiting, "wait for a suspected node, which has their last copies".to_owned()),
            (self.cluster.slots_lost, format!("are lost, until `{prompt} accept-loss` lets them begin anew, empty")),
        ];
        for (count, what) in trouble.iter().filter(|(count, _)| *count > 0) {
            text.push_str(&format!("{count} slots {what}\n"));
        }
        text.push_str(&format!("\n{}", table::render(&columns, &rows)));
        for node in &self.nodes {
            if let Some(reason) = &node.reason {
                text.push_str(&format!("\n\n{} is {}: {reason}", node.name, node.state));
            }
        }
        text
    }
}

impl NodePart {
    fn new(view: &View, member: &ViewMember, answer: Result<StatusReply, String>) -> Self {
        let (name, address, number) = (member.name.clone(), member.address.clone(), member.node.0);
        let primary = view.slots.iter().filter(|at| at.primary == Some(member.node)).count();
        let backup = view.slots.iter().filter(|at| at.in_sync.contains(&member.node)).count() - primary;
        let state = match (member.status, &answer) {
            (MemberStatus::Suspect, _) => "suspect",
            (MemberStatus::Leaving, _) => "leaving",
            (MemberStatus::Up, Ok(reply)) if reply.name == name => "up",
            (MemberStatus::Up, _) => "down",
        };
        let answer = match answer {
            Ok(reply) if reply.name != name => Err(format!("another node, `{}`, answers at {address}", reply.name)),
            answer => answer,
        };
        match answer {
            Ok(reply) => Self {
                name,
                number,
                address,
                state,
                reason: None,
                primary,
                backup,
                incarnation: Some(format!("{:016x}", reply.incarnation)),
                version: Some(reply.version),
                uptime_ms: Some(reply.uptime_ms),
                shards: reply.shards.into_iter().map(ShardPart::new).collect(),
            },
            Err(reason) => Self {
                name,
                number,
                address,
                state,
                reason: Some(reason),
                primary,
                backup,
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
            let mut cells = vec!["-".to_owned(), self.primary.to_string(), self.backup.to_string()];
            cells.resize(8, "-".to_owned());
            return vec![row(cells)];
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
            backup_slots: status.backup_slots,
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
            self.backup_slots.to_string(),
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
            self.backup_slots.to_string(),
            self.objects.to_string(),
            self.actors.to_string(),
            format!("{:.0}", self.calls_per_second),
            self.parked.to_string(),
        ]
    }
}
