//! The life of a cloud thread that runs elsewhere: submitted, started, finished or lost, joined.
//!
//! The driver submits it and says when it begins again; the process that runs an attempt asks whether it may, watches for a
//! cancellation, and brings the outcome. No clock and no heartbeat tells that an attempt is lost: the end of its session does.

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::WaitQueue;
use crate::ids::{Owner, SessionId, ThreadId};
use crate::thread_failure::ThreadFailure;
use crate::turn::Turn;
use crate::waiter::Waiter;

/// The most bytes of logs that a thread keeps: the last ones.
pub const LOGS_BYTES_MAX: usize = 64 << 10;

/// A cloud thread, as the cluster knows it; use it through `JoinHandle`.
#[object(name = "CloudThread")]
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CloudThreadObject {
    spec: Option<ThreadSpec>,
    /// Who has submitted it, until that session ends.
    driver: Option<Owner>,
    state: State,
    is_cancelled: bool,
    logs: Bytes,
    /// The process that runs it, which wants to hear of a cancellation.
    watching: WaitQueue<()>,
    supervising: WaitQueue<Progress>,
    joining: WaitQueue<Result<Bytes, ThreadFailure>>,
}

/// What a thread is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadSpec {
    /// Its id.
    pub thread: ThreadId,
    /// The function's name in its program.
    pub function: String,
    /// The encoded arguments, if they do not travel with the event that starts an attempt.
    pub arguments: Option<Bytes>,
    /// How many more attempts there may be once one is lost.
    pub retries: u8,
    /// Whether it goes on when the session that submitted it ends.
    pub is_detached: bool,
}

/// What has become of a thread.
#[derive(Debug, Default, Serialize, Deserialize)]
enum State {
    /// Nobody has submitted it, or its job has ended since.
    #[default]
    Unknown,
    /// That attempt may start.
    Submitted(u8),
    Running(Run),
    /// That attempt is lost, and the driver may begin another.
    Lost(u8),
    Done(Result<Bytes, ThreadFailure>),
}

/// An attempt that runs.
#[derive(Debug, Serialize, Deserialize)]
struct Run {
    attempt: u8,
    delivery: u64,
    ends_ms: Option<u64>,
    /// The session of the process that runs it.
    runner: Owner,
    /// What it brought; it is told once nothing belongs to the attempt any more.
    outcome: Option<Result<Bytes, ThreadFailure>>,
}

/// What the process that was handed an attempt is to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// Run it.
    Run {
        /// The arguments, if they are kept here.
        arguments: Option<Bytes>,
    },
    /// Nothing: it runs, or has run, under another delivery.
    Duplicate,
    /// Nothing: the thread was cancelled, its driver has gone, or it is done.
    Cancelled,
    /// Nothing: another attempt than this one has its turn.
    Superseded,
}

/// What whoever supervises a thread is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// That attempt is lost, and there may be another: end it at all slots, then call `retry`.
    Lost(u8),
    /// The thread has its outcome.
    Done,
}

#[object]
impl CloudThreadObject {
    /// Makes the thread known, so that attempt 1 may start; a second time it changes nothing. Whoever calls is the driver.
    pub fn submit(&mut self, spec: ThreadSpec, turn: &mut Turn) {
        if matches!(self.state, State::Unknown) {
            self.spec = Some(spec);
            self.driver = Some(turn.owner());
            self.state = State::Submitted(1);
        }
    }

    /// Asks whether to run that attempt. A `delivery` is one arrival of the event, in one process, drawn at random there.
    ///
    /// It must be asked in the session of the process and not in that of the attempt, which two deliveries would share.
    pub fn start(&mut self, attempt: u8, delivery: u64, ends_ms: Option<u64>, turn: &mut Turn) -> Start {
        let run = |this: &Self| Start::Run { arguments: this.spec.as_ref().and_then(|spec| spec.arguments.clone()) };
        match &mut self.state {
            State::Unknown => Start::Cancelled,
            State::Submitted(wanted) if *wanted == attempt => {
                self.state = State::Running(Run { attempt, delivery, ends_ms, runner: turn.owner(), outcome: None });
                run(self)
            }
            State::Running(running) if running.attempt == attempt && running.delivery == delivery => {
                // Its process has gone on with another session.
                running.runner = turn.owner();
                run(self)
            }
            State::Running(running) if running.attempt == attempt => Start::Duplicate,
            State::Lost(lost) if *lost == attempt => Start::Duplicate,
            State::Submitted(_) | State::Running(_) | State::Lost(_) => Start::Superseded,
            State::Done(Err(ThreadFailure::Cancelled | ThreadFailure::NotStarted { .. })) => Start::Cancelled,
            State::Done(_) => Start::Duplicate,
        }
    }

