//! `Latch`: a count that goes down to zero, once, and is awaited.

use std::time::Duration;

use greenroom_actors::Error;
use greenroom_actors::objects::LatchObject;
use greenroom_macros::twins;

use crate::face::face;

face! {
    /// A count that goes down to zero, once: who waits for that comes through then, and so does who comes later.
    ///
    /// It is what Java calls a `CountDownLatch` and C++ a `std::latch`: to wait until so many things are done, or, with a
    /// count of 1, to let many begin at once. It does not go up again; for rounds there is [`Barrier`](super::Barrier).
    ///
    /// * A latch of 0 is open from the start. Counting below zero stops at zero, and is no error: who counts down need not
    ///   know whether others counted more than they should.
    /// * Anybody counts, and a count is not taken back: who counted down and died has counted. Who died before it did has
    ///   not, so the others wait; give them a timeout, or look at [`Barrier::abort`](super::Barrier::abort).
    /// * Everybody must name the same first count: others are refused with `DifferentArguments`.
    ///
    /// Each call is one round trip of some 60 bytes each way; all who wait are told in the turn that opens the latch. A wait
    /// that times out, or is given up, leaves nothing behind.
    ///
    /// ```no_run
    /// use greenroom::sync::Latch;
    ///
    /// let ready = Latch::named("ready", 80);
    /// ready.count_down()?; // each of the 80 workers
    /// ready.wait()?; // who needs them all
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Latch(LatchObject);
}

impl Latch {
    /// The latch of that key, made with that count if it is not there.
    pub fn named(key: impl Into<String>, count: u64) -> Self {
        Self::of(LatchObject::named(key, count))
    }
}

#[twins]
impl Latch {
    /// Counts down by one; returns how many are left.
    ///
    /// # Errors
    /// As every call's.
    pub async fn count_down(&self) -> Result<u64, Error> {
        self.count_down_by_async(1).await
    }

    /// Counts down by `n`, at most to zero; returns how many are left.
    ///
    /// # Errors
    /// As every call's.
    pub async fn count_down_by(&self, n: u64) -> Result<u64, Error> {
        self.handle.count_down_by_async(n).await
    }

    /// Waits until the latch is open; dropping the future leaves the queue.
    ///
    /// # Errors
    /// As every call's.
    pub async fn wait(&self) -> Result<(), Error> {
        self.handle.wait_async().await
    }

    /// Waits until the latch is open, at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it was not; and as every call's.
    pub async fn wait_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.handle.with_timeout(timeout).wait_async().await
    }

    /// Whether the latch is open.
    ///
    /// # Errors
    /// As every call's.
    pub async fn try_wait(&self) -> Result<bool, Error> {
        Ok(self.handle.count_async().await? == 0)
    }

    /// How many counts are left; there may be fewer when the answer arrives.
    ///
    /// # Errors
    /// As every call's.
    pub async fn count(&self) -> Result<u64, Error> {
        self.handle.count_async().await
    }
}
