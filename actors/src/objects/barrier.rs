//! `Barrier`: callers wait for each other, again and again.

use std::fmt;
use std::time::Duration;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::Error;
use crate::grants::WaitQueue;
use crate::waiter::Waiter;

/// A barrier for a fixed number of parties, which is used again as soon as it opens.
///
/// As many callers as there are parties come through together, in the order of their arrival: the first so many make the
/// first generation, the next so many the second. Exactly one of each, the last to arrive, is its leader. A caller that
/// gives up (deadline, cancel, death) leaves its seat free for another; the rest go on waiting.
///
/// # Cost
/// One round trip a wait, of some 60 bytes each way, whatever the number of parties: all replies leave with the last arrival.
///
/// # Different from `std::sync::Barrier`
/// It is named by a key, and everybody must name the same number of parties: another number is refused with
/// `DifferentArguments`, and 0 parties with `Constructor` (std's barrier of 0 is one of 1). A result says its generation.
/// And since parties can fail apart, a barrier can be told that somebody will not come: after [`abort`](BarrierHandle::abort)
/// who waits, and who comes, is told [`Aborted`], until [`reset`](BarrierHandle::reset), as in Python's `threading.Barrier`.
/// Nothing aborts it by itself: a party that died may have a successor.
#[object]
#[derive(Debug, Serialize, Deserialize)]
pub struct Barrier {
    parties: u32,
    generation: u64,
    waiting: WaitQueue<Result<BarrierWaitResult, Aborted>>,
    aborted: bool,
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
impl Barrier {
    /// A barrier for that many parties, at least 1.
    pub fn new(parties: u32) -> Result<Self, String> {
        if parties == 0 {
            return Err("a barrier needs at least one party".to_owned());
        }
        Ok(Self { parties, generation: 0, waiting: WaitQueue::default(), aborted: false })
    }

    /// Waits until as many callers as there are parties wait; the last to arrive is the leader.
    ///
    /// # Errors
    /// [`Aborted`] when the barrier is, or meanwhile becomes so; and as every call's.
    pub fn wait(&mut self, waiter: Waiter<Result<BarrierWaitResult, Aborted>>) {
        if self.aborted {
            return waiter.reply(Err(Aborted));
        }
        let others = self.parties as usize - 1;
        if self.waiting.len_max() >= others {
            // Only now does it matter whether everybody is still here.
            self.waiting.forget_gone();
        }
        if self.waiting.len_max() < others {
            return self.waiting.push(waiter, ());
        }
        let generation = self.generation;
        self.generation += 1;
        for (other, ()) in self.waiting.drain() {
            other.reply(Ok(BarrierWaitResult { leader: false, generation }));
        }
        waiter.reply(Ok(BarrierWaitResult { leader: true, generation }));
    }

    /// How many parties the barrier is for.
    pub fn parties(&self) -> u32 {
        self.parties
    }

    /// How many callers wait now.
    pub fn waiting(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX)
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

impl BarrierHandle {
    /// [`wait`](Self::wait), at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when too few came: the seat is free again. And as [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, Error<Aborted>> {
        self.with_timeout(timeout).wait()
    }

    /// [`wait`](Self::wait), at most that long; dropping the future gives up the seat.
    ///
    /// # Errors
    /// As [`wait_timeout`](Self::wait_timeout).
    pub async fn wait_timeout_async(&self, timeout: Duration) -> Result<BarrierWaitResult, Error<Aborted>> {
        self.with_timeout(timeout).wait_async().await
    }
}
