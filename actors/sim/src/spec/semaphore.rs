//! Semaphores.

use std::collections::BTreeMap;

use super::{Specification, Step};
use crate::call::{Call, Reply, SemaphoreCall};
use crate::history::ClientId;

/// Permits that are given out and come back.
///
/// Permits that an unanswered call took may be taken away again at any time, as with a lock: they may be missing, or not.
#[derive(Clone, Copy, Debug)]
pub struct SemaphoreSpec {
    /// How many there are.
    pub permits: u64,
}

/// Which permits are given out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SemaphoreState {
    /// To clients that know of it; none have 0.
    pub held: BTreeMap<ClientId, u64>,
    /// Maybe still to calls that were not answered.
    pub unseen: u64,
}

impl Specification for SemaphoreSpec {
    type State = SemaphoreState;

    fn initial(&self) -> SemaphoreState {
        SemaphoreState::default()
    }

    fn apply(&self, state: &SemaphoreState, step: &Step) -> Option<SemaphoreState> {
        let free = self.permits.saturating_sub(state.held.values().sum());
        match (step.call, step.reply) {
            (Call::Semaphore(SemaphoreCall::Acquire(n) | SemaphoreCall::TryAcquire(n)), None) => {
                (n <= free).then(|| SemaphoreState { unseen: self.permits.min(state.unseen + n), ..state.clone() })
            }
            (Call::Semaphore(SemaphoreCall::Acquire(n) | SemaphoreCall::TryAcquire(n)), Some(Reply::Done)) => {
                (n <= free).then(|| {
                    let mut next = state.clone();
                    *next.held.entry(step.client).or_default() += n;
                    next
                })
            }
            (Call::Semaphore(SemaphoreCall::TryAcquire(n)), Some(Reply::Refused)) => {
                (n > free.saturating_sub(state.unseen)).then(|| state.clone())
            }
            (Call::Semaphore(SemaphoreCall::Release(n)), None | Some(Reply::Done)) => release(state, step.client, n),
            (Call::Semaphore(SemaphoreCall::Release(n)), Some(Reply::Refused)) => {
                release(state, step.client, n).is_none().then(|| state.clone())
            }
            (Call::OwnerEnded(owner), _) => {
                let mut next = state.clone();
                next.held.remove(&owner)?;
                Some(next)
            }
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

fn release(state: &SemaphoreState, client: ClientId, permits: u64) -> Option<SemaphoreState> {
    let left = state.held.get(&client)?.checked_sub(permits)?;
    let mut next = state.clone();
    if left == 0 {
        next.held.remove(&client);
    } else {
        next.held.insert(client, left);
    }
    Some(next)
}
