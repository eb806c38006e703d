//! A client: a session with a cluster, through which handles make their calls.

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use greenroom_actors::{
    Caller, Error, JobId, Lane, LanePool, Object, ObjectHandle, OutgoingCall, RawHandle, ReplyFuture, Sequence,
    SessionId, SlotId, SlotTable,
};

use hashbrown::HashMap;
use tokio::sync::watch;

use crate::call::make_call;
use crate::cloud::attempt::Attempt;
use crate::connection::OwnedJob;
use crate::directory::Directory;
use crate::settings::{Cluster, Settings};
use crate::time::Effort;

/// Why a client could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A setting cannot be read.
    #[error("{0}")]
    Settings(String),
    /// No node of the cluster answers.
    #[error("{0}")]
    Unreachable(String),
    /// The node inside this process could not be started.
    #[error("the embedded node could not be started: {0}")]
    Embedded(String),
}

/// A session with a cluster. Cloning it is cheap; the session ends with the last clone.
///
/// Await [`close`](Self::close) before its runtime ends: what is still on its way then, such as the changes of guards that
/// were dropped, is lost with it. The client of the process, which handles use that name none, does so by itself.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    /// Tells that the client is used; calls under way have no part in it.
    _used: watch::Receiver<()>,
}

/// What the clones of a client share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) directory: Arc<Directory>,
    runtime: tokio::runtime::Handle,
    session: AtomicU64,
    /// The session that was closed last; 0 before that.
    closed: AtomicU64,
    job: JobId,
    owned_job: OwnedJob,
    job_ended: AtomicBool,
    /// When the client was made, and how many milliseconds later it was last seen to run.
    pub(crate) born: Instant,
    pub(crate) ran_at_ms: AtomicU64,
    next_lane: AtomicU32,
    /// Closed once there are no clones of the client.
    used: watch::Sender<()>,
    /// Calls without a waiting caller that are out.
    casts: AtomicU32,
    /// Attempts of cloud threads that run here.
    attempts: Mutex<HashMap<SessionId, Weak<Attempt>>>,
    /// The free lanes, by slot; made when the table is known.
    pub(crate) lanes: std::sync::OnceLock<Vec<Mutex<LanePool>>>,
    /// Stops with the last clone of the client.
    #[cfg(feature = "embedded")]
    _embedded: Option<greenroom_node::Node>,
}

