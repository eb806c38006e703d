//! The core of one object: its state, the calls parked in it, and how an entry is applied.
//!
//! An instance is a deterministic state machine: equal entries give equal instances and equal outcomes on every copy.
//! A method that panics leaves everything as it was before: see [`crate::rollback`].

use std::collections::BTreeMap;
use std::fmt;
use std::panic::catch_unwind;

use bytes::Bytes;

use crate::caller::{SYSTEM_METHODS_FROM, system};
use crate::construction::Made;
use crate::entry::{CallEntry, Entry, EntryKind, GiveUp, NestedCall, Outcomes, Wanted};
use crate::ephemeral::Ephemeral;
use crate::error::{Fault, Refusal};
use crate::execution::{Step, failed, panic_message, parked_call};
use crate::guards::GuardQueue;
use crate::ids::{CallId, Epoch, LogIndex, Owner, SessionId, WaiterId};
use crate::nested::NestedTable;
use crate::object::{CreateError, ObjectType, Ran, Run, State};
use crate::replies::Answer;
use crate::rollback::Rollback;
use crate::turn::{NestedRequest, Stamp, Turn};
use crate::waiter::{ParkedCall, ParkedCalls};

/// How long a nested call may take if its parent has no earlier deadline.
pub const NESTED_TIMEOUT_MS: u64 = 30_000;

/// A new state, and the arguments that it was made with.
type Created = (Box<dyn State>, Option<Box<Made>>);

/// One object.
pub struct Instance {
    pub(crate) object_type: &'static ObjectType,
    /// The object's hash, which names it in call chains.
    pub(crate) hash: u64,
    pub(crate) state: Option<Box<dyn State>>,
    /// Set when the state could not be restored after a panic: nobody may see what is left.
    pub(crate) lost: bool,
    /// Set when the object rests that had a checkpoint: its next write begins with another one.
    pub(crate) rests_large: bool,
    /// The constructor's arguments, where there were any.
    pub(crate) construction: Option<Box<Made>>,
    pub(crate) parked: ParkedCalls,
    /// Where the object was made in the log: what was granted before then was granted by an earlier object of the name.
    pub(crate) made_at: LogIndex,
    /// The last entry that was applied.
    pub(crate) applied: LogIndex,
    /// How many runs the entry at hand has set off beside its own.
    n_runs: u32,
    /// What few objects have; kept apart so that an idle object is small.
    pub(crate) extras: Option<Box<Extras>>,
    pub(crate) rollback: Rollback,
}

/// Queues of guarded methods, nested calls, answers that nobody takes, and whether the object is ephemeral.
#[derive(Default)]
pub(crate) struct Extras {
    /// Calls whose guard was false, by method number, in order of arrival.
    pub(crate) queues: BTreeMap<u16, GuardQueue>,
    pub(crate) nested: NestedTable,
    /// What calls were answered whose cancels are on their way.
    pub(crate) untaken: BTreeMap<CallId, Bytes>,
    pub(crate) ephemeral: Option<Ephemeral>,
}

impl Instance {
    /// An object that has not been made yet.
    pub fn vacant(object_type: &'static ObjectType, hash: u64) -> Self {
        Self {
            object_type,
            hash,
            state: None,
            lost: false,
            rests_large: false,
            construction: None,
            parked: ParkedCalls::new(),
            made_at: LogIndex(0),
            applied: LogIndex(0),
            n_runs: 0,
            extras: None,
            rollback: Rollback::default(),
        }
    }

