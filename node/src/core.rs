//! What a shard holds: its slots, sessions and actors. It carries effects out; what they are is decided in the slots.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use actix::{Actor, Addr};
use bytes::Bytes;
use greenroom_actors::wire::{self, Frame, HelloRefusal, Request, Welcome, parts};
use greenroom_actors::{
    Answer, Arrival, CallId, ClusterId, Construction, Effect, Entry, Fault, Incarnation, LogIndex, Now, ObjectName,
    ObjectNumber, ObjectType, Outcomes, Owner, Refusal, SessionId, ShardId, Slot, SlotId, Wanted, check_key,
    hash_object, system,
};
use greenroom_rpc::proto::ShardStatus;
use hashbrown::HashMap;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::metering::ShardMeter;
use crate::object_actor::{ObjectActor, Run};
use crate::peers::{NestedOrigin, Peers};
use crate::place::Place;
use crate::sessions::{Sessions, StreamId};
use crate::shard::{OpenStream, Shard};

pub(crate) type ObjectAt = (SlotId, ObjectNumber);

/// An object's actor.
pub(crate) struct Seat {
    actor: Addr<ObjectActor>,
    pub(crate) used_ms: u64,
}

/// A shard's state. It is shared by the shard's actor and its objects' actors, all on one thread.
pub(crate) struct Core {
    pub(crate) place: Arc<Place>,
    pub(crate) shard: ShardId,
    pub(crate) slots: Vec<Option<Slot>>,
    pub(crate) sessions: Sessions,
    pub(crate) peers: Peers,
    pub(crate) meter: ShardMeter,
    pub(crate) stopping: bool,
    pub(crate) seats: HashMap<ObjectAt, Seat>,
    /// Entries that the objects' actors get when the batch at hand has been read.
    due: Vec<(ObjectAt, Vec<Entry>)>,
    due_index: HashMap<ObjectAt, usize>,
    pub(crate) effects: Vec<Effect>,
    /// The time of the batch at hand, which also holds for what it sets off.
    last_now: Now,
    random: SmallRng,
    this: Weak<RefCell<Self>>,
}

impl Core {
    pub(crate) fn new(place: Arc<Place>, shard: ShardId, address: Addr<Shard>) -> Rc<RefCell<Self>> {
        let me = place.layout.node;
        let limits = place.options.limits();
        let slots = (0..).map(SlotId).zip(&place.table.slots).map(|(slot, at)| {
            let mine = at.primary == me && place.layout.shard_of(slot) == shard;
            mine.then(|| Slot::new(slot, at.epoch, limits, Now { ms: now_ms(), seed: rand::random() }))
        });
        let slots = slots.collect();
        Rc::new_cyclic(|this| {
            RefCell::new(Self {
                peers: Peers::new(Arc::clone(&place), address),
                meter: ShardMeter::new(shard),
                place,
                shard,
                slots,
                sessions: Sessions::default(),
                stopping: false,
                seats: HashMap::new(),
                due: Vec::new(),
                due_index: HashMap::new(),
                effects: Vec::new(),
                last_now: Now { ms: now_ms(), seed: 0 },
                random: SmallRng::from_os_rng(),
                this: Weak::clone(this),
            })
        })
    }

    /// Reads the clock and draws random bits: once for each batch.
    pub(crate) fn now(&mut self) -> Now {
        self.last_now = Now { ms: now_ms(), seed: self.random.random() };
        self.last_now
    }

