//! Clients: they make calls, retry them with the same id at whoever they believe to serve the slot, freeze, and die.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use greenroom_actors::{Answer, CallId, Fault, Lane, Refusal, SYSTEM_METHODS_FROM, Sequence, SessionId, SlotId, View};

use super::clock::Time;
use super::events::Event;
use super::message::{ClientCall, Endpoint, FromClient, Message, StreamId, ToClient};
use super::process::ProcessId;
use super::workload::{Held, Plan, Target, Told, read_reply};
use super::{N_SLOTS, World};
use crate::history::{ClientId, OperationId};

/// A call that was not answered for so long is given up.
const PATIENCE: Time = 8_000_000;
/// How long before the end no new calls are made.
const QUIET: Time = 5_000_000;
/// From so long after the end of trouble on, every call has to be answered.
const MENDED: Time = 6_000_000;
/// A stream on which nothing was heard for so long is given up.
const SILENT: Time = 1_200_000;
const PING: Time = 250_000;

/// A call that is out.
#[derive(Debug)]
struct Open {
    operation: OperationId,
    call: CallId,
    plan: Plan,
    began: Time,
    deadline_ms: Option<u64>,
    send_at: Time,
    sent_on: Option<StreamId>,
    only_hash: bool,
    cancel_at: Option<Time>,
    is_cancelled: bool,
}

/// One of a client's threads: one call at a time.
#[derive(Debug, Default)]
struct Worker {
    open: Option<Open>,
    next_at: Time,
    held: Option<Held>,
    /// An object that was lost, and is to be made anew.
    lost: Option<usize>,
    /// Of each slot, the lane and its last number; ephemeral objects have their own.
    lanes: BTreeMap<(SlotId, bool), (Lane, Sequence)>,
}

#[derive(Debug)]
struct Stream {
    id: StreamId,
    process: ProcessId,
    is_welcome: bool,
    heard_at: Time,
    pinged_at: Time,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    session: SessionId,
    workers: Vec<Worker>,
    table: Arc<View>,
    /// By machine.
    streams: BTreeMap<usize, Stream>,
    n_streams: u64,
    /// The processes that have welcomed the session.
    welcomed: BTreeSet<ProcessId>,
    next_lane: u32,
    frozen_until: Time,
    is_dead: bool,
    next_value: i64,
}

impl World {
    pub(crate) fn add_clients(&mut self) {
        for number in 0..usize::try_from(self.draws.between(2, 6)).unwrap_or(2) {
            self.clients.push(Client {
                session: SessionId(0),
                workers: Vec::new(),
                table: self.raft.view(),
                streams: BTreeMap::new(),
                n_streams: 0,
                welcomed: BTreeSet::new(),
                next_lane: 0,
                frozen_until: 0,
                is_dead: false,
                next_value: 1 + number as i64 * 1_000_000,
            });
            let workers = self.draws.between(1, 5);
            self.clients[number].workers.resize_with(usize::try_from(workers).unwrap_or(1), Worker::default);
            self.begin_session(number);
            self.events.add(500_000, Event::ClientTick(number));
        }
    }

    fn begin_session(&mut self, number: usize) {
        let session = SessionId::of_client(self.draws.number());
        let client = &mut self.clients[number];
        client.session = session;
        client.welcomed.clear();
        client.streams.clear();
        for worker in &mut client.workers {
            (worker.held, worker.open) = (None, None);
            worker.lanes.clear();
        }
        self.session_names.insert(session, number);
    }

    /// A session is over: nobody knows what became of its open calls.
    pub(crate) fn abandon(&mut self, number: usize, session: SessionId) {
        if self.clients[number].session != session {
            return;
        }
        self.say(|| format!("c{number}        has lost its session"));
        let open = self.clients[number].workers.iter_mut().filter_map(|worker| worker.open.take());
        for open in open.collect::<Vec<_>>() {
            self.history.unknown(open.operation, self.now);
        }
        self.begin_session(number);
    }

    pub(crate) fn freeze_client(&mut self, number: usize, for_us: Time) {
        self.say(|| format!("trouble   c{number} freezes for {} ms", for_us / 1_000));
        self.clients[number].frozen_until = self.now + for_us;
    }

    pub(crate) fn kill_client(&mut self, number: usize) {
        if self.clients.iter().filter(|client| !client.is_dead).count() > 1 {
            self.say(|| format!("trouble   c{number} dies"));
            self.clients[number].is_dead = true;
        }
    }

    pub(crate) fn heal_clients(&mut self) {
        for client in &mut self.clients {
            client.frozen_until = client.frozen_until.min(self.now);
        }
    }

