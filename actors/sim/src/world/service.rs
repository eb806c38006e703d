//! What a process does with what it receives: from copies, from the Raft group, from clients and from other objects.

use greenroom_actors::{
    Answer, Arrival, CallId, Changed, Fault, JobId, JoinRefusal, LogIndex, NestedCall, ObjectName, Owner, Refusal,
    RenewalAnswer, SessionId, SlotId, Wanted, hash_object, slot_of,
};

use super::message::{ClientCall, Endpoint, FromClient, Message, StreamId, ToClient};
use super::process::ProcessId;
use super::{N_SLOTS, World};

/// A nested call is sent again if it has not been answered for so long.
const NESTED_AGAIN_MS: u64 = 300;
/// A nested call that has not been answered for so long after its deadline will not be.
const NESTED_LATE_MS: u64 = 1_000;

impl World {
    pub(crate) fn receive(&mut self, id: ProcessId, from: Endpoint, message: Message) {
        match (message, from) {
            (Message::Peer(node, message), _) => {
                let slot = message.slot;
                let mut effects = Vec::new();
                let result = self.processes[id.0].host.handle_peer(node, message, &self.registry, &mut effects);
                self.judge(result.map_err(|error| error.to_string()), "what a copy ships can be taken by another");
                self.perform_at(id, slot, effects);
                let mut begun = Vec::new();
                self.processes[id.0].host.start_images(&mut begun);
                self.perform(id, begun);
                self.check_serving(id);
            }
            (Message::Heartbeat { term, committed }, Endpoint::Process(leader)) => {
                self.handle_heartbeat(id, leader, term, committed);
            }
            (Message::Renew(node, renewal), _) => self.processes[id.0].raft.granter.renewal(node, renewal),
            (Message::Renewed(answer), _) => self.handle_renewed(id, answer),
            (Message::Propose(node, command), _) => self.handle_proposal(id, node, command),
            (Message::Join(command), from) => self.handle_join(id, from, command),
            (Message::Joined(changed), _) => self.handle_joined(id, changed),
            (Message::Nested(call), Endpoint::Process(asker)) => self.handle_nested(id, asker, &call),
            (Message::NestedAnswer(call, answer), _) => self.handle_nested_answer(id, call, answer),
            (Message::FromClient(stream, frame), _) => self.handle_frame(id, stream, frame),
            _ => {}
        }
    }

    fn handle_renewed(&mut self, id: ProcessId, answer: RenewalAnswer) {
        let process = &mut self.processes[id.0];
        match answer {
            RenewalAnswer::Granted(node, renewal, version) if process.node == Some(node) => {
                process.lease.granted(renewal, version);
            }
            RenewalAnswer::NotMember(node, _) if process.node == Some(node) => {
                process.drop_all();
                self.ghost.forget_process(id);
                self.say(|| format!("p{}        was removed, and joins anew", id.0));
                self.processes[id.0].incarnation = self.draws.number() | 1;
            }
            _ => {}
        }
    }

    fn handle_joined(&mut self, id: ProcessId, changed: Changed) {
        let process = &mut self.processes[id.0];
        match changed {
            Changed::Joined(node) if process.node.is_none() => {
                process.become_member(node);
                self.say(|| format!("p{}        is member {node}", id.0));
                self.install(id);
            }
            Changed::Refused(JoinRefusal::Replaces(node)) => process.replaces = Some(node),
            _ => {}
        }
    }

    /// A process joins, renews its lease, and sends its nested calls again.
    pub(crate) fn tick_member(&mut self, id: ProcessId) {
        let now = self.now;
        let process = &mut self.processes[id.0];
        let now_ms = process.steady_ms(now);
        let leader = process.raft.leader;
        let Some(node) = process.node else {
            if process.asked_to_join_ms + 150 < now_ms && !process.wants_to_go {
                process.asked_to_join_ms = now_ms;
                let command = self.join_command(id);
                if let Some(leader) = leader {
                    self.send(Endpoint::Process(id), Endpoint::Process(leader), Message::Join(command));
                }
            }
            return;
        };
        if let Some(leader) = leader
            && process.lease.is_renewal_due(now_ms)
        {
            let renewal = process.lease.renewal_sent(now_ms);
            let leaves = process.wants_to_go && process.view.is_up(node);
            let (me, to) = (Endpoint::Process(id), Endpoint::Process(leader));
            self.send(me, to, Message::Renew(node, renewal));
            if leaves {
                self.send(me, to, Message::Propose(node, greenroom_actors::ViewCommand::Leave(node)));
            }
        }
        self.send_nested(id, now_ms);
    }