    /// The session of the object's nested calls: another one each time that it is made, and the same on every copy.
    fn session(&self) -> SessionId {
        SessionId::of_object(self.hash ^ self.made_at.0.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Whether the object has been made and not been deleted.
    pub fn exists(&self) -> bool {
        self.state.is_some()
    }

    /// Whether a panic could not be undone: nobody may see what is left, until the object is deleted or made anew.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether nothing is left that would have to be kept.
    pub fn is_vacant(&self) -> bool {
        self.state.is_none()
            && !self.lost
            && self.parked.is_empty()
            && self.extras.as_ref().is_none_or(|extras| extras.nested.is_idle())
    }

    /// The place in the log of the last entry that the object has seen.
    pub fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The object's type.
    pub fn object_type(&self) -> &'static ObjectType {
        self.object_type
    }

    /// The calls that wait in the object, in order of arrival.
    pub fn parked(&self) -> &ParkedCalls {
        &self.parked
    }

    /// The encoded state; `None` if there is none, or its `Serialize` fails.
    pub fn encoded_state(&self) -> Option<Vec<u8>> {
        self.state.as_ref()?.encode(Vec::new()).ok()
    }

    /// Applies one entry and appends what it leaves behind to `out`.
    ///
    /// `scratch` is a buffer that the caller keeps from entry to entry.
    pub fn apply(&mut self, entry: &Entry, scratch: &mut Vec<u8>, out: &mut Outcomes) {
        out.n_applied += 1;
        out.last_index = entry.stamp.index;
        self.lose_if_elsewhere(entry, out);
        if entry.stamp.index <= self.applied && !entry.only_reads(self.object_type) {
            // The image from which this copy was made had it.
            return;
        }
        self.applied = self.applied.max(entry.stamp.index);
        let take_back = self.take_back_of(entry, out);
        let entry = take_back.as_ref().unwrap_or(entry);
        scratch.clear();
        let mark = out.mark();
        self.rollback.begin();
        if self.rests_large && !entry.only_reads(self.object_type) {
            self.rests_large = false;
            self.take_checkpoint();
        }
        self.apply_kind(entry, scratch, out);
        // A large object that panicked was rebuilt from its checkpoint: the entry is applied again without the run that panicked.
        while self.rollback.must_repeat() {
            out.truncate(mark);
            self.rebuild();
            self.apply_kind(entry, scratch, out);
        }
        self.rollback_commit(entry, scratch.len());
        if self.lost {
            self.dismiss(entry.stamp, out);
        }
    }

    pub(crate) fn apply_kind(&mut self, entry: &Entry, scratch: &mut Vec<u8>, out: &mut Outcomes) {
        self.n_runs = 0;
        match &entry.kind {
            EntryKind::Call(call) if call.method >= SYSTEM_METHODS_FROM => {
                self.apply_system(entry.stamp, call, entry.led, out)
            }
            EntryKind::Call(call) => self.apply_call(entry.stamp, call, entry.led, scratch, out),
            EntryKind::Read(call) => return self.apply_read(entry.stamp, call, out),
            EntryKind::Lose => return,
            EntryKind::Cancel { waiter, why, .. } => self.apply_cancel(entry.stamp, *waiter, *why, scratch, out),
            EntryKind::TakeBack { grant, .. } if grant.0 < self.made_at.0 => {}
            EntryKind::TakeBack { call, grant, method, granted } => {
                let name = self.object_type.methods.get(usize::from(*method)).map(|method| method.name);
                let turn = Turn::taking_back(entry.stamp, *call, name.zip(granted.clone()));
                if let Some(hook) = self.object_type.hooks.grant_cancelled {
                    self.run_hook(entry.stamp, turn, scratch, out, |state, turn| hook(state, *grant, turn));
                }
            }
            EntryKind::Then { lane, sequence, result } => {
                let Some(pending) = self.extras.as_mut().and_then(|extras| extras.nested.finish(*lane, *sequence))
                else {
                    return;
                };
                let mut turn = Turn::new(entry.stamp, pending.parent, pending.owner);
                let result = result.clone();
                let continuation = &self.object_type.continuations[usize::from(pending.then)];
                let step = self.step(entry.stamp, &mut turn, None, scratch, out, |state, turn| {
                    let body = result.as_ref().map(AsRef::as_ref).map_err(Clone::clone);
                    (continuation.run)(state, body, &pending.context, turn).map(|()| Ran::Parked)
                });
                if let Step::Done(_) = step {
                    self.emit_nested(&turn, &pending.chain, pending.deadline_ms, out);
                } else {
                    self.answer_for(continuation.name, step, entry.stamp, &pending.waiters, out);
                }
            }
            EntryKind::OwnerGone(owner) => self.apply_owner_gone(entry.stamp, *owner, scratch, out),
        }
        self.run_guards(entry.stamp, scratch, out);
    }

    fn apply_call(
        &mut self,
        stamp: Stamp,
        call: &CallEntry,
        led: Option<Epoch>,
        scratch: &mut Vec<u8>,
        out: &mut Outcomes,
    ) {
        if self.lost {
            return out.answers.push((call.call, lost(stamp)));
        }
        match self.ensure(stamp, call, led) {
            Ok(true) if self.lost => return out.answers.push((call.call, lost(stamp))),
            Ok(true) => self.checkpoint_if_large(),
            Ok(false) => {}
            Err(refusal) => return out.refuse(call.call, stamp.index, refusal),
        }
        let Some(method) = self.object_type.methods.get(usize::from(call.method)) else {
            let name = self.object_type.name.to_owned();
            return out.refuse(call.call, stamp.index, Refusal::UnknownMethod { name, method: call.method });
        };
        if method.guard.is_some() {
            match self.admit_guarded(stamp, call, method) {
                Ok(true) => {}
                Ok(false) => return self.queue(stamp, call, out),
                Err(refusal) => return out.refuse(call.call, stamp.index, refusal),
            }
        }
        let parked = (method.parks && method.guard.is_none()).then(|| parked_call(stamp, call));
        let mut turn = Turn::new(stamp, call.call, call.owner);
        let step = match method.run {
            Run::Read(run) => self.step_read(&mut turn, out, |state, turn| run(state, &call.arguments, turn)),
            Run::Write(run) => self
                .step(stamp, &mut turn, parked.as_ref(), scratch, out, |state, turn| run(state, &call.arguments, turn)),
        };
        let is_read = matches!(method.run, Run::Read(_));
        match step {
            Step::Done(ran) => {
                if let Ran::Returned(body) = ran {
                    let index = if is_read { LogIndex(0) } else { stamp.index };
                    out.answers.push((call.call, Answer { applied: !is_read, index, result: Ok(body) }));
                } else if let Some(parked) = parked
                    && let Some(deadline_ms) = parked.deadline_ms
                    && self.parked.contains_key(&turn.grant())
                {
                    out.timers.push((deadline_ms, turn.grant(), call.call));
                }
                self.emit_nested(&turn, &call.chain, call.deadline_ms.unwrap_or(u64::MAX), out);
            }
            other => out.answers.push((call.call, failed(other, stamp, method))),
        }
    }

    /// A read outside of the log: it changes nothing, since no other copy sees it.
    fn apply_read(&mut self, stamp: Stamp, call: &CallEntry, out: &mut Outcomes) {
        if call.method >= SYSTEM_METHODS_FROM {
            return self.apply_system(stamp, call, None, out);
        }
        if self.lost {
            return out.answers.push((call.call, lost(stamp)));
        }
        if self.state.is_none() {
            let why = "the object was deleted a moment ago".to_owned();
            return out.refuse(call.call, LogIndex(0), Refusal::Unavailable(why));
        }
        if let Err(refusal) = self.ensure(stamp, call, None) {
            return out.refuse(call.call, LogIndex(0), refusal);
        }
        let Some(method) = self.object_type.methods.get(usize::from(call.method)) else {
            let name = self.object_type.name.to_owned();
            return out.refuse(call.call, LogIndex(0), Refusal::UnknownMethod { name, method: call.method });
        };
        let Run::Read(run) = method.run else {
            let why = "a method that writes came as one that reads".to_owned();
            return out.refuse(call.call, LogIndex(0), Refusal::Unavailable(why));
        };
        let mut turn = Turn::new(stamp, call.call, call.owner);
        let step = self.step_read(&mut turn, out, |state, turn| run(state, &call.arguments, turn));
        let answer = match step {
            Step::Done(Ran::Returned(body)) if turn.nested.is_empty() => {
                Answer { applied: false, index: LogIndex(0), result: Ok(body) }
            }
            Step::Done(_) => {
                let message = "a method with `&self` cannot call another object: take `&mut self`".to_owned();
                let fault = Fault::Panicked { method: method.name.to_owned(), message };
                Answer { applied: false, index: LogIndex(0), result: Err(fault) }
            }
            other => failed(other, stamp, method),
        };
        out.answers.push((call.call, answer));
    }

    /// Makes the object if it is not there, and checks that it was made as the caller wants it.
    fn ensure(&mut self, stamp: Stamp, call: &CallEntry, led: Option<Epoch>) -> Result<bool, Refusal> {
        let wanted = &call.construction;
        if self.state.is_some() {
            self.check_durability(call.durability)?;
            let hash = match wanted {
                Wanted::Anything => return Ok(false),
                Wanted::Hash(hash) => *hash,
                Wanted::Arguments(construction) => construction.hash,
            };
            let made = self.construction.as_deref();
            if hash == made.map_or(0, Made::hash) {
                return Ok(false);
            }
            let made = made.map_or_else(|| "none".to_owned(), |made| made.for_people(self.object_type));
            return Err(Refusal::DifferentArguments { made, caller: wanted.for_people(self.object_type) });
        }
        let (state, made) = self.make(wanted)?;
        (self.state, self.construction, self.made_at) = (Some(state), made, stamp.index);
        self.note_durability(call, led);
        Ok(true)
    }

    /// Runs the constructor; returns the state and what it was made with.
    fn make(&self, wanted: &Wanted) -> Result<Created, Refusal> {
        let construction = match wanted {
            Wanted::Anything => None,
            Wanted::Hash(_) => return Err(Refusal::NotCreated),
            Wanted::Arguments(construction) => Some(construction),
        };
        let arguments = construction.map(|construction| construction.arguments.as_ref());
        match catch_unwind(|| (self.object_type.create)(arguments)) {
            Ok(Ok(state)) => Ok((state, construction.map(|construction| Box::new(Made::of(construction))))),
            Ok(Err(CreateError::NoArguments)) => Err(Refusal::NotCreated),
            Ok(Err(CreateError::Arguments(why))) => Err(Refusal::Arguments { method: "new".to_owned(), why }),
            Ok(Err(CreateError::Constructor(why))) => Err(Refusal::Constructor(why)),
            Err(panic) => Err(Refusal::Constructor(panic_message(panic.as_ref()))),
        }
    }

    fn apply_system(&mut self, stamp: Stamp, call: &CallEntry, led: Option<Epoch>, out: &mut Outcomes) {
        if self.lost && call.method == system::CREATE {
            return out.answers.push((call.call, lost(stamp)));
        }
        let body = match call.method {
            system::CREATE => self.ensure(stamp, call, led).map(encoded),
            system::FORCE_NEW | system::CREATE_ANEW => self.make(&call.construction).map(|(state, made)| {
                self.remove(stamp, out);
                (self.state, self.construction, self.made_at) = (Some(state), made, stamp.index);
                self.note_durability(call, led);
                if call.method == system::CREATE_ANEW { encoded(true) } else { Bytes::new() }
            }),
            system::DELETE => Ok(encoded(self.remove(stamp, out))),
            system::DESCRIBE => Ok(encoded(self.describe(stamp.now_ms, usize::MAX).to_string())),
            method => Err(Refusal::UnknownMethod { name: self.object_type.name.to_owned(), method }),
        };
        match body {
            Ok(body) => {
                let applied = call.method != system::DESCRIBE;
                let index = if applied { stamp.index } else { LogIndex(0) };
                out.answers.push((call.call, Answer { applied, index, result: Ok(body) }));
            }
            Err(refusal) => out.refuse(call.call, stamp.index, refusal),
        }
    }

    /// Removes the object; returns whether it was there. Its waiters learn that it is gone.
    fn remove(&mut self, stamp: Stamp, out: &mut Outcomes) -> bool {
        self.dismiss(stamp, out);
        self.rollback = Rollback::default();
        if let Some(extras) = &mut self.extras {
            // What it granted has gone with it.
            extras.untaken.clear();
            extras.ephemeral = None;
        }
        let was_lost = std::mem::take(&mut self.lost);
        self.state.take().is_some() || was_lost
    }

    /// Tells everybody who waits in the object that it is gone.
    pub(crate) fn dismiss(&mut self, stamp: Stamp, out: &mut Outcomes) {
        for (waiter, parked) in std::mem::take(&mut self.parked) {
            out.answer_parked(waiter, &parked, lost(stamp));
        }
        if let Some(extras) = &mut self.extras {
            extras.queues.clear();
            extras.nested.forget();
        }
    }

    fn apply_cancel(&mut self, stamp: Stamp, waiter: WaiterId, why: GiveUp, scratch: &mut Vec<u8>, out: &mut Outcomes) {
        let Some(parked) = self.parked.remove(&waiter) else { return };
        let fault = match why {
            GiveUp::TimedOut => Fault::TimedOut,
            GiveUp::Cancelled => Fault::Cancelled,
        };
        let answer = Answer { applied: self.has_run(&parked), index: stamp.index, result: Err(fault) };
        out.answer_parked(waiter, &parked, answer);
        self.waiter_gone(stamp, waiter, &parked, scratch, out);
    }

    fn apply_owner_gone(&mut self, stamp: Stamp, owner: Owner, scratch: &mut Vec<u8>, out: &mut Outcomes) {
        let of_owner = self.parked.iter().filter(|(_, parked)| parked.owner == owner).map(|(&waiter, _)| waiter);
        let gone: Vec<WaiterId> = of_owner.collect();
        let gone: Vec<(WaiterId, ParkedCall)> =
            gone.into_iter().filter_map(|waiter| Some((waiter, self.parked.remove(&waiter)?))).collect();
        for (waiter, parked) in &gone {
            let applied = self.has_run(parked);
            let answer = Answer { applied, index: stamp.index, result: Err(Fault::Cancelled) };
            out.answer_parked(*waiter, parked, answer);
        }
        for (waiter, parked) in &gone {
            self.waiter_gone(stamp, *waiter, parked, scratch, out);
        }
        if let Some(hook) = self.object_type.hooks.owner_gone {
            let (own, run) = (WaiterId(stamp.index.0), self.next_run());
            let turn = Turn::resumed(stamp, run, own, CallId::default(), owner);
            self.run_hook(stamp, turn, scratch, out, |state, turn| hook(state, owner, turn));
        }
    }

    /// The number of the next run that the entry at hand sets off: fences grow with it.
    pub(crate) fn next_run(&mut self) -> u32 {
        self.n_runs += 1;
        self.n_runs
    }

    /// Whether a parked call's method has run: one with a waiter has, one that waits for its guard has not.
    fn has_run(&self, parked: &ParkedCall) -> bool {
        self.object_type.methods.get(usize::from(parked.method)).is_some_and(|method| method.guard.is_none())
    }

    /// A continuation failed: whoever waited for what it would have said is told so.
    fn answer_for(&mut self, name: &str, step: Step, stamp: Stamp, waiters: &[WaiterId], out: &mut Outcomes) {
        let fault = match step {
            Step::Panicked(message) => Fault::Panicked { method: name.to_owned(), message },
            Step::BadArguments(why) => Fault::Unknown { why: format!("`{name}` could not take the reply: {why}") },
            Step::Done(_) => return,
        };
        for waiter in waiters {
            if let Some(parked) = self.parked.remove(waiter) {
                let answer = Answer { applied: true, index: stamp.index, result: Err(fault.clone()) };
                out.answer_parked(*waiter, &parked, answer);
            }
        }
    }

    pub(crate) fn emit_nested(&mut self, turn: &Turn, chain: &[u64], deadline_ms: u64, out: &mut Outcomes) {
        for request in &turn.nested {
            let NestedRequest { message, then, context, waiters } = request.clone();
            let deadline_ms = deadline_ms.min(turn.now_ms() + NESTED_TIMEOUT_MS);
            let mut chain = chain.to_vec();
            chain.push(self.hash);
            let nested = &mut self.extras.get_or_insert_default().nested;
            let (lane, sequence) = nested.start(turn, (then, context, waiters), deadline_ms, &chain[..chain.len() - 1]);
            out.nested.push(NestedCall {
                call: CallId { session: self.session(), lane, sequence },
                object_type: message.object_type,
                key: message.key,
                construction: message.construction.map(|arguments| crate::caller::Construction::new(arguments).into()),
                durability: message.durability,
                again: false,
                method: message.method,
                arguments: message.arguments,
                deadline_ms,
                parent: turn.call_id(),
                chain,
            });
        }
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("type", &self.object_type.name)
            .field("exists", &self.exists())
            .field("parked", &self.parked.len())
            .finish_non_exhaustive()
    }
}

/// The answer of an object that is gone.
fn lost(stamp: Stamp) -> Answer {
    Answer { applied: true, index: stamp.index, result: Err(Fault::ObjectLost) }
}

fn encoded<T: serde::Serialize>(value: T) -> Bytes {
    postcard::to_allocvec(&value).expect("a plain value can be encoded").into()
}