    pub(crate) fn tick_client(&mut self, number: usize) {
        let at = self.now + self.draws.between(5_000, 25_000);
        self.events.add(at, Event::ClientTick(number));
        let client = &self.clients[number];
        if client.is_dead || client.frozen_until > self.now {
            return;
        }
        self.keep_streams(number);
        for worker in 0..self.clients[number].workers.len() {
            self.begin_call(number, worker);
            self.go_on(number, worker);
        }
    }

    /// Opens streams to all members, pings them, and gives up those that are silent.
    fn keep_streams(&mut self, number: usize) {
        let now = self.now;
        self.clients[number].streams.retain(|_, stream| stream.heard_at + SILENT > now);
        let machines: Vec<usize> =
            self.clients[number].table.members.values().filter_map(|member| member.address.parse().ok()).collect();
        for machine in machines {
            let Some(process) = self.machines[machine].running else { continue };
            let client = &mut self.clients[number];
            let session = client.session;
            if !client.streams.contains_key(&machine) {
                client.n_streams += 1;
                let id = (number, client.n_streams);
                let stream = Stream { id, process, is_welcome: false, heard_at: now, pinged_at: now };
                client.streams.insert(machine, stream);
                let resume = client.welcomed.contains(&process);
                self.say(|| format!("c{number}        opens stream {} to p{}", id.1, process.0));
                self.send_frame(number, machine, FromClient::Hello { session, resume });
            } else if let Some(stream) = client.streams.get_mut(&machine)
                && stream.is_welcome
                && stream.pinged_at + PING < now
            {
                stream.pinged_at = now;
                self.send_frame(number, machine, FromClient::Ping);
            }
        }
    }

    fn send_frame(&mut self, number: usize, machine: usize, frame: FromClient) {
        if let Some(stream) = self.clients[number].streams.get(&machine) {
            let (id, process) = (stream.id, stream.process);
            self.send(Endpoint::Client(number), Endpoint::Process(process), Message::FromClient(id, frame));
        }
    }

    /// Where the client believes the slot to be served.
    fn machine_of(&self, number: usize, slot: SlotId) -> Option<usize> {
        let table = &self.clients[number].table;
        let primary = table.placement(slot)?.primary?;
        table.members.get(&primary)?.address.parse().ok()
    }

    /// A client ends its session, whatever is open, and begins another one.
    pub(crate) fn end_client_session(&mut self, number: usize) {
        let client = &self.clients[number];
        if client.is_dead || client.frozen_until > self.now {
            return;
        }
        let session = client.session;
        self.say(|| format!("trouble   c{number} ends its session"));
        for machine in self.clients[number].streams.keys().copied().collect::<Vec<_>>() {
            self.send_frame(number, machine, FromClient::Bye(session));
        }
        self.note_session_ended(session);
    }

    fn end_of_run(&self) -> Time {
        (self.settings.trouble_ms + self.settings.calm_ms) * 1_000
    }

    /// An idle worker makes a call.
    fn begin_call(&mut self, number: usize, worker: usize) {
        let now = self.now;
        let idle = &self.clients[number].workers[worker];
        let is_quiet = now + QUIET > self.end_of_run();
        if idle.open.is_some() || idle.next_at > now || (is_quiet && idle.held.is_none()) {
            return;
        }
        let held = idle.held;
        let lost = self.clients[number].workers[worker].lost.take();
        let plan = match (held, lost) {
            (Some(held), _) => self.give_back(held),
            (None, Some(target)) if self.draws.one_in(2) => self.make_anew(target),
            (None, _) => {
                self.clients[number].next_value += 1;
                self.plan(self.clients[number].next_value)
            }
        };
        let target = &self.targets[plan.target];
        let is_ephemeral = target.durability.is_some();
        let is_system = plan.method >= SYSTEM_METHODS_FROM;
        let (slot, history) = (target.slot, self.system_history.filter(|_| is_system).unwrap_or(target.history));
        let client = &mut self.clients[number];
        let next = client.next_lane + 1;
        let lane = client.workers[worker].lanes.entry((slot, is_ephemeral)).or_insert_with(|| {
            client.next_lane = next;
            (Lane(next * u32::from(N_SLOTS) + u32::from(slot.0)), Sequence(0))
        });
        lane.1.0 += 1;
        let call = CallId { session: client.session, lane: lane.0, sequence: lane.1 };
        let operation = self.history.invoke(ClientId(call.session.0), history, plan.recorded, now);
        if is_ephemeral {
            self.note_ephemeral_call(operation, call);
        }
        let may_wait = plan.ends_by_itself && self.draws.one_in(3);
        let wall_ms = super::clock::Clock { rate: 1_000, steady_offset_ms: 0, wall_offset_ms: 200 }.wall_ms(now);
        let deadline_ms = (plan.parks && !may_wait).then(|| wall_ms + self.draws.between(200, 2_500));
        let can_cancel = plan.parks && !matches!(plan.recorded, crate::Call::Queue(_));
        let cancel_at = (can_cancel && self.draws.one_in(6)).then(|| now + self.draws.below(1_000_000));
        let only_hash = self.draws.one_in(3);
        self.say(|| format!("c{number}        calls {call}: {} of slot {slot}", plan.recorded));
        let open = Open {
            operation,
            call,
            plan,
            began: now,
            deadline_ms,
            send_at: now,
            sent_on: None,
            only_hash,
            cancel_at,
            is_cancelled: false,
        };
        let busy = &mut self.clients[number].workers[worker];
        busy.open = Some(open);
        busy.held = None;
    }

