//! A cluster of hosts without threads, clocks or sockets: every message waits until the test delivers it.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use greenroom_actors::wire::AttemptEnd;
use greenroom_actors::{
    Answer, Arrival, CallId, ClusterId, Construction, Durability, Effect, Host, Identity, Incarnation, JobId, Lane,
    Limits, NestedCall, NodeId, Now, Object, ObjectName, ObjectNumber, Outcomes, Owner, Patience, PeerMessage,
    Registry, Sequence, SessionId, ShardId, Share, Slot, SlotId, Targets, View, ViewCommand, Wanted, hash_object,
    slot_of,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) const N_SLOTS: u16 = 4;

/// A message between nodes that has not been delivered.
type Sent = (NodeId, NodeId, PeerMessage);

pub(crate) struct Cluster {
    pub(crate) view: View,
    pub(crate) hosts: BTreeMap<NodeId, Host>,
    pub(crate) now_ms: u64,
    pub(crate) network: VecDeque<Sent>,
    pub(crate) proposed: Vec<ViewCommand>,
    pub(crate) answers: Vec<(NodeId, CallId, Answer)>,
    /// Pairs of nodes whose messages are lost.
    pub(crate) cut: BTreeSet<(NodeId, NodeId)>,
    /// Whether what objects' actors are to do waits for them, and what does.
    pub(crate) hold_actors: bool,
    pub(crate) held: Vec<(NodeId, SlotId, Effect)>,
    /// Calls that objects have made, which the test answers.
    pub(crate) nested: Vec<(NodeId, SlotId, ObjectNumber, NestedCall)>,
    /// Nodes whose program has no object types.
    pub(crate) strangers: BTreeSet<NodeId>,
    registry: Registry,
    scratch: RefCell<Vec<u8>>,
    next_lane: u32,
    /// What the handles of the calls to come say.
    pub(crate) durability: Option<Durability>,
    /// Whether the calls to come were sent before.
    pub(crate) retries: bool,
    /// Whether nodes have leases.
    pub(crate) leased: bool,
}

impl Cluster {
    /// So many nodes, with so many copies of each slot, all in sync.
    pub(crate) fn new(n_nodes: u32, copies: u8) -> Self {
        let mut cluster = Self {
            view: View::default(),
            hosts: BTreeMap::new(),
            now_ms: 1_000,
            network: VecDeque::new(),
            proposed: Vec::new(),
            answers: Vec::new(),
            cut: BTreeSet::new(),
            hold_actors: false,
            held: Vec::new(),
            nested: Vec::new(),
            strangers: BTreeSet::new(),
            registry: Registry::collect().expect("names differ"),
            scratch: RefCell::default(),
            next_lane: 0,
            durability: None,
            retries: false,
            leased: true,
        };
        cluster.view.apply(&ViewCommand::Found { cluster: ClusterId(1), n_slots: N_SLOTS, copies });
        for number in 0..n_nodes {
            cluster.join(&format!("n{number}"));
        }
        cluster.balance();
        cluster
    }

    pub(crate) fn now(&self) -> Now {
        Now { ms: self.now_ms, seed: 7 }
    }

    pub(crate) fn join(&mut self, name: &str) -> NodeId {
        let number = u64::from(self.next_lane) + 1_000 + self.view.version.0;
        let (name, address) = (name.to_owned(), name.to_owned());
        let (incarnation, identity) = (Incarnation(number), Identity(number));
        self.change(&ViewCommand::Join { name: name.clone(), address, incarnation, identity, replaces: None });
        let node = self.view.named(&name).expect("it has joined").node;
        let share = Share { shard: ShardId(0), n_shards: 1 };
        self.hosts.insert(node, Host::new(node, share, Limits::default(), Patience::default()));
        self.install_everywhere();
        node
    }

    /// Changes the view, and has every node know it at once.
    pub(crate) fn change(&mut self, command: &ViewCommand) {
        self.view.apply(command);
        self.install_everywhere();
    }

