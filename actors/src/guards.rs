//! Guards: `#[when(…)]` methods, and the queues of calls that wait for their condition.
//!
//! One queue a method, in order of arrival: a newcomer never overtakes, and the head holds up those behind it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::entry::{CallEntry, Outcomes};
use crate::error::Refusal;
use crate::execution::{Step, failed, parked_call};
use crate::ids::WaiterId;
use crate::instance::Instance;
use crate::object::{Method, Ran, Run};
use crate::replies::Answer;
use crate::turn::{Stamp, Turn};
use crate::waiter::{self, ParkedCalls};

/// A call that waits for its guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct QueuedCall {
    pub(crate) waiter: WaiterId,
    pub(crate) arguments: Bytes,
    /// The objects that wait for the call, as hashes.
    pub(crate) chain: Box<[u64]>,
}

/// The calls of one method that wait for its guard, in order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct GuardQueue {
    calls: VecDeque<QueuedCall>,
    /// At which length the queue is looked through for calls that wait no more: when it has doubled.
    look_at: usize,
}

impl GuardQueue {
    fn push(&mut self, queued: QueuedCall, parked: &ParkedCalls) {
        const LOOK_FROM: usize = 16;
        if self.calls.len() >= self.look_at {
            self.calls.retain(|queued| parked.contains_key(&queued.waiter));
            self.look_at = LOOK_FROM.max(2 * self.calls.len());
        }
        self.calls.push_back(queued);
    }
}

impl Instance {
    /// Whether a call of a guarded method may run at once: nobody waits before it, and its guard is true.
    pub(crate) fn admit_guarded(&mut self, stamp: Stamp, call: &CallEntry, method: &Method) -> Result<bool, Refusal> {
        self.prune(call.method);
        if self.rollback.is_poisoned(WaiterId(stamp.index.0)) {
            return Ok(true);
        }
        let somebody_waits = self
            .extras
            .as_ref()
            .and_then(|extras| extras.queues.get(&call.method))
            .is_some_and(|queue| !queue.calls.is_empty());
        let open = self
            .evaluate(method, &call.arguments)
            .map_err(|why| Refusal::Arguments { method: method.name.to_owned(), why })?;
        Ok(open && !somebody_waits)
    }

    /// Evaluates a guard. One that panics counts as true, so that its method runs and the caller learns of it.
    fn evaluate(&mut self, method: &Method, arguments: &[u8]) -> Result<bool, String> {
        let (Some(guard), Some(state)) = (method.guard, self.state.as_deref()) else { return Ok(true) };
        waiter::enter(std::mem::take(&mut self.parked));
        let open = catch_unwind(AssertUnwindSafe(|| guard(state, arguments)));
        self.parked = waiter::leave().parked;
        open.unwrap_or(Ok(true)).map_err(|error| error.0)
    }

    /// Lets a call wait for its guard.
    pub(crate) fn queue(&mut self, stamp: Stamp, call: &CallEntry, out: &mut Outcomes) {
        let waiter = WaiterId(stamp.index.0);
        let parked = parked_call(stamp, call);
        if let Some(deadline_ms) = parked.deadline_ms {
            out.timers.push((deadline_ms, waiter, call.call));
        }
        self.parked.insert(waiter, parked);
        let queue = self.extras.get_or_insert_default().queues.entry(call.method).or_default();
        let queued = QueuedCall { waiter, arguments: call.arguments.clone(), chain: call.chain.clone() };
        queue.push(queued, &self.parked);
    }

    /// Drops the calls at the head of the queue that wait no more. One deeper in the queue is dropped when its turn comes.
    fn prune(&mut self, method: u16) {
        let Some(queue) = self.extras.as_mut().and_then(|extras| extras.queues.get_mut(&method)) else { return };
        while queue.calls.front().is_some_and(|head| !self.parked.contains_key(&head.waiter)) {
            queue.calls.pop_front();
        }
    }

    /// Runs the heads of the guarded queues for as long as one of them is free to go.
    pub(crate) fn run_guards(&mut self, stamp: Stamp, scratch: &mut Vec<u8>, out: &mut Outcomes) {
        while !self.lost
            && !self.rollback.will_repeat()
            && let Some((number, queued)) = self.next_free()
        {
            let Some(parked) = self.parked.remove(&queued.waiter) else { continue };
            out.end_timer(queued.waiter, &parked);
            let run_number = self.next_run();
            let method = &self.object_type.methods[usize::from(number)];
            let mut turn = Turn::resumed(stamp, run_number, queued.waiter, parked.call, parked.owner);
            let step = match method.run {
                Run::Read(run) => self.step_read(&mut turn, out, |state, turn| run(state, &queued.arguments, turn)),
                Run::Write(run) => {
                    self.step(stamp, &mut turn, None, scratch, out, |state, turn| run(state, &queued.arguments, turn))
                }
            };
            match step {
                Step::Done(Ran::Returned(body)) => {
                    let applied = matches!(method.run, Run::Write(_));
                    out.answers.push((parked.call, Answer { applied, index: stamp.index, result: Ok(body) }));
                    self.emit_nested(&turn, &queued.chain, parked.deadline_ms.unwrap_or(u64::MAX), out);
                }
                Step::Done(Ran::Parked) => {}
                other => out.answers.push((parked.call, failed(other, stamp, method))),
            }
        }
    }

    /// Takes the first call, in the order of method numbers, that waits at the head of its queue with a true guard.
    fn next_free(&mut self) -> Option<(u16, QueuedCall)> {
        let numbers: Vec<u16> = self.extras.as_ref()?.queues.keys().copied().collect();
        for &number in &numbers {
            self.prune(number);
        }
        let heads = self
            .extras
            .as_ref()?
            .queues
            .iter()
            .filter_map(|(&number, queue)| Some((number, queue.calls.front()?.clone())));
        for (number, head) in heads.collect::<Vec<_>>() {
            let method = &self.object_type.methods[usize::from(number)];
            if self.rollback.is_poisoned(head.waiter) || self.evaluate(method, &head.arguments).unwrap_or(true) {
                self.extras.as_mut()?.queues.get_mut(&number)?.calls.pop_front();
                return Some((number, head));
            }
        }
        None
    }
}
