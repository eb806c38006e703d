//! `Counter` and the atomics.

use super::{Specification, Step};
use crate::call::{Call, CounterCall, Reply};

/// After so many sums the search for one gives up and assumes that there is one.
const SUMS_MAX: u32 = 2_000;

/// A number; sums wrap around.
#[derive(Clone, Copy, Debug)]
pub struct CounterSpec {
    /// The number before the first call.
    pub initial: i64,
}

impl Specification for CounterSpec {
    type State = i64;

    fn initial(&self) -> i64 {
        self.initial
    }

    fn apply(&self, &state: &i64, step: &Step) -> Option<i64> {
        let Call::Counter(call) = step.call else { return None };
        let (next, reply) = run(state, call);
        step.reply.is_none_or(|told| told == reply).then_some(next)
    }

    fn forced(&self, step: &Step) -> bool {
        let Call::Counter(call) = step.call else { return false };
        match call {
            CounterCall::Get | CounterCall::Add(0) | CounterCall::FetchAdd(0) => true,
            CounterCall::Swap(value) => step.reply == Some(Reply::Number(value)),
            CounterCall::CompareExchange { .. } => matches!(step.reply, Some(Reply::Exchanged(Err(_)))),
            CounterCall::Add(_) | CounterCall::FetchAdd(_) | CounterCall::Store(_) => false,
        }
    }

    fn reachable(&self, &state: &i64, target: &Step, unanswered: &[Step]) -> bool {
        // A store wipes out whatever came before.
        let Some(needed) = needed(target) else { return false };
        let mut deltas = Vec::with_capacity(unanswered.len());
        for step in unanswered {
            match step.call {
                Call::Counter(CounterCall::Add(delta) | CounterCall::FetchAdd(delta)) => deltas.push(i128::from(delta)),
                Call::Counter(CounterCall::Get) => {}
                // After a set the number may be anything.
                _ => return true,
            }
        }
        let range: i128 = deltas.iter().map(|delta| delta.abs()).sum();
        let missing = i128::from(needed) - i128::from(state);
        if i128::from(state).abs() + range > i128::from(i64::MAX) {
            return true; // It may wrap around.
        }
        deltas.sort_unstable_by_key(|delta| -delta.abs());
        is_sum(missing, &deltas, range, &mut 0)
    }
}

fn run(state: i64, call: CounterCall) -> (i64, Reply) {
    match call {
        CounterCall::Add(delta) => (state.wrapping_add(delta), Reply::Number(state.wrapping_add(delta))),
        CounterCall::FetchAdd(delta) => (state.wrapping_add(delta), Reply::Number(state)),
        CounterCall::Get => (state, Reply::Number(state)),
        CounterCall::Swap(value) => (value, Reply::Number(state)),
        CounterCall::Store(value) => (value, Reply::Done),
        CounterCall::CompareExchange { current, new } if current == state => (new, Reply::Exchanged(Ok(state))),
        CounterCall::CompareExchange { .. } => (state, Reply::Exchanged(Err(state))),
    }
}

/// What the number must be for the step, if its reply says so.
fn needed(step: &Step) -> Option<i64> {
    match (step.call, step.reply?) {
        (Call::Counter(CounterCall::Add(delta)), Reply::Number(after)) => Some(after.wrapping_sub(delta)),
        (_, Reply::Number(before) | Reply::Exchanged(Ok(before) | Err(before))) => Some(before),
        _ => None,
    }
}

/// Whether some of `deltas`, which are in order of size with the largest first and whose sizes sum up to `range`, make up `missing`.
fn is_sum(missing: i128, deltas: &[i128], range: i128, looked_at: &mut u32) -> bool {
    *looked_at += 1;
    if missing == 0 || *looked_at > SUMS_MAX {
        return true;
    }
    let [first, rest @ ..] = deltas else { return false };
    if missing.abs() > range {
        return false;
    }
    let range = range - first.abs();
    is_sum(missing - first, rest, range, looked_at) || is_sum(missing, rest, range, looked_at)
}