    /// A worker's open call: sent, sent again, cancelled, given up.
    fn go_on(&mut self, number: usize, worker: usize) {
        let now = self.now;
        let Some(open) = &self.clients[number].workers[worker].open else { return };
        if open.began + PATIENCE < now {
            return self.give_up(number, worker);
        }
        let slot = self.targets[open.plan.target].slot;
        let Some(machine) = self.machine_of(number, slot) else { return };
        let Some(stream) = self.clients[number].streams.get(&machine).filter(|stream| stream.is_welcome) else {
            return;
        };
        let stream = stream.id;
        let frame = ClientCall {
            call: open.call,
            object: open.plan.target,
            method: open.plan.method,
            arguments: open.plan.arguments.clone(),
            construction: self.targets[open.plan.target].wanted(open.only_hash),
            deadline_ms: open.deadline_ms,
            ack: None,
            retry: open.sent_on.is_some(),
        };
        let is_again = open.sent_on.is_some();
        let is_due = open.sent_on != Some(stream) || open.send_at <= now;
        let cancels = open.cancel_at.is_some_and(|at| at <= now);
        if cancels && (is_due || !open.is_cancelled) {
            self.send_frame(number, machine, FromClient::Cancel(frame));
        } else if is_due && is_again && self.draws.one_in(8) {
            self.send_frame(number, machine, FromClient::Query(frame.call, frame.object));
        } else if is_due {
            self.send_frame(number, machine, FromClient::Call(frame));
        }
        let again = now + 700_000;
        if let Some(open) = &mut self.clients[number].workers[worker].open {
            if is_due {
                (open.sent_on, open.send_at) = (Some(stream), again);
            }
            open.is_cancelled |= cancels;
        }
    }

    /// Nobody knows what became of a call: its lane is not used again.
    fn give_up(&mut self, number: usize, worker: usize) {
        let now = self.now;
        let busy = &mut self.clients[number].workers[worker];
        let Some(open) = busy.open.take() else { return };
        let Target { slot, durability, .. } = self.targets[open.plan.target];
        busy.lanes.remove(&(slot, durability.is_some()));
        self.history.unknown(open.operation, now);
        let is_lost = self.raft.view().placement(slot).is_none_or(|placement| placement.generation > 0);
        let is_mended = open.began > self.settings.trouble_ms * 1_000 - PATIENCE + MENDED;
        if is_mended && !is_lost {
            let seen = Err(format!("c{number}: {} ({})", open.call, open.plan.recorded));
            self.judge(seen, "no call is forgotten once everything has been mended");
        }
        self.let_go(number, &open);
    }

    pub(crate) fn receive_as_client(&mut self, number: usize, from: Endpoint, message: Message) {
        let Message::ToClient(stream, frame) = message else { return };
        let Endpoint::Process(process) = from else { return };
        let now = self.now;
        let client = &mut self.clients[number];
        if client.is_dead || client.frozen_until > now {
            // What comes meanwhile waits in the socket.
            if !client.is_dead {
                let (at, to) = (client.frozen_until, Endpoint::Client(number));
                let message = Message::ToClient(stream, frame);
                self.events.add(at, Event::Deliver { from, to, message });
            }
            return;
        }
        let machine = self.processes[process.0].machine;
        let Some(open) = client.streams.get_mut(&machine).filter(|open| open.id == stream) else { return };
        open.heard_at = now;
        match frame {
            ToClient::Welcome => {
                open.is_welcome = true;
                client.welcomed.insert(process);
            }
            ToClient::SessionEnded => {
                let session = client.session;
                self.abandon(number, session);
            }
            ToClient::Pong(view) => {
                if view.version > client.table.version {
                    client.table = view;
                }
            }
            ToClient::Reply(call, answer) => self.handle_reply(number, call, answer),
        }
    }