    fn send_nested(&mut self, id: ProcessId, now_ms: u64) {
        let process = &mut self.processes[id.0];
        let wall_ms = process.clock.wall_ms(self.now);
        let (mut due, mut late) = (Vec::new(), Vec::new());
        for (&call, origin) in &mut process.nested {
            if origin.call.deadline_ms.saturating_add(NESTED_LATE_MS) < wall_ms {
                late.push(call);
            } else if origin.send_at_ms <= now_ms {
                origin.send_at_ms = now_ms + NESTED_AGAIN_MS;
                due.push(origin.call.clone());
            }
        }
        let view = std::sync::Arc::clone(&process.view);
        for call in due {
            let slot = slot_of(hash_object(JobId::DEFAULT, call.object_type.name, &call.key), usize::from(N_SLOTS));
            let primary = view.placement(slot).and_then(|placement| placement.primary);
            if let Some(to) = primary.and_then(|node| self.process_of(node)) {
                self.send(Endpoint::Process(id), Endpoint::Process(to), Message::Nested(call));
            }
        }
        for call in late {
            let result = Err(Fault::Unknown { why: "no answer before the deadline".to_owned() });
            self.handle_nested_answer(id, call, Answer { applied: false, index: LogIndex(0), result });
        }
    }

    /// Another object's call has come.
    fn handle_nested(&mut self, id: ProcessId, asker: ProcessId, call: &NestedCall) {
        let hash = hash_object(JobId::DEFAULT, call.object_type.name, &call.key);
        let slot = slot_of(hash, usize::from(N_SLOTS));
        let made = call.construction.as_deref().map_or(Wanted::Anything, |made| Wanted::Arguments(made.clone()));
        let arrival = Arrival {
            call: call.call,
            owner: Owner::Session(call.call.session),
            object: ObjectName { hash, job: JobId::DEFAULT, object_type: call.object_type, key: &call.key },
            method: call.method,
            arguments: call.arguments.clone(),
            construction: made,
            durability: call.durability,
            retry: call.again,
            deadline_ms: Some(call.deadline_ms),
            chain: &call.chain,
        };
        self.processes[id.0].asked_by.insert(call.call, asker);
        self.call_slot(id, slot, arrival);
    }

    fn call_slot(&mut self, id: ProcessId, slot: SlotId, arrival: Arrival<'_>) {
        let (seed, now) = (self.draws.number(), self.now);
        let process = &mut self.processes[id.0];
        let time = process.now(now, seed);
        let is_leased = process.has_lease(now);
        let mut effects = Vec::new();
        let call = arrival.call;
        match process.host.slot_mut(slot) {
            Some(copy) if is_leased || !copy.is_primary() => copy.handle_call(arrival, time, &mut effects),
            // Without a lease nothing new is taken: it could only wait.
            Some(_) | None => {
                let refusal = Refusal::WrongPlace;
                let answer = Answer { applied: false, index: LogIndex(0), result: Err(Fault::Refused(refusal)) };
                return self.reply(id, call, answer);
            }
        }
        self.perform_at(id, slot, effects);
    }

    fn handle_nested_answer(&mut self, id: ProcessId, call: CallId, answer: Answer) {
        let again = matches!(
            &answer.result,
            Err(Fault::Moved
                | Fault::Refused(Refusal::WrongPlace | Refusal::Unavailable(_) | Refusal::Overloaded { .. }))
        );
        let (seed, now) = (self.draws.number(), self.now);
        let process = &mut self.processes[id.0];
        let time = process.now(now, seed);
        if again {
            let now_ms = process.steady_ms(now);
            if let Some(origin) = process.nested.get_mut(&call) {
                origin.send_at_ms = now_ms + 30;
            }
            return;
        }
        let Some(origin) = process.nested.remove(&call) else { return };
        let Some(copy) = process.host.slot_mut(origin.slot) else { return };
        let mut effects = Vec::new();
        copy.handle_nested_reply(origin.object, (call.lane, call.sequence), answer.result, time, &mut effects);
        self.perform_at(id, origin.slot, effects);
    }

    /// Sends an answer to wherever its caller is.
    pub(crate) fn reply(&mut self, id: ProcessId, call: CallId, answer: Answer) {
        let process = &mut self.processes[id.0];
        if call.session.is_object() {
            if let Some(asker) = process.asked_by.get(&call).copied() {
                self.send(Endpoint::Process(id), Endpoint::Process(asker), Message::NestedAnswer(call, answer));
            }
            return;
        }
        if let Some(stream) = process.sessions.route(call.session) {
            let message = Message::ToClient(stream, ToClient::Reply(call, answer));
            self.send(Endpoint::Process(id), Endpoint::Client(stream.0), message);
        }
    }

