//! The object behind `Semaphore`: permits that are given out and come back.

use std::fmt;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::{Grants, NotHeld, WaitQueue};
use crate::ids::{Fence, Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;
use crate::waiter::Waiter;

/// The most permits that a semaphore can have, those that are given out included.
const PERMITS_MAX: u64 = u64::MAX >> 3;

/// Permits that are given out and come back; use it through the client's `Semaphore`.
///
/// Callers get them in the order of their arrival: a large request at the head of the queue is not overtaken by small ones.
#[object(name = "Semaphore")]
#[derive(Debug, Serialize, Deserialize)]
pub struct SemaphoreObject {
    /// Not given out.
    available: u64,
    /// Given out or not.
    total: u64,
    closed: bool,
    held: Grants<u32>,
    /// With the number of permits that each wants.
    queue: WaitQueue<Result<Permits, AcquireError>, u32>,
}

/// Permits that were given to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permits {
    /// Names them, for giving them back.
    pub grant: WaiterId,
    /// Grows with the turns of the semaphore that give permits; what one turn gives to several callers has one fence.
    pub fence: Fence,
}

/// Why a semaphore gives no permits, now or ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AcquireError {
    /// The semaphore was closed, before the call or while it waited.
    Closed,
    /// The caller asked for no permits, with which nothing could be given back.
    NoneWanted,
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the semaphore is closed",
            Self::NoneWanted => "at least one permit has to be asked for",
        })
    }
}

impl std::error::Error for AcquireError {}

/// More permits than a semaphore can have. Nothing was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooManyPermits {
    /// How many the semaphore has, those that are given out included.
    pub permits: u64,
    /// How many were to be added.
    pub added: u64,
}

impl fmt::Display for TooManyPermits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { permits, added } = self;
        write!(f, "{added} more permits than {permits} are too many for a semaphore, which has at most {PERMITS_MAX}")
    }
}

impl std::error::Error for TooManyPermits {}

#[object]
impl SemaphoreObject {
    /// A semaphore with that many permits; 0 is none until some are added.
    pub fn new(permits: u64) -> Result<Self, String> {
        let mut semaphore =
            Self { available: 0, total: 0, closed: false, held: Grants::default(), queue: WaitQueue::default() };
        semaphore.grow(permits).map_err(|error| error.to_string())?;
        Ok(semaphore)
    }

    /// Waits for so many permits.
    pub fn acquire(&mut self, permits: u32, waiter: Waiter<Result<Permits, AcquireError>>, turn: &mut Turn) {
        if let Err(error) = self.check(permits) {
            return waiter.reply(Err(error));
        }
        self.queue.push(waiter, permits);
        self.hand_over(turn);
    }

    /// So many permits, if they are there and nobody waits.
    pub fn try_acquire(&mut self, permits: u32, turn: &mut Turn) -> Result<Option<Permits>, AcquireError> {
        self.check(permits)?;
        let free = self.queue.first().is_none() && u64::from(permits) <= self.available;
        Ok(free.then(|| self.grant(turn.grant(), turn.owner(), permits, turn)))
    }

    /// Gives back what was given.
    pub fn release(&mut self, grant: WaiterId, turn: &mut Turn) -> Result<(), NotHeld> {
        let permits = u64::from(self.held.take_back(grant)?.what);
        self.available += if planted!(ReleaseTwice) { 2 * permits } else { permits };
        self.hand_over(turn);
        Ok(())
    }

    /// Lets what was given vanish: the semaphore has so many permits less.
    pub fn forget(&mut self, grant: WaiterId) -> Result<(), NotHeld> {
        self.total -= u64::from(self.held.take_back(grant)?.what);
        Ok(())
    }

    /// Adds permits.
    pub fn add_permits(&mut self, permits: u64, turn: &mut Turn) -> Result<(), TooManyPermits> {
        self.grow(permits)?;
        self.hand_over(turn);
        Ok(())
    }

    /// Lets up to so many permits that are not given out vanish; returns how many did.
    pub fn forget_permits(&mut self, permits: u64) -> u64 {
        let forgotten = permits.min(self.available);
        self.available -= forgotten;
        self.total -= forgotten;
        forgotten
    }

    /// How many permits are not given out.
    pub fn available_permits(&self) -> u64 {
        self.available
    }

    /// Gives no more permits, and tells everybody who waits; returns whether it was this call that closed it.
    pub fn close(&mut self) -> bool {
        for (waiter, _) in self.queue.drain() {
            waiter.reply(Err(AcquireError::Closed));
        }
        !std::mem::replace(&mut self.closed, true)
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    fn check(&self, permits: u32) -> Result<(), AcquireError> {
        match permits {
            _ if self.closed => Err(AcquireError::Closed),
            0 => Err(AcquireError::NoneWanted),
            _ => Ok(()),
        }
    }

    fn grow(&mut self, added: u64) -> Result<(), TooManyPermits> {
        let sum = self.total.checked_add(added).filter(|&sum| sum <= PERMITS_MAX);
        self.total = sum.ok_or(TooManyPermits { permits: self.total, added })?;
        self.available += added;
        Ok(())
    }

    /// Gives permits that are there.
    fn grant(&mut self, grant: WaiterId, owner: Owner, permits: u32, turn: &Turn) -> Permits {
        self.available -= u64::from(permits);
        Permits { grant, fence: self.held.give(grant, owner, permits, turn) }
    }

    /// Gives permits to the head of the queue, for as long as there are enough for it.
    fn hand_over(&mut self, turn: &Turn) {
        while let Some(&wants) = self.queue.first()
            && u64::from(wants) <= self.available
            && let Some((waiter, owner, _)) = self.queue.pop()
        {
            let permits = self.grant(waiter.id(), owner, wants, turn);
            waiter.reply(Ok(permits));
        }
    }

    /// The caller gave up after permits were given to it: nobody would give them back.
    fn grant_cancelled(&mut self, grant: WaiterId, turn: &mut Turn) {
        self.available += self.held.take(grant).map_or(0, |held| u64::from(held.what));
        self.hand_over(turn);
    }

    /// An owner has ended: its permits come back.
    fn owner_gone(&mut self, owner: Owner, turn: &mut Turn) {
        self.available += self.held.take_all_of(owner).iter().map(|held| u64::from(held.what)).sum::<u64>();
        self.hand_over(turn);
    }

    /// A large request that gave up no longer holds up the small ones behind it.
    fn waiter_gone(&mut self, _waiter: WaiterId, turn: &mut Turn) {
        self.hand_over(turn);
    }

    fn holders(&self) -> Vec<Holder> {
        self.held.holders(|permits| if *permits == 1 { "1 permit".to_owned() } else { format!("{permits} permits") })
    }

    fn summary(&self) -> serde_json::Value {
        json!({
            "available": self.available,
            "total": self.total,
            "closed": self.closed,
            "waiting": self.queue.len(),
            "wanted": self.queue.iter().map(|&wants| u64::from(wants)).sum::<u64>(),
        })
    }
}