    /// A client greets: the stream is opened if it means this very place.
    pub(crate) fn open_stream(&mut self, open: OpenStream) -> Welcome {
        let OpenStream { stream, hello, outbox } = open;
        let here = &self.place.layout;
        let any = Incarnation(0);
        if self.stopping {
            return Welcome::Refused(HelloRefusal::Stopping);
        }
        if hello.cluster != ClusterId(0) && hello.cluster != self.place.table.cluster {
            return Welcome::Refused(HelloRefusal::Cluster(self.place.table.cluster));
        }
        let right_process = hello.incarnation == any || hello.incarnation == here.incarnation;
        if hello.node != here.node || hello.shard != self.shard || !right_process {
            let (node, incarnation, shard) = (here.node, here.incarnation, self.shard);
            return Welcome::Refused(HelloRefusal::Place { node, incarnation, shard });
        }
        if hello.resume && !self.sessions.knows(hello.session) {
            return Welcome::Refused(HelloRefusal::SessionEnded);
        }
        self.place.job_names.learn(&hello.job_name);
        self.sessions.open(stream, &hello, outbox);
        let frame_bytes_max = self.place.options.frame_bytes_max as u64;
        Welcome::Open { incarnation: self.place.incarnation(), now_ms: now_ms(), frame_bytes_max }
    }

    /// Tells every client that this process ends, and ends their streams.
    pub(crate) fn close_streams(&mut self) {
        for stream in self.sessions.streams() {
            // A stream that is closed already needs no farewell.
            let _ = stream.outbox.push(wire::encode_goodbye);
            stream.outbox.close();
        }
    }

    /// What the shard is doing.
    pub(crate) fn status(&mut self) -> ShardStatus {
        let mut status = self.meter.status(&self.slots, self.seats.len(), &self.sessions);
        status.address = self.place.layout.shards.get(usize::from(self.shard.0)).cloned().unwrap_or_default();
        status
    }

    /// Frames have come on a stream.
    pub(crate) fn handle_frames(&mut self, stream: StreamId, frames: &[Bytes]) {
        let Some(session) = self.sessions.stream(stream).map(|stream| stream.session) else { return };
        let now = self.now();
        for frame in frames {
            match wire::decode(frame) {
                Ok(Frame::Request(request)) => self.handle_request(stream, session, &request, now),
                Ok(Frame::Goodbye) => {
                    let ended = self.sessions.end(session, stream);
                    self.handle_ended(ended, now);
                    // Nothing can follow a farewell: whoever it would belong to has ended.
                    if let Some(state) = self.sessions.stream(stream) {
                        state.outbox.close();
                    }
                    break;
                }
                Ok(Frame::Hello(_) | Frame::Welcome(_) | Frame::Reply(_) | Frame::Table(_)) => {
                    self.break_off(stream, "a frame that does not belong on this side of a stream");
                    break;
                }
                Err(error) => {
                    self.break_off(stream, &error.to_string());
                    break;
                }
            }
        }
        self.deliver(now.ms);
    }

    /// A peer that does not keep to the protocol loses its stream, and nothing else.
    fn break_off(&mut self, stream: StreamId, why: &str) {
        self.meter.malformed();
        tracing::warn!(shard = self.shard.0, stream = stream.0, why, "closing a stream that is not as agreed");
        if let Some(state) = self.sessions.stream(stream) {
            state.outbox.close();
        }
    }

    fn handle_request(&mut self, stream: StreamId, own: SessionId, request: &Request<'_>, now: Now) {
        self.meter.call();
        let session = request.session.unwrap_or(own);
        let is_cancel = request.flags & parts::CANCEL != 0;
        if is_cancel && !session.is_object() {
            // It begins no session; what one that has ended held is released already.
            if !self.sessions.knows(session) {
                return;
            }
        } else if session != own {
            let is_new = !self.sessions.knows(session);
            if is_new && request.flags & parts::QUERY != 0 && !session.is_object() {
                let call = CallId { session, lane: request.lane, sequence: request.sequence };
                return self.answer_late_query(stream, call, request, now);
            }
            self.sessions.route(session, stream);
            if is_new && request.flags & parts::RETRY != 0 && !session.is_object() {
                // Its replies are gone with it, so whether an earlier try was applied is not known here.
                let call = CallId { session, lane: request.lane, sequence: request.sequence };
                self.refuse(call, Refusal::SessionEnded);
                self.sessions.unroute(session);
                return;
            }
        }
        for &(slot, lane, sequence) in &request.acks {
            if let Some(slot) = self.slot_mut(slot) {
                slot.handle_ack(CallId { session, lane, sequence });
            }
        }
        let call = CallId { session, lane: request.lane, sequence: request.sequence };
        if let Err(refusal) = self.route(stream, call, request, now)
            // A refused cancellation is no answer to its call, which may be parked.
            && !is_cancel
        {
            self.refuse(call, refusal);
        }
    }

