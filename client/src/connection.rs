//! A client's connection to one shard of one process: the stream, and the calls that are out on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use greenroom_actors::wire::{self, Frame, Hello, HelloRefusal, Request};
use greenroom_actors::{
    ClusterId, Fault, Incarnation, JobId, Lane, NodeId, Sequence, SessionId, ShardId, SlotId, SlotTable,
};
use greenroom_rpc::{Inbound, LinkError, OpenLink, Outbox, PushError};
use hashbrown::HashMap;
use tokio::sync::oneshot;

use crate::client::Shared;

/// How long opening a stream may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses between tries to open a broken stream again, and for how long that is tried without an answer.
const REOPEN_FIRST: Duration = Duration::from_millis(5);
const REOPEN_MAX: Duration = Duration::from_secs(1);
const REOPEN_FOR: Duration = Duration::from_secs(60);
/// Cancellations that are kept for a broken stream; beyond it they are left to the end of the session.
const CANCELS_MAX: usize = 100_000;
/// How often calls are checked for their deadlines.
const EXPIRY_TICK: Duration = Duration::from_millis(20);

/// What became of a call that was sent.
#[derive(Debug)]
pub(crate) enum Event {
    /// It was answered.
    Answered(Result<Bytes, Fault>),
    /// The stream broke: the call may have arrived.
    Broken(String),
    /// The process is gone, and with it what only it held.
    Gone(String),
    /// Its time is over.
    Expired,
}

/// Why a call could not be put on the stream. It has not been sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    /// There is no stream now; this tells when that changes.
    Opening(oneshot::Receiver<Result<(), String>>),
    /// The process is gone.
    Gone(String),
    /// The call is too large.
    TooLarge { bytes: usize, bytes_max: usize },
}

/// Tells a caller that the stream is open, or why it is not.
type Opened = oneshot::Sender<Result<(), String>>;

/// Where a connection leads.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) shard: ShardId,
}

/// A call that is out.
#[derive(Debug)]
struct Pending {
    slot: SlotId,
    sequence: Sequence,
    expires: Option<Instant>,
    /// `None` once its caller has gone: the lane stays taken until the answer.
    done: Option<oneshot::Sender<Event>>,
}

#[derive(Debug, Default)]
enum Stream {
    #[default]
    Closed,
    Opening(Vec<Opened>),
    Open {
        outbox: Arc<Outbox>,
        session: SessionId,
        frame_bytes_max: usize,
    },
    Gone(String),
}

#[derive(Debug, Default)]
struct State {
    stream: Stream,
    pending: HashMap<Lane, Pending>,
    acks: Vec<(SlotId, Lane, Sequence)>,
    /// Encoded cancellations that wait for the stream to open again.
    cancels: Vec<BytesMut>,
    /// The session that has been registered with the process.
    registered: Option<SessionId>,
    ticking: bool,
}

/// A connection to one shard of one process of a node. It reopens its stream for as long as that process lives.
#[derive(Debug)]
pub(crate) struct Connection {
    target: Target,
    state: Mutex<State>,
}

