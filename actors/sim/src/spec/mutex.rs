//! Locks.

use super::{Specification, Step};
use crate::call::{Call, MutexCall, Reply};
use crate::history::ClientId;

/// A lock: one holder at a time, and fences that grow.
///
/// A lock that was taken by an unanswered call may be taken away again at any time, since nobody will give it back: while it is
/// held so, `TryLock` may be refused, and anybody may get it.
#[derive(Clone, Copy, Debug, Default)]
pub struct MutexSpec;

/// Who holds a lock, and the highest fence that anybody was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MutexState {
    /// How it is held.
    pub holding: Holding,
    /// The highest fence that was told.
    pub fence: u64,
}

/// How a lock is held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Holding {
    /// Not at all.
    #[default]
    Free,
    /// By a client, with the state's fence.
    Held(ClientId),
    /// Maybe still by a call that was not answered.
    Unseen,
}

impl Specification for MutexSpec {
    type State = MutexState;

    fn initial(&self) -> MutexState {
        MutexState::default()
    }

    fn apply(&self, state: &MutexState, step: &Step) -> Option<MutexState> {
        let held = matches!(state.holding, Holding::Held(_));
        let freed = MutexState { holding: Holding::Free, fence: state.fence };
        match step.call {
            Call::Mutex(call @ (MutexCall::Lock | MutexCall::TryLock)) => match step.reply {
                None => (!held).then_some(MutexState { holding: Holding::Unseen, ..freed }),
                Some(Reply::Fence(fence)) => {
                    (!held && fence > state.fence).then_some(MutexState { holding: Holding::Held(step.client), fence })
                }
                Some(Reply::Refused) if call == MutexCall::TryLock => {
                    (state.holding != Holding::Free).then(|| state.clone())
                }
                Some(_) => None,
            },
            Call::Mutex(MutexCall::Unlock(fence)) => {
                let is_his = held && fence == state.fence;
                match step.reply {
                    None | Some(Reply::Done) => is_his.then_some(freed),
                    Some(Reply::Refused) => (!is_his).then(|| state.clone()),
                    Some(_) => None,
                }
            }
            Call::OwnerEnded(owner) => (state.holding == Holding::Held(owner)).then_some(freed),
            _ => None,
        }
    }

    fn forced(&self, step: &Step) -> bool {
        step.reply == Some(Reply::Refused)
    }

    fn knows_clients(&self) -> bool {
        true
    }
}
