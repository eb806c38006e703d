//! A cluster in one thread: nodes, network, clocks, the Raft group and clients, all decided by one seed.
//!
//! The nodes run the protocol's own code: a [`greenroom_actors::Host`] with its slots, leases, the coordinator. Everything else is
//! a model that is as unkind as the real thing: messages are late, lost, doubled and out of order, clocks run apart,
//! processes die, stop for a while, and come back; links break one way or both.

mod actor;
mod alone;
mod client;
mod clock;
mod draws;
mod ending;
mod events;
mod ghost;
mod message;
mod network;
mod performing;
mod process;
mod raft;
mod service;
mod sessions;
mod trouble;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use greenroom_actors::{ClusterId, Identity, Incarnation, NodeId, Registry, ViewCommand};

use crate::history::{History, ObjectIndex};
use alone::Ephemerals;
use client::Client;
use clock::{Clock, Time};
use draws::Draws;
use events::{Event, Events};
use ghost::Ghost;
use network::Network;
use process::{Process, ProcessId};
use raft::{Command, Raft};
use workload::Target;

/// How many slots the cluster has.
const N_SLOTS: u16 = 8;
/// A machine's process looks at its clock about so often, in microseconds.
const TICK: Time = 20_000;

/// How a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For how long things go wrong, in milliseconds.
    pub trouble_ms: u64,
    /// For how long everything is well after that, before it is looked at.
    pub calm_ms: u64,
    /// Whether what happens is kept as text.
    pub trace: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { trouble_ms: 15_000, calm_ms: 15_000, trace: false }
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The first thing that was not as it must be: the invariant, and what was seen.
    pub violation: Option<String>,
    /// What happened, if it was kept.
    pub trace: Vec<String>,
    /// How many events there were.
    pub n_steps: u64,
    /// How many calls were made.
    pub n_calls: usize,
    /// How many of them returned a value.
    pub n_returned: usize,
    /// How many histories of one object, or of a key of a map, were looked at for an order.
    pub n_histories: usize,
    /// For how many of them that was too much work.
    pub n_unchecked: usize,
    /// How often a slot was taken over by another node.
    pub n_epochs: u64,
    /// A hash of everything that happened: equal in two runs of a seed.
    pub fingerprint: u64,
}

/// A machine: it keeps its name and its disk when its process ends.
#[derive(Debug)]
struct Machine {
    name: String,
    identity: Identity,
    running: Option<ProcessId>,
    /// It has left for good.
    has_left: bool,
    clock: Clock,
}

/// The world.
pub(crate) struct World {
    now: Time,
    draws: Draws,
    events: Events,
    settings: Settings,
    machines: Vec<Machine>,
    processes: Vec<Process>,
    clients: Vec<Client>,
    targets: Vec<Target>,
    network: Network,
    raft: Raft,
    registry: Registry,
    ghost: Ghost,
    ephemerals: Ephemerals,
    history: History,
    /// What calls that make objects anew are recorded for, and never looked at.
    system_history: Option<ObjectIndex>,
    /// The session of each client that there was, and its name in the history.
    session_names: BTreeMap<greenroom_actors::SessionId, usize>,
    ended_sessions: BTreeSet<greenroom_actors::SessionId>,
    /// Whether no clock runs further apart from another than leases allow for.
    clocks_are_bounded: bool,
    /// Whether everything is being mended.
    is_healed: bool,
    scratch: Vec<u8>,
    outcome: Outcome,
}

/// Runs one seed to its end.
pub fn run(seed: u64, settings: Settings) -> Outcome {
    let mut world = World::new(seed, settings);
    world.run();
    world.outcome
}

impl World {
    fn new(seed: u64, settings: Settings) -> Self {
        let mut draws = Draws::new(seed);
        let n_machines = draws.between(3, 6);
        let copies = if draws.one_in(2) { 3 } else { 2 };
        let clocks_are_bounded = !draws.one_in(8);
        let network = Network::new(&mut draws);
        let mut world = Self {
            now: 0,
            draws,
            events: Events::default(),
            settings,
            machines: Vec::new(),
            processes: Vec::new(),
            clients: Vec::new(),
            targets: Vec::new(),
            network,
            raft: Raft::default(),
            registry: Registry::collect().expect("the types of one program have names of their own"),
            ghost: Ghost::default(),
            ephemerals: Ephemerals::default(),
            history: History::new(),
            system_history: None,
            session_names: BTreeMap::new(),
            ended_sessions: BTreeSet::new(),
            clocks_are_bounded,
            is_healed: false,
            scratch: Vec::new(),
            outcome: Outcome::default(),
        };
        let found = ViewCommand::Found { cluster: ClusterId(1), n_slots: N_SLOTS, copies };
        world.commit(&Command::View(found));
        for _ in 0..n_machines {
            world.add_machine();
        }
        world.raft.voters = world.machines.iter().take(3).map(|machine| machine.identity).collect();
        world.add_targets();
        world.add_clients();
        world.events.add(2_500_000, Event::Trouble);
        world
    }

    /// A machine that was never there before, with a running process.
    fn add_machine(&mut self) -> usize {
        let number = self.machines.len();
        let (name, identity) = (format!("m{number}"), Identity(self.draws.number() | 1));
        let rate =
            if self.clocks_are_bounded { self.draws.between(971, 1_030) } else { self.draws.between(600, 1_500) };
        let (steady, wall) = (self.draws.below(1_000_000), self.draws.below(400));
        let clock = Clock { rate, steady_offset_ms: steady, wall_offset_ms: wall };
        self.machines.push(Machine { name, identity, running: None, has_left: false, clock });
        self.start(number);
        number
    }