    /// Has one node know a view, and no other.
    pub(crate) fn install_on(&mut self, node: NodeId, view: &View) {
        let (now, mut effects) = (self.now(), Vec::new());
        self.hosts.get_mut(&node).expect("there").install(Arc::new(view.clone()), now, &mut effects);
        self.perform(node, effects);
    }

    fn install_everywhere(&mut self) {
        let view = Arc::new(self.view.clone());
        for node in self.hosts.keys().copied().collect::<Vec<_>>() {
            let mut effects = Vec::new();
            let now = self.now();
            self.hosts.get_mut(&node).expect("there").install(Arc::clone(&view), now, &mut effects);
            self.perform(node, effects);
        }
    }

    /// Copies every slot to where the ring wants it, and lets everything settle.
    pub(crate) fn balance(&mut self) {
        for _ in 0..20 {
            let targets = Targets::of(&self.view);
            let mut starts = Vec::new();
            for (slot, placement) in self.view.iter() {
                let missing = targets.of_slot(slot).iter().find(|node| !placement.in_sync.contains(node));
                if let (Some(&node), None) = (missing, placement.joining) {
                    starts.push((slot, placement.epoch, node));
                }
            }
            if starts.is_empty() {
                break;
            }
            self.change(&ViewCommand::StartCopies(starts));
            self.settle();
        }
    }

    /// Delivers all messages and carries out all proposals, for as long as there are any.
    pub(crate) fn settle(&mut self) {
        /// What was lost is found to be missing, then it is sent again, and then it may be enough.
        const QUIET_ROUNDS: u32 = 4;
        let mut n_quiet = 0;
        for _ in 0..50 {
            self.deliver_all();
            self.now_ms += 400;
            self.tick();
            self.deliver_all();
            n_quiet = if self.proposed.is_empty() { n_quiet + 1 } else { 0 };
            if n_quiet == QUIET_ROUNDS {
                return;
            }
            for command in std::mem::take(&mut self.proposed) {
                self.change(&command);
            }
        }
    }

    pub(crate) fn tick(&mut self) {
        let now = self.now();
        for node in self.hosts.keys().copied().collect::<Vec<_>>() {
            let mut effects = Vec::new();
            self.hosts.get_mut(&node).expect("there").tick(now, now.ms, |_| None, &mut effects);
            self.perform(node, effects);
        }
    }

    pub(crate) fn deliver_all(&mut self) {
        while self.deliver() {}
    }

    /// Delivers the oldest message; says whether there was one.
    pub(crate) fn deliver(&mut self) -> bool {
        let Some((from, to, message)) = self.network.pop_front() else { return false };
        if self.cut.contains(&(from, to)) {
            return true;
        }
        let slot = message.slot;
        let Some(host) = self.hosts.get_mut(&to) else { return true };
        let mut effects = Vec::new();
        let is_stranger = self.strangers.contains(&to);
        let none = Registry::of([]).expect("no name is there twice");
        let registry = if is_stranger { &none } else { &self.registry };
        let taken = host.handle_peer(from, message, registry, &mut effects);
        assert!(taken.is_ok() || is_stranger, "{taken:?}");
        self.perform(to, effects.into_iter().map(|effect| (slot, effect)).collect());
        let mut begun = Vec::new();
        if let Some(host) = self.hosts.get_mut(&to) {
            host.start_images(&mut begun);
        }
        self.perform(to, begun);
        true
    }

    /// Loses a node without a word; the view is told that it is gone.
    pub(crate) fn kill(&mut self, node: NodeId) {
        self.hosts.remove(&node);
        let alive = self.hosts.keys().copied().collect();
        self.view.apply(&ViewCommand::Remove { node, alive });
        self.install_everywhere();
    }

