//! Nested calls that are out, and the streams that carry those for other shards and nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use bytes::Bytes;
use greenroom_actors::wire::{self, Hello, Request, parts};
use greenroom_actors::{
    CallId, Fault, Incarnation, JobId, NestedCall, NodeId, NodeLayout, ObjectNumber, PeerMessage, Refusal, SessionId,
    ShardId, SlotId, hash_object,
};
use greenroom_rpc::{LinkError, Outbox, PushError};
use hashbrown::HashMap;

use crate::place::{Installed, Place};
use crate::shard::{LinkClosed, LinkOpen, PeerFrames, Shard};

const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// The mean pause after a failed dial.
const BACKOFF: Duration = Duration::from_millis(100);
/// Answers to another copy that wait for a stream at most; what is beyond is asked for again.
const WAITING_MAX: usize = 4096;

/// A nested call, and the object that made it.
#[derive(Clone, Debug)]
pub(crate) struct NestedOrigin {
    pub(crate) slot: SlotId,
    pub(crate) object: ObjectNumber,
    pub(crate) job: JobId,
    pub(crate) call: NestedCall,
}

impl NestedOrigin {
    /// The hash of the object that is called.
    pub(crate) fn target_hash(&self) -> u64 {
        hash_object(self.job, self.call.object_type.name, &self.call.key)
    }
}

/// A nested call that is on its way to another shard.
struct Outgoing {
    origin: NestedOrigin,
    target: SlotId,
    /// The process that it was sent to.
    sent_to: Option<Incarnation>,
}

/// The nested calls of a shard's objects.
pub(crate) struct Peers {
    place: Arc<Place>,
    address: Addr<Shard>,
    session: SessionId,
    local: HashMap<CallId, NestedOrigin>,
    outgoing: HashMap<CallId, Outgoing>,
    deadlines: BTreeSet<(u64, CallId)>,
    /// Calls that will have no answer, and why.
    lost: Vec<(CallId, Fault)>,
    links: HashMap<NodeId, Link>,
    /// The view that the shard goes by.
    installed: Arc<Installed>,
    /// Calls that were refused for the time being.
    held: Vec<CallId>,
}

/// The streams to one node.
#[derive(Default)]
struct Link {
    layout: Option<Arc<NodeLayout>>,
    outboxes: HashMap<ShardId, Arc<Outbox>>,
    /// Shards to which a stream is being opened; `None` while the layout is being asked for.
    opening: BTreeSet<Option<ShardId>>,
    /// Answers to other copies that wait for a stream.
    waiting: Vec<PeerMessage>,
    /// Slots about which something else was to be said; it is said again when there is a stream.
    unsaid: BTreeSet<SlotId>,
}

impl Peers {
    pub(crate) fn new(place: Arc<Place>, address: Addr<Shard>) -> Self {
        let session = SessionId::of_client(rand::random());
        let mut links: HashMap<NodeId, Link> = HashMap::new();
        let installed = place.newest();
        let layout = Some(Arc::new(place.layout.clone()));
        links.insert(place.layout.node, Link { layout, ..Link::default() });
        Self {
            place,
            address,
            session,
            local: HashMap::new(),
            outgoing: HashMap::new(),
            deadlines: BTreeSet::new(),
            lost: Vec::new(),
            links,
            installed,
            held: Vec::new(),
        }
    }

    /// Notes a call to an object of this shard.
    pub(crate) fn note_local(&mut self, origin: NestedOrigin) {
        self.deadlines.insert((origin.call.deadline_ms, origin.call.call));
        self.local.insert(origin.call.call, origin);
    }

    /// The origin of a call to an object of this shard, now that it is answered.
    pub(crate) fn take_local(&mut self, call: CallId) -> Option<NestedOrigin> {
        let origin = self.local.remove(&call)?;
        self.deadlines.remove(&(origin.call.deadline_ms, call));
        Some(origin)
    }

    /// The origin of a call to another shard, now that it is answered.
    pub(crate) fn take(&mut self, call: CallId) -> Option<NestedOrigin> {
        let outgoing = self.outgoing.remove(&call)?;
        self.deadlines.remove(&(outgoing.origin.call.deadline_ms, call));
        Some(outgoing.origin)
    }

