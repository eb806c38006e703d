//! Running a method: all of what it does happens, or, if it panics, none.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::entry::{CallEntry, Outcomes};
use crate::error::{Fault, Refusal};
use crate::ids::WaiterId;
use crate::instance::Instance;
use crate::object::{ArgumentsError, Method, Ran};
use crate::replies::Answer;
use crate::rollback::Undo;
use crate::turn::{Stamp, Turn};
use crate::waiter::{self, ParkedCall};

/// What one run of a method says.
pub(crate) enum Step {
    Done(Ran),
    BadArguments(String),
    Panicked(String),
}

impl Instance {
    /// Runs code that may change the state: all of it happens, or, if it panics, none.
    pub(crate) fn step(
        &mut self,
        stamp: Stamp,
        turn: &mut Turn,
        own: Option<&ParkedCall>,
        scratch: &mut Vec<u8>,
        out: &mut Outcomes,
        run: impl FnOnce(&mut dyn Any, &mut Turn) -> Result<Ran, ArgumentsError>,
    ) -> Step {
        if let Some(message) = self.rollback.poison(turn.grant()) {
            return Step::Panicked(message);
        }
        if self.rollback.will_repeat() {
            // The state is not what it should be, and all of this entry will be done again.
            return Step::Panicked(String::new());
        }
        let undo = self.save(scratch);
        let Some(state) = self.state.as_deref_mut() else { return Step::BadArguments("the object is gone".to_owned()) };
        let mut parked = std::mem::take(&mut self.parked);
        if let Some(own) = own {
            parked.insert(turn.grant(), own.clone());
        }
        waiter::enter(parked);
        let ran = catch_unwind(AssertUnwindSafe(|| run(state, turn)));
        let scope = waiter::leave();
        self.parked = scope.parked;
        match ran {
            Ok(Ok(ran)) => {
                self.settle(stamp, scope.replies, scope.dropped, out);
                Step::Done(ran)
            }
            Ok(Err(ArgumentsError(why))) => {
                self.take_back(turn.grant(), scope.replies);
                Step::BadArguments(why)
            }
            Err(panic) => {
                self.take_back(turn.grant(), scope.replies);
                let message = panic_message(panic.as_ref());
                out.n_panics += 1;
                match undo {
                    Undo::Restore => self.restore(scratch),
                    Undo::Rebuild => self.rollback.mark_poisoned(turn.grant(), message.clone()),
                }
                Step::Panicked(message)
            }
        }
    }

    pub(crate) fn step_read(
        &mut self,
        turn: &mut Turn,
        out: &mut Outcomes,
        run: impl FnOnce(&dyn Any, &mut Turn) -> Result<Ran, ArgumentsError>,
    ) -> Step {
        let Some(state) = self.state.as_deref() else { return Step::BadArguments("the object is gone".to_owned()) };
        waiter::enter(std::mem::take(&mut self.parked));
        let ran = catch_unwind(AssertUnwindSafe(|| run(state, turn)));
        self.parked = waiter::leave().parked;
        match ran {
            Ok(Ok(ran)) => Step::Done(ran),
            Ok(Err(ArgumentsError(why))) => Step::BadArguments(why),
            Err(panic) => {
                out.n_panics += 1;
                Step::Panicked(panic_message(panic.as_ref()))
            }
        }
    }

    /// Runs a hook of the type, if there is an object.
    pub(crate) fn run_hook(
        &mut self,
        stamp: Stamp,
        mut turn: Turn,
        scratch: &mut Vec<u8>,
        out: &mut Outcomes,
        hook: impl FnOnce(&mut dyn Any, &mut Turn),
    ) {
        if self.state.is_none() {
            return;
        }
        let step = self.step(stamp, &mut turn, None, scratch, out, |state, turn| {
            hook(state, turn);
            Ok(Ran::Parked)
        });
        if let Step::Done(_) = step {
            self.emit_nested(&turn, &[], u64::MAX, out);
        }
    }

    /// Tells the object that a call waits no more.
    pub(crate) fn waiter_gone(
        &mut self,
        stamp: Stamp,
        waiter: WaiterId,
        parked: &ParkedCall,
        scratch: &mut Vec<u8>,
        out: &mut Outcomes,
    ) {
        if let Some(hook) = self.object_type.hooks.waiter_gone {
            let run = self.next_run();
            let turn = Turn::resumed(stamp, run, waiter, parked.call, parked.owner);
            self.run_hook(stamp, turn, scratch, out, |state, turn| hook(state, waiter, turn));
        }
    }

    /// Undoes what a run that does not count did to the parked calls.
    fn take_back(&mut self, own: WaiterId, replies: Vec<(WaiterId, ParkedCall, Bytes)>) {
        self.parked.extend(replies.into_iter().map(|(waiter, parked, _)| (waiter, parked)));
        // A guarded call has left the table before its run.
        self.parked.remove(&own);
    }

    /// Turns what waiters did in a committed run into answers.
    fn settle(
        &mut self,
        stamp: Stamp,
        replies: Vec<(WaiterId, ParkedCall, Bytes)>,
        dropped: Vec<WaiterId>,
        out: &mut Outcomes,
    ) {
        for (waiter, parked, body) in replies {
            out.answer_parked(waiter, &parked, Answer { applied: true, index: stamp.index, result: Ok(body) });
        }
        for waiter in dropped {
            if let Some(parked) = self.parked.remove(&waiter) {
                let answer = Answer { applied: true, index: stamp.index, result: Err(Fault::Abandoned) };
                out.answer_parked(waiter, &parked, answer);
            }
        }
    }
}

/// The call as it is kept while it waits.
pub(crate) fn parked_call(stamp: Stamp, call: &CallEntry) -> ParkedCall {
    ParkedCall {
        call: call.call,
        owner: call.owner,
        method: call.method,
        deadline_ms: call.deadline_ms,
        since_ms: stamp.now_ms,
    }
}

/// The answer to a call whose run did not count.
pub(crate) fn failed(step: Step, stamp: Stamp, method: &Method) -> Answer {
    let fault = match step {
        Step::BadArguments(why) => Fault::Refused(Refusal::Arguments { method: method.name.to_owned(), why }),
        Step::Panicked(message) => Fault::Panicked { method: method.name.to_owned(), message },
        Step::Done(_) => Fault::Abandoned,
    };
    Answer { applied: false, index: stamp.index, result: Err(fault) }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
