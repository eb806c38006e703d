//! An attempt of a cloud thread as the process that runs it knows it: the calls made in it are its own, and not the process's.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use greenroom_actors::wire::{Request, parts};
use greenroom_actors::{JobId, Lane, LanePool, Sequence, SessionId, SlotId, ThreadId};
use hashbrown::HashMap;
use tokio::sync::Notify;

use super::logs::Logs;
use crate::client::{Client, Shared};

thread_local! {
    static CURRENT: RefCell<Option<Arc<Attempt>>> = const { RefCell::new(None) };
}

/// One attempt of a cloud thread, in the process that runs it.
pub(crate) struct Attempt {
    shared: Weak<Shared>,
    session: SessionId,
    /// The session of the process when the attempt began: who has lost that has stood still for too long.
    process: SessionId,
    ends_ms: Option<u64>,
    job: Option<JobId>,
    /// The free lanes, by slot: of each slot that was used.
    lanes: Mutex<HashMap<SlotId, LanePool>>,
    cancelled: AtomicBool,
    concluded: AtomicBool,
    /// Tells of the cancellation, and of casts that have ended.
    changed: Notify,
    /// Calls without a waiting caller that are out.
    casts: AtomicU32,
    logs: Logs,
}

impl Attempt {
    /// An attempt that begins now, whose calls go through `client`; its objects are those of `job`, if it is not the client's.
    pub(crate) fn begin(
        client: &Client,
        thread: ThreadId,
        attempt: u8,
        ends_ms: Option<u64>,
        job: Option<JobId>,
    ) -> Arc<Self> {
        let shared = client.shared();
        let begun = Arc::new(Self {
            shared: Arc::downgrade(shared),
            session: SessionId::of_attempt(thread, attempt),
            process: shared.session(),
            ends_ms,
            job,
            lanes: Mutex::default(),
            cancelled: AtomicBool::new(false),
            concluded: AtomicBool::new(false),
            changed: Notify::new(),
            casts: AtomicU32::new(0),
            logs: Logs::default(),
        });
        shared.note_attempt(&begun);
        begun
    }

    /// The client through which its calls go, if there still is one.
    pub(super) fn client(&self) -> Option<Arc<Shared>> {
        self.shared.upgrade()
    }

    /// The attempt that this code is part of.
    pub(crate) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// The attempt that this code is part of, if its calls go through that client.
    pub(crate) fn current_of(shared: &Arc<Shared>) -> Option<Arc<Self>> {
        CURRENT.with_borrow(|current| {
            let current = current.as_ref().filter(|attempt| std::ptr::eq(attempt.shared.as_ptr(), Arc::as_ptr(shared)));
            current.cloned()
        })
    }

    /// Runs `body` as part of the attempt, on this thread.
    pub(crate) fn enter<R>(self: &Arc<Self>, body: impl FnOnce() -> R) -> R {
        let _entered = Entered::new(Arc::clone(self));
        body()
    }

    /// Makes the future part of the attempt, whichever threads poll it.
    pub(crate) fn around<F: Future>(self: &Arc<Self>, future: F) -> impl Future<Output = F::Output> + use<F> {
        Around { attempt: Arc::clone(self), future: Box::pin(future) }
    }

    pub(crate) fn thread(&self) -> ThreadId {
        self.session.attempt().unwrap_or_default().0
    }

    /// The attempt's number, from 1.
    pub(crate) fn number(&self) -> u8 {
        self.session.attempt().unwrap_or_default().1
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// When it ends by itself, in milliseconds since the Unix epoch.
    pub(crate) fn ends_ms(&self) -> Option<u64> {
        self.ends_ms
    }

    pub(crate) fn job(&self) -> Option<JobId> {
        self.job
    }

    /// Asks it to end: its calls that wait in objects end now, and so does each call that it makes from now on.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// The function has ended: what is still called is about the attempt, also if it was cancelled.
    #[cfg(feature = "lambda")]
    pub(super) fn conclude(&self) {
        self.concluded.store(true, Ordering::Release);
    }

    /// Whether what it calls fails.
    pub(crate) fn refuses_calls(&self) -> bool {
        self.is_cancelled() && !self.concluded.load(Ordering::Acquire)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Waits until it is cancelled.
    pub(crate) async fn cancelled(&self) {
        known(&self.changed, || self.is_cancelled().then_some(())).await;
    }

    /// Waits until what was sent without a waiting caller has arrived, such as the changes of guards.
    pub(super) async fn casts_over(&self) {
        known(&self.changed, || (self.casts.load(Ordering::Acquire) == 0).then_some(())).await;
    }

    /// What it has logged.
    pub(crate) fn kept_logs(&self) -> &Logs {
        &self.logs
    }

    /// Whether the nodes may have given it up together with its process's session.
    pub(crate) fn is_over(&self, shared: &Shared) -> bool {
        self.process != shared.session()
    }

    pub(crate) fn cast_begins(&self) {
        self.casts.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn cast_ends(&self) {
        self.casts.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<SlotId, LanePool>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane for a call to that slot, with the call's number.
    pub(crate) fn take_lane(&self, slot: SlotId, new_lane: impl FnOnce() -> Lane) -> (Lane, Sequence) {
        self.lanes().entry(slot).or_default().take(new_lane)
    }

    /// The call on that lane has been answered: the lane is free.
    pub(crate) fn give_back(&self, slot: SlotId, lane: Lane, sequence: Sequence) {
        self.lanes().entry(slot).or_default().give_back(lane, sequence);
    }

    /// The slots that it has used, in order.
    pub(crate) fn used(&self) -> Vec<SlotId> {
        let mut used: Vec<SlotId> = self.lanes().keys().copied().collect();
        used.sort_unstable();
        used
    }

    /// What tells a node that the attempt is still run here.
    pub(crate) fn keep(&self) -> Request<'static> {
        let (flags, session) = (parts::KEEP, Some(self.session));
        Request { flags, session, attempt_ends_ms: self.ends_ms, ..Request::default() }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.forget_attempt(self.session);
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("session", &self.session)
            .field("ends_ms", &self.ends_ms)
            .finish_non_exhaustive()
    }
}

/// Waits until a fact is known that is looked at whenever `changed` tells.
pub(super) async fn known<T>(changed: &Notify, fact: impl Fn() -> Option<T>) -> T {
    loop {
        let mut told = std::pin::pin!(changed.notified());
        // From here on nothing is missed.
        told.as_mut().enable();
        if let Some(fact) = fact() {
            return fact;
        }
        told.await;
    }
}

/// Makes an attempt the current one of this thread for as long as it lives.
struct Entered(Option<Arc<Attempt>>);

impl Entered {
    fn new(attempt: Arc<Attempt>) -> Self {
        Self(CURRENT.replace(Some(attempt)))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // The attempt may be dropped here for the last time: not while the thread-local is borrowed.
        let _left = CURRENT.replace(self.0.take());
    }
}

struct Around<F> {
    attempt: Arc<Attempt>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Around<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = Entered::new(Arc::clone(&self.attempt));
        self.future.as_mut().poll(context)
    }
}