    /// Waits until the thread is cancelled. Called in the attempt's session, it ties that to the thread: when it ends, the
    /// attempt is over.
    pub fn watch(&mut self, waiter: Waiter<()>) {
        if self.is_cancelled { waiter.reply(()) } else { self.watching.push(waiter, ()) }
    }

    /// Brings the outcome of an attempt, in its session. Returns whether it counts: not that of one which is lost.
    ///
    /// It is told when the attempt has been ended in this object's slot: end it there last.
    pub fn finish(&mut self, attempt: u8, outcome: Result<Bytes, ThreadFailure>, logs: Bytes) -> bool {
        let State::Running(running) = &mut self.state else { return false };
        if running.attempt != attempt || running.outcome.is_some() {
            return false;
        }
        running.outcome = Some(outcome);
        self.keep_logs(logs);
        true
    }

    /// Says that an attempt will bring no outcome, as the platform tells the driver. Of one that has brought it that is no news.
    ///
    /// One that had not started is over with its thread: nothing of it has run, and nothing will. A failure by which nothing
    /// has run is meant for such a one only, and changes nothing of an attempt that runs.
    pub fn fail(&mut self, attempt: u8, failure: ThreadFailure, logs: Bytes) {
        match &self.state {
            State::Submitted(submitted) if *submitted == attempt => self.become_done(Err(match failure {
                failure if attempt > 1 => ThreadFailure::Lost { attempt: attempt - 1, why: failure.to_string() },
                failure if failure.has_run() == Some(false) => failure,
                failure => ThreadFailure::NotStarted { why: failure.to_string() },
            })),
            State::Running(running) if running.attempt == attempt && failure.has_run() != Some(false) => {
                self.end_run(failure);
            }
            _ => return,
        }
        self.keep_logs(logs);
    }

    /// Lets the attempt after a lost one start; returns its number, or `None` if there is to be none. Nobody should call it before
    /// the lost one was ended at all slots.
    pub fn retry(&mut self, lost: u8) -> Option<u8> {
        match self.state {
            State::Lost(attempt) if attempt == lost => {
                self.state = State::Submitted(lost + 1);
                Some(lost + 1)
            }
            // The retry of a call that was lost with its session.
            State::Submitted(attempt) if attempt == lost.saturating_add(1) => Some(attempt),
            _ => None,
        }
    }

    /// Asks the thread to end; one that has not started never will. Returns whether it had not ended.
    pub fn cancel(&mut self) -> bool {
        if matches!(self.state, State::Done(_)) {
            return false;
        }
        self.is_cancelled = true;
        match self.state {
            State::Unknown | State::Submitted(1) => self.become_done(Err(ThreadFailure::Cancelled)),
            State::Submitted(attempt) => self.become_done(Err(lost_for_good(attempt - 1))),
            State::Lost(attempt) => self.become_done(Err(lost_for_good(attempt))),
            State::Running(_) => self.watching.reply_all(&()),
            State::Done(_) => {}
        }
        true
    }

    /// Waits until the thread is done, or has lost an attempt after which there may be another.
    pub fn supervise(&mut self, waiter: Waiter<Progress>) {
        match &self.state {
            State::Lost(attempt) => waiter.reply(Progress::Lost(*attempt)),
            State::Done(_) => waiter.reply(Progress::Done),
            State::Unknown | State::Submitted(_) | State::Running(_) => self.supervising.push(waiter, ()),
        }
    }

    /// Waits for the outcome.
    pub fn join(&mut self, waiter: Waiter<Result<Bytes, ThreadFailure>>) {
        match &self.state {
            State::Done(outcome) => waiter.reply(outcome.clone()),
            _ => self.joining.push(waiter, ()),
        }
    }

