//! One process of a function, and what it is doing.
//!
//! Whether it is frozen and what it does are under one lock, and signals are sent under it: an event never reaches a
//! process that is being frozen, and none is frozen that has just been given an event.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use crate::capture::Capture;
use crate::completion::Completion;
use crate::config::FunctionConfig;
use crate::delivery::{Delivery, HandedOut};
use crate::process::Group;

/// One process of a function.
#[derive(Debug)]
pub(crate) struct Instance {
    /// The function's name and a number, as `hello/3`.
    pub(crate) name: String,
    pub(crate) function: Arc<FunctionConfig>,
    pub(crate) capture: Arc<Capture>,
    group: Group,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    motion: Motion,
    /// What it runs, or ran last.
    delivery: Option<Arc<Delivery>>,
    at_deadline: AtDeadline,
}

#[derive(Debug)]
enum Phase {
    /// Has not asked for an event yet.
    Starting(oneshot::Sender<Start>),
    /// Waits for an event.
    Ready(oneshot::Sender<HandedOut>),
    Running(Running),
    /// Has answered, and has not asked for the next event yet.
    Finishing(oneshot::Sender<()>),
    /// Its caller has been told that it timed out, and it goes on all the same.
    Overdue,
    /// Is to be killed, or has ended.
    Gone,
}

#[derive(Debug)]
struct Running {
    since: Instant,
    completed: oneshot::Sender<Completion>,
    finished: oneshot::Sender<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Motion {
    Going,
    Frozen,
}

/// What happens to a process whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtDeadline {
    Killed,
    GoesOn,
}

/// How the start of a process ended.
#[derive(Debug)]
pub(crate) enum Start {
    Ready,
    /// The error that the runtime reported: JSON.
    Failed(Bytes),
    Exited(ExitStatus),
}

/// What is heard of an event that a process was given.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) completed: oneshot::Receiver<Completion>,
    /// Says that the process asked for its next event. An error: it is gone.
    pub(crate) finished: oneshot::Receiver<()>,
}

/// The process did what the Runtime API does not provide for at this time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutOfTurn;

impl Instance {
    /// A process that has just been started; `started` is told when it is ready, or cannot be any more.
    pub(crate) fn new(
        name: String,
        function: Arc<FunctionConfig>,
        capture: Arc<Capture>,
        group: Group,
        started: oneshot::Sender<Start>,
        changed: watch::Sender<()>,
    ) -> Self {
        let state = State {
            phase: Phase::Starting(started),
            motion: Motion::Going,
            delivery: None,
            at_deadline: AtDeadline::Killed,
        };
        Self { name, function, capture, group, state: Mutex::new(state), changed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.group.pid()
    }

    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        self.group.resident_bytes()
    }

    /// What it runs, since when, and whether it is frozen; nothing if it runs nothing.
    pub(crate) fn running(&self) -> Option<(Arc<Delivery>, Instant, bool)> {
        let state = self.state();
        let Phase::Running(running) = &state.phase else { return None };
        Some((state.delivery.clone()?, running.since, state.motion == Motion::Frozen))
    }

    /// Whether the process runs this, or did last.
    pub(crate) fn has(&self, of: &str) -> bool {
        self.name == of || self.state().delivery.as_ref().is_some_and(|delivery| delivery.request_id == of)
    }

    /// The process asks for an event.
    pub(crate) fn handle_next(&self) -> Result<oneshot::Receiver<HandedOut>, OutOfTurn> {
        let mut state = self.state();
        let (hand_out, event) = oneshot::channel();
        match std::mem::replace(&mut state.phase, Phase::Ready(hand_out)) {
            Phase::Starting(started) => {
                let _ = started.send(Start::Ready);
            }
            Phase::Finishing(finished) => {
                let _ = finished.send(());
            }
            // Asked again, after its connection broke.
            Phase::Ready(_) => {}
            running @ Phase::Running(_) => {
                state.phase = running;
                return Err(OutOfTurn);
            }
            Phase::Overdue | Phase::Gone => {
                self.end(&mut state);
                return Err(OutOfTurn);
            }
        }
        Ok(event)
    }

    /// The process has answered.
    pub(crate) fn handle_completion(&self, request_id: &str, completion: Completion) -> Result<(), OutOfTurn> {
        let mut state = self.state();
        if state.delivery.as_ref().is_none_or(|delivery| delivery.request_id != request_id) {
            return Err(OutOfTurn);
        }
        match std::mem::replace(&mut state.phase, Phase::Gone) {
            Phase::Running(running) => {
                state.phase = Phase::Finishing(running.finished);
                let _ = running.completed.send(completion);
            }
            Phase::Overdue => {
                self.end(&mut state);
                return Err(OutOfTurn);
            }
            other => {
                state.phase = other;
                return Err(OutOfTurn);
            }
        }
        drop(state);
        self.changed.send_replace(());
        Ok(())
    }

