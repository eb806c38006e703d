//! A run that was begun, and what came of it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use greenroom_actors::{ThreadFailure, ThreadId};
use tokio::sync::Notify;

use super::attempt::known;
use super::backend::{Backend, Spec, Started};
use super::builder::Builder;
use super::expand::{Function, Outcome};

/// Called with what came of a run that has ended.
type Tell = Box<dyn FnOnce(&Outcome) + Send>;

/// A run and what came of it.
pub(crate) struct Running {
    function: &'static Function,
    name: Option<String>,
    thread: ThreadId,
    /// Its run on its back end; nothing if it could not begin.
    started: OnceLock<Box<dyn Started>>,
    /// Set when it has ended.
    outcome: OnceLock<Outcome>,
    /// Those who want to hear of its end.
    watching: Mutex<Vec<Tell>>,
    ended: Notify,
}

impl Running {
    /// Begins a run. One that cannot begin has ended already.
    pub(super) fn begin(
        builder: Builder,
        function: &'static Function,
        arguments: Result<Vec<u8>, String>,
    ) -> Arc<Self> {
        let running = Self::new(function, builder.name.clone());
        match running.start(builder, arguments) {
            // Nobody else has the run yet who could have set it.
            Ok(started) => drop(running.started.set(started)),
            Err(failure) => running.end(Err(failure)),
        }
        running
    }

    /// A run that is not begun, for that reason.
    pub(super) fn refused(function: &'static Function, why: String) -> Arc<Self> {
        let running = Self::new(function, None);
        running.end(Err(ThreadFailure::NotStarted { why }));
        running
    }

    fn new(function: &'static Function, name: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            function,
            name,
            thread: ThreadId::from_random(rand::random()),
            started: OnceLock::new(),
            outcome: OnceLock::new(),
            watching: Mutex::default(),
            ended: Notify::new(),
        })
    }

    fn start(
        self: &Arc<Self>,
        mut builder: Builder,
        arguments: Result<Vec<u8>, String>,
    ) -> Result<Box<dyn Started>, ThreadFailure> {
        let not_started = |why: String| ThreadFailure::NotStarted { why };
        let arguments = arguments.map_err(|why| not_started(format!("the arguments cannot be encoded: {why}")))?;
        let backend = match builder.backend.take() {
            Some(backend) => backend,
            None => Backend::from_env().map_err(|error| not_started(error.to_string()))?,
        };
        backend.start(Spec { thread: self.thread, function: self.function, arguments, settings: builder }, self)
    }

    fn watching(&self) -> MutexGuard<'_, Vec<Tell>> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run has ended, and this has come of it. What a back end says a second time changes nothing.
    pub(crate) fn end(&self, outcome: Outcome) {
        if self.outcome.set(outcome).is_err() {
            return;
        }
        self.ended.notify_waiters();
        // Whoever comes later sees the outcome.
        let watching = std::mem::take(&mut *self.watching());
        if let Some(outcome) = self.outcome() {
            watching.into_iter().for_each(|tell| tell(outcome));
        }
    }

    pub(super) fn thread(&self) -> ThreadId {
        self.thread
    }

    pub(super) fn function(&self) -> &'static str {
        self.function.name
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn cancel(&self) {
        if let Some(started) = self.started.get() {
            started.cancel();
        }
    }

    pub(super) fn started(&self) -> Option<&dyn Started> {
        self.started.get().map(AsRef::as_ref)
    }

    /// What came of it, if it has ended.
    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Calls `tell` when the run ends; now, if it has ended.
    pub(super) fn when_ended(&self, tell: impl FnOnce(&Outcome) + Send + 'static) {
        let mut watching = self.watching();
        match self.outcome() {
            Some(outcome) => {
                drop(watching);
                tell(outcome);
            }
            None => watching.push(Box::new(tell)),
        }
    }

    /// Waits until it has ended.
    pub(crate) async fn finished(&self) -> &Outcome {
        known(&self.ended, || self.outcome()).await
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (function, thread) = (self.function.name, self.thread.0);
        match &self.name {
            Some(name) => write!(f, "{function}, {name}, {thread:x}"),
            None => write!(f, "{function}, {thread:x}"),
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