    /// Calls whose deadline has passed without an answer, or whose process is gone. The deadline leaves room for the
    /// target's own answer first.
    pub(crate) fn expired(&mut self, now_ms: u64) -> Vec<(NestedOrigin, Fault)> {
        const ROOM_MS: u64 = 500;
        let mut expired = Vec::new();
        for (call, fault) in std::mem::take(&mut self.lost) {
            expired.extend(self.take(call).map(|origin| (origin, fault)));
        }
        while let Some(&(deadline_ms, call)) = self.deadlines.first() {
            if deadline_ms.saturating_add(ROOM_MS) > now_ms {
                break;
            }
            self.deadlines.pop_first();
            let origin = self.local.remove(&call).or_else(|| Some(self.outgoing.remove(&call)?.origin));
            let why = "no answer before the nested call's deadline".to_owned();
            expired.extend(origin.map(|origin| (origin, Fault::Unknown { why })));
        }
        expired
    }

    /// Sends a call to the shard that serves `target`, as soon as there is a stream.
    pub(crate) fn send(&mut self, origin: NestedOrigin, target: SlotId) {
        let call = origin.call.call;
        self.deadlines.insert((origin.call.deadline_ms, call));
        self.outgoing.insert(call, Outgoing { origin, target, sent_to: None });
        self.push(call);
    }

    /// Sends a call that was refused for the time being, a little later.
    pub(crate) fn send_later(&mut self, origin: NestedOrigin, target: SlotId) {
        let call = origin.call.call;
        self.deadlines.insert((origin.call.deadline_ms, call));
        self.outgoing.insert(call, Outgoing { origin, target, sent_to: None });
        self.held.push(call);
    }

    /// A call that is out was refused for the time being.
    pub(crate) fn hold(&mut self, call: CallId) {
        self.held.push(call);
    }

    /// Sends the calls that were refused for the time being.
    pub(crate) fn push_held(&mut self) {
        for call in std::mem::take(&mut self.held) {
            self.push(call);
        }
    }

    /// Whether an answer only says that the object is served elsewhere, or will be in a moment.
    pub(crate) fn asks_again(&self, result: &Result<Bytes, Fault>) -> bool {
        let may = matches!(
            result,
            Err(Fault::Moved | Fault::Refused(Refusal::WrongPlace | Refusal::Stopping | Refusal::Unavailable(_)))
        );
        // Fixed members do not change, so neither would the answer.
        may && self.place.proposals.is_some()
    }

    /// The view has changed: calls go to where their objects are now.
    pub(crate) fn reroute(&mut self, installed: Arc<Installed>) {
        let table = &self.installed.table;
        let moved = |target: SlotId| {
            table.place(target).map(|place| place.primary) != installed.table.place(target).map(|place| place.primary)
        };
        let mut calls: Vec<CallId> =
            self.outgoing.iter().filter(|(_, outgoing)| moved(outgoing.target)).map(|(&call, _)| call).collect();
        calls.sort_unstable();
        self.links.retain(|node, link| installed.table.member(*node).is_some() || !link.opening.is_empty());
        self.installed = installed;
        for call in calls {
            self.push(call);
        }
    }

    /// Says something to another copy, if there is a stream; if not, one is opened. Answers wait for it; all else will be said
    /// again then.
    pub(crate) fn tell(&mut self, node: NodeId, message: &PeerMessage) {
        if self.installed.table.member(node).is_none() {
            return;
        }
        let me = self.place.layout.node;
        let link = self.links.entry(node).or_default();
        let shard = link.layout.as_ref().map(|layout| layout.shard_of(message.slot));
        if let Some(outbox) = shard.and_then(|shard| link.outboxes.get(&shard)) {
            match outbox.push(|out| wire::encode_peer(me, message, out)) {
                Ok(()) => return,
                Err(PushError::TooLarge(bytes)) => {
                    let slot = message.slot.0;
                    return tracing::error!(
                        node = node.0,
                        slot,
                        bytes,
                        "what has to be copied is larger than a node takes"
                    );
                }
                Err(PushError::Closed | PushError::Full) => {}
            }
        }
        if !message.body.is_answer() {
            link.unsaid.insert(message.slot);
        } else if link.waiting.len() < WAITING_MAX {
            link.waiting.push(message.clone());
        }
        self.open(node, shard);
    }