    /// The outcome, if there is one.
    pub fn try_join(&self) -> Option<Result<Bytes, ThreadFailure>> {
        if let State::Done(outcome) = &self.state { Some(outcome.clone()) } else { None }
    }

    /// The last bytes of what its attempts have logged, at most [`LOGS_BYTES_MAX`].
    pub fn logs(&self) -> Bytes {
        self.logs.clone()
    }

    fn keep_logs(&mut self, logs: Bytes) {
        if self.logs.is_empty() {
            self.logs = logs.slice(logs.len().saturating_sub(LOGS_BYTES_MAX)..);
            return;
        }
        let mut all = [&self.logs[..], &logs].concat();
        all.drain(..all.len().saturating_sub(LOGS_BYTES_MAX));
        self.logs = all.into();
    }

    /// The attempt that runs is over: its outcome counts if it has brought one.
    fn end_run(&mut self, failure: ThreadFailure) {
        let State::Running(running) = &mut self.state else { return };
        let attempt = running.attempt;
        if let Some(outcome) = running.outcome.take() {
            return self.become_done(outcome);
        }
        let retries = self.spec.as_ref().map_or(0, |spec| spec.retries);
        // Nobody but the driver would begin it again.
        if attempt <= retries && attempt < u8::MAX && !self.is_cancelled && self.driver.is_some() {
            self.state = State::Lost(attempt);
            self.supervising.reply_all(&Progress::Lost(attempt));
        } else {
            self.become_done(Err(failure));
        }
    }

    fn become_done(&mut self, outcome: Result<Bytes, ThreadFailure>) {
        self.joining.reply_all(&outcome);
        self.supervising.reply_all(&Progress::Done);
        self.state = State::Done(outcome);
        // What it was to run is not needed any more.
        if let Some(spec) = &mut self.spec {
            spec.arguments = None;
        }
    }

    /// An attempt's session, its process's, or the driver's has ended.
    fn owner_gone(&mut self, owner: Owner, turn: &mut Turn) {
        let thread = self.spec.as_ref().map(|spec| spec.thread);
        if let State::Running(running) = &self.state
            && let Some(thread) = thread
            && (owner == running.runner || owner == Owner::Session(SessionId::of_attempt(thread, running.attempt)))
        {
            let attempt = running.attempt;
            let is_late = running.ends_ms.is_some_and(|ends_ms| turn.now_ms() >= ends_ms);
            let why = if self.is_cancelled { "it was cancelled" } else { "its process has ended" };
            self.end_run(match is_late {
                true => ThreadFailure::TimedOut { attempt },
                false => ThreadFailure::Lost { attempt, why: why.to_owned() },
            });
        }
        if self.driver == Some(owner) {
            self.driver = None;
            match self.state {
                _ if self.spec.as_ref().is_none_or(|spec| !spec.is_detached) => {
                    self.cancel();
                }
                State::Lost(attempt) => self.become_done(Err(lost_for_good(attempt))),
                State::Unknown | State::Submitted(_) | State::Running(_) | State::Done(_) => {}
            }
        }
    }

    fn summary(&self) -> serde_json::Value {
        let state = match &self.state {
            State::Unknown => json!("unknown"),
            State::Submitted(attempt) => json!({ "submitted": attempt }),
            State::Running(Run { attempt, ends_ms, outcome, .. }) => {
                json!({ "running": attempt, "ends_ms": ends_ms, "has_returned": outcome.is_some() })
            }
            State::Lost(attempt) => json!({ "lost": attempt }),
            State::Done(Ok(result)) => json!({ "result_bytes": result.len() }),
            State::Done(Err(failure)) => json!(failure.to_string()),
        };
        json!({
            "function": self.spec.as_ref().map(|spec| &spec.function),
            "state": state,
            "cancelled": self.is_cancelled,
            "logs_bytes": self.logs.len(),
            "joining": self.joining.len(),
        })
    }
}

/// The failure of a thread whose attempt was lost, and that does not begin again.
fn lost_for_good(attempt: u8) -> ThreadFailure {
    ThreadFailure::Lost { attempt, why: "and there is nobody who would begin it again".to_owned() }
}