    fn handle_frame(&mut self, id: ProcessId, stream: StreamId, frame: FromClient) {
        let now_ms = self.processes[id.0].steady_ms(self.now);
        let to = Endpoint::Client(stream.0);
        if let FromClient::Hello { session, resume } = frame {
            let sessions = &mut self.processes[id.0].sessions;
            let answer = if resume && !sessions.knows(session) {
                ToClient::SessionEnded
            } else {
                sessions.open(stream, session, now_ms);
                ToClient::Welcome
            };
            return self.send(Endpoint::Process(id), to, Message::ToClient(stream, answer));
        }
        let Some(session) = self.processes[id.0].sessions.heard(stream, now_ms) else { return };
        match frame {
            FromClient::Hello { .. } => {}
            FromClient::Ping => {
                let view = std::sync::Arc::clone(&self.processes[id.0].view);
                self.send(Endpoint::Process(id), to, Message::ToClient(stream, ToClient::Pong(view)));
            }
            FromClient::Call(call) => {
                if self.processes[id.0].sessions.knows(session) {
                    self.handle_client_call(id, call);
                }
            }
            FromClient::Cancel(call) => self.handle_cancel(id, &call),
            FromClient::Query(call, object) => self.handle_query(id, call, object),
            FromClient::Ack(call) => {
                for copy in self.processes[id.0].host.slots_mut().iter_mut().flatten() {
                    copy.handle_ack(call);
                }
            }
            FromClient::Bye(session) => {
                if self.processes[id.0].sessions.end(session) {
                    self.end_session(id, session);
                }
            }
        }
    }

    /// A question names no object: in this world, lanes name slots.
    fn handle_query(&mut self, id: ProcessId, call: CallId, object: usize) {
        let target = self.targets[object].clone();
        let slot = target.slot;
        let name =
            ObjectName { hash: target.hash, job: JobId::DEFAULT, object_type: target.object_type, key: &target.key };
        let (seed, now) = (self.draws.number(), self.now);
        let process = &mut self.processes[id.0];
        let (time, is_leased) = (process.now(now, seed), process.has_lease(now));
        let Some(copy) = process.host.slot_mut(slot).filter(|_| is_leased) else { return };
        let mut effects = Vec::new();
        copy.handle_query(call, (name, target.durability), time, &mut effects);
        self.perform_at(id, slot, effects);
    }

    fn handle_client_call(&mut self, id: ProcessId, call: ClientCall) {
        let target = &self.targets[call.object];
        let (slot, key) = (target.slot, target.key.clone());
        let object = ObjectName { hash: target.hash, job: JobId::DEFAULT, object_type: target.object_type, key: &key };
        if let Some(ack) = call.ack
            && let Some(copy) = self.processes[id.0].host.slot_mut(slot)
        {
            copy.handle_ack(ack);
        }
        let arrival = Arrival {
            call: call.call,
            owner: Owner::Session(call.call.session),
            object,
            method: call.method,
            arguments: call.arguments,
            construction: call.construction,
            durability: self.targets[call.object].durability,
            retry: call.retry,
            deadline_ms: call.deadline_ms,
            chain: &[],
        };
        self.call_slot(id, slot, arrival);
    }

    fn handle_cancel(&mut self, id: ProcessId, call: &ClientCall) {
        let (seed, now) = (self.draws.number(), self.now);
        let target = &self.targets[call.object];
        let slot = target.slot;
        let object =
            ObjectName { hash: target.hash, job: JobId::DEFAULT, object_type: target.object_type, key: &target.key };
        let process = &mut self.processes[id.0];
        let (time, is_leased) = (process.now(now, seed), process.has_lease(now));
        let Some(copy) = process.host.slot_mut(slot).filter(|_| is_leased) else { return };
        let mut effects = Vec::new();
        copy.handle_cancel(call.call, object, time, &mut effects);
        copy.confirm_cancel(call.call, &mut effects);
        self.perform_at(id, slot, effects);
    }

    /// Sessions end that have stayed away, and the objects that it concerns are told.
    pub(crate) fn tick_sessions(&mut self, id: ProcessId) {
        let now_ms = self.processes[id.0].steady_ms(self.now);
        for session in self.processes[id.0].sessions.expire(now_ms) {
            self.end_session(id, session);
        }
    }

    fn end_session(&mut self, id: ProcessId, session: SessionId) {
        self.say(|| format!("p{}        ends session {:x}", id.0, session.0));
        self.note_session_ended(session);
        let slots: Vec<SlotId> = self.processes[id.0].host.slots().iter().flatten().map(|copy| copy.id()).collect();
        for slot in slots {
            let (seed, now) = (self.draws.number(), self.now);
            let process = &mut self.processes[id.0];
            let time = process.now(now, seed);
            let Some(copy) = process.host.slot_mut(slot) else { continue };
            let mut effects = Vec::new();
            copy.handle_session_end(session, None, time, &mut effects);
            self.perform_at(id, slot, effects);
        }
    }
}