    fn perform(&mut self, node: NodeId, effects: Vec<(SlotId, Effect)>) {
        let mut queue: VecDeque<(SlotId, Effect)> = effects.into();
        let mut touched: BTreeSet<SlotId> = (0..N_SLOTS).map(SlotId).collect();
        loop {
            while let Some((id, effect)) = queue.pop_front() {
                touched.insert(id);
                let mut out = Vec::new();
                self.carry_out(node, id, effect, &mut out);
                queue.extend(out.into_iter().map(|effect| (id, effect)));
            }
            let Some(id) = touched.pop_first() else { return };
            let mut out = Vec::new();
            if let Some(host) = self.hosts.get_mut(&node) {
                host.ship(id, &mut out);
            }
            queue.extend(out.into_iter().map(|effect| (id, effect)));
        }
    }

    fn carry_out(&mut self, node: NodeId, id: SlotId, effect: Effect, out: &mut Vec<Effect>) {
        let Some(slot) = self.hosts.get_mut(&node).and_then(|host| host.slot_mut(id)) else { return };
        match effect {
            Effect::Apply { .. } | Effect::Image { .. } if self.hold_actors => self.held.push((node, id, effect)),
            Effect::Apply { object, entry } => {
                let mut outcomes = Outcomes::default();
                let instance = slot.objects().get(object).expect("the object is there").instance().clone();
                instance.borrow_mut().apply(&entry, &mut self.scratch.borrow_mut(), &mut outcomes);
                slot.handle_outcomes(object, outcomes, self.leased, out);
            }
            Effect::Image { object } => {
                let image = slot.objects().get(object).and_then(|entry| entry.instance().borrow().to_image());
                slot.handle_image(object, image, out);
            }
            Effect::Send { to, message } => self.network.push_back((node, to, message)),
            Effect::Reply { call, answer } => self.answers.push((node, call, answer)),
            Effect::Propose(command) => self.proposed.push(command),
            Effect::Nested { object, call, .. } => self.nested.push((node, id, object, call)),
            Effect::Serving { .. } | Effect::Dropped => {}
        }
    }

    /// Lets the objects' actors go on.
    pub(crate) fn release_actors(&mut self) {
        self.hold_actors = false;
        for (node, id, effect) in std::mem::take(&mut self.held) {
            self.perform(node, vec![(id, effect)]);
        }
    }

    /// A nested call is answered, maybe not for the first time.
    pub(crate) fn answer_nested(
        &mut self,
        (node, id, object, call): &(NodeId, SlotId, ObjectNumber, NestedCall),
        reply: &impl Serialize,
    ) {
        let result = Ok(postcard::to_allocvec(reply).expect("encodes").into());
        let (now, mut effects) = (self.now(), Vec::new());
        let slot = self.hosts.get_mut(node).and_then(|host| host.slot_mut(*id)).expect("the primary has the slot");
        slot.handle_nested_reply(*object, (call.call.lane, call.call.sequence), result, now, &mut effects);
        self.perform(*node, effects.into_iter().map(|effect| (*id, effect)).collect());
    }

    pub(crate) fn slot_of<T: Object>(&self, key: &str) -> SlotId {
        slot_of(hash_object(JobId::DEFAULT, T::NAME, key), usize::from(N_SLOTS))
    }

    /// Who orders the calls of an object.
    pub(crate) fn primary_of<T: Object>(&self, key: &str) -> NodeId {
        let slot = self.slot_of::<T>(key);
        self.view.placement(slot).and_then(|placement| placement.primary).expect("it has a primary")
    }

    /// A call with an id of its own, which arrives at the primary.
    pub(crate) fn send<T: Object>(
        &mut self,
        session: u64,
        key: &str,
        method: &str,
        arguments: &impl Serialize,
    ) -> CallId {
        self.next_lane += 1;
        let call = CallId { session: SessionId(session), lane: Lane(self.next_lane), sequence: Sequence(1) };
        self.send_as::<T>(call, key, method, arguments);
        call
    }

    /// A call, or a retry of it.
    pub(crate) fn send_as<T: Object>(&mut self, call: CallId, key: &str, method: &str, arguments: &impl Serialize) {
        self.send_made::<T>(call, key, method, arguments, Wanted::Anything);
    }

