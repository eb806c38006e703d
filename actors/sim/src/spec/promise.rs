//! Promises.

use super::{Specification, Step};
use crate::call::{Call, PromiseCall, Reply};

/// A value that is set once.
#[derive(Clone, Copy, Debug, Default)]
pub struct PromiseSpec;

impl Specification for PromiseSpec {
    type State = Option<i64>;

    fn initial(&self) -> Option<i64> {
        None
    }

    fn apply(&self, &state: &Option<i64>, step: &Step) -> Option<Option<i64>> {
        let Call::Promise(call) = step.call else { return None };
        let (next, reply) = match (call, state) {
            (PromiseCall::Set(value), None) => (Some(value), Reply::Done),
            (PromiseCall::Set(_), Some(_)) => (state, Reply::Refused),
            (PromiseCall::Wait, Some(value)) => (state, Reply::Number(value)),
            (PromiseCall::Wait, None) => return None,
            (PromiseCall::TryGet, _) => (state, Reply::Value(state)),
        };
        step.reply.is_none_or(|told| told == reply).then_some(next)
    }

    fn forced(&self, step: &Step) -> bool {
        !matches!((step.call, step.reply), (Call::Promise(PromiseCall::Set(_)), None | Some(Reply::Done)))
    }
}
