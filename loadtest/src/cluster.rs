//! Clusters of node processes whose members come and go: founded, joined, killed, paused, started anew.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use greenroom::{Client, JobId, Settings};
use greenroom_actors::{NodeId, SlotTable, TableVersion};

use crate::network::Network;
use crate::servers::free_ports;

/// How long a node may take until it answers.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How long a cluster may take until each slot has its copies again, where the ring wants them.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);
/// A table that has not changed for so long is taken for the last.
const QUIET: Duration = Duration::from_millis(700);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a node is asked for its table.
const ASK: Duration = Duration::from_millis(500);
/// A node that is asked to leave hands over first; what it cannot is up to the others.
const LEAVE_WITHIN: Duration = Duration::from_secs(20);
/// How many nodes are tried to be started under a name that is not free yet.
const TRIES: u32 = 5;

/// What all nodes of a cluster are started with.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Nodes that hold each object.
    pub(crate) copies: u8,
    /// Slots of the cluster; `None` is the default.
    pub(crate) slots: Option<u16>,
    /// Shards of each node.
    pub(crate) shards: u16,
    /// Further arguments of each node.
    pub(crate) settings: Vec<String>,
}

/// A process of a node.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    pub(crate) name: String,
    pub(crate) address: String,
    /// Where it keeps who it is; without it, it is another node at each start.
    data: Option<PathBuf>,
    child: Child,
    /// The node stops when nobody holds it any more.
    _input: ChildStdin,
    is_reachable: bool,
    number: u8,
}

impl NodeProcess {
    pub(crate) fn has_data(&self) -> bool {
        self.data.is_some()
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // A process that has ended already needs no end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running cluster. Its processes end with it; its logs stay until [`Cluster::forget`].
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) shape: Shape,
    pub(crate) nodes: Vec<NodeProcess>,
    network: Option<Network>,
    folder: PathBuf,
    started: u8,
    /// Of the nodes that there are.
    addresses: Arc<Mutex<Vec<String>>>,
}

impl Cluster {
    /// Starts that many nodes, and waits until they hold all their copies.
    pub(crate) async fn start(
        shape: Shape,
        n_nodes: usize,
        folder: PathBuf,
        network: Option<Network>,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut cluster = Self { shape, nodes: Vec::new(), network, folder, started: 0, addresses: Arc::default() };
        for number in 0..n_nodes {
            // Some keep who they are, some do not.
            cluster.add(number % 2 == 0).await?;
        }
        cluster.settled().await?;
        Ok(cluster)
    }

    /// Removes what the nodes wrote.
    pub(crate) fn forget(self) {
        let folder = self.folder.clone();
        drop(self);
        // What stays of a temporary folder does no harm.
        let _ = std::fs::remove_dir_all(folder);
    }

    /// Where the nodes' logs are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A new node joins.
    pub(crate) async fn add(&mut self, with_data: bool) -> anyhow::Result<()> {
        self.started += 1;
        let (number, name) = (self.started, format!("n{}", self.started));
        let data = with_data.then(|| self.folder.join(&name));
        let address = match &self.network {
            Some(_) => Network::address(number),
            None => format!("127.0.0.1:{}", free_ports(self.shape.shards + 1)?),
        };
        self.start_node(name, address, data, number).await
    }

    async fn start_node(
        &mut self,
        name: String,
        address: String,
        data: Option<PathBuf>,
        number: u8,
    ) -> anyhow::Result<()> {
        for last in (0..TRIES).rev() {
            let mut node = self.spawn(&name, &address, data.clone(), number)?;
            match answers(&mut node).await {
                Ok(()) => {
                    self.nodes.push(node);
                    self.note_nodes();
                    return Ok(());
                }
                Err(error) if last == 0 => {
                    return Err(error.context(format!("see {}", self.log(&name).display())));
                }
                // Its name or its folder may be taken a little longer.
                Err(_) => tokio::time::sleep(QUIET).await,
            }
        }
        Ok(())
    }

