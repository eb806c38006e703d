//! The local back end: each cloud thread is a thread of this process.
//!
//! Each has one of its own, since they may wait for each other. A thread of an operating system cannot be killed: at its
//! timeout it is cancelled, and the nodes refuse what it calls after that.

use std::sync::Arc;
use std::time::Duration;

use greenroom_actors::ThreadFailure;

use super::attempt::Attempt;
use super::backend::{LogsFuture, Spec, Start, Started};
use super::expand::{Function, Outcome};
use super::gang::Gate;
use super::running::Running;
use crate::client::Client;
use crate::time::{clock_ms, millis};

/// Threads of this process.
pub(super) struct Local;

impl Start for Local {
    fn start(&self, spec: Spec, running: &Arc<Running>) -> Result<Box<dyn Started>, ThreadFailure> {
        let not_started = |why: String| ThreadFailure::NotStarted { why };
        let client = crate::client().map_err(not_started)?;
        let Spec { thread, function, arguments, settings } = spec;
        let ends_ms = settings.timeout.map(|timeout| clock_ms().saturating_add(millis(timeout)));
        let attempt = Attempt::begin(&client, thread, 1, ends_ms, None);
        let mut native =
            std::thread::Builder::new().name(settings.name.clone().unwrap_or_else(|| short(function.name)));
        if let Some(bytes) = settings.stack_size {
            native = native.stack_size(bytes);
        }
        let body = {
            let (attempt, running) = (Arc::clone(&attempt), Arc::clone(running));
            move || {
                let outcome = run(&attempt, function, &arguments, settings.gate.as_ref());
                // Whoever joins may be the last to need the client.
                drop(attempt);
                running.end(outcome);
            }
        };
        native.spawn(body).map_err(|error| not_started(format!("the system starts no more threads: {error}")))?;
        if let Some(timeout) = settings.timeout {
            cancel_after(&client, timeout, Arc::clone(&attempt), Arc::clone(running));
        }
        Ok(Box::new(attempt))
    }
}

impl Started for Arc<Attempt> {
    fn cancel(&self) {
        Attempt::cancel(self);
    }

    fn logs(&self) -> LogsFuture {
        Box::pin(std::future::ready(Ok(self.kept_logs().bytes())))
    }
}

/// What the system shows of the function's name.
fn short(function: &str) -> String {
    function.rsplit("::").next().unwrap_or(function).to_owned()
}

/// Runs the function, and releases what it held.
fn run(attempt: &Arc<Attempt>, function: &'static Function, arguments: &[u8], gate: Option<&Gate>) -> Outcome {
    let outcome = attempt.run(function, arguments, gate);
    if let Err(why) = pollster::block_on(attempt.end()) {
        tracing::warn!(
            function = function.name,
            why,
            "what a cloud thread held is released with its process's session"
        );
    }
    outcome
}

fn cancel_after(client: &Client, timeout: Duration, attempt: Arc<Attempt>, running: Arc<Running>) {
    client.shared().spawn(async move {
        tokio::select! {
            _ = running.finished() => {}
            () = tokio::time::sleep(timeout) => attempt.cancel(),
        }
    });
}