    /// A stream to the node is there, or it is known what streams there may be.
    fn tell_waiting(&mut self, node: NodeId) {
        let link = self.links.entry(node).or_default();
        let (waiting, unsaid) = (std::mem::take(&mut link.waiting), std::mem::take(&mut link.unsaid));
        for message in waiting {
            self.tell(node, &message);
        }
        for slot in unsaid {
            let link = self.links.entry(node).or_default();
            let shard = link.layout.as_ref().map(|layout| layout.shard_of(slot));
            if shard.is_none_or(|shard| !link.outboxes.contains_key(&shard)) {
                self.open(node, shard);
            }
        }
    }

    fn open(&mut self, node: NodeId, shard: Option<ShardId>) {
        let link = self.links.entry(node).or_default();
        if link.opening.insert(shard) {
            let hello = Hello {
                cluster: self.installed.table.cluster,
                node,
                session: self.session,
                shard: shard.unwrap_or_default(),
                ..Hello::default()
            };
            let at = self.installed.table.member(node).map(|member| member.address.clone()).unwrap_or_default();
            let dial = Dial { hello, shard, layout: link.layout.clone(), at };
            actix_rt::spawn(dial.run(self.address.clone()));
        }
    }

    fn push(&mut self, call: CallId) {
        let Some(outgoing) = self.outgoing.get_mut(&call) else { return };
        let Some(at) = self.installed.table.place(outgoing.target) else { return };
        let node = at.primary;
        let link = self.links.entry(node).or_default();
        let shard = link.layout.as_ref().map(|layout| layout.shard_of(outgoing.target));
        if let Some(outbox) = shard.and_then(|shard| link.outboxes.get(&shard)) {
            let incarnation = link.layout.as_ref().map(|layout| layout.incarnation);
            if self.place.proposals.is_none() && outgoing.sent_to.is_some() && outgoing.sent_to != incarnation {
                // The process that has it, or had it, is gone; another one must not run it a second time.
                let why = "the node that served the object is gone".to_owned();
                return self.lost.push((call, Fault::Unknown { why }));
            }
            let retry = outgoing.sent_to.is_some() || outgoing.origin.call.again;
            outgoing.sent_to = incarnation;
            let request = request(outgoing, at.epoch, retry);
            match outbox.push(|out| request.encode(out)) {
                Ok(()) => return,
                Err(PushError::TooLarge(bytes)) => {
                    let bytes_max = self.place.options.frame_bytes_max as u64;
                    let refusal = Refusal::TooLarge { bytes: bytes as u64, bytes_max };
                    return self.lost.push((call, Fault::Refused(refusal)));
                }
                Err(PushError::Closed | PushError::Full) => {}
            }
        }
        self.open(node, shard);
    }

    /// A stream, or at first only the layout of a node, is there.
    pub(crate) fn opened(&mut self, open: LinkOpen) {
        let link = self.links.entry(open.node).or_default();
        link.opening.remove(&open.asked);
        link.layout = Some(open.layout);
        if let Some((shard, outbox)) = open.stream {
            link.outboxes.insert(shard, outbox);
        }
        self.tell_waiting(open.node);
        self.push_all(open.node);
    }

    /// A stream has broken, or could not be opened.
    pub(crate) fn closed(&mut self, closed: &LinkClosed) {
        let link = self.links.entry(closed.node).or_default();
        link.opening.remove(&closed.shard);
        // Whoever waits for an answer asks again.
        link.waiting.clear();
        link.unsaid.clear();
        if let Some(shard) = closed.shard {
            link.outboxes.remove(&shard);
        }
        if closed.node != self.place.layout.node {
            // The node may come back as another process, with other shards.
            link.layout = None;
        }
        self.push_all(closed.node);
    }

