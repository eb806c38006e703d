//! The Raft group, as its users see it: a list of committed commands that only grows, and leaders that may be out of date.
//!
//! Elections, terms and quorums are there; how a log is copied is not, as that is the business of the crate that does it. Votes
//! are assumed to be kept on disk.

use std::collections::BTreeSet;
use std::sync::Arc;

use greenroom_actors::{Changed, Coordinator, CoordinatorSettings, Identity, NodeId, RenewalAnswer, View, ViewCommand};

use super::World;
use super::events::Event;
use super::message::{Endpoint, Message};
use super::process::ProcessId;

/// A copy that takes longer is given up.
const COPY_MS_MAX: u64 = 6_000;

/// What is in the log.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    View(ViewCommand),
    Voters(BTreeSet<Identity>),
}

/// What a leader has proposed and is not committed.
#[derive(Clone, Debug)]
pub(crate) struct Proposal {
    command: Command,
    /// Whether the coordinator waits for it.
    is_coordinators: bool,
    joiner: Option<Endpoint>,
}

/// The group.
#[derive(Debug, Default)]
pub(crate) struct Raft {
    pub(crate) term: u64,
    pub(crate) leader: Option<ProcessId>,
    pub(crate) voters: BTreeSet<Identity>,
    /// The view after each committed command.
    pub(crate) views: Vec<Arc<View>>,
    pub(crate) pending: Vec<Proposal>,
}

impl Raft {
    /// The newest view.
    pub(crate) fn view(&self) -> Arc<View> {
        self.views.last().cloned().unwrap_or_default()
    }
}

impl World {
    /// Appends a command to the committed log.
    pub(crate) fn commit(&mut self, command: &Command) -> Changed {
        let before = self.raft.view();
        let mut view = (*before).clone();
        let changed = match command {
            Command::View(command) => view.apply(command),
            Command::Voters(voters) => {
                self.raft.voters.clone_from(voters);
                Changed::Yes
            }
        };
        self.say(|| format!("raft      commits {command:?}: {changed:?}"));
        self.judge(
            view.check().and_then(|()| view.check_after(&before)),
            "every view is sound and follows the one before",
        );
        if let Command::View(ViewCommand::Remove { node, .. }) = command {
            self.check_removal(&before, *node);
        }
        self.raft.views.push(Arc::new(view));
        changed
    }

    /// Whether both hear each other now.
    fn can_talk(&self, one: ProcessId, other: ProcessId) -> bool {
        let runs = |id: ProcessId| self.processes[id.0].is_alive && !self.processes[id.0].is_paused(self.now);
        let (a, b) = (self.processes[one.0].machine, self.processes[other.0].machine);
        one == other || (runs(one) && runs(other) && !self.is_cut(a, b) && !self.is_cut(b, a))
    }

    /// Whether a process reaches a majority of the voters.
    fn reaches_majority(&self, process: ProcessId) -> bool {
        let is_voter = |other: &ProcessId| self.raft.voters.contains(&self.processes[other.0].identity);
        let reached = self.running().filter(is_voter).filter(|&other| self.can_talk(process, other)).count();
        reached > self.raft.voters.len() / 2
    }

    /// A process's part in the group, at its tick.
    pub(crate) fn tick_raft(&mut self, id: ProcessId) {
        let (now_ms, now) = (self.processes[id.0].steady_ms(self.now), self.now);
        let raft = &self.processes[id.0].raft;
        if raft.is_leading {
            self.lead(id, now_ms);
        } else if now_ms > raft.heard_at_ms + raft.timeout_ms {
            let timeout_ms = 250 + self.draws.below(300);
            let is_voter = self.raft.voters.contains(&self.processes[id.0].identity);
            let raft = &mut self.processes[id.0].raft;
            (raft.heard_at_ms, raft.timeout_ms, raft.leader) = (now_ms, timeout_ms, None);
            if is_voter && self.reaches_majority(id) {
                self.elect(id, now);
            }
        }
    }