impl Client {
    /// Connects as the environment says; see [`Settings::from_env`]. Its tasks run on the current tokio runtime.
    ///
    /// # Errors
    /// When a setting cannot be read or no node answers.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn connect() -> Result<Self, ConnectError> {
        let settings = Settings::from_env().map_err(ConnectError::Settings)?;
        Self::with_settings(settings).await
    }

    /// Connects as `settings` say. Its tasks run on the current tokio runtime, and end with it.
    ///
    /// # Errors
    /// When no node answers.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn with_settings(settings: Settings) -> Result<Self, ConnectError> {
        let client = Self::lazy(settings, tokio::runtime::Handle::current())?;
        client.shared.table().await.map_err(ConnectError::Unreachable)?;
        Ok(client)
    }

    /// A client that connects at its first call; its tasks run on `runtime`.
    pub(crate) fn lazy(settings: Settings, runtime: tokio::runtime::Handle) -> Result<Self, ConnectError> {
        let session = SessionId::of_client(rand::random());
        let owned_job = settings.job.is_none().then_some(JobId(session.0));
        #[cfg(feature = "embedded")]
        let embedded = match settings.cluster {
            Cluster::Embedded => Some(start_embedded()?),
            Cluster::Nodes(_) => None,
        };
        let seeds = match &settings.cluster {
            Cluster::Nodes(nodes) => nodes.clone(),
            #[cfg(feature = "embedded")]
            Cluster::Embedded => embedded.iter().map(|node| node.address().to_owned()).collect(),
            #[cfg(not(feature = "embedded"))]
            Cluster::Embedded => {
                let why = "this program was built without the feature `embedded`: set GREENROOM_CLUSTER".to_owned();
                return Err(ConnectError::Embedded(why));
            }
        };
        let shared = Shared {
            directory: Arc::new(Directory::new(seeds, runtime.clone())),
            runtime,
            session: AtomicU64::new(session.0),
            closed: AtomicU64::new(0),
            job: settings.job.or(owned_job).unwrap_or_default(),
            owned_job,
            job_ended: AtomicBool::new(false),
            born: Instant::now(),
            ran_at_ms: AtomicU64::new(0),
            next_lane: AtomicU32::new(0),
            used: watch::Sender::new(()),
            casts: AtomicU32::new(0),
            attempts: Mutex::default(),
            lanes: std::sync::OnceLock::new(),
            #[cfg(feature = "embedded")]
            _embedded: embedded,
            settings,
        };
        Ok(Self { _used: shared.used.subscribe(), shared: Arc::new(shared) })
    }

    /// The handle of an object, reached through this client: `client.object(Counter::named("hits"))`.
    pub fn object<H: ObjectHandle>(&self, handle: H) -> H {
        H::from_raw(handle.raw().clone().through(Arc::new(self.clone())))
    }

    /// The untyped handle of an object, reached through this client.
    pub fn raw<T: Object>(&self, key: impl Into<String>) -> RawHandle {
        RawHandle::named(T::TYPE, key).through(Arc::new(self.clone()))
    }

    /// The job whose objects this client means.
    pub fn job(&self) -> JobId {
        self.shared.job
    }

    /// The slot table, asked for if need be.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn table(&self) -> Result<Arc<SlotTable>, ConnectError> {
        self.shared.table().await.map_err(ConnectError::Unreachable)
    }

    /// Nodes (`host:port`) by which other processes reach the same objects: for their `GREENROOM_CLUSTER`.
    pub fn addresses(&self) -> Vec<String> {
        self.shared.directory.seeds().to_vec()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether anything is left of its session when this process has ended: not with a node inside of it.
    pub(crate) fn outlives_process(&self) -> bool {
        self.shared.settings.cluster != Cluster::Embedded
    }

    /// Ends the session: the nodes release what it holds at once, and forget a job of its own.
    ///
    /// It waits for what is on its way without a waiting caller, such as the changes of guards that were dropped, and for
    /// the nodes to hear of the end, some seconds at most.
    pub async fn close(self) {
        self.shared.say_goodbye().await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("cluster", &self.shared.settings.cluster).finish_non_exhaustive()
    }
}

impl Caller for Client {
    fn call(&self, call: OutgoingCall) -> ReplyFuture {
        Box::pin(make_call(Arc::clone(&self.shared), call, Effort::Call))
    }

    fn block_on(&self, task: Pin<&mut dyn Future<Output = ()>>) -> bool {
        if must_not_block() {
            return false;
        }
        // Not by the runtime: what runs between two calls, such as a closure of the user's, may block as well.
        pollster::block_on(task);
        true
    }

    fn cast(&self, call: OutgoingCall, otherwise: Option<OutgoingCall>) {
        let shared = Arc::clone(&self.shared);
        let attempt = Attempt::current_of(&self.shared);
        let out = CastOut::new(Arc::clone(&self.shared), attempt.clone());
        let cast = async move {
            let _out = out;
            let object = call.object();
            let make = async {
                let made = make_call(Arc::clone(&shared), call, Effort::Cast).await;
                match (made, otherwise) {
                    (Err(Error::Refused { .. }), Some(call)) => {
                        make_call(Arc::clone(&shared), call, Effort::Cast).await
                    }
                    (made, _) => made,
                }
            };
            tokio::select! {
                biased;
                made = make => if let Err(error) = made {
                    tracing::debug!(object, %error, "a call without a waiting caller failed");
                },
                () = shared.unused() => tracing::debug!(object, "the client ends with a call under way"),
            }
        };
        let mut cast: Pin<Box<dyn Future<Output = ()> + Send>> = match attempt {
            Some(attempt) => Box::pin(attempt.around(cast)),
            None => Box::pin(cast),
        };
        // It leaves now, before whatever this thread calls next: who drops a guard and then asks for the lock gets it.
        if cast.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.shared.spawn(cast);
        }
    }
}