impl Connection {
    pub(crate) fn new(target: Target) -> Arc<Self> {
        Arc::new(Self { target, state: Mutex::default() })
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a call on the stream; the receiver tells what becomes of it.
    pub(crate) fn send(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        mut request: Request<'_>,
        expires: Option<Instant>,
    ) -> Result<oneshot::Receiver<Event>, NotSent> {
        let mut state = self.lock();
        let state = &mut *state;
        let (outbox, frame_bytes_max) = match &mut state.stream {
            Stream::Open { outbox, session, frame_bytes_max } => {
                if request.session == Some(*session) {
                    request.session = None;
                }
                (outbox, *frame_bytes_max)
            }
            Stream::Gone(why) => return Err(NotSent::Gone(why.clone())),
            Stream::Opening(waiting) => {
                let (tell, told) = oneshot::channel();
                waiting.push(tell);
                return Err(NotSent::Opening(told));
            }
            Stream::Closed => {
                let (tell, told) = oneshot::channel();
                state.stream = Stream::Opening(vec![tell]);
                shared.spawn(Arc::clone(self).live(Arc::downgrade(shared)));
                return Err(NotSent::Opening(told));
            }
        };
        if request.arguments.len() > frame_bytes_max {
            return Err(NotSent::TooLarge { bytes: request.arguments.len(), bytes_max: frame_bytes_max });
        }
        request.acks = std::mem::take(&mut state.acks);
        match outbox.push(|out| request.encode(out)) {
            Ok(()) => {
                if let Some(session) = request.session {
                    // The node knows it from now on, beside the stream's own.
                    state.registered = Some(session);
                }
            }
            Err(PushError::TooLarge(bytes)) => return Err(NotSent::TooLarge { bytes, bytes_max: frame_bytes_max }),
            // The reader will find that the stream has ended, and then it is opened again.
            Err(PushError::Closed | PushError::Full) => {
                let (tell, told) = oneshot::channel();
                let _ = tell.send(Err("the stream is closing".to_owned()));
                return Err(NotSent::Opening(told));
            }
        }
        let (done, event) = oneshot::channel();
        let pending = Pending { slot: request.slot, sequence: request.sequence, expires, done: Some(done) };
        state.pending.insert(request.lane, pending);
        if expires.is_some() && !std::mem::replace(&mut state.ticking, true) {
            shared.spawn(Arc::clone(self).tick());
        }
        Ok(event)
    }

    /// The caller of a call has gone: its lane stays taken until the answer, and a parked call is told to leave.
    pub(crate) fn abandon(&self, lane: Lane, cancel: Option<Request<'_>>) {
        let mut state = self.lock();
        let state = &mut *state;
        if let Some(pending) = state.pending.get_mut(&lane) {
            pending.done = None;
        }
        let Some(cancel) = cancel else { return };
        let sent = match &state.stream {
            Stream::Open { outbox, .. } => outbox.push(|out| cancel.encode(out)).is_ok(),
            Stream::Gone(_) => return,
            Stream::Closed | Stream::Opening(_) => false,
        };
        if !sent && state.cancels.len() < CANCELS_MAX {
            let mut encoded = BytesMut::new();
            cancel.encode(&mut encoded);
            state.cancels.push(encoded);
        }
    }

    /// The caller of a call has taken its reply, which the node need not keep any longer.
    pub(crate) fn acknowledge(&self, call: (SlotId, Lane, Sequence)) {
        self.lock().acks.push(call);
    }

    /// Says farewell, so that the node forgets the session at once.
    pub(crate) fn goodbye(&self) -> Option<Arc<Outbox>> {
        let state = self.lock();
        let Stream::Open { outbox, .. } = &state.stream else { return None };
        outbox.push(wire::encode_goodbye).ok()?;
        outbox.close();
        Some(Arc::clone(outbox))
    }

    /// Keeps a stream open for as long as the process at its other end can be reached: the session, and what it holds,
    /// lives with it. Once nobody answers for a while, the next call begins anew.
    async fn live(self: Arc<Self>, shared: Weak<Shared>) {
        let mut backoff = REOPEN_FIRST;
        let mut unanswered = Duration::ZERO;
        loop {
            if self.open(&shared).await {
                (backoff, unanswered) = (REOPEN_FIRST, Duration::ZERO);
            }
            tokio::time::sleep(backoff).await;
            unanswered += backoff;
            backoff = (backoff * 2).min(REOPEN_MAX);
            let mut state = self.lock();
            let idle = matches!(state.stream, Stream::Closed);
            // Else another task opens it already, the process is gone, or there is no session to keep.
            if !idle || state.registered.is_none() || unanswered >= REOPEN_FOR {
                return;
            }
            state.stream = Stream::Opening(Vec::new());
        }
    }

    /// Opens a stream and reads it to its end; whether there was one.
    async fn open(&self, shared: &Weak<Shared>) -> bool {
        let Some(client) = shared.upgrade() else {
            self.lock().stream = Stream::Gone("the client is shutting down".to_owned());
            return false;
        };
        let registered = self.lock().registered;
        let session = client.session();
        let hello = Hello {
            cluster: self.target.cluster,
            node: self.target.node,
            incarnation: self.target.incarnation,
            shard: self.target.shard,
            session,
            resume: registered == Some(session),
            owned_job: client.owned_job(),
            credential: Bytes::new(),
        };
        drop(client);
        let opened = greenroom_rpc::open(&self.target.address, &hello, OPEN_TIMEOUT).await;
        let Some((waiting, inbound)) = self.note_opened(opened, &hello, shared) else { return false };
        for tell in waiting {
            let _ = tell.send(Ok(()));
        }
        self.read(inbound, shared).await;
        true
    }

    /// Returns who waits for the stream, and the stream, if there is one.
    fn note_opened(
        &self,
        opened: Result<OpenLink, LinkError>,
        hello: &Hello,
        shared: &Weak<Shared>,
    ) -> Option<(Vec<Opened>, Inbound)> {
        let mut state = self.lock();
        let next = match &opened {
            Ok(link) => Stream::Open {
                outbox: Arc::clone(&link.outbox),
                session: hello.session,
                frame_bytes_max: link.frame_bytes_max,
            },
            Err(LinkError::Refused { refusal: HelloRefusal::Place { .. }, .. }) => {
                Stream::Gone("the node was started anew, and what only it held is gone".to_owned())
            }
            Err(LinkError::Refused { refusal: HelloRefusal::SessionEnded, .. }) => {
                if let Some(shared) = shared.upgrade() {
                    shared.renew_session(hello.session);
                }
                state.registered = None;
                Stream::Closed
            }
            Err(_) => Stream::Closed,
        };
        let Stream::Opening(waiting) = std::mem::replace(&mut state.stream, next) else { return None };
        match opened {
            Ok(link) => {
                state.registered = Some(hello.session);
                for cancel in state.cancels.drain(..) {
                    // A stream that breaks at once takes the session's grace period for it.
                    let _ = link.outbox.push(|out| out.extend_from_slice(&cancel));
                }
                Some((waiting, link.inbound))
            }
            Err(error) => {
                drop(state);
                for tell in waiting {
                    let _ = tell.send(Err(error.to_string()));
                }
                None
            }
        }
    }

    async fn read(&self, mut inbound: Inbound, shared: &Weak<Shared>) {
        let mut frames = Vec::new();
        let mut done = Vec::new();
        let end = loop {
            // What came before the end counts, a farewell above all.
            let more = inbound.next(&mut frames).await;
            let farewell = self.take_frames(&mut frames, shared, &mut done);
            for (tell, event) in done.drain(..) {
                // A caller that has gone since needs no answer.
                let _ = oneshot::Sender::send(tell, event);
            }
            // The callers that were just answered make their next calls before the next batch is read.
            tokio::task::yield_now().await;
            if farewell {
                break Event::Gone(format!("the node at {} has stopped", self.target.address));
            }
            match more {
                Ok(true) => {}
                Ok(false) => break Event::Broken(format!("{} closed the stream", self.target.address)),
                Err(error) => break Event::Broken(error.to_string()),
            }
        };
        self.end(&end);
    }

    /// Sorts replies to their callers; whether the node said farewell.
    fn take_frames(
        &self,
        frames: &mut Vec<Bytes>,
        shared: &Weak<Shared>,
        done: &mut Vec<(oneshot::Sender<Event>, Event)>,
    ) -> bool {
        let mut farewell = false;
        // Decoded before the lock is taken, so that callers hardly ever wait for it.
        let mut replies = Vec::with_capacity(frames.len());
        for frame in frames.drain(..) {
            match wire::decode(&frame) {
                Ok(Frame::Reply(reply)) => replies.push(reply),
                Ok(Frame::Table(bytes)) => {
                    if let (Ok(table), Some(shared)) = (postcard::from_bytes::<SlotTable>(&bytes), shared.upgrade()) {
                        shared.learn(table);
                    }
                }
                Ok(Frame::Goodbye) => farewell = true,
                Ok(Frame::Hello(_) | Frame::Welcome(_) | Frame::Request(_)) | Err(_) => {
                    tracing::warn!(address = self.target.address, "the node sent a frame that does not belong here");
                }
            }
        }
        let mut state = self.lock();
        for reply in replies {
            state.answered(reply, shared, done);
        }
        if let Stream::Open { outbox, .. } = &state.stream {
            outbox.expect(done.len());
        }
        farewell
    }

    /// The stream has ended: every call that is out on it learns so.
    fn end(&self, end: &Event) {
        let (next, event): (Stream, fn(String) -> Event) = match end {
            Event::Gone(why) => (Stream::Gone(why.clone()), Event::Gone),
            Event::Answered(_) | Event::Broken(_) | Event::Expired => (Stream::Closed, Event::Broken),
        };
        let why = match end {
            Event::Gone(why) | Event::Broken(why) => why.clone(),
            Event::Answered(_) | Event::Expired => String::new(),
        };
        let mut state = self.lock();
        state.stream = next;
        let pending = std::mem::take(&mut state.pending);
        drop(state);
        let mut pending: Vec<(Lane, Pending)> = pending.into_iter().collect();
        pending.sort_unstable_by_key(|(lane, _)| *lane);
        for (_, call) in pending {
            if let Some(done) = call.done {
                let _ = done.send(event(why.clone()));
            }
        }
    }

    /// Ends calls whose time is over, for as long as there are any.
    async fn tick(self: Arc<Self>) {
        loop {
            tokio::time::sleep(EXPIRY_TICK).await;
            let now = Instant::now();
            let mut state = self.lock();
            let over: Vec<Lane> = state
                .pending
                .iter()
                .filter(|(_, call)| call.expires.is_some_and(|expires| expires <= now))
                .map(|(lane, _)| *lane)
                .collect();
            let mut done = Vec::new();
            for lane in over {
                // The lane is lost: nobody knows any more what became of its call.
                done.extend(state.pending.remove(&lane).and_then(|call| call.done));
            }
            let more = state.pending.values().any(|call| call.expires.is_some());
            state.ticking = more;
            drop(state);
            for tell in done {
                let _ = tell.send(Event::Expired);
            }
            if !more {
                return;
            }
        }
    }
}

impl State {
    fn answered(&mut self, reply: wire::Reply, shared: &Weak<Shared>, done: &mut Vec<(oneshot::Sender<Event>, Event)>) {
        let known = self.pending.get(&reply.lane).is_some_and(|call| call.sequence == reply.sequence);
        if !known {
            // Its caller's time was over.
            return;
        }
        let Some(call) = self.pending.remove(&reply.lane) else { return };
        match call.done {
            Some(tell) => done.push((tell, Event::Answered(reply.result))),
            None => {
                if let Some(shared) = shared.upgrade() {
                    shared.give_back(call.slot, reply.lane, reply.sequence);
                }
            }
        }
    }
}

/// A job that ends with the client's session, if it has one of its own.
pub(crate) type OwnedJob = Option<JobId>;
