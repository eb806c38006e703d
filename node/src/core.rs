//! What a shard holds: its slots, sessions and actors. It carries effects out; what they are is decided in the slots.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use actix::{Actor, Addr};
use bytes::Bytes;
use greenroom_actors::wire::{self, Frame, HelloRefusal, Request, Welcome, parts};
use greenroom_actors::{
    Answer, Arrival, CallId, ClusterId, Construction, Effect, Fault, Host, Incarnation, LogIndex, Now, ObjectName,
    ObjectNumber, ObjectType, Outcomes, Owner, Patience, Refusal, SessionId, ShardId, Share, Slot, SlotId, SlotPlace,
    Wanted, check_key, hash_object, system,
};
use greenroom_rpc::proto::ShardStatus;
use hashbrown::HashMap;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::attempts::check_session;
use crate::metering::ShardMeter;
use crate::object_actor::{ObjectActor, Run, Work};
use crate::peers::{NestedOrigin, Peers};
use crate::place::{Installed, Place};
use crate::seats::Seats;
use crate::sessions::{Sessions, StreamId};
use crate::shard::{OpenStream, Shard};

pub(crate) type ObjectAt = (SlotId, ObjectNumber);

/// A shard's state. It is shared by the shard's actor and its objects' actors, all on one thread.
pub(crate) struct Core {
    pub(crate) place: Arc<Place>,
    pub(crate) shard: ShardId,
    /// The copies of slots that the shard has.
    pub(crate) host: Host,
    /// The view that the shard goes by.
    pub(crate) installed: Arc<Installed>,
    /// Slots that may have something to ship.
    pub(crate) unshipped: Vec<SlotId>,
    pub(crate) sessions: Sessions,
    pub(crate) peers: Peers,
    pub(crate) meter: ShardMeter,
    pub(crate) stopping: bool,
    pub(crate) seats: Seats<Addr<ObjectActor>>,
    /// Entries that the objects' actors get when the batch at hand has been read.
    due: Vec<(ObjectAt, Vec<Work>)>,
    due_index: HashMap<ObjectAt, usize>,
    pub(crate) effects: Vec<Effect>,
    /// The time of the batch at hand, which also holds for what it sets off.
    pub(crate) last_now: Now,
    random: SmallRng,
    /// From when patience with other copies is counted.
    pub(crate) started: Instant,
    this: Weak<RefCell<Self>>,
}

impl Core {
    pub(crate) fn new(place: Arc<Place>, shard: ShardId, address: Addr<Shard>) -> Rc<RefCell<Self>> {
        let n_shards = u16::try_from(place.layout.shards.len()).unwrap_or(u16::MAX);
        let share = Share { shard, n_shards };
        let host = Host::new(place.layout.node, share, place.options.limits(), Patience::default());
        let installed = place.newest();
        let core = Rc::new_cyclic(|this| {
            RefCell::new(Self {
                peers: Peers::new(Arc::clone(&place), address),
                meter: ShardMeter::new(shard),
                place,
                shard,
                host,
                installed: Arc::clone(&installed),
                unshipped: Vec::new(),
                sessions: Sessions::default(),
                stopping: false,
                seats: Seats::default(),
                due: Vec::new(),
                due_index: HashMap::new(),
                effects: Vec::new(),
                last_now: Now { ms: now_ms(), seed: 0 },
                random: SmallRng::from_os_rng(),
                started: Instant::now(),
                this: Weak::clone(this),
            })
        });
        core.borrow_mut().install(installed);
        core
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
        if hello.cluster != ClusterId(0) && hello.cluster != self.installed.table.cluster {
            return Welcome::Refused(HelloRefusal::Cluster(self.installed.table.cluster));
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
        let mut status = self.meter.status(self.host.slots(), self.seats.len(), &self.sessions);
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
                Ok(Frame::Peer(from, message)) => self.handle_peer(from, message, now),
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
            if request.flags & parts::KEEP != 0 {
                return self.keep_attempt(session, stream, request);
            }
            self.sessions.route(session, stream, request.attempt_ends_ms);
            if let Err(refusal) = check_session(session, is_new, request, now) {
                let call = CallId { session, lane: request.lane, sequence: request.sequence };
                self.refuse(call, refusal);
                if is_new {
                    self.sessions.unroute(session);
                }
                return;
            }
        }
        for &(slot, lane, sequence) in &request.acks {
            if let Some(slot) = self.slot_mut(slot) {
                slot.handle_ack(CallId { session, lane, sequence });
            }
        }
        let call = CallId { session, lane: request.lane, sequence: request.sequence };
        if request.flags & parts::END != 0 {
            return self.handle_attempt_end(stream, call, request, now);
        }
        if let Err(refusal) = self.route(stream, call, request, now)
            // A refused cancellation is no answer to its call, which may be parked.
            && !is_cancel
        {
            self.refuse(call, refusal);
        }
    }