/// A call without a waiting caller that is out, also if the runtime ends and drops it.
struct CastOut(Arc<Shared>, Option<Arc<Attempt>>);

impl CastOut {
    fn new(shared: Arc<Shared>, attempt: Option<Arc<Attempt>>) -> Self {
        shared.casts.fetch_add(1, Ordering::AcqRel);
        if let Some(attempt) = &attempt {
            attempt.cast_begins();
        }
        Self(shared, attempt)
    }
}

impl Drop for CastOut {
    fn drop(&mut self) {
        self.0.casts.fetch_sub(1, Ordering::AcqRel);
        if let Some(attempt) = &self.1 {
            attempt.cast_ends();
        }
    }
}

/// Whether this thread runs async tasks: blocking it would stop them. `spawn_blocking` and `block_in_place` are fine.
///
/// tokio's own check answers by a panic, whose message it prints, so it is left for the rest: code that goes without a
/// budget, which is either such a place or `unconstrained`.
pub(crate) fn must_not_block() -> bool {
    let Ok(handle) = tokio::runtime::Handle::try_current() else { return false };
    has_budget() || std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handle.block_on(async {}))).is_err()
}

/// Whether tokio polls a future on this thread now, and has given it a budget for that.
///
/// Only one that is used up can be told from none, so it is used up, and given back as it was.
fn has_budget() -> bool {
    // tokio gives 128.
    const BUDGET_MAX: usize = 256;
    let mut context = Context::from_waker(Waker::noop());
    let mut taken = Vec::with_capacity(BUDGET_MAX);
    while taken.len() < BUDGET_MAX {
        match tokio::task::coop::poll_proceed(&mut context) {
            Poll::Ready(unit) => taken.push(unit),
            Poll::Pending => break,
        }
    }
    let is_used_up = taken.len() < BUDGET_MAX;
    // Each sets the budget to what it was before it: the first one has to be the last.
    while taken.pop().is_some() {}
    is_used_up
}

#[cfg(feature = "embedded")]
fn start_embedded() -> Result<greenroom_node::Node, ConnectError> {
    let options = greenroom_node::NodeOptions::embedded().map_err(ConnectError::Embedded)?;
    greenroom_node::Node::start(options, None).map_err(|error| ConnectError::Embedded(error.to_string()))
}

impl Shared {
    pub(crate) fn job(&self) -> JobId {
        self.job
    }

    /// Whether that job was this client's own, and has ended with a session: its objects are gone, and must not seem new.
    pub(crate) fn has_lost_job(&self, job: Option<JobId>) -> bool {
        self.job_ended.load(Ordering::Acquire) && self.owned_job == Some(job.unwrap_or(self.job))
    }

    pub(crate) fn owned_job(&self) -> OwnedJob {
        self.owned_job
    }

    pub(crate) fn session(&self) -> SessionId {
        SessionId(self.session.load(Ordering::Acquire))
    }

    /// Whether the client was closed in that session.
    pub(crate) fn has_closed(&self, session: SessionId) -> bool {
        self.closed.load(Ordering::Acquire) == session.0
    }