    /// The process says that it cannot start.
    pub(crate) fn handle_init_error(&self, error: Bytes) -> Result<(), OutOfTurn> {
        let mut state = self.state();
        match std::mem::replace(&mut state.phase, Phase::Gone) {
            Phase::Starting(started) => {
                let _ = started.send(Start::Failed(error));
                Ok(())
            }
            other => {
                state.phase = other;
                Err(OutOfTurn)
            }
        }
    }

    /// The process has ended, and has been waited for.
    pub(crate) fn handle_exit(&self, status: ExitStatus) {
        let mut state = self.state();
        match std::mem::replace(&mut state.phase, Phase::Gone) {
            Phase::Starting(started) => {
                let _ = started.send(Start::Exited(status));
            }
            Phase::Running(running) => {
                let _ = running.completed.send(Completion::Exited(status));
            }
            Phase::Ready(_) | Phase::Finishing(_) | Phase::Overdue | Phase::Gone => {}
        }
        // What the process had started itself ends with it.
        self.group.kill();
        drop(state);
        self.changed.send_replace(());
    }

    /// Gives an event to a process that waits for one, thawing it. Nothing if it does not wait: another has to be found.
    pub(crate) fn deliver(&self, delivery: &Arc<Delivery>) -> Option<Run> {
        self.capture.begin();
        let mut state = self.state();
        let Phase::Ready(hand_out) = std::mem::replace(&mut state.phase, Phase::Gone) else {
            self.end(&mut state);
            return None;
        };
        if state.motion == Motion::Frozen {
            self.group.thaw();
            state.motion = Motion::Going;
        }
        let deadline = SystemTime::now() + self.function.timeout;
        if hand_out.send(HandedOut { delivery: delivery.clone(), deadline }).is_err() {
            self.end(&mut state);
            return None;
        }
        let (completed_sender, completed) = oneshot::channel();
        let (finished_sender, finished) = oneshot::channel();
        let running = Running { since: Instant::now(), completed: completed_sender, finished: finished_sender };
        state.phase = Phase::Running(running);
        state.delivery = Some(delivery.clone());
        state.at_deadline = AtDeadline::Killed;
        drop(state);
        self.changed.send_replace(());
        Some(Run { completed, finished })
    }

    /// Freezes a process that waits for an event.
    pub(crate) fn rest(&self) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Ready(_)) && state.motion == Motion::Going {
            self.group.freeze();
            state.motion = Motion::Frozen;
        }
    }

    /// Freezes the process in the middle of what it runs; says whether it ran anything.
    pub(crate) fn freeze(&self) -> bool {
        let mut state = self.state();
        let runs = matches!(state.phase, Phase::Running(_) | Phase::Overdue);
        if runs {
            self.group.freeze();
            state.motion = Motion::Frozen;
            self.changed.send_replace(());
        }
        runs
    }

    /// Lets a process go on that was frozen in the middle; says whether it was.
    pub(crate) fn thaw(&self) -> bool {
        let mut state = self.state();
        let frozen = state.motion == Motion::Frozen && !matches!(state.phase, Phase::Ready(_) | Phase::Gone);
        if frozen {
            self.group.thaw();
            state.motion = Motion::Going;
            self.changed.send_replace(());
        }
        frozen
    }

    /// Sends `SIGKILL` to a process that runs something; says whether it did.
    pub(crate) fn crash(&self) -> bool {
        let state = self.state();
        let runs = matches!(state.phase, Phase::Running(_) | Phase::Overdue);
        if runs {
            self.group.kill();
        }
        runs
    }

    /// Sets what happens to what it runs now when its time is over; says whether it runs anything.
    pub(crate) fn set_at_deadline(&self, at_deadline: AtDeadline) -> bool {
        let mut state = self.state();
        let runs = matches!(state.phase, Phase::Running(_));
        if runs {
            state.at_deadline = at_deadline;
        }
        runs
    }

    /// The time of what it runs is over: kills it, unless it may go on; then it is left alone until it answers.
    pub(crate) fn handle_deadline(&self) -> AtDeadline {
        let mut state = self.state();
        if state.at_deadline == AtDeadline::GoesOn {
            state.phase = Phase::Overdue;
            self.changed.send_replace(());
        } else {
            self.group.kill();
        }
        state.at_deadline
    }

    /// Kills the process, whatever it does. What it runs ends when it is gone.
    pub(crate) fn kill(&self) {
        let _state = self.state();
        self.group.kill();
    }

    fn end(&self, state: &mut State) {
        state.phase = Phase::Gone;
        self.group.kill();
    }
}
