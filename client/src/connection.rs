//! A client's connection to one shard of one process: the stream, and the calls that are out on it.

mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use greenroom_actors::wire::{self, Frame, Hello, HelloRefusal, Request};
use greenroom_actors::{ClusterId, Incarnation, Lane, NodeId, ShardId, SlotId};
use greenroom_rpc::{Inbound, LinkError, OpenLink, PushError};
use tokio::sync::{Notify, oneshot};

use crate::client::Shared;
use crate::cloud::attempt::Attempt;
use crate::pending::{Answered, Event, FreeLane, NotSent};
use crate::process::process_name;

pub(crate) use state::OwnedJob;
use state::{Opened, State, Stream};

/// How long opening a stream may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// Pauses between tries to open a broken stream again, and for how long that is tried without an answer.
const REOPEN_FIRST: Duration = Duration::from_millis(5);
const REOPEN_MAX: Duration = Duration::from_secs(1);
const REOPEN_FOR: Duration = Duration::from_secs(60);
/// How often calls are checked for their deadlines.
const EXPIRY_TICK: Duration = Duration::from_millis(20);

/// Where a connection leads.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) cluster: ClusterId,
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) shard: ShardId,
}

/// A connection to one shard of one process of a node. It reopens its stream for as long as that process lives.
#[derive(Debug)]
pub(crate) struct Connection {
    target: Target,
    state: Mutex<State>,
    /// Ends the pause before a stream is opened again: its session is to be ended.
    closing: Notify,
}

