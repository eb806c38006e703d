//! Maps.

use std::collections::BTreeMap;

use super::{Specification, Step};
use crate::call::{Call, MapCall, Reply};

/// Values by key. A history without `Len` is checked key by key.
#[derive(Clone, Copy, Debug, Default)]
pub struct MapSpec;

impl Specification for MapSpec {
    type State = BTreeMap<i64, i64>;

    fn initial(&self) -> Self::State {
        BTreeMap::new()
    }

    fn apply(&self, state: &Self::State, step: &Step) -> Option<Self::State> {
        let Call::Map(call) = step.call else { return None };
        let reply = match call {
            MapCall::Get(key) | MapCall::Insert(key, _) | MapCall::Remove(key) => {
                Reply::Value(state.get(&key).copied())
            }
            MapCall::Len => Reply::Number(i64::try_from(state.len()).ok()?),
        };
        if step.reply.is_some_and(|told| told != reply) {
            return None;
        }
        let mut next = state.clone();
        match call {
            MapCall::Insert(key, value) => next.insert(key, value),
            MapCall::Remove(key) => next.remove(&key),
            MapCall::Get(_) | MapCall::Len => None,
        };
        Some(next)
    }

    fn forced(&self, step: &Step) -> bool {
        let Call::Map(call) = step.call else { return false };
        match call {
            MapCall::Get(_) | MapCall::Len => true,
            MapCall::Insert(_, value) => step.reply == Some(Reply::Value(Some(value))),
            MapCall::Remove(_) => step.reply == Some(Reply::Value(None)),
        }
    }

    fn reachable(&self, state: &Self::State, target: &Step, unanswered: &[Step]) -> bool {
        let (Call::Map(MapCall::Get(key) | MapCall::Insert(key, _) | MapCall::Remove(key)), Some(Reply::Value(seen))) =
            (target.call, target.reply)
        else {
            return true;
        };
        state.get(&key).copied() == seen
            || unanswered.iter().any(|step| match step.call {
                Call::Map(MapCall::Insert(other, value)) => other == key && seen == Some(value),
                Call::Map(MapCall::Remove(other)) => other == key && seen.is_none(),
                _ => false,
            })
    }
}