    fn handle_reply(&mut self, number: usize, call: CallId, answer: Answer) {
        let client = &mut self.clients[number];
        let is_it = |worker: &Worker| worker.open.as_ref().is_some_and(|open| open.call == call);
        let Some(worker) = client.workers.iter().position(is_it) else { return };
        let (now, pause) = (self.now, self.draws.between(20_000, 120_000));
        let Some(open) = &mut client.workers[worker].open else { return };
        match answer.result {
            // What a caller that has given up is granted is taken back: it goes on saying so until it hears that.
            Ok(_) if open.is_cancelled => open.send_at = open.send_at.min(now + pause),
            Ok(body) => self.finish(number, worker, &body),
            Err(Fault::Cancelled) if open.is_cancelled => self.conclude_unknown(number, worker),
            Err(Fault::Refused(Refusal::NotCreated)) => (open.only_hash, open.send_at) = (false, now),
            Err(
                Fault::Moved
                | Fault::Refused(
                    Refusal::WrongPlace | Refusal::Unavailable(_) | Refusal::Overloaded { .. } | Refusal::Stopping,
                ),
            ) => open.send_at = now + pause,
            Err(Fault::TimedOut | Fault::Cancelled) => self.conclude_nothing(number, worker),
            Err(Fault::Refused(Refusal::Stale | Refusal::Expired | Refusal::SessionEnded)) => {
                self.conclude_unknown(number, worker);
            }
            Err(Fault::ObjectLost) if self.targets[open.plan.target].durability.is_some() => {
                let target = open.plan.target;
                self.conclude_unknown(number, worker);
                self.clients[number].workers[worker].lost = Some(target);
            }
            Err(fault) => {
                let may_be = matches!(fault, Fault::Unknown { .. } | Fault::Abandoned);
                self.conclude_unknown(number, worker);
                let seen = if may_be { Ok(()) } else { Err(format!("c{number}: {call}: {fault:?}")) };
                self.judge(seen, "no call fails that should not");
            }
        }
    }

    fn take(&mut self, number: usize, worker: usize) -> Option<Open> {
        let next_at = self.now + self.draws.below(60_000);
        let busy = &mut self.clients[number].workers[worker];
        busy.next_at = next_at;
        busy.open.take()
    }

    fn finish(&mut self, number: usize, worker: usize, body: &[u8]) {
        let Some(open) = self.take(number, worker) else { return };
        let Target { kind, slot, .. } = self.targets[open.plan.target];
        if self.draws.one_in(3)
            && let Some(machine) = self.machine_of(number, slot)
        {
            self.send_frame(number, machine, FromClient::Ack(open.call));
        }
        if open.plan.method >= SYSTEM_METHODS_FROM {
            return self.history.unknown(open.operation, self.now);
        }
        match read_reply(kind, open.plan.target, open.plan.recorded, body) {
            Told::Value(reply, held) => {
                self.say(|| format!("c{number}        has {reply} of {}", open.call));
                self.history.returned(open.operation, reply, self.now);
                self.clients[number].workers[worker].held = held;
            }
            Told::Nonsense => {
                self.history.unknown(open.operation, self.now);
                let seen = Err(format!("c{number}: {}: {body:02x?}", open.call));
                self.judge(seen, "a reply has a value that its method can have");
            }
        }
    }

    fn conclude_nothing(&mut self, number: usize, worker: usize) {
        if let Some(open) = self.take(number, worker) {
            self.say(|| format!("c{number}        was told that {} came to nothing", open.call));
            // A relay has made its nested call all the same.
            if self.targets[open.plan.target].kind == super::workload::Kind::Relay {
                self.history.unknown(open.operation, self.now);
            } else {
                self.history.not_applied(open.operation, self.now);
            }
        }
    }

    fn conclude_unknown(&mut self, number: usize, worker: usize) {
        if let Some(open) = self.take(number, worker) {
            let Target { slot, durability, .. } = self.targets[open.plan.target];
            self.clients[number].workers[worker].lanes.remove(&(slot, durability.is_some()));
            self.history.unknown(open.operation, self.now);
            self.let_go(number, &open);
        }
    }

    /// A client that may hold something and cannot know ends its session, so that others get it.
    fn let_go(&mut self, number: usize, open: &Open) {
        let is_grant = matches!(open.plan.recorded, crate::Call::Mutex(_) | crate::Call::Semaphore(_));
        if is_grant && !open.is_cancelled {
            self.end_client_session(number);
        }
    }

    /// Every call of a client that lives has come to an end.
    pub(crate) fn check_open(&self) -> Result<(), String> {
        let view = self.raft.view();
        for (number, client) in self.clients.iter().enumerate().filter(|(_, client)| !client.is_dead) {
            for open in client.workers.iter().filter_map(|worker| worker.open.as_ref()) {
                let slot = self.targets[open.plan.target].slot;
                if view.placement(slot).is_some_and(|placement| placement.generation == 0) {
                    return Err(format!("c{number}: {} ({})", open.call, open.plan.recorded));
                }
            }
        }
        Ok(())
    }
}