    fn spawn(&self, name: &str, address: &str, data: Option<PathBuf>, number: u8) -> anyhow::Result<NodeProcess> {
        let log = OpenOptions::new().create(true).append(true).open(self.log(name)).context("cannot write a log")?;
        let program = std::env::current_exe()?;
        let mut command = match &self.network {
            Some(_) => Network::command(&program),
            None => Command::new(&program),
        };
        command.args(["greenroom", "node", "--stop-with-parent", "--name", name, "--listen", address]);
        command.args(["--copies", &self.shape.copies.to_string(), "--shards", &self.shape.shards.to_string()]);
        if let Some(slots) = self.shape.slots {
            command.args(["--slots", &slots.to_string()]);
        }
        if let Some(data) = &data {
            command.arg("--data").arg(data);
        }
        command.args(&self.shape.settings);
        let seeds: Vec<&str> = self.nodes.iter().map(|node| node.address.as_str()).collect();
        if !seeds.is_empty() {
            command.args(["--join", &seeds.join(",")]);
        }
        let level = std::env::var("GREENROOM_LOG").unwrap_or_else(|_| "info".to_owned());
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GREENROOM_")) {
            command.env_remove(variable);
        }
        command.env("GREENROOM_LOG", level).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::from(log));
        let mut child = command.spawn().context("cannot start a node")?;
        let mut input = child.stdin.take().context("no standard input")?;
        if let Some(network) = &self.network {
            network.connect(child.id(), number)?;
            input.write_all(b"go\n")?;
        }
        let (name, address) = (name.to_owned(), address.to_owned());
        Ok(NodeProcess { name, address, data, child, _input: input, is_reachable: true, number })
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// The node's process is gone, without a word.
    pub(crate) fn kill(&mut self, node: usize) -> anyhow::Result<NodeProcess> {
        let mut gone = self.nodes.remove(node);
        self.note_nodes();
        self.mark(&gone.name, "kill -9");
        gone.child.kill()?;
        gone.child.wait()?;
        Ok(gone)
    }

    /// A node that was killed is started again, under its name and address, with its folder if it had one.
    pub(crate) async fn restart(&mut self, mut gone: NodeProcess) -> anyhow::Result<()> {
        let (name, address, data) =
            (std::mem::take(&mut gone.name), std::mem::take(&mut gone.address), gone.data.take());
        self.mark(&name, "restart");
        self.start_node(name, address, data, gone.number).await
    }

    /// The node's process does nothing, until it is told to go on.
    pub(crate) fn pause(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].is_reachable = false;
        self.mark(&self.nodes[node].name, "SIGSTOP");
        signal(self.nodes[node].child.id(), "STOP")
    }

    /// The node's process goes on.
    pub(crate) fn resume(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].is_reachable = true;
        self.mark(&self.nodes[node].name, "SIGCONT");
        signal(self.nodes[node].child.id(), "CONT")
    }

    /// The node is told to leave, and has ended when this returns.
    pub(crate) async fn leave(&mut self, node: usize) -> anyhow::Result<()> {
        let mut leaver = self.nodes.remove(node);
        self.note_nodes();
        self.mark(&leaver.name, "SIGTERM");
        signal(leaver.child.id(), "TERM")?;
        let deadline = Instant::now() + LEAVE_WITHIN;
        loop {
            if let Some(status) = leaver.child.try_wait()? {
                ensure!(status.success(), "{} left with {status}", leaver.name);
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{} did not leave within {LEAVE_WITHIN:?}", leaver.name);
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Nobody hears the node, and it hears nobody.
    pub(crate) fn cut_off(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].is_reachable = false;
        self.mark(&self.nodes[node].name, "cut off");
        self.network.as_ref().context("no network to cut")?.cut(self.nodes[node].number)
    }

    /// The network is whole again after [`Cluster::cut_off`].
    pub(crate) fn mend(&mut self, node: usize) -> anyhow::Result<()> {
        self.nodes[node].is_reachable = true;
        self.mark(&self.nodes[node].name, "mended");
        self.network.as_ref().context("no network to mend")?.mend(self.nodes[node].number)
    }

    /// The node and the other nodes do not hear each other; clients hear all of them.
    pub(crate) fn isolate(&mut self, node: usize) -> anyhow::Result<()> {
        self.each_other(node, Network::deafen)?;
        self.nodes[node].is_reachable = false;
        self.mark(&self.nodes[node].name, "cut off from the nodes");
        Ok(())
    }

    /// The network is whole again after [`Cluster::isolate`].
    pub(crate) fn rejoin(&mut self, node: usize) -> anyhow::Result<()> {
        self.each_other(node, Network::undeafen)?;
        self.nodes[node].is_reachable = true;
        self.mark(&self.nodes[node].name, "mended");
        Ok(())
    }

    fn each_other(&self, node: usize, act: fn(&Network, u32, u8) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let network = self.network.as_ref().context("no network to cut")?;
        let process = self.nodes[node].child.id();
        let others = self.nodes.iter().filter(|other| other.number != self.nodes[node].number);
        others.map(|other| other.number).try_for_each(|other| act(network, process, other))
    }

    /// Writes into the node's log what is done to it.
    fn mark(&self, name: &str, what: &str) {
        let log = OpenOptions::new().append(true).open(self.log(name));
        let now = humane_time();
        // A mark that is missing makes the log harder to read, no more.
        let _ = log.and_then(|mut log: File| writeln!(log, "{now} ---- {what}"));
    }

    /// The newest table of the nodes that can be reached.
    pub(crate) async fn table(&self) -> Option<SlotTable> {
        let mut newest: Option<SlotTable> = None;
        for node in self.nodes.iter().filter(|node| node.is_reachable) {
            if let Ok((table, _)) = greenroom_rpc::describe(&node.address, ASK).await
                && newest.as_ref().is_none_or(|known| known.version < table.version)
            {
                newest = Some(table);
            }
        }
        newest
    }

    /// The number of a node in the table.
    pub(crate) fn id(&self, node: usize, table: &SlotTable) -> Option<NodeId> {
        table.members.iter().find(|member| member.name == self.nodes[node].name).map(|member| member.node)
    }

    /// Waits until the nodes are the members, each slot has its copies, and nothing moves any more; returns the table.
    pub(crate) async fn settled(&mut self) -> anyhow::Result<SlotTable> {
        let deadline = Instant::now() + SETTLE_WITHIN;
        let mut since: Option<(Instant, TableVersion)> = None;
        let mut seen = "no node answers".to_owned();
        while Instant::now() < deadline {
            self.look_for_dead()?;
            if let Some(table) = self.table().await {
                match self.what_is_missing(&table) {
                    None => match since {
                        Some((at, version)) if version == table.version => {
                            if at.elapsed() >= QUIET {
                                return Ok(table);
                            }
                        }
                        _ => since = Some((Instant::now(), table.version)),
                    },
                    Some(missing) => (since, seen) = (None, missing),
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        bail!("the cluster does not come to rest within {SETTLE_WITHIN:?}: {seen}; logs in {}", self.folder.display())
    }

    fn what_is_missing(&self, table: &SlotTable) -> Option<String> {
        let wanted: BTreeSet<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        let members: BTreeSet<&str> = table.members.iter().map(|member| member.name.as_str()).collect();
        if wanted != members {
            return Some(format!("the members are {members:?}, the nodes {wanted:?}"));
        }
        let copies = usize::from(self.shape.copies).min(self.nodes.len());
        let odd = table.slots.iter().filter(|place| place.is_lost() || place.in_sync.len() != copies).count();
        let primaries: BTreeSet<NodeId> = table.slots.iter().map(|place| place.primary).collect();
        if odd > 0 {
            return Some(format!("{odd} slots have not {copies} copies"));
        }
        (primaries.len() != self.nodes.len()).then(|| format!("only {} nodes are primaries", primaries.len()))
    }

    /// A node that ended by itself is a fault of its own.
    fn look_for_dead(&mut self) -> anyhow::Result<()> {
        for node in 0..self.nodes.len() {
            if let Some(status) = self.nodes[node].child.try_wait()? {
                let name = &self.nodes[node].name;
                bail!("{name} ended by itself, {status}; see {}", self.log(name).display());
            }
        }
        Ok(())
    }

    /// Where clients come in.
    pub(crate) fn door(&self, timeout: Duration, patience: Duration) -> Door {
        Door { addresses: Arc::clone(&self.addresses), timeout, patience }
    }

    /// The nodes are other ones now.
    fn note_nodes(&self) {
        let addresses = self.nodes.iter().map(|node| node.address.clone()).collect();
        *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

/// Makes clients of a cluster, whichever its nodes are at the time.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    addresses: Arc<Mutex<Vec<String>>>,
    timeout: Duration,
    patience: Duration,
}

impl Door {
    /// A client with a session of its own.
    pub(crate) async fn client(&self) -> anyhow::Result<Client> {
        let nodes = self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let settings = Settings {
            cluster: greenroom::Cluster::Nodes(nodes),
            job: Some(JobId::DEFAULT),
            timeout: self.timeout,
            patience: self.patience,
            ..Settings::default()
        };
        Ok(Client::with_settings(settings).await?)
    }
}

async fn answers(node: &mut NodeProcess) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_WITHIN;
    while greenroom_rpc::describe(&node.address, ASK).await.is_err() {
        if let Some(status) = node.child.try_wait()? {
            bail!("{} ended at its start with {status}", node.name);
        }
        ensure!(Instant::now() < deadline, "{} does not answer on {}", node.name, node.address);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

fn signal(process: u32, name: &str) -> anyhow::Result<()> {
    let sent = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status()?;
    ensure!(sent.success(), "cannot send {name} to {process}");
    Ok(())
}

/// The time of day in UTC, as the logs have it.
fn humane_time() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let second = now.as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}.{:06}", second / 3600, second / 60 % 60, second % 60, now.subsec_micros())
}
