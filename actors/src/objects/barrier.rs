//! `Barrier`: callers wait for each other, again and again.

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

use crate::ids::Owner;
use crate::waiter::Waiter;

/// A barrier for a fixed number of parties, which is used again as soon as it opens, as `std::sync::Barrier` is.
///
/// A caller that gives up (deadline, cancel, death) leaves its seat free for another.
/// One round trip a wait, whatever the number of parties: all replies leave with the last arrival.
#[object]
#[derive(Debug, Serialize, Deserialize)]
pub struct Barrier {
    parties: u32,
    generation: u64,
    waiting: Vec<Waiter<BarrierWaitResult>>,
}

/// How a caller came through a [`Barrier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarrierWaitResult {
    leader: bool,
    generation: u64,
}

impl BarrierWaitResult {
    /// Whether this caller was the last to arrive; exactly one of each generation is.
    pub fn is_leader(&self) -> bool {
        self.leader
    }

    /// How many times the barrier had opened before, from 0.
    pub fn generation(&self) -> u64 {
        self.generation
    }
}

#[object]
impl Barrier {
    /// A barrier for that many parties, at least 1.
    pub fn new(parties: u32) -> Result<Self, String> {
        if parties == 0 {
            return Err("a barrier needs at least one party".to_owned());
        }
        Ok(Self { parties, generation: 0, waiting: Vec::new() })
    }

    /// Waits until as many callers as there are parties wait; the last to arrive is the leader.
    pub fn wait(&mut self, waiter: Waiter<BarrierWaitResult>) {
        let arrived = self.waiting.len() + 1;
        if arrived >= self.parties as usize {
            // Only now does it matter whether everybody is still here.
            self.waiting.retain(Waiter::is_live);
        }
        if self.waiting.len() + 1 < self.parties as usize {
            return self.waiting.push(waiter);
        }
        let generation = self.generation;
        self.generation += 1;
        for other in self.waiting.drain(..) {
            other.reply(BarrierWaitResult { leader: false, generation });
        }
        waiter.reply(BarrierWaitResult { leader: true, generation });
    }

    /// How many parties the barrier is for.
    pub fn parties(&self) -> u32 {
        self.parties
    }

    /// How many callers wait now.
    pub fn waiting(&self) -> u32 {
        let live = self.waiting.iter().filter(|waiter| waiter.is_live()).count();
        u32::try_from(live).unwrap_or(u32::MAX)
    }

    /// An owner has ended: its seats are free already, since its calls have left the table.
    fn owner_gone(&mut self, _owner: Owner) {
        self.waiting.retain(Waiter::is_live);
    }
}