    /// A majority has voted for a process.
    fn elect(&mut self, id: ProcessId, _now: u64) {
        self.raft.term += 1;
        self.raft.leader = Some(id);
        // A part of what the leader before had proposed has come far enough to be in this one's log.
        for proposal in std::mem::take(&mut self.raft.pending) {
            if self.draws.one_in(2) {
                break;
            }
            self.commit(&proposal.command);
        }
        let (term, committed, now_ms) =
            (self.raft.term, self.raft.views.len(), self.processes[id.0].steady_ms(self.now));
        self.say(|| format!("p{}        leads the Raft group in term {term}", id.0));
        self.learn(id, committed);
        let raft = &mut self.processes[id.0].raft;
        (raft.term, raft.is_leading, raft.leader, raft.n_proposed) = (term, true, Some(id), 0);
        raft.granter.became_leader(now_ms, term);
        let settings = CoordinatorSettings { backoff_ms: 300, backoff_ms_max: 3_000, ..CoordinatorSettings::default() };
        raft.coordinator = Coordinator::new(settings);
        raft.copying.clear();
        self.heartbeat(id);
    }

    fn heartbeat(&mut self, id: ProcessId) {
        let (term, committed) = (self.processes[id.0].raft.term, self.processes[id.0].raft.applied);
        for other in self.running().filter(|&other| other != id).collect::<Vec<_>>() {
            self.send(Endpoint::Process(id), Endpoint::Process(other), Message::Heartbeat { term, committed });
        }
    }

    /// A process hears from a leader.
    pub(crate) fn handle_heartbeat(&mut self, id: ProcessId, from: ProcessId, term: u64, committed: usize) {
        let now_ms = self.processes[id.0].steady_ms(self.now);
        let process = &mut self.processes[id.0];
        if term < process.raft.term {
            return;
        }
        if term > process.raft.term && process.raft.is_leading {
            step_down(process);
        }
        let raft = &mut process.raft;
        (raft.term, raft.leader, raft.heard_at_ms) = (term, Some(from), now_ms);
        self.learn(id, committed);
    }

    /// A process applies what is committed up to there.
    pub(crate) fn learn(&mut self, id: ProcessId, committed: usize) {
        let process = &mut self.processes[id.0];
        if committed <= process.raft.applied {
            return;
        }
        process.raft.applied = committed;
        let view = Arc::clone(&self.raft.views[committed - 1]);
        if view.version == process.view.version {
            return;
        }
        process.view = Arc::clone(&view);
        process.targets.refresh(&view);
        self.install(id);
    }

    /// What a leader does at its tick: leases, and what the coordinator wants.
    fn lead(&mut self, id: ProcessId, now_ms: u64) {
        self.heartbeat(id);
        let process = &mut self.processes[id.0];
        let view = Arc::clone(&process.view);
        let raft = &mut process.raft;
        raft.granter.tick(now_ms);
        if raft.granter.begin_round() {
            raft.round += 1;
            let (term, round) = (raft.term, raft.round);
            let at = self.now + self.delay();
            self.events.add(at, Event::RoundAsked(id, term, round));
        }
        if self.processes[id.0].raft.n_proposed > 0 {
            return;
        }
        self.give_up_slow_copies(id, &view, now_ms);
        let voters = self.raft.voters.clone();
        let raft = &mut self.processes[id.0].raft;
        let commands = raft.coordinator.step(&view, &mut raft.granter, &voters, now_ms);
        let alive = raft.granter.alive(now_ms);
        let change = view.voters(&voters, &alive).filter(|_| raft.granter.is_settled(now_ms)).map(Command::Voters);
        for command in commands.into_iter().map(Command::View).chain(change) {
            self.processes[id.0].raft.n_proposed += 1;
            self.propose(id, command, true, None);
        }
    }

    fn give_up_slow_copies(&mut self, id: ProcessId, view: &View, now_ms: u64) {
        let raft = &mut self.processes[id.0].raft;
        let joining: BTreeSet<_> = view.iter().filter_map(|(slot, at)| Some((slot, at.joining?))).collect();
        raft.copying.retain(|copy, _| joining.contains(copy));
        for copy in joining {
            if raft.copying.entry(copy).or_insert(now_ms).saturating_add(COPY_MS_MAX) < now_ms {
                raft.copying.remove(&copy);
                raft.coordinator.give_up(copy.0, copy.1);
            }
        }
    }