    /// The session has ended on a node: go on with a new one.
    pub(crate) fn renew_session(&self, ended: SessionId) {
        let fresh = SessionId::of_client(rand::random()).0;
        // The objects of a job of its own went with the session.
        self.job_ended.store(self.owned_job.is_some(), Ordering::Release);
        // Where another connection found out first, its new session is as good.
        let _ = self.session.compare_exchange(ended.0, fresh, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// Waits on the client's own clock, so that calls may be polled by any executor.
    ///
    /// Returns whether that time has passed: not if the runtime shuts down, after which nothing can be sent any more.
    pub(crate) async fn pause(&self, time: Duration) -> bool {
        /// Ends the task with its pause.
        struct Pause(tokio::task::JoinHandle<()>);

        impl Drop for Pause {
            fn drop(&mut self) {
                self.0.abort();
            }
        }

        let mut pause = Pause(self.runtime.spawn(async move { tokio::time::sleep(time).await }));
        (&mut pause.0).await.is_ok()
    }

    pub(crate) async fn table(self: &Arc<Self>) -> Result<Arc<SlotTable>, String> {
        let table = self.directory.ensure_table().await?;
        self.lanes.get_or_init(|| {
            if !table.fixed {
                self.watch_time();
            }
            table.slots.iter().map(|_| Mutex::default()).collect()
        });
        Ok(table)
    }

    /// A cloud thread's attempt begins here.
    pub(crate) fn note_attempt(&self, attempt: &Arc<Attempt>) {
        self.attempts_now().insert(attempt.session(), Arc::downgrade(attempt));
    }

    pub(crate) fn forget_attempt(&self, session: SessionId) {
        self.attempts_now().remove(&session);
    }

    /// The attempts that run here.
    pub(crate) fn attempts(&self) -> Vec<Arc<Attempt>> {
        self.attempts_now().values().filter_map(Weak::upgrade).collect()
    }

    fn attempts_now(&self) -> MutexGuard<'_, HashMap<SessionId, Weak<Attempt>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other lane of this process has.
    pub(crate) fn new_lane(&self) -> Lane {
        Lane(self.next_lane.fetch_add(1, Ordering::Relaxed))
    }

    /// A lane for a call to that slot in an attempt's session, with the call's number.
    pub(crate) fn take_lane_of(&self, attempt: &Attempt, slot: SlotId) -> (Lane, Sequence) {
        if let Some(pool) = self.lanes.get().and_then(|lanes| lanes.get(usize::from(slot.0))) {
            pool.lock().unwrap_or_else(PoisonError::into_inner).note_used();
        }
        attempt.take_lane(slot, || self.new_lane())
    }

    /// A lane for a call to that slot, with the call's number.
    pub(crate) fn take_lane(&self, slot: SlotId) -> (Lane, Sequence) {
        let new_lane = || self.new_lane();
        match self.lanes.get().and_then(|lanes| lanes.get(usize::from(slot.0))) {
            Some(pool) => pool.lock().unwrap_or_else(PoisonError::into_inner).take(new_lane),
            None => (new_lane(), Sequence(1)),
        }
    }

    /// The call on that lane has been answered: the lane is free.
    pub(crate) fn give_back(&self, slot: SlotId, lane: Lane, sequence: Sequence) {
        if let Some(pool) = self.lanes.get().and_then(|lanes| lanes.get(usize::from(slot.0))) {
            pool.lock().unwrap_or_else(PoisonError::into_inner).give_back(lane, sequence);
        }
    }

    /// Waits until nobody uses the client any more, and the calls that nobody waits for have had time to end.
    async fn unused(&self) {
        self.used.closed().await;
        self.pause(self.settings.patience).await;
    }

    async fn say_goodbye(&self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        // A node that cannot be reached ends the session by itself, with the grace period.
        const TO_REACH: Duration = Duration::from_millis(500);
        let deadline = Instant::now() + PATIENCE;
        // Without a runtime nothing leaves any more.
        let mut runs = true;
        while runs && self.casts.load(Ordering::Acquire) > 0 && Instant::now() < deadline {
            runs = self.pause(Duration::from_millis(1)).await;
        }
        // Before the streams are told: one that is being opened looks here once it is open.
        let session = self.session();
        self.closed.store(session.0, Ordering::Release);
        let connections = self.directory.connections();
        for connection in &connections {
            connection.goodbye();
        }
        // Whatever is called later belongs to another session.
        self.renew_session(session);
        // A node that has read the farewell ends the stream: what was only written may still be lost with this process.
        let reached_by = Instant::now() + TO_REACH;
        while runs
            && Instant::now() < deadline
            && connections.iter().any(|to| to.is_open() || (to.owes_goodbye() && Instant::now() < reached_by))
        {
            runs = self.pause(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        for connection in self.directory.connections() {
            connection.goodbye();
        }
    }
}
