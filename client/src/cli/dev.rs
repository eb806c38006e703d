//! `greenroom dev`: a cluster of local node processes, started and stopped together.

mod child;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use greenroom_actors::Targets;
use greenroom_rpc::group::{self, GroupView};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant as Deadline, sleep, sleep_until, timeout};

use self::child::{Child, Ended, Event};
use super::ports::Ports;
use super::reach::ANSWER_TIMEOUT;
use super::signals::StopSignals;
use super::{Failure, Tool, output};

/// Shards that fit between two nodes ten ports apart.
const SHARDS_DEFAULT_MAX: u16 = 9;
/// How long the nodes may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer than its drain time a node may take to stop, before it is killed.
const STOP_MARGIN: Duration = Duration::from_secs(2);
/// How often it is looked whether every slot is where it should be.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
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

    /// How many nodes hold each object, if there are as many: with 2, one node may die.
    #[arg(long, env = "GREENROOM_COPIES", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    copies: u8,

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
        let mut cluster = Cluster::new(command, ports, n_shards);
        let outcome = match cluster.start(tool, &mut signals).await {
            Ok(()) => {
                cluster.welcome(tool);
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
    /// Where one more could listen.
    next: Option<SocketAddr>,
    n_shards: u16,
    copies: u8,
    drain: Duration,
    /// The nodes that run. Dropping one asks its process to stop.
    running: Vec<Option<Child>>,
    events: mpsc::Receiver<Event>,
    tell: mpsc::Sender<Event>,
    /// Turned on to kill all that still run.
    kill: watch::Sender<bool>,
    /// The tasks that watch the processes and pass their output on.
    tasks: JoinSet<()>,
    n_ready: usize,
    n_ended: usize,
    n_started: usize,
}

impl Cluster {
    fn new(command: &DevCommand, ports: Ports, n_shards: u16) -> Self {
        let members = (1..).zip(ports.nodes()).map(|(number, at)| (format!("n{number}"), at.to_string())).collect();
        // A node says at most twice that something happened to it: it is ready, and it has ended.
        let (tell, events) = mpsc::channel(2 * usize::from(command.nodes));
        Self {
            members,
            next: ports.next(),
            n_shards,
            copies: command.copies,
            drain: Duration::from_millis(command.drain_ms),
            running: Vec::new(),
            events,
            tell,
            kill: watch::Sender::new(false),
            tasks: JoinSet::new(),
            n_ready: 0,
            n_ended: 0,
            n_started: 0,
        }
    }

    /// Has the first node found a cluster and the others join it, and waits until every slot is where it should be.
    async fn start(&mut self, tool: &Tool, signals: &mut StopSignals) -> Result<(), Failure> {
        let deadline = Deadline::now() + START_TIMEOUT;
        self.start_node(tool, 0)?;
        self.until_ready(1, deadline, signals).await?;
        let all = 0..self.members.len();
        for place in all.skip(1) {
            self.start_node(tool, place)?;
        }
        self.until_ready(self.members.len(), deadline, signals).await?;
        let (first, n_nodes) = (self.members[0].1.clone(), self.members.len());
        let settled = until_settled(&first, n_nodes);
        tokio::pin!(settled);
        loop {
            let event = tokio::select! {
                () = &mut settled => return Ok(()),
                event = self.next_event(deadline, signals) => event?,
            };
            self.expect_alive(event)?;
        }
    }

    fn start_node(&mut self, tool: &Tool, place: usize) -> Result<(), Failure> {
        let (name, address) = &self.members[place];
        let mut arguments = vec![("--name", name.clone()), ("--listen", address.clone())];
        arguments.push(("--shards", self.n_shards.to_string()));
        arguments.push(("--drain-ms", self.drain.as_millis().to_string()));
        arguments.push(match place {
            0 => ("--copies", self.copies.to_string()),
            _ => ("--join", self.members[0].1.clone()),
        });
        let words = arguments.iter().flat_map(|(flag, value)| [*flag, value.as_str()]);
        let at = child::Place { place, name: name.clone(), tell: self.tell.clone(), kill: self.kill.subscribe() };
        let child = Child::spawn(at, tool.leading, words, &mut self.tasks)
            .map_err(|error| Failure::Failed(format!("{name} cannot be started: {error}")))?;
        self.running.push(Some(child));
        self.n_started += 1;
        Ok(())
    }

    /// Waits until so many nodes are ready.
    async fn until_ready(
        &mut self,
        count: usize,
        deadline: Deadline,
        signals: &mut StopSignals,
    ) -> Result<(), Failure> {
        while self.n_ready < count {
            let event = self.next_event(deadline, signals).await?;
            self.expect_alive(event)?;
        }
        Ok(())
    }

    async fn next_event(&mut self, deadline: Deadline, signals: &mut StopSignals) -> Result<Event, Failure> {
        let late = || Failure::Failed(format!("the nodes are not ready after {} s", START_TIMEOUT.as_secs()));
        tokio::select! {
            event = self.events.recv() => event.ok_or_else(late),
            () = signals.next() => Err(Failure::Interrupted("stopped while the nodes started".to_owned())),
            () = sleep_until(deadline) => Err(late()),
        }
    }

    /// While the nodes start, none may end.
    fn expect_alive(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Ready => self.n_ready += 1,
            Event::Ended(ended) => {
                self.forget(&ended);
                let name = &self.members[ended.place].0;
                return Err(Failure::Failed(format!("{name} could not be started ({}): see above", ended.how)));
            }
        }
        Ok(())
    }

    /// Says how the cluster is used.
    fn welcome(&self, tool: &Tool) {
        let (n_nodes, n_shards, prompt) = (self.members.len(), self.n_shards, &tool.prompt);
        let addresses: Vec<_> = self.members.iter().map(|(_, address)| address.as_str()).collect();
        let cluster = addresses.join(",");
        let copies = match usize::from(self.copies.max(1)).min(n_nodes) {
            1 => "one copy".to_owned(),
            copies => format!("{copies} copies"),
        };
        let processes = self.members.iter().zip(&self.running).map(|((name, address), child)| {
            let process = child.as_ref().map_or(0, |child| child.process);
            format!("  {name} at {address}: kill -9 {process}\n")
        });
        let processes: String = processes.collect();
        let more = self.next.map(|listen| {
            let name = format!("n{}", n_nodes + 1);
            format!(
                "\nOne more node joins by this, and leaves by Ctrl-C:\n\n  \
                 {prompt} node --name {name} --listen {listen} --shards {n_shards} --join {cluster}\n"
            )
        });
        output::line(format_args!(
            "\n{n_nodes} nodes of {n_shards} shards are ready, with {copies} of each object. In another terminal:\n\n  \
             export GREENROOM_CLUSTER={cluster}\n  {prompt} status\n  {prompt} call Counter/hits add 5\n\n\
             Programs started there use this cluster too. A node dies by its line, and leaves in order without the -9:\n\n\
             {processes}{}\nCtrl-C stops all of these nodes.\n",
            more.unwrap_or_default()
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

/// Waits until the node at `address` knows of so many members, and every slot is where it should be.
async fn until_settled(address: &str, n_nodes: usize) {
    loop {
        if let Ok(Some(GroupView { view, .. })) = group::view(address, ANSWER_TIMEOUT).await
            && view.members.len() == n_nodes
            && Targets::of(&view).are_met(&view)
        {
            return;
        }
        sleep(LOOK_AGAIN).await;
    }
}