    /// A leader, or one that believes to be it, appends a command to its log.
    fn propose(&mut self, id: ProcessId, command: Command, is_coordinators: bool, joiner: Option<Endpoint>) {
        if self.raft.leader != Some(id) || self.raft.term != self.processes[id.0].raft.term {
            // It will not be committed; whoever waits for it learns that when the process learns that it leads no more.
            return;
        }
        self.raft.pending.push(Proposal { command, is_coordinators, joiner });
        let at = self.now + self.delay();
        self.events.add(at, Event::Commit(id));
    }

    /// The proposals of a leader are committed, if a majority follows it.
    pub(crate) fn handle_commit(&mut self, id: ProcessId) {
        let is_leader = self.raft.leader == Some(id) && self.raft.term == self.processes[id.0].raft.term;
        if !is_leader || !self.processes[id.0].raft.is_leading || self.raft.pending.is_empty() {
            return;
        }
        if !self.reaches_majority(id) {
            let at = self.now + 30_000;
            return self.events.add(at, Event::Commit(id));
        }
        for proposal in std::mem::take(&mut self.raft.pending) {
            let changed = self.commit(&proposal.command);
            let committed = self.raft.views.len();
            self.learn(id, committed);
            let raft = &mut self.processes[id.0].raft;
            if proposal.is_coordinators {
                raft.n_proposed = raft.n_proposed.saturating_sub(1);
            }
            if let Command::View(ViewCommand::Remove { node, .. } | ViewCommand::Forget(node)) = &proposal.command {
                raft.granter.release(*node);
            }
            if let Some(joiner) = proposal.joiner {
                self.send(Endpoint::Process(id), joiner, Message::Joined(changed));
            }
        }
        self.heartbeat(id);
    }

    /// Whether a process leads is asked of a quorum.
    pub(crate) fn handle_round_asked(&mut self, id: ProcessId, term: u64, round: u64) {
        let leads = self.raft.leader == Some(id) && self.raft.term == term && self.reaches_majority(id);
        let confirmed = leads.then_some(self.raft.views.len());
        let at = self.now + self.delay() + if leads { 0 } else { 200_000 };
        self.events.add(at, Event::RoundAnswered { process: id, term, round, confirmed });
    }

    /// The quorum's answer is there.
    pub(crate) fn handle_round(&mut self, id: ProcessId, (term, round): (u64, u64), confirmed: Option<usize>) {
        let now_ms = self.processes[id.0].steady_ms(self.now);
        let raft = &mut self.processes[id.0].raft;
        if !raft.is_leading || raft.term != term || raft.round != round {
            return;
        }
        let Some(committed) = confirmed else { return raft.granter.round_failed() };
        self.learn(id, committed);
        let process = &mut self.processes[id.0];
        let view = Arc::clone(&process.view);
        for answer in process.raft.granter.confirmed(&view, now_ms) {
            let (RenewalAnswer::Granted(node, ..) | RenewalAnswer::NotMember(node, _)) = answer;
            if let Some(to) = self.process_of(node) {
                self.send(Endpoint::Process(id), Endpoint::Process(to), Message::Renewed(answer));
            }
        }
    }

    /// Somebody asks a process that may lead for a change of the view.
    pub(crate) fn handle_proposal(&mut self, id: ProcessId, from: NodeId, command: ViewCommand) {
        let now_ms = self.processes[id.0].steady_ms(self.now);
        let raft = &self.processes[id.0].raft;
        if !raft.is_leading {
            return;
        }
        let accuses = matches!(command, ViewCommand::DropCopies(_));
        if accuses && !raft.granter.alive(now_ms).contains(&from) {
            return;
        }
        self.propose(id, Command::View(command), false, None);
    }

    /// A process wants to be a member.
    pub(crate) fn handle_join(&mut self, id: ProcessId, from: Endpoint, command: ViewCommand) {
        if self.processes[id.0].raft.is_leading {
            self.propose(id, Command::View(command), false, Some(from));
        }
    }
}

/// A process leads no more, as it has heard.
fn step_down(process: &mut super::process::Process) {
    let raft = &mut process.raft;
    (raft.is_leading, raft.n_proposed) = (false, 0);
    raft.granter.became_follower();
    // What it had proposed cannot come from it any more.
    for &node in process.view.members.keys() {
        raft.granter.release(node);
    }
}
