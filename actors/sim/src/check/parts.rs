//! What can be checked by itself: an object, or a key of a map.

use std::collections::BTreeMap;

use super::explain::Longest;
use super::{Limits, Verdict, search};
use crate::call::{Call, MapCall, ObjectType};
use crate::history::{ClientId, History, ObjectIndex, OperationId, Outcome};
use crate::spec::*;

/// The calls of an object, or of one key of a map.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) object: ObjectIndex,
    pub(super) entries: Vec<Entry>,
}

/// Splits a history into parts, in the order of its objects and their keys. What was not applied is in none.
pub(super) fn split(history: &History) -> Vec<Part> {
    let mut whole = vec![false; history.objects().len()];
    for operation in history.operations() {
        whole[operation.object.0 as usize] |= key_of(&operation.call).is_none();
    }
    let mut parts = BTreeMap::<(ObjectIndex, Option<i64>), Vec<Entry>>::new();
    for (index, operation) in history.operations().iter().enumerate() {
        let (reply, returned_at) = match operation.outcome {
            Outcome::Returned(reply, at) => (Some(reply), Some(at)),
            Outcome::Unknown(_) | Outcome::Open => (None, None),
            Outcome::NotApplied(_) => continue,
        };
        let key = if whole[operation.object.0 as usize] { None } else { key_of(&operation.call) };
        let step = Step { call: operation.call, reply, client: operation.client, phase: Phase::Whole };
        let due = returned_at.unwrap_or(u64::MAX);
        let operation_id = OperationId(index);
        let entry = Entry { operation: operation_id, step, invoked_at: operation.invoked_at, returned_at, due };
        parts.entry((operation.object, key)).or_default().push(entry);
    }
    parts.into_iter().map(|((object, _), entries)| Part { object, entries }).collect()
}

/// The key that a call of a map is about, if it is about one.
fn key_of(call: &Call) -> Option<i64> {
    match call {
        Call::Map(MapCall::Get(key) | MapCall::Insert(key, _) | MapCall::Remove(key)) => Some(*key),
        _ => None,
    }
}

impl Part {
    /// Searches for an order; also says how many steps were tried.
    pub(super) fn check(self, history: &History, limits: &Limits) -> (Verdict, u64) {
        match history.objects()[self.object.0 as usize].object_type {
            ObjectType::Counter { initial } => self.check_by(CounterSpec { initial }, history, limits),
            ObjectType::Register { initial } => self.check_by(RegisterSpec { initial }, history, limits),
            ObjectType::Map => self.check_by(MapSpec, history, limits),
            ObjectType::Queue { capacity } => self.check_by(QueueSpec::new(capacity), history, limits),
            ObjectType::Mutex => self.check_by(MutexSpec, history, limits),
            ObjectType::Semaphore { permits } => self.check_by(SemaphoreSpec { permits }, history, limits),
            ObjectType::Barrier { parties } => self.check_by(BarrierSpec { parties }, history, limits),
            ObjectType::Promise => self.check_by(PromiseSpec, history, limits),
        }
    }

    fn check_by<S: Specification>(mut self, mut spec: S, history: &History, limits: &Limits) -> (Verdict, u64) {
        self.entries = phases(&spec, &self.entries);
        if let Some((why, entries)) = spec.refute(&self.entries) {
            let stuck = entries.iter().map(|entry| entry.operation).collect();
            let longest = Longest { state: why.to_owned(), stuck, ..Longest::default() };
            let explanation = Box::new(longest.explain(history, self.object, self.entries.len()));
            let object = history.objects()[self.object.0 as usize].key.clone();
            return (Verdict::NotLinearizable { object, explanation }, 0);
        }
        spec.prepare(&mut self.entries);
        let (known, unanswered): (Vec<_>, Vec<_>) =
            self.entries.into_iter().partition(|entry| entry.returned_at.is_some());
        search::Search::new(&spec, known, unanswered, *limits).run(history, self.object)
    }
}

/// One entry for each moment at which an operation takes effect.
fn phases<S: Specification>(spec: &S, entries: &[Entry]) -> Vec<Entry> {
    let client = |step: &Step| if spec.knows_clients() { step.client } else { ClientId(0) };
    let mut all = Vec::with_capacity(entries.len() * spec.phases().len());
    for entry in entries {
        let reached = if entry.returned_at.is_some() { spec.phases() } else { &spec.phases()[..1] };
        let steps = reached.iter().map(|&phase| Step { phase, client: client(&entry.step), ..entry.step });
        all.extend(steps.map(|step| Entry { step, ..*entry }));
    }
    all
}