    pub(crate) fn send_made<T: Object>(
        &mut self,
        call: CallId,
        key: &str,
        method: &str,
        arguments: &impl Serialize,
        construction: Wanted,
    ) {
        let number = T::TYPE.method_number(method).expect("there is such a method");
        let arguments = postcard::to_allocvec(arguments).expect("encodes").into();
        self.send_number::<T>(call, key, number, arguments, construction);
    }

    /// A call of a method that every object has.
    pub(crate) fn send_system<T: Object>(&mut self, key: &str, method: u16) -> CallId {
        self.send_system_made::<T>(key, method, Wanted::Anything)
    }

    pub(crate) fn send_system_made<T: Object>(&mut self, key: &str, method: u16, construction: Wanted) -> CallId {
        self.next_lane += 1;
        let call = CallId { session: SessionId(1), lane: Lane(self.next_lane), sequence: Sequence(1) };
        self.send_number::<T>(call, key, method, Bytes::new(), construction);
        call
    }

    fn send_number<T: Object>(&mut self, call: CallId, key: &str, method: u16, arguments: Bytes, construction: Wanted) {
        let node = self.primary_of::<T>(key);
        let id = self.slot_of::<T>(key);
        let (now, hash) = (self.now(), hash_object(JobId::DEFAULT, T::NAME, key));
        let arrival = Arrival {
            call,
            owner: Owner::Session(call.session),
            object: ObjectName { hash, job: JobId::DEFAULT, object_type: T::TYPE, key },
            method,
            arguments,
            construction,
            durability: self.durability,
            retry: self.retries,
            deadline_ms: None,
            chain: &[],
        };
        let mut effects = Vec::new();
        let slot = self.hosts.get_mut(&node).and_then(|host| host.slot_mut(id)).expect("the primary has the slot");
        slot.handle_call(arrival, now, &mut effects);
        self.perform(node, effects.into_iter().map(|effect| (id, effect)).collect());
    }

    /// Tells the primary of a slot that an attempt of a cloud thread has ended.
    pub(crate) fn end_attempt(&mut self, asked: CallId, slot: SlotId, end: AttemptEnd) {
        let node = self.view.placement(slot).and_then(|placement| placement.primary).expect("it has a primary");
        let (now, mut effects) = (self.now(), Vec::new());
        let copy = self.hosts.get_mut(&node).and_then(|host| host.slot_mut(slot)).expect("the primary has the slot");
        copy.handle_attempt_end(asked, end, now, &mut effects);
        self.perform(node, effects.into_iter().map(|effect| (slot, effect)).collect());
    }

    /// Takes the answer of a call, whichever node gave it.
    pub(crate) fn answer(&mut self, call: CallId) -> Option<Answer> {
        let position = self.answers.iter().position(|(_, answered, _)| *answered == call)?;
        Some(self.answers.remove(position).2)
    }

    pub(crate) fn value<R: DeserializeOwned>(&mut self, call: CallId) -> R {
        let answer = self.answer(call).expect("the call is answered");
        postcard::from_bytes(&answer.result.expect("the call has a value")).expect("decodes")
    }

    /// The encoded state of an object on each node that has it.
    pub(crate) fn states<T: Object>(&self, key: &str) -> Vec<(NodeId, Option<Bytes>)> {
        let id = self.slot_of::<T>(key);
        let hash = hash_object(JobId::DEFAULT, T::NAME, key);
        let name = ObjectName { hash, job: JobId::DEFAULT, object_type: T::TYPE, key };
        let state = |slot: &Slot| {
            let entry = slot.objects().get(slot.objects().find(name)?)?;
            entry.instance().borrow().encoded_state().map(Bytes::from)
        };
        let copies = self.hosts.iter().filter_map(|(&node, host)| Some((node, state(host.slot(id)?))));
        copies.collect()
    }
}

/// How an object is made with these arguments.
pub(crate) fn made_with(arguments: &impl Serialize) -> Wanted {
    Wanted::Arguments(Construction::new(postcard::to_allocvec(arguments).expect("encodes").into()))
}
