//! The object behind `Barrier`: callers wait for each other, again and again.

use std::fmt;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::WaitQueue;
use crate::waiter::Waiter;

/// A barrier for a fixed number of parties; use it through the client's `Barrier`.
#[object(name = "Barrier")]
#[derive(Debug, Serialize, Deserialize)]
pub struct BarrierObject {
    parties: usize,
    generation: u64,
    waiting: WaitQueue<Result<BarrierWaitResult, Aborted>>,
    aborted: bool,
}

/// How a caller came through a barrier.
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

/// The barrier was aborted: some party will not come. The caller has no seat in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the barrier was aborted")
    }
}

impl std::error::Error for Aborted {}

#[object]
impl BarrierObject {
    /// A barrier for that many parties, at least 1.
    pub fn new(parties: usize) -> Result<Self, String> {
        if parties == 0 {
            return Err("a barrier needs at least one party".to_owned());
        }
        Ok(Self { parties, generation: 0, waiting: WaitQueue::default(), aborted: false })
    }

    /// Waits until as many callers as there are parties wait; the last to arrive is the leader.
    pub fn wait(&mut self, waiter: Waiter<Result<BarrierWaitResult, Aborted>>) {
        match self.try_wait() {
            Ok(None) => self.waiting.push(waiter, ()),
            Ok(Some(passed)) => waiter.reply(Ok(passed)),
            Err(aborted) => waiter.reply(Err(aborted)),
        }
    }

    /// Comes through with the others if they are all here, as the leader; else it is as if nobody had asked.
    pub fn try_wait(&mut self) -> Result<Option<BarrierWaitResult>, Aborted> {
        if self.aborted {
            return Err(Aborted);
        }
        let others = self.parties - 1;
        if self.waiting.len_max() >= others {
            // Only now does it matter whether everybody is still here.
            self.waiting.forget_gone();
        }
        if self.waiting.len_max() < others {
            return Ok(None);
        }
        let generation = self.generation;
        self.generation += 1;
        for (other, ()) in self.waiting.drain() {
            other.reply(Ok(BarrierWaitResult { leader: false, generation }));
        }
        Ok(Some(BarrierWaitResult { leader: true, generation }))
    }

    /// How many parties the barrier is for.
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many callers wait now.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Says that some party will not come: who waits is told [`Aborted`], and so is who comes. Doing so twice means nothing.
    pub fn abort(&mut self) {
        self.aborted = true;
        self.dismiss();
    }

    /// Makes the barrier usable again; generations go on. Who waits now is told [`Aborted`].
    pub fn reset(&mut self) {
        self.aborted = false;
        self.dismiss();
    }

    /// Whether the barrier was aborted, and not reset since.
    pub fn is_aborted(&self) -> bool {
        self.aborted
    }

    fn dismiss(&mut self) {
        for (waiter, ()) in self.waiting.drain() {
            waiter.reply(Err(Aborted));
        }
    }

    fn summary(&self) -> serde_json::Value {
        json!({
            "parties": self.parties,
            "waiting": self.waiting.len(),
            "generation": self.generation,
            "aborted": self.aborted,
        })
    }
}
