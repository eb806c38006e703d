//! The pure world: the state machine of one slot on a thread of its own, asked one thing after the other, in virtual time.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use greenroom::{Caller, Error, JobId, Owner, RawHandle};
use greenroom_actors::{
    Arrival, CallId, Fault, Lane, ObjectName, OutgoingCall, ReplyFuture, Sequence, SessionId, Wanted, hash_object,
};
use tokio::sync::oneshot;

use super::Session;

#[path = "../../../actors/tests/common/mod.rs"]
mod bench;

/// How long a call that does not wait in the object may take.
const TIMEOUT_MS: u64 = 30_000;

/// What the machine is asked.
enum Ask {
    Call(CallId, OutgoingCall, oneshot::Sender<Result<Bytes, Fault>>),
    Cancel(CallId, OutgoingCall),
    End(SessionId),
    Advance(Duration),
}

/// The thread on which the slot lives. It ends with the last who may ask.
pub(super) struct Machine {
    asks: Sender<Ask>,
    sessions: AtomicU64,
}

impl Machine {
    pub(super) fn start() -> Self {
        let (asks, asked) = channel();
        std::thread::spawn(move || serve(&asked));
        Self { asks, sessions: AtomicU64::new(0) }
    }

    pub(super) fn session(&self) -> Session {
        let session = SessionId(1 + self.sessions.fetch_add(1, Ordering::Relaxed));
        let asks = self.asks.clone();
        let caller = Arc::new(PureCaller { session, asks: Mutex::new(asks.clone()), next_lane: AtomicU32::new(0) });
        Session { caller, end: Box::new(move || asks.send(Ask::End(session)).expect("the machine runs")) }
    }

    pub(super) fn advance(&self, time: Duration) {
        self.asks.send(Ask::Advance(time)).expect("the machine runs");
    }
}

fn serve(asked: &Receiver<Ask>) {
    let mut bench = bench::Bench::new();
    let mut waiting: BTreeMap<CallId, oneshot::Sender<Result<Bytes, Fault>>> = BTreeMap::new();
    for ask in asked {
        match ask {
            Ask::Call(id, call, tell) => {
                waiting.insert(id, tell);
                let construction = match call.construction.as_deref() {
                    None => Wanted::Anything,
                    Some(made) if made.makes() => Wanted::Arguments(made.clone()),
                    Some(none) => Wanted::Hash(none.hash),
                };
                let until = match (call.timeout, call.parks) {
                    (Some(timeout), _) => Some(millis(timeout)),
                    (None, false) => Some(TIMEOUT_MS),
                    (None, true) => None,
                };
                bench.arrive(&Arrival {
                    call: id,
                    owner: Owner::Session(id.session),
                    object: name(&call),
                    method: call.method,
                    arguments: call.arguments.clone(),
                    construction,
                    durability: call.durability,
                    retry: false,
                    deadline_ms: until.map(|until| bench.now_ms + until),
                    chain: &[],
                });
            }
            Ask::Cancel(id, call) => bench.give_up(id, name(&call)),
            Ask::End(session) => bench.end_session(session.0),
            Ask::Advance(time) => bench.advance(bench.now_ms + millis(time)),
        }
        let answered: Vec<CallId> = waiting.keys().copied().collect();
        for id in answered {
            if let Some(answer) = bench.answer(id)
                && let Some(tell) = waiting.remove(&id)
            {
                // A caller that gave up needs no answer.
                let _ = tell.send(answer.result);
            }
        }
    }
}

fn name(call: &OutgoingCall) -> ObjectName<'_> {
    let (job, key) = (JobId::DEFAULT, call.key.as_str());
    ObjectName { hash: hash_object(job, call.object_type.name, key), job, object_type: call.object_type, key }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("is short")
}

/// One session's way to the machine.
#[derive(Debug)]
struct PureCaller {
    session: SessionId,
    asks: Mutex<Sender<Ask>>,
    next_lane: AtomicU32,
}

impl PureCaller {
    fn make(&self, call: OutgoingCall) -> PureCall {
        let asks = self.asks.lock().expect("nobody panics with it").clone();
        let lane = Lane(self.next_lane.fetch_add(1, Ordering::Relaxed));
        PureCall { id: CallId { session: self.session, lane, sequence: Sequence(1) }, call, asks, reply: None }
    }
}

impl Caller for PureCaller {
    fn call(&self, call: OutgoingCall) -> ReplyFuture {
        Box::pin(self.make(call))
    }

    fn block_on(&self, task: Pin<&mut dyn Future<Output = ()>>) -> bool {
        pollster::block_on(task);
        true
    }

    /// Nothing is too large here.
    fn cast(&self, call: OutgoingCall, _: Option<OutgoingCall>) {
        let call = self.make(call);
        let (tell, _) = oneshot::channel();
        // A machine that has ended has no objects to clean up.
        let _ = call.asks.send(Ask::Call(call.id, call.call.clone(), tell));
    }
}

/// A call: made at its first poll, cancelled if it is dropped before its answer is taken.
struct PureCall {
    id: CallId,
    call: OutgoingCall,
    asks: Sender<Ask>,
    reply: Option<oneshot::Receiver<Result<Bytes, Fault>>>,
}

impl Future for PureCall {
    type Output = Result<Bytes, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut reply) = self.reply.take() else {
            let (tell, reply) = oneshot::channel();
            self.asks.send(Ask::Call(self.id, self.call.clone(), tell)).expect("the machine runs");
            self.reply = Some(reply);
            // As over a network, the poll that makes a call never sees its answer, so that a test can leave it unseen.
            context.waker().wake_by_ref();
            return Poll::Pending;
        };
        match Pin::new(&mut reply).poll(context) {
            Poll::Ready(answer) => {
                let answer = answer.expect("the machine answers every call");
                Poll::Ready(answer.map_err(|fault| fault.into_error(self.call.object(), self.id)))
            }
            Poll::Pending => {
                self.reply = Some(reply);
                Poll::Pending
            }
        }
    }
}

impl Drop for PureCall {
    fn drop(&mut self) {
        if self.reply.is_some() && !self.call.read {
            // A machine that has ended has forgotten the call.
            let _ = self.asks.send(Ask::Cancel(self.id, self.call.clone()));
        }
    }
}