    fn push_all(&mut self, node: NodeId) {
        let mut calls: Vec<CallId> = self.outgoing.keys().copied().collect();
        calls.sort_unstable();
        calls.retain(|call| {
            let target = self.outgoing.get(call).map(|outgoing| outgoing.target);
            target.and_then(|target| self.installed.table.place(target)).is_some_and(|at| at.primary == node)
        });
        for call in calls {
            self.push(call);
        }
    }
}

fn request(outgoing: &Outgoing, epoch: greenroom_actors::Epoch, retry: bool) -> Request<'_> {
    let call = &outgoing.origin.call;
    Request {
        flags: if retry { parts::RETRY } else { 0 },
        lane: call.call.lane,
        sequence: call.call.sequence,
        slot: outgoing.target,
        epoch,
        method: call.method,
        fingerprint: call.object_type.fingerprint(),
        type_name: call.object_type.name,
        key: &call.key,
        job: outgoing.origin.job,
        session: Some(call.call.session),
        deadline_ms: Some(call.deadline_ms),
        parent: Some(call.parent),
        chain: call.chain.clone(),
        construction: call.construction.as_ref().map(|made| made.hash),
        construction_arguments: call.construction.as_ref().map(|made| made.arguments.clone()),
        durability: call.durability,
        arguments: call.arguments.clone(),
        ..Request::default()
    }
}

/// Opens a stream, or learns a node's layout.
struct Dial {
    hello: Hello,
    shard: Option<ShardId>,
    layout: Option<Arc<NodeLayout>>,
    /// Where the node answers control calls.
    at: String,
}

/// How a dial ended.
enum Dialled {
    /// The node's layout is known now; the shard asks for a stream next.
    Layout(LinkOpen),
    /// There was a stream, and it has ended.
    Ended,
}

impl Dial {
    async fn run(self, shard: Addr<Shard>) {
        let node = self.hello.node;
        match self.try_run(&shard).await {
            Ok(Dialled::Layout(open)) => return shard.do_send(open),
            Ok(Dialled::Ended) => {}
            Err(error) => {
                tracing::debug!(node = node.0, %error, "no stream to a peer");
                tokio::time::sleep(BACKOFF.mul_f64(0.5 + rand::random::<f64>())).await;
            }
        }
        shard.do_send(LinkClosed { node, shard: self.shard });
    }

    async fn try_run(&self, address: &Addr<Shard>) -> Result<Dialled, LinkError> {
        let node = self.hello.node;
        let (Some(layout), Some(shard)) = (&self.layout, self.shard) else {
            let (_, layout) = greenroom_rpc::describe(&self.at, DIAL_TIMEOUT).await?;
            return Ok(Dialled::Layout(LinkOpen { node, asked: None, layout: Arc::new(layout), stream: None }));
        };
        let Some(at) = layout.shards.get(usize::from(shard.0)) else { return Ok(Dialled::Ended) };
        let hello = Hello { incarnation: layout.incarnation, ..self.hello.clone() };
        let mut link = greenroom_rpc::open(at, &hello, DIAL_TIMEOUT).await?;
        let stream = Some((shard, link.outbox));
        address.do_send(LinkOpen { node, asked: Some(shard), layout: Arc::clone(layout), stream });
        loop {
            let mut frames = Vec::new();
            let more = link.inbound.next(&mut frames).await;
            address.do_send(PeerFrames(frames));
            if !more? {
                return Ok(Dialled::Ended);
            }
        }
    }
}

/// What a peer's refusal means to the object that made the call.
pub(crate) fn nested_result(result: Result<Bytes, Fault>) -> Result<Bytes, Fault> {
    match result {
        Err(Fault::Refused(Refusal::WrongPlace | Refusal::Stopping)) => {
            Err(Fault::Refused(Refusal::Unavailable("the node that serves the object is stopping".to_owned())))
        }
        Err(Fault::Refused(Refusal::SessionEnded)) => {
            Err(Fault::Unknown { why: "the node that served the object has lost track of the call".to_owned() })
        }
        other => other,
    }
}