    /// Gives a request to its slot.
    fn route(&mut self, stream: StreamId, call: CallId, request: &Request<'_>, now: Now) -> Result<(), Refusal> {
        if request.cluster.is_some_and(|cluster| cluster != self.installed.table.cluster) {
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
            slot.handle_query(call, (object, request.durability), now, &mut effects);
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
        let is_slot = self.installed.table.slot_of(hash) == request.slot;
        if is_slot && self.host.slot(request.slot).is_some_and(Slot::is_primary) {
            return Ok(());
        }
        if is_slot && self.installed.table.place(request.slot).is_some_and(SlotPlace::is_lost) {
            return Err(Refusal::DataLost);
        }
        self.tell_table(stream);
        Err(Refusal::WrongPlace)
    }

    /// Sends a stream the current table, once for each version.
    pub(crate) fn tell_table(&mut self, stream: StreamId) {
        let (version, bytes) = (self.installed.table.version, self.installed.table_bytes.clone());
        if let Some(state) = self.sessions.stream(stream)
            && state.table < version
        {
            state.table = version;
            // A stream that is closing will be told again on the next one.
            let _ = state.outbox.push(|out| wire::encode_table(&bytes, out));
        }
    }

    pub(crate) fn refuse(&mut self, call: CallId, refusal: Refusal) {
        self.meter.refused();
        let answer = Answer { applied: false, index: LogIndex(0), result: Err(Fault::Refused(refusal)) };
        self.sessions.reply(call, answer);
    }

    pub(crate) fn slot_mut(&mut self, slot: SlotId) -> Option<&mut Slot> {
        self.host.slot_mut(slot)
    }

    /// Carries out what a slot asks for; what that sets off on this shard too.
    pub(crate) fn perform(&mut self, slot: SlotId, effects: &mut Vec<Effect>, now: Now) {
        let mut nested = VecDeque::new();
        let mut images = Vec::new();
        let mut at = slot;
        loop {
            self.unshipped.push(at);
            for effect in effects.drain(..) {
                match effect {
                    Effect::Apply { object, entry } => self.due_add((at, object), Work::Apply(entry)),
                    // One on which nothing is under way needs no actor for it.
                    Effect::Image { object } if self.is_at_rest((at, object)) => images.push(object),
                    Effect::Image { object } => self.due_add((at, object), Work::Image),
                    Effect::Send { to, message } => self.peers.tell(to, &message),
                    Effect::Serving { sessions } => self.sessions.expect(&sessions, now.ms),
                    Effect::Propose(command) => {
                        if let Some(proposals) = &self.place.proposals {
                            // A node that is stopping asks for nothing more.
                            let _ = proposals.send(command);
                        }
                    }
                    Effect::Dropped => self.drop_actors(at),
                    Effect::Nested { object, job, call } => {
                        nested.push_back(Step::Call(NestedOrigin { slot: at, object, job, call }));
                    }
                    Effect::Reply { call, answer } if call.session.is_object() => match self.peers.take_local(call) {
                        Some(mut origin) if self.peers.asks_again(&answer.result) => {
                            origin.call.again |= matches!(answer.result, Err(Fault::Moved));
                            let target = self.installed.table.slot_of(origin.target_hash());
                            self.peers.send_later(origin, target);
                        }
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
            if !images.is_empty() {
                self.add_images(at, &mut images, effects);
                continue;
            }
            match nested.pop_front() {
                Some(Step::Call(origin)) => at = self.start_nested(origin, effects, now),
                Some(Step::Reply(origin, result)) => at = self.finish_nested(&origin, result, effects, now),
                None => return,
            }
        }
    }

    fn due_add(&mut self, at: ObjectAt, work: Work) {
        if let Some((last, entries)) = self.due.last_mut()
            && *last == at
        {
            return entries.push(work);
        }
        if let Some(&index) = self.due_index.get(&at) {
            return self.due[index].1.push(work);
        }
        self.due_index.insert(at, self.due.len());
        self.due.push((at, vec![work]));
    }

    /// The actors of a copy that is here no more end, and what was on its way to them is for nobody.
    fn drop_actors(&mut self, at: SlotId) {
        self.seats.slot_gone(at);
        self.due.iter_mut().filter(|((slot, _), _)| *slot == at).for_each(|(_, works)| works.clear());
    }

    /// Hands the entries of the batch at hand to the objects' actors, one message each.
    ///
    /// What has been ordered is shipped first: the other copies take it while this node goes on.
    pub(crate) fn deliver(&mut self, now_ms: u64) {
        self.ship();
        self.due_index.clear();
        for (at, entries) in std::mem::take(&mut self.due) {
            if let Some(actor) = self.seats.used(at, now_ms) {
                actor.do_send(Run(entries));
                continue;
            }
            if let Some(actor) = self.seat(at) {
                actor.do_send(Run(entries));
                self.seats.add(at, actor, now_ms);
            }
        }
    }

    fn seat(&self, (slot, object): ObjectAt) -> Option<Addr<ObjectActor>> {
        let core = self.this.upgrade()?;
        let entry = self.host.slot(slot)?.objects().get(object)?;
        let instance = Rc::clone(entry.instance());
        Some(ObjectActor { slot, object, instance, core }.start())
    }

    /// An object's actor has applied entries.
    pub(crate) fn handle_outcomes(&mut self, slot: SlotId, object: ObjectNumber, outcomes: Outcomes) {
        self.meter.applied(&outcomes);
        let now = self.last_now;
        let mut effects = std::mem::take(&mut self.effects);
        let leased = self.place.is_leased(self.shard);
        if let Some(at) = self.host.slot_mut(slot) {
            at.handle_outcomes(object, outcomes, leased, &mut effects);
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
        self.host.slots().iter().flatten().all(quiet) && self.sessions.streams().all(|stream| stream.outbox.is_empty())
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
    Arrival {
        call,
        owner: Owner::Session(call.session),
        object,
        method: request.method,
        arguments: request.arguments.clone(),
        construction,
        durability: request.durability,
        retry: request.flags & parts::RETRY != 0,
        deadline_ms: request.deadline_ms,
        chain: &request.chain,
    }
}

/// The machine's clock in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
