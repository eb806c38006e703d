//! `greenroom dev`: a cluster of local node processes, started and stopped together.

mod child;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant as Deadline, sleep_until, timeout};

use self::child::{Child, Ended, Event};
use super::ports::Ports;
use super::signals::StopSignals;
use super::{Failure, Tool, output};

/// Shards that fit between two nodes ten ports apart.
const SHARDS_DEFAULT_MAX: u16 = 9;
/// How long the nodes may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer than its drain time a node may take to stop, before it is killed.
const STOP_MARGIN: Duration = Duration::from_secs(2);
/// How long the last lines of ended nodes may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The words after `dev`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct DevCommand {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=64))]
    nodes: u16,

    /// The first node's port; each next node is 10 ports on (more, if it has over 9 shards). 0 is any free ports.
    #[arg(long, default_value_t = 7400)]
    port: u16,

    /// Shards of each node, each with a thread of its own; by default one a core, at most 9.
    #[arg(long, env = "GREENROOM_SHARDS")]
    shards: Option<u16>,

    /// How long a stopping node waits for what is under way, in milliseconds.
    #[arg(long, env = "GREENROOM_DRAIN_MS", default_value_t = 5_000)]
    drain_ms: u64,
}

/// Runs a local cluster until it is told to stop.
pub(super) fn run(tool: &Tool, command: &DevCommand) -> Result<ExitCode, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let n_shards = command.shards.unwrap_or_else(|| u16::try_from(cores).unwrap_or(u16::MAX).min(SHARDS_DEFAULT_MAX));
    let ports = Ports::find(command.port, command.nodes, n_shards).map_err(|failure| match failure {
        Failure::Failed(why) => Failure::Failed(format!("{why}; choose other ports with --port")),
        other => other,
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let mut signals = StopSignals::listen()?;
        let mut cluster = Cluster::new(command, ports);
        let outcome = match cluster.start(tool, n_shards, &mut signals).await {
            Ok(()) => {
                cluster.welcome(tool, n_shards);
                cluster.watch(&mut signals).await
            }
            Err(failure) => Err(failure),
        };
        cluster.stop(&mut signals).await;
        outcome
    })
}

/// The nodes, and what is heard of them.
struct Cluster {
    /// Each node's name and address, in their order.
    members: Vec<(String, String)>,
    drain: Duration,
    /// The nodes that run. Dropping one asks its process to stop.
    running: Vec<Option<Child>>,
    events: mpsc::Receiver<Event>,
    tell: mpsc::Sender<Event>,
    /// Turned on to kill all that still run.
    kill: watch::Sender<bool>,
    /// The tasks that watch the processes and pass their output on.
    tasks: JoinSet<()>,
    n_ended: usize,
    n_started: usize,
}

impl Cluster {
    fn new(command: &DevCommand, ports: Ports) -> Self {
        let members = (1..).zip(ports.nodes()).map(|(number, at)| (format!("n{number}"), at.to_string())).collect();
        // A node says at most twice that something happened to it: it is ready, and it has ended.
        let (tell, events) = mpsc::channel(2 * usize::from(command.nodes));
        Self {
            members,
            drain: Duration::from_millis(command.drain_ms),
            running: Vec::new(),
            events,
            tell,
            kill: watch::Sender::new(false),
            tasks: JoinSet::new(),
            n_ended: 0,
            n_started: 0,
        }
    }

