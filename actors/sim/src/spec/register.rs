//! `Cell<T>`.

use hashbrown::HashMap;

use super::{Entry, Specification, Step};
use crate::call::{Call, RegisterCall, Reply};

/// One value.
#[derive(Clone, Copy, Debug)]
pub struct RegisterSpec {
    /// The value before the first call.
    pub initial: i64,
}

impl Specification for RegisterSpec {
    type State = i64;

    fn initial(&self) -> i64 {
        self.initial
    }

    fn apply(&self, &state: &i64, step: &Step) -> Option<i64> {
        let Call::Register(call) = step.call else { return None };
        let (next, reply) = match call {
            RegisterCall::Read => (state, Reply::Number(state)),
            RegisterCall::Write(value) => (value, Reply::Done),
            RegisterCall::Replace(value) => (value, Reply::Number(state)),
            RegisterCall::CompareExchange { current, new } if current == state => (new, Reply::Exchanged(Ok(state))),
            RegisterCall::CompareExchange { .. } => (state, Reply::Exchanged(Err(state))),
        };
        step.reply.is_none_or(|told| told == reply).then_some(next)
    }

    /// A value that is seen is due when it is first seen, so that writes are tried in the order in which they were seen.
    fn prepare(&mut self, entries: &mut Vec<Entry>) {
        let mut seen = HashMap::<i64, u64>::new();
        for entry in entries.iter() {
            if let (Some(value), Some(at)) = (seen_by(&entry.step), entry.returned_at) {
                let first = seen.entry(value).or_insert(at);
                *first = at.min(*first);
            }
        }
        for entry in entries {
            if let Call::Register(RegisterCall::Write(value)) = entry.step.call {
                entry.due = seen.get(&value).copied().unwrap_or(entry.due);
            }
        }
    }

    fn forced(&self, step: &Step) -> bool {
        let Call::Register(call) = step.call else { return false };
        match call {
            RegisterCall::Read => true,
            RegisterCall::Write(_) => false,
            RegisterCall::Replace(value) => step.reply == Some(Reply::Number(value)),
            RegisterCall::CompareExchange { .. } => matches!(step.reply, Some(Reply::Exchanged(Err(_)))),
        }
    }

    fn reachable(&self, state: &i64, target: &Step, unanswered: &[Step]) -> bool {
        // A write wipes out whatever came before.
        let Some(seen) = seen_by(target) else { return false };
        *state == seen || unanswered.iter().any(|step| written_by(step) == Some(seen))
    }
}

/// The value that the step found, if its reply says so.
fn seen_by(step: &Step) -> Option<i64> {
    match step.reply? {
        Reply::Number(value) | Reply::Exchanged(Ok(value) | Err(value)) => Some(value),
        Reply::Done | Reply::Refused | Reply::Value(_) | Reply::Fence(_) | Reply::Passed { .. } => None,
    }
}

/// The value that the step leaves, if it changes it.
fn written_by(step: &Step) -> Option<i64> {
    match step.call {
        Call::Register(
            RegisterCall::Write(value)
            | RegisterCall::Replace(value)
            | RegisterCall::CompareExchange { new: value, .. },
        ) => Some(value),
        _ => None,
    }
}