    /// Starts a process on a machine.
    fn start(&mut self, number: usize) {
        let machine = &mut self.machines[number];
        if machine.running.is_some() || machine.has_left {
            return;
        }
        let id = ProcessId(self.processes.len());
        machine.running = Some(id);
        let (identity, clock) = (machine.identity, machine.clock);
        let incarnation = self.draws.number() | 1;
        let mut process = Process::new(number, identity, incarnation, clock);
        process.raft.heard_at_ms = process.steady_ms(self.now);
        process.raft.timeout_ms = self.draws.between(100, 500);
        // A deposed leader that comes back knows the terms that it has voted in.
        process.raft.term = self.raft.term;
        self.processes.push(process);
        let at = self.now + self.draws.below(TICK);
        self.events.add(at, Event::Tick(id));
        self.say(|| format!("p{}        starts on m{number}", id.0));
        if self.now == 0 {
            self.join_at_once(id);
        }
        #[cfg(feature = "mutations")]
        self.keep_incarnation(id);
    }

    /// A bug that can be planted: the process goes on as the member that its machine was.
    #[cfg(feature = "mutations")]
    fn keep_incarnation(&mut self, id: ProcessId) {
        let name = &self.machines[self.processes[id.0].machine].name;
        let node = self.raft.view().named(name).map(|member| member.node);
        if let Some(node) = node.filter(|_| self.now > 0 && greenroom_actors::Mutation::KeepIncarnation.is_planted()) {
            self.processes[id.0].become_member(node);
        }
    }

    /// The members of the beginning.
    fn join_at_once(&mut self, id: ProcessId) {
        let command = self.join_command(id);
        if let greenroom_actors::Changed::Joined(node) = self.commit(&Command::View(command)) {
            self.processes[id.0].become_member(node);
        }
    }

    fn join_command(&self, id: ProcessId) -> ViewCommand {
        let process = &self.processes[id.0];
        let name = self.machines[process.machine].name.clone();
        let (address, incarnation) = (process.machine.to_string(), Incarnation(process.incarnation));
        ViewCommand::Join { name, address, incarnation, identity: process.identity, replaces: process.replaces }
    }

    /// The processes that run, paused or not.
    fn running(&self) -> impl Iterator<Item = ProcessId> {
        self.machines.iter().filter_map(|machine| machine.running)
    }

    fn process_of(&self, node: NodeId) -> Option<ProcessId> {
        self.running().find(|id| self.processes[id.0].node == Some(node))
    }

    fn run(&mut self) {
        let end = (self.settings.trouble_ms + self.settings.calm_ms) * 1_000;
        while self.outcome.violation.is_none() {
            let Some((at, event)) = self.events.next() else { break };
            self.now = at;
            if at > self.settings.trouble_ms * 1_000 && !self.is_healed {
                self.heal();
            }
            if at > end {
                break;
            }
            self.outcome.n_steps += 1;
            self.dispatch(event);
        }
        if self.outcome.violation.is_none() {
            self.check_end();
        }
        let operations = self.history.operations();
        self.outcome.n_calls = operations.len();
        let returned =
            |operation: &&crate::Operation| matches!(operation.outcome, crate::history::Outcome::Returned(..));
        self.outcome.n_returned = operations.iter().filter(returned).count();
        self.outcome.n_epochs = self.raft.view().iter().map(|(_, placement)| placement.epoch.0).sum();
    }

    fn dispatch(&mut self, event: Event) {
        if let Some(process) = event.process().map(|id| &self.processes[id.0]) {
            if !process.is_alive {
                return;
            }
            if process.is_paused(self.now) {
                let at = process.paused_until;
                return self.events.add(at, event);
            }
        }
        match event {
            Event::Tick(process) => self.tick(process),
            Event::Act(process, slot, object) => self.act(process, slot, object),
            Event::Outcome(process, slot, object) => self.tell_outcome(process, slot, object),
            Event::Deliver { from, to, message } => self.deliver(from, to, message),
            Event::Commit(process) => self.handle_commit(process),
            Event::RoundAsked(process, term, round) => self.handle_round_asked(process, term, round),
            Event::RoundAnswered { process, term, round, confirmed } => {
                self.handle_round(process, (term, round), confirmed);
            }
            Event::ClientTick(client) => self.tick_client(client),
            Event::Start(machine) => self.start(machine),
            Event::Die(process) if self.is_healed => self.say(|| format!("trouble   p{} lives on", process.0)),
            Event::Die(process) => self.try_crash(process),
            Event::Trouble => self.trouble(),
        }
    }

    fn tick(&mut self, id: ProcessId) {
        let at = self.now + self.draws.between(TICK / 2, TICK * 3 / 2);
        self.events.add(at, Event::Tick(id));
        self.tick_raft(id);
        self.tick_member(id);
        self.tick_host(id);
        self.tick_sessions(id);
        self.check_serving(id);
    }

    /// Notes what happened: in the fingerprint always, as text if it is wanted.
    fn say(&mut self, text: impl FnOnce() -> String) {
        let mixed = (self.outcome.fingerprint ^ self.now).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.outcome.fingerprint = mixed.rotate_left(23) ^ self.outcome.n_steps;
        if self.settings.trace {
            self.outcome.trace.push(format!("{:>10.3} ms  {}", self.now as f64 / 1_000.0, text()));
        }
    }

    /// Something must be so; the first thing that is not ends the run.
    fn judge(&mut self, result: Result<(), String>, invariant: &str) {
        if let Err(seen) = result
            && self.outcome.violation.is_none()
        {
            let text = format!("{invariant}: {seen}");
            self.say(|| format!("VIOLATION {text}"));
            self.outcome.violation = Some(text);
        }
    }
}
