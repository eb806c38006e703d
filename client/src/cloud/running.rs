//! A run that was begun, and what came of it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use greenroom_actors::{ThreadFailure, ThreadId};
use tokio::sync::Notify;

use super::backend::{Backend, Outcome, Spec, Started};
use super::builder::Builder;
use super::expand::Function;

/// A run and what came of it.
pub(crate) struct Running {
    function: &'static Function,
    name: Option<String>,
    thread: ThreadId,
    /// Its run on its back end; nothing if it could not begin.
    started: OnceLock<Box<dyn Started>>,
    state: Mutex<State>,
    ended: Notify,
}

#[derive(Default)]
enum State {
    #[default]
    Runs,
    /// Runs, and these want to hear of its end.
    Watched(Vec<Box<dyn FnOnce() + Send>>),
    Ended(Outcome),
    Joined,
}

impl Running {
    /// Begins a run. One that cannot begin has ended already.
    pub(super) fn begin(
        builder: Builder,
        function: &'static Function,
        arguments: Result<Vec<u8>, String>,
    ) -> Arc<Self> {
        let running = Self::new(function, builder.name.clone());
        let failed = match running.start(builder, arguments) {
            // Nobody else has the run yet who could have set it.
            Ok(started) => running.started.set(started).err().map(|_| ThreadFailure::Joined),
            Err(failure) => Some(failure),
        };
        if let Some(failure) = failed {
            running.end(Err(failure));
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
            state: Mutex::default(),
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run has ended, and this has come of it. A back end says so once.
    pub(crate) fn end(&self, outcome: Outcome) {
        let before = std::mem::replace(&mut *self.state(), State::Ended(outcome));
        self.ended.notify_waiters();
        if let State::Watched(watching) = before {
            watching.into_iter().for_each(|tell| tell());
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

    pub(super) fn is_finished(&self) -> bool {
        !matches!(*self.state(), State::Runs | State::Watched(_))
    }

    /// Calls `tell` when the run ends; now, if it has ended.
    pub(super) fn when_ended(&self, tell: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        match &mut *state {
            State::Runs => *state = State::Watched(vec![Box::new(tell)]),
            State::Watched(watching) => watching.push(Box::new(tell)),
            State::Ended(_) | State::Joined => {
                drop(state);
                tell();
            }
        }
    }

    /// Waits until it has ended.
    pub(crate) async fn finished(&self) {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // From here on nothing is missed.
            ended.as_mut().enable();
            if self.is_finished() {
                return;
            }
            ended.await;
        }
    }

    /// Takes the outcome of a run that has ended.
    pub(super) fn take(&self) -> Outcome {
        match std::mem::replace(&mut *self.state(), State::Joined) {
            State::Ended(outcome) => outcome,
            State::Runs | State::Watched(_) | State::Joined => Err(ThreadFailure::Joined),
        }
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