    /// Starts all nodes and waits until each is ready.
    async fn start(&mut self, tool: &Tool, n_shards: u16, signals: &mut StopSignals) -> Result<(), Failure> {
        let list: Vec<_> = self.members.iter().map(|(name, address)| format!("{name}={address}")).collect();
        let shared = [
            ("--members", list.join(",")),
            ("--shards", n_shards.to_string()),
            ("--drain-ms", self.drain.as_millis().to_string()),
        ];
        for (place, (name, address)) in self.members.iter().enumerate() {
            let own = [("--name", name.clone()), ("--listen", address.clone())];
            let arguments = own.iter().chain(&shared).flat_map(|(flag, value)| [*flag, value.as_str()]);
            let at = child::Place { place, name: name.clone(), tell: self.tell.clone(), kill: self.kill.subscribe() };
            let child = Child::spawn(at, tool.leading, arguments, &mut self.tasks)
                .map_err(|error| Failure::Failed(format!("{name} cannot be started: {error}")))?;
            self.running.push(Some(child));
            self.n_started += 1;
        }
        let deadline = Deadline::now() + START_TIMEOUT;
        let mut n_ready = 0;
        while n_ready < self.members.len() {
            let event = tokio::select! {
                event = self.events.recv() => event,
                () = signals.next() => return Err(Failure::Interrupted("stopped while the nodes started".to_owned())),
                () = sleep_until(deadline) => None,
            };
            match event {
                Some(Event::Ready) => n_ready += 1,
                Some(Event::Ended(ended)) => {
                    self.forget(&ended);
                    let name = &self.members[ended.place].0;
                    return Err(Failure::Failed(format!("{name} could not be started ({}): see above", ended.how)));
                }
                None => {
                    let why = format!("the nodes are not ready after {} s", START_TIMEOUT.as_secs());
                    return Err(Failure::Failed(why));
                }
            }
        }
        Ok(())
    }

    /// Says how the cluster is used.
    fn welcome(&self, tool: &Tool, n_shards: u16) {
        let (n_nodes, prompt) = (self.members.len(), &tool.prompt);
        let addresses: Vec<_> = self.members.iter().map(|(_, address)| address.as_str()).collect();
        output::line(format_args!(
            "\n{n_nodes} nodes of {n_shards} shards are ready. In another terminal:\n\n  \
             export GREENROOM_CLUSTER={}\n  {prompt} status\n  {prompt} call Counter/hits add 5\n\n\
             Programs started there use this cluster too. Ctrl-C stops all nodes.\n",
            addresses.join(",")
        ));
    }

    /// Waits until it is time to stop: a signal, or no node is left.
    async fn watch(&mut self, signals: &mut StopSignals) -> Result<ExitCode, Failure> {
        while self.n_ended < self.n_started {
            let event = tokio::select! {
                event = self.events.recv() => event,
                () = signals.next() => return Ok(ExitCode::SUCCESS),
            };
            if let Some(Event::Ended(ended)) = event {
                self.forget(&ended);
                let n_left = self.n_started - self.n_ended;
                output::note(format_args!(
                    "{} has ended ({}); nodes left: {n_left}",
                    self.members[ended.place].0, ended.how
                ));
            }
        }
        Err(Failure::Failed("no node is left".to_owned()))
    }

    /// Asks all nodes to stop, and kills those that take too long. A second signal kills them at once.
    async fn stop(mut self, signals: &mut StopSignals) {
        if self.n_ended < self.n_started {
            output::note("stopping all nodes; once more to kill them");
        }
        self.running.clear();
        let deadline = Instant::now() + self.drain + STOP_MARGIN;
        while self.n_ended < self.n_started {
            let killing = *self.kill.borrow();
            let event = tokio::select! {
                event = self.events.recv() => event,
                () = signals.next(), if !killing => None,
                () = sleep_until(deadline.into()), if !killing => None,
            };
            match event {
                Some(Event::Ended(_)) => self.n_ended += 1,
                Some(Event::Ready) => {}
                None => drop(self.kill.send(true)),
            }
        }
        // What they said last is worth a moment, but no more: a grandchild may hold a pipe open.
        let _ = timeout(LAST_WORDS, async { while self.tasks.join_next().await.is_some() {} }).await;
    }

    fn forget(&mut self, ended: &Ended) {
        self.running[ended.place] = None;
        self.n_ended += 1;
    }
}