impl Connection {
    pub(crate) fn new(target: Target) -> Arc<Self> {
        Arc::new(Self { target, state: Mutex::default(), closing: Notify::new() })
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
        if request.session.is_none() {
            // What is acknowledged is of the stream's own session.
            request.acks = std::mem::take(&mut state.acks);
        }
        // What was not sent is acknowledged with the next call.
        match outbox.push(|out| request.encode(out)).inspect_err(|_| state.acks.append(&mut request.acks)) {
            Ok(()) => {
                if let Some(session) = request.session
                    && session == shared.session()
                {
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
        let event = state.pending.add(&request, expires);
        if expires.is_some() && !std::mem::replace(&mut state.ticking, true) {
            shared.spawn(Arc::clone(self).tick());
        }
        Ok(event)
    }

    /// The caller of a call has gone, which `cancel` tells the node: its lane stays taken until the answer. Returns whether
    /// there is a node that can be told.
    pub(crate) fn abandon(&self, cancel: &Request<'_>) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        if let Stream::Gone(_) = &state.stream {
            return false;
        }
        let encoded = state.pending.abandon(cancel);
        if let Stream::Open { outbox, .. } = &state.stream {
            // A stream that is closing is followed by another one, on which it is told again.
            let _ = outbox.push(|out| out.extend_from_slice(&encoded));
        }
        true
    }

    /// Takes out what is out on slots that are served elsewhere now: callers ask there, and cancels are returned.
    pub(crate) fn let_go(&self, moved: impl Fn(SlotId) -> bool) -> Vec<(SlotId, BytesMut)> {
        let (waiting, cancels) = self.lock().pending.let_go(moved);
        for tell in waiting {
            let _ = tell.send(Event::Broken("the object has moved to another node".to_owned()));
        }
        cancels
    }

    /// The node is no member any more: whoever waits for a stream to it looks for another node at once.
    pub(crate) fn stop_waiting(&self) {
        let waiting = match &mut self.lock().stream {
            Stream::Opening(waiting) => std::mem::take(waiting),
            Stream::Closed | Stream::Open { .. } | Stream::Gone(_) => Vec::new(),
        };
        for tell in waiting {
            // A caller that has gone waits for nothing.
            let _ = tell.send(Err("the node is no member of its cluster any more".to_owned()));
        }
    }

    /// Tells the node that a caller has gone, if there is a stream.
    pub(crate) fn tell_cancel(&self, slot: SlotId, cancel: &BytesMut) -> bool {
        let bytes = cancel.clone().freeze();
        let Ok(Frame::Request(request)) = wire::decode(&bytes) else { return true };
        let mut state = self.lock();
        let state = &mut *state;
        let Stream::Open { outbox, .. } = &state.stream else { return false };
        state.pending.add_cancel(&request, slot, cancel.clone());
        outbox.push(|out| out.extend_from_slice(cancel)).is_ok()
    }

    /// Opens the stream if there is none, and waits for it.
    pub(crate) async fn ensure_open(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<(), String> {
        let told = {
            let mut state = self.lock();
            let (tell, told) = oneshot::channel();
            match &mut state.stream {
                Stream::Open { .. } => return Ok(()),
                Stream::Gone(why) => return Err(why.clone()),
                Stream::Opening(waiting) => waiting.push(tell),
                Stream::Closed => {
                    state.stream = Stream::Opening(vec![tell]);
                    shared.spawn(Arc::clone(self).live(Arc::downgrade(shared)));
                }
            }
            told
        };
        told.await.unwrap_or_else(|_| Err("the client is shutting down".to_owned()))
    }

    /// The caller of a read has gone, and the node need not know.
    pub(crate) fn forget(&self, lane: Lane) {
        self.lock().pending.forget(lane);
    }

    /// The caller of a call has taken its reply, which the node need not keep any longer.
    pub(crate) fn acknowledge(&self, call: FreeLane) {
        self.lock().acks.push(call);
    }

    /// Says farewell, so that the node forgets the session at once; without a stream, as soon as there is one again.
    pub(crate) fn goodbye(&self) {
        self.lock().goodbye();
        self.closing.notify_one();
    }

    /// Whether a stream is being opened on which the node will hear that its session has ended.
    pub(crate) fn owes_goodbye(&self) -> bool {
        let state = self.lock();
        state.lives && state.registered.is_some()
    }

    /// Tells the node that the attempt is still run here; without a stream, once there is one.
    pub(crate) fn keep(&self, attempt: &Attempt) {
        if let Stream::Open { outbox, .. } = &self.lock().stream {
            // A stream that is closing is followed by another one, on which it is told again.
            let _ = outbox.push(|out| attempt.keep().encode(out));
        }
    }

    /// Whether there is a stream.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.lock().stream, Stream::Open { .. })
    }

    /// Keeps a stream open for as long as the process at its other end can be reached: the session, and what it holds,
    /// lives with it. Once nobody answers for a while, the next call begins anew.
    async fn live(self: Arc<Self>, shared: Weak<Shared>) {
        let mut backoff = REOPEN_FIRST;
        let mut unanswered = Duration::ZERO;
        self.lock().lives = true;
        loop {
            if self.open(&shared).await {
                (backoff, unanswered) = (REOPEN_FIRST, Duration::ZERO);
                if let Some(shared) = shared.upgrade() {
                    shared.look_for_successors(Arc::clone(&self));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = self.closing.notified() => {}
            }
            unanswered += backoff;
            backoff = (backoff * 2).min(REOPEN_MAX);
            let mut state = self.lock();
            let idle = matches!(state.stream, Stream::Closed);
            // Else another task opens it already, the process is gone, or there is no session to keep.
            if !idle || state.registered.is_none() || unanswered >= REOPEN_FOR {
                state.lives = !idle;
                return;
            }
            state.stream = Stream::Opening(Vec::new());
        }
    }

    /// Opens a stream and reads it to its end; whether there was one.
    async fn open(&self, shared: &Weak<Shared>) -> bool {
        let client = shared.upgrade();
        let (registered, job) = {
            let state = self.lock();
            (state.registered, state.owned_job)
        };
        let (session, owned_job) = match (&client, registered) {
            // There is only its end to be told.
            (Some(client), Some(registered)) if client.has_closed(registered) => (registered, job),
            (None, Some(registered)) => (registered, job),
            (Some(client), _) => (client.session(), client.owned_job()),
            (None, None) => {
                self.lock().stream = Stream::Gone("the client is shutting down".to_owned());
                return false;
            }
        };
        let hello = Hello {
            cluster: self.target.cluster,
            node: self.target.node,
            incarnation: self.target.incarnation,
            shard: self.target.shard,
            session,
            resume: registered == Some(session),
            owned_job,
            process: process_name().to_owned(),
            job_name: client.as_ref().and_then(|client| client.settings.job_name.clone()).unwrap_or_default(),
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
        // Taken before the lock and dropped after it: the client's end says goodbye on this connection.
        let client = shared.upgrade();
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
                if let Some(client) = &client {
                    client.renew_session(hello.session);
                }
                state.registered = None;
                // What those callers could have been granted has ended with the session.
                state.pending.clear();
                Stream::Closed
            }
            Err(_) => Stream::Closed,
        };
        let Stream::Opening(waiting) = std::mem::replace(&mut state.stream, next) else { return None };
        match opened {
            Ok(link) => {
                (state.registered, state.owned_job) = (Some(hello.session), hello.owned_job);
                state.farewell = false;
                if client.as_ref().is_none_or(|client| client.has_closed(hello.session)) {
                    // The client was closed meanwhile, and found no stream here on which to say so.
                    state.goodbye();
                }
                for cancel in state.pending.cancels(hello.session) {
                    // A stream that breaks at once is followed by another one.
                    let _ = link.outbox.push(|out| out.extend_from_slice(cancel));
                }
                for attempt in client.iter().flat_map(|client| client.attempts()) {
                    let _ = link.outbox.push(|out| attempt.keep().encode(out));
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
                Ok(false) => {
                    let mut state = self.lock();
                    if state.farewell {
                        state.registered = None;
                    }
                    break Event::Broken(format!("{} closed the stream", self.target.address));
                }
                Err(error) => break Event::Broken(error.to_string()),
            }
        };
        let cancels = self.end(&end);
        if let Some(shared) = shared.upgrade() {
            shared.tell_elsewhere(cancels);
        }
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
                    if let Some(shared) = shared.upgrade() {
                        shared.learn(&bytes);
                    }
                }
                Ok(Frame::Goodbye) => farewell = true,
                Ok(Frame::Hello(_) | Frame::Welcome(_) | Frame::Request(_) | Frame::Peer(..)) | Err(_) => {
                    tracing::warn!(address = self.target.address, "the node sent a frame that does not belong here");
                }
            }
        }
        let mut free = Vec::new();
        let mut state = self.lock();
        for reply in replies {
            match state.pending.answered(reply) {
                Some(Answered::Tell(tell, event)) => done.push((tell, event)),
                Some(Answered::Free(lane)) => free.push(lane),
                None => {}
            }
        }
        if let Stream::Open { outbox, .. } = &state.stream {
            outbox.expect(done.len());
        }
        drop(state);
        // Not under the lock: if this is the client's last reference, its end says goodbye on this connection.
        if !free.is_empty()
            && let Some(shared) = shared.upgrade()
        {
            for (slot, lane, sequence) in free {
                shared.give_back(slot, lane, sequence);
            }
        }
        farewell
    }

    /// The stream has ended: every call that is out on it learns so. Returns the cancels that this process will not be told.
    fn end(&self, end: &Event) -> Vec<(SlotId, BytesMut)> {
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
        let waiting = state.pending.take_waiting();
        let cancels = if let Event::Gone(_) = end { state.pending.let_go(|_| true).1 } else { Vec::new() };
        drop(state);
        for tell in waiting {
            let _ = tell.send(event(why.clone()));
        }
        cancels
    }

    /// Ends calls whose time is over, for as long as there are any.
    async fn tick(self: Arc<Self>) {
        loop {
            tokio::time::sleep(EXPIRY_TICK).await;
            let now = Instant::now();
            let mut state = self.lock();
            let (done, more) = state.pending.expire(now);
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
