//! Cloud threads that are threads of this process.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use greenroom_actors::{ThreadFailure, ThreadId};
use tokio::sync::Notify;

use super::attempt::{Attempt, known};
use super::builder::Builder;
use super::expand::{Function, Outcome, Run};
use super::panics;
use crate::client::Client;
use crate::time::{clock_ms, millis};

/// A run and what came of it.
pub(super) struct Running {
    function: &'static str,
    name: Option<String>,
    thread: ThreadId,
    /// None if it could not begin.
    attempt: Option<Arc<Attempt>>,
    /// Set when it has ended.
    outcome: OnceLock<Outcome>,
    ended: Notify,
}

/// Begins a run.
pub(super) fn start(builder: Builder, function: &'static Function, arguments: Result<Vec<u8>, String>) -> Arc<Running> {
    let thread = ThreadId::from_random(rand::random());
    let Builder { name, stack_size, timeout } = builder;
    let not_started = |why: String| {
        let outcome = OnceLock::from(Err(ThreadFailure::NotStarted { why }));
        let (function, name) = (function.name, name.clone());
        Arc::new(Running { function, name, thread, attempt: None, outcome, ended: Notify::new() })
    };
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(why) => return not_started(format!("the arguments cannot be encoded: {why}")),
    };
    let client = match crate::client() {
        Ok(client) => client,
        Err(why) => return not_started(why),
    };
    let ends_ms = timeout.map(|timeout| clock_ms().saturating_add(millis(timeout)));
    let attempt = Attempt::begin(&client, thread, 1, ends_ms, None);
    let running = Arc::new(Running {
        function: function.name,
        name: name.clone(),
        thread,
        attempt: Some(Arc::clone(&attempt)),
        outcome: OnceLock::new(),
        ended: Notify::new(),
    });
    let mut native = std::thread::Builder::new().name(name.clone().unwrap_or_else(|| short(function.name)));
    if let Some(bytes) = stack_size {
        native = native.stack_size(bytes);
    }
    let body = {
        let running = Arc::clone(&running);
        move || running.end(run(&attempt, function, &arguments))
    };
    panics::note_places();
    if let Err(error) = native.spawn(body) {
        return not_started(format!("the system starts no more threads: {error}"));
    }
    if let Some(timeout) = timeout {
        running.cancel_after(&client, timeout);
    }
    running
}

/// What the system shows of the function's name.
fn short(function: &str) -> String {
    function.rsplit("::").next().unwrap_or(function).to_owned()
}

/// Runs the function as part of the attempt, and releases what it held.
fn run(attempt: &Arc<Attempt>, function: &'static Function, arguments: &[u8]) -> Outcome {
    let outcome = panics::catch(|| {
        attempt.enter(|| match function.run {
            Run::Blocking(run) => run(arguments),
            Run::Async(run) => match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(attempt.around(run(arguments.to_vec()))),
                Err(error) => {
                    let why = format!("no runtime for it can be started: {error}");
                    Err(ThreadFailure::NotStarted { why })
                }
            },
        })
    });
    if let Err(why) = pollster::block_on(attempt.end()) {
        tracing::warn!(
            function = function.name,
            why,
            "what a cloud thread held is released with its process's session"
        );
    }
    outcome?
}

impl Running {
    fn end(&self, outcome: Outcome) {
        // Only its thread ends it.
        let _ = self.outcome.set(outcome);
        self.ended.notify_waiters();
    }

    pub(super) fn thread(&self) -> ThreadId {
        self.thread
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(super) fn cancel(&self) {
        if let Some(attempt) = &self.attempt {
            attempt.cancel();
        }
    }

    /// What came of it, if it has ended.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Waits until it has ended.
    pub(super) async fn finished(&self) -> &Outcome {
        known(&self.ended, || self.outcome()).await
    }

    fn cancel_after(self: &Arc<Self>, client: &Client, timeout: Duration) {
        let running = Arc::clone(self);
        client.shared().spawn(async move {
            tokio::select! {
                _ = running.finished() => {}
                () = tokio::time::sleep(timeout) => running.cancel(),
            }
        });
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = self.thread.0;
        match &self.name {
            Some(name) => write!(f, "{}, {name}, {thread:x}", self.function),
            None => write!(f, "{}, {thread:x}", self.function),
        }
    }
}
