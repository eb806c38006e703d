//! What only who leads does: grants leases, steps the coordinator, writes commands, lets processes join, and sees to the voters.
//!
//! One task of each node runs it, and refuses what it is asked for while another node leads. All that it decides with, the
//! granter and the coordinator, is in this task, so that no grant comes between a decision to remove a node and its hold.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_actors::{
    Changed, ClusterId, Coordinator, CoordinatorSettings, Granter, Identity, MEMBERS_MAX, NodeId, RenewalAnswer, View,
    ViewCommand,
};
use greenroom_rpc::group::{Admitted, GroupRefusal, Renewal};
use greenroom_rpc::proto::JoinRequest;
use openraft::error::{ClientWriteError, RaftError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::group::{Ask, Group, Reply};
use super::leading::{Done, Joining, Leading, Purpose, change_members, is_heard, is_same, join_command};
use super::membership::next_change;
use super::questions::{Answer, Question};
use super::types::Metrics;

/// Commands that are being written, and entries that are not applied yet, at most; beyond it more are refused.
const WRITES_MAX: usize = 256;
const BACKLOG_MAX: u64 = 1000;
/// Processes that are joining, at most.
const JOINS_MAX: usize = 64;
/// How many entries a node may lack to become a voter.
const LAG_MAX: u64 = 100;

/// The task of the node that may lead.
pub(super) struct Leader {
    group: Arc<Group>,
    metrics: watch::Receiver<Metrics>,
    asks: mpsc::Receiver<Ask>,
    origin: Instant,
    granter: Granter,
    coordinator: Coordinator,
    /// What it leads, if it does.
    leading: Option<Leading>,
    under_way: JoinSet<Done>,
    n_writes: usize,
    /// The latest term in which this process was confirmed to lead: whatever it wrote in earlier ones is applied, or never is.
    settled: watch::Sender<u64>,
}

impl Leader {
    pub(super) fn new(group: Arc<Group>, asks: mpsc::Receiver<Ask>) -> Self {
        let granter = Granter::new(group.options.lease());
        Self {
            metrics: group.raft.metrics(),
            group,
            asks,
            origin: Instant::now(),
            granter,
            coordinator: Coordinator::new(CoordinatorSettings::default()),
            leading: None,
            under_way: JoinSet::new(),
            n_writes: 0,
            settled: watch::Sender::new(0),
        }
    }

    pub(super) async fn run(mut self) {
        let mut ticks = interval(Duration::from_millis((self.group.options.lease_ms / 10).max(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.tick(),
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.hear(ask),
                    None => return,
                },
                Some(done) = self.under_way.join_next() => match done {
                    Ok(done) => self.handle(done),
                    Err(error) => tracing::error!(%error, "a task of the group's leader has ended"),
                },
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn view(&self) -> Arc<View> {
        Arc::clone(&self.group.view.borrow())
    }

    /// How many entries are not applied yet.
    fn backlog(&self) -> u64 {
        let metrics = self.metrics.borrow();
        let applied = metrics.last_applied.map_or(0, |applied| applied.index);
        metrics.last_log_index.unwrap_or(0).saturating_sub(applied)
    }

    fn tick(&mut self) {
        // What waits is heard before anybody is found to be silent.
        while let Ok(ask) = self.asks.try_recv() {
            self.hear(ask);
        }
        self.see_who_leads();
        let (metrics, now) = (self.metrics.borrow().clone(), self.now());
        if !self.leading.as_ref().is_some_and(|leading| leading.knows_all(&metrics)) {
            return;
        }
        self.granter.tick(now);
        self.begin_round();
        self.change_members(&metrics);
        self.plan(&metrics);
    }

    fn see_who_leads(&mut self) {
        let leading = Leading::new(&self.metrics.borrow());
        let term = leading.as_ref().map(|leading| leading.term);
        if self.leading.as_ref().map(|leading| leading.term) == term {
            return;
        }
        // Whoever waited for something of the term before finds the answer closed.
        self.leading = leading;
        self.coordinator = Coordinator::new(CoordinatorSettings::default());
        match term {
            Some(term) => {
                tracing::info!(term, name = self.group.me.name, "this node leads the group");
                self.granter.became_leader(self.now(), term);
            }
            None => {
                tracing::info!(name = self.group.me.name, "this node does not lead the group any more");
                self.granter.became_follower();
            }
        }
    }

    fn hear(&mut self, Ask { question, reply }: Ask) {
        self.see_who_leads();
        let result = match (&mut self.leading, question) {
            (None, _) => Err((reply, GroupRefusal::NotLeader)),
            (Some(leading), _) if !leading.knows_all(&self.metrics.borrow()) => Err((reply, GroupRefusal::NotReady)),
            (Some(leading), Question::Renew(node, id)) => {
                if leading.waiting.len() >= 2 * MEMBERS_MAX && !leading.waiting.contains_key(&node) {
                    Err((reply, GroupRefusal::Busy))
                } else {
                    self.granter.renewal(node, id);
                    leading.waiting.insert(node, (id, reply));
                    Ok(())
                }
            }
            (Some(_), Question::Join(request)) => self.hear_join(request, reply),
            (Some(_), Question::Propose(command)) => self.hear_command(command, reply),
        };
        if let Err((reply, refusal)) = result {
            // Whoever asked may have gone away.
            let _ = reply.send(Err(refusal));
        }
    }

    fn hear_join(&mut self, request: JoinRequest, reply: Reply) -> Result<(), (Reply, GroupRefusal)> {
        if self.view().cluster == ClusterId(0) {
            // It is about to be founded.
            return Err((reply, GroupRefusal::NotReady));
        }
        // What would be refused now is not let into the group first.
        if let Changed::Refused(refusal) = View::apply(&mut View::clone(&self.view()), &join_command(&request)) {
            return Err((reply, GroupRefusal::Join(refusal)));
        }
        let Some(leading) = &mut self.leading else { return Err((reply, GroupRefusal::NotLeader)) };
        let is_full = leading.joins.len() >= JOINS_MAX;
        match leading.joins.get_mut(&request.identity) {
            Some(known) if known.is_written && is_same(&known.request, &request) => known.reply = reply,
            Some(known) if known.is_written => return Err((reply, GroupRefusal::Busy)),
            None if is_full => return Err((reply, GroupRefusal::Busy)),
            _ => {
                let joining = Joining { reply, is_written: false, request };
                leading.joins.insert(joining.request.identity, joining);
            }
        }
        Ok(())
    }

    fn hear_command(&mut self, command: ViewCommand, reply: Reply) -> Result<(), (Reply, GroupRefusal)> {
        if self.n_writes >= WRITES_MAX || self.backlog() > BACKLOG_MAX {
            return Err((reply, GroupRefusal::Busy));
        }
        let mut held = None;
        match command {
            ViewCommand::Found { .. }
            | ViewCommand::Join { .. }
            | ViewCommand::Remove { .. }
            | ViewCommand::Restore(_) => return Err((reply, GroupRefusal::NotProposed)),
            ViewCommand::Forget(node) => {
                if self.granter.is_held(node) {
                    return Err((reply, GroupRefusal::Busy));
                }
                let now = self.now();
                let view = self.view();
                if view.members.contains_key(&node) && !self.granter.overdue(&view, now).contains(&node) {
                    return Err((reply, GroupRefusal::MayBeAlive(node)));
                }
                self.granter.hold(node);
                held = Some(node);
            }
            _ => {}
        }
        self.write(command, held, Purpose::Proposed(reply));
        Ok(())
    }

    /// Has a command written to the log; the answer comes when it is applied, or never will be.
    fn write(&mut self, command: ViewCommand, held: Option<NodeId>, purpose: Purpose) {
        let Some(leading) = &self.leading else { return };
        let (term, group, mut settled) = (leading.term, Arc::clone(&self.group), self.settled.subscribe());
        self.n_writes += 1;
        self.under_way.spawn(async move {
            let result = tokio::select! {
                written = group.raft.client_write(command) => match written {
                    Ok(written) => Ok(written.data),
                    Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => Err(GroupRefusal::NotLeader),
                    Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(_))) => Err(GroupRefusal::Busy),
                    Err(RaftError::Fatal(_)) => Err(GroupRefusal::Deposed),
                },
                _ = settled.wait_for(|settled| *settled > term) => Err(GroupRefusal::Deposed),
            };
            Done::Written { term, purpose, held, result }
        });
    }

    /// Asks a quorum whether this process leads still, on behalf of the renewals that wait.
    fn begin_round(&mut self) {
        let Some(leading) = &mut self.leading else { return };
        if leading.is_in_round || !self.granter.begin_round() {
            return;
        }
        leading.is_in_round = true;
        leading.in_round = std::mem::take(&mut leading.waiting);
        let (term, group) = (leading.term, Arc::clone(&self.group));
        let patience = Duration::from_millis(group.options.lease_ms);
        self.under_way.spawn(async move {
            let round = timeout(patience, group.raft.ensure_linearizable()).await;
            Done::Round { term, is_confirmed: matches!(round, Ok(Ok(_))) }
        });
    }

    fn change_members(&mut self, metrics: &Metrics) {
        let view = self.view();
        let now = self.now();
        let ready = self.ready(&view, metrics, now);
        let Some(leading) = &mut self.leading else { return };
        let group = metrics.membership_config.membership();
        let is_in_group =
            |joining: &Joining| group.get_node(&joining.request.identity) == Some(&joining.request.address);
        let mut commands = Vec::new();
        for (identity, joining) in &mut leading.joins {
            if !joining.is_written && is_in_group(joining) {
                joining.is_written = true;
                commands.push((*identity, join_command(&joining.request)));
            }
        }
        if !leading.is_changing_members {
            let joining = |joining: &Joining| (joining.request.identity, joining.request.address.clone());
            let joining = leading.joins.values().map(joining).collect();
            if let Some(change) = next_change(&view, group, &joining, &ready, self.group.identity) {
                leading.is_changing_members = true;
                let (term, group, settled) = (leading.term, Arc::clone(&self.group), self.settled.subscribe());
                self.under_way.spawn(change_members(group, term, change, settled));
            }
        }
        for (identity, command) in commands {
            self.write(command, None, Purpose::Join(identity));
        }
    }

    /// The members that have a lease and nearly all entries.
    fn ready(&self, view: &View, metrics: &Metrics, now: u64) -> BTreeSet<NodeId> {
        let last = metrics.last_log_index.unwrap_or(0);
        let has_entries = |identity: u64| {
            let matched = metrics.replication.as_ref().and_then(|all| all.get(&identity)).copied().flatten();
            identity == self.group.identity.0 || matched.is_some_and(|matched| matched.index + LAG_MAX >= last)
        };
        let alive = self.granter.alive(now);
        let ready =
            view.members.values().filter(|member| alive.contains(&member.node) && has_entries(member.identity.0));
        ready.map(|member| member.node).collect()
    }

    /// Steps the coordinator, unless what it proposed last is not answered yet.
    fn plan(&mut self, metrics: &Metrics) {
        let (view, now) = (self.view(), self.now());
        if self.leading.as_ref().is_none_or(|leading| leading.n_planned > 0) {
            return;
        }
        let voters = metrics.membership_config.membership().voter_ids().map(Identity).collect();
        let is_heard = is_heard(metrics, self.group.options.lease_ms);
        for command in self.coordinator.step(&view, &mut self.granter, &voters, now) {
            let held = if let ViewCommand::Remove { node, .. } = &command { Some(*node) } else { None };
            if let Some(node) = held.filter(|_| !is_heard) {
                self.granter.release(node);
                continue;
            }
            tracing::debug!(?command, "the coordinator proposes");
            if let Some(leading) = &mut self.leading {
                leading.n_planned += 1;
            }
            self.write(command, held, Purpose::Planned);
        }
    }

    fn handle(&mut self, done: Done) {
        match done {
            Done::Round { term, is_confirmed } => self.end_round(term, is_confirmed),
            Done::MembersChanged { term } => {
                if let Some(leading) = self.leading.as_mut().filter(|leading| leading.term == term) {
                    leading.is_changing_members = false;
                }
            }
            Done::Written { term, purpose, held, result } => {
                self.n_writes -= 1;
                if let Some(node) = held {
                    self.granter.release(node);
                }
                self.end_write(term, purpose, result);
            }
        }
    }

    fn end_round(&mut self, term: u64, is_confirmed: bool) {
        let (view, now) = (self.view(), self.now());
        let Some(leading) = self.leading.as_mut().filter(|leading| leading.term == term) else { return };
        leading.is_in_round = false;
        let mut asked = std::mem::take(&mut leading.in_round);
        if !is_confirmed {
            self.granter.round_failed();
            return;
        }
        self.settled.send_if_modified(|settled| {
            let is_later = *settled < term;
            *settled = term.max(*settled);
            is_later
        });
        for answer in self.granter.confirmed(&view, now) {
            let (node, id, renewal) = match answer {
                RenewalAnswer::Granted(node, id, version) => (node, id, Renewal::Granted(version)),
                RenewalAnswer::NotMember(node, id) => (node, id, Renewal::NotMember),
            };
            if let Some((asked, reply)) = asked.remove(&node)
                && asked == id
            {
                // Whoever asked may have gone away.
                let _ = reply.send(Ok(Answer::Renewal(renewal)));
            }
        }
    }

    fn end_write(&mut self, term: u64, purpose: Purpose, result: Result<Changed, GroupRefusal>) {
        let leading = self.leading.as_mut().filter(|leading| leading.term == term);
        match purpose {
            Purpose::Planned => {
                if let Some(leading) = leading {
                    leading.n_planned = leading.n_planned.saturating_sub(1);
                }
            }
            Purpose::Proposed(reply) => {
                // Whoever asked may have gone away.
                let _ = reply.send(result.map(Answer::Changed));
            }
            Purpose::Join(identity) => {
                let Some(joining) = leading.and_then(|leading| leading.joins.remove(&identity)) else { return };
                let cluster = self.group.peers.cluster();
                let answer = match result {
                    Ok(Changed::Joined(node)) => Ok(Answer::Admitted(Admitted { node, cluster })),
                    Ok(Changed::Refused(refusal)) => Err(GroupRefusal::Join(refusal)),
                    Ok(Changed::Yes | Changed::No) => Err(GroupRefusal::Deposed),
                    Err(refusal) => Err(refusal),
                };
                // Whoever asked may have gone away.
                let _ = joining.reply.send(answer);
            }
        }
    }
}