    /// Gives a request to its slot.
    fn route(&mut self, stream: StreamId, call: CallId, request: &Request<'_>, now: Now) -> Result<(), Refusal> {
        if request.cluster.is_some_and(|cluster| cluster != self.place.table.cluster) {
            return Err(Refusal::WrongCluster);
        }
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        check_key(request.key)?;
        let object_type = self.object_type(request)?;
        let hash = hash_object(request.job, request.type_name, request.key);
        let object = ObjectName { hash, job: request.job, object_type, key: request.key };
        self.check_place(stream, request, hash)?;
        let mut effects = std::mem::take(&mut self.effects);
        let Some(slot) = self.slot_mut(request.slot) else { return Err(Refusal::WrongPlace) };
        if request.flags & parts::CANCEL != 0 {
            slot.handle_cancel(call, object, now, &mut effects);
            if request.flags & parts::QUERY != 0 {
                slot.confirm_cancel(call, &mut effects);
            }
        } else if request.flags & parts::QUERY != 0 {
            slot.handle_query(call, now, &mut effects);
        } else {
            let arrival = arrival(call, object, request);
            slot.handle_call(arrival, now, &mut effects);
        }
        self.perform(request.slot, &mut effects, now);
        self.effects = effects;
        Ok(())
    }

    fn object_type(&self, request: &Request<'_>) -> Result<&'static ObjectType, Refusal> {
        let object_type = self.place.object_type(request.type_name)?;
        // Deleting and describing decode nothing, so that an operator's tool can do both without the type.
        let decodes = !matches!(request.method, system::DELETE | system::DESCRIBE);
        if decodes && object_type.fingerprint() != request.fingerprint {
            return Err(Refusal::Shape { caller: String::new(), node: object_type.shape().to_owned() });
        }
        Ok(object_type)
    }

    /// Whether this shard serves the slot in that epoch. If not, the caller is sent the current table, once for each version.
    pub(crate) fn check_place(&mut self, stream: StreamId, request: &Request<'_>, hash: u64) -> Result<(), Refusal> {
        let right = self.place.table.slot_of(hash) == request.slot
            && self.slot_mut(request.slot).is_some_and(|slot| slot.epoch() == request.epoch);
        if right {
            return Ok(());
        }
        let (version, bytes) = (self.place.table.version, self.place.table_bytes.clone());
        if let Some(state) = self.sessions.stream(stream)
            && state.table < version
        {
            state.table = version;
            // A stream that is closing will be told again on the next one.
            let _ = state.outbox.push(|out| wire::encode_table(&bytes, out));
        }
        Err(Refusal::WrongPlace)
    }

    pub(crate) fn refuse(&mut self, call: CallId, refusal: Refusal) {
        self.meter.refused();
        let answer = Answer { applied: false, index: LogIndex(0), result: Err(Fault::Refused(refusal)) };
        self.sessions.reply(call, answer);
    }

    pub(crate) fn slot_mut(&mut self, slot: SlotId) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(slot.0))?.as_mut()
    }

    /// Carries out what a slot asks for; what that sets off on this shard too.
    pub(crate) fn perform(&mut self, slot: SlotId, effects: &mut Vec<Effect>, now: Now) {
        let mut nested = VecDeque::new();
        let mut at = slot;
        loop {
            for effect in effects.drain(..) {
                match effect {
                    Effect::Apply { object, entry } => self.due_add((at, object), entry),
                    Effect::Nested { object, job, call } => {
                        nested.push_back(Step::Call(NestedOrigin { slot: at, object, job, call }));
                    }
                    Effect::Reply { call, answer } if call.session.is_object() => match self.peers.take_local(call) {
                        Some(origin) => nested.push_back(Step::Reply(origin, answer.result)),
                        None => self.sessions.reply(call, answer),
                    },
                    Effect::Reply { call, answer } => {
                        if matches!(answer.result, Err(Fault::Refused(_))) {
                            self.meter.refused();
                        }
                        self.sessions.reply(call, answer);
                    }
                }
            }
            match nested.pop_front() {
                Some(Step::Call(origin)) => at = self.start_nested(origin, effects, now),
                Some(Step::Reply(origin, result)) => at = self.finish_nested(&origin, result, effects, now),
                None => return,
            }
        }
    }

    fn due_add(&mut self, at: ObjectAt, entry: Entry) {
        if let Some((last, entries)) = self.due.last_mut()
            && *last == at
        {
            return entries.push(entry);
        }
        if let Some(&index) = self.due_index.get(&at) {
            return self.due[index].1.push(entry);
        }
        self.due_index.insert(at, self.due.len());
        self.due.push((at, vec![entry]));
    }

    /// Hands the entries of the batch at hand to the objects' actors, one message each.
    pub(crate) fn deliver(&mut self, now_ms: u64) {
        self.due_index.clear();
        for (at, entries) in std::mem::take(&mut self.due) {
            if let Some(seat) = self.seats.get_mut(&at) {
                seat.used_ms = now_ms;
                seat.actor.do_send(Run(entries));
                continue;
            }
            if let Some(actor) = self.seat(at) {
                actor.do_send(Run(entries));
                self.seats.insert(at, Seat { actor, used_ms: now_ms });
            }
        }
    }

    fn seat(&self, (slot, object): ObjectAt) -> Option<Addr<ObjectActor>> {
        let core = self.this.upgrade()?;
        let entry = self.slots.get(usize::from(slot.0))?.as_ref()?.objects().get(object)?;
        let instance = Rc::clone(entry.instance());
        Some(ObjectActor { slot, object, instance, core }.start())
    }

    /// An object's actor has applied entries.
    pub(crate) fn handle_outcomes(&mut self, slot: SlotId, object: ObjectNumber, outcomes: Outcomes) {
        self.meter.applied(&outcomes);
        let now = self.last_now;
        let mut effects = std::mem::take(&mut self.effects);
        if let Some(at) = self.slot_mut(slot) {
            at.handle_outcomes(object, outcomes, &mut effects);
        }
        self.perform(slot, &mut effects, now);
        self.effects = effects;
        if !self.due.is_empty() {
            self.deliver(now.ms);
        }
    }

    /// Whether nothing is under way but parked calls.
    pub(crate) fn is_quiet(&self) -> bool {
        let quiet = |slot: &Slot| slot.objects().iter().all(|(_, entry)| entry.is_quiet());
        self.slots.iter().flatten().all(quiet) && self.sessions.streams().all(|stream| stream.outbox.is_empty())
    }
}

enum Step {
    Call(NestedOrigin),
    Reply(NestedOrigin, Result<Bytes, Fault>),
}

fn arrival<'a>(call: CallId, object: ObjectName<'a>, request: &'a Request<'_>) -> Arrival<'a> {
    let construction = match (&request.construction, &request.construction_arguments) {
        (_, Some(arguments)) => Wanted::Arguments(Construction::new(arguments.clone())),
        (Some(hash), None) => Wanted::Hash(*hash),
        (None, None) => Wanted::Anything,
    };
    let owner = match request.thread {
        Some(caller) => Owner::Thread(caller.thread, caller.attempt),
        None => Owner::Session(call.session),
    };
    Arrival {
        call,
        owner,
        object,
        method: request.method,
        arguments: request.arguments.clone(),
        construction,
        deadline_ms: request.deadline_ms,
        chain: &request.chain,
    }
}

/// The machine's clock in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
