//! `Barrier`: callers wait for each other, again and again.

use std::future::Future;
use std::time::Duration;

use greenroom_actors::Error;
use greenroom_actors::objects::{Aborted, BarrierObject, BarrierObjectMessages, BarrierWaitResult};
use greenroom_macros::twins;

use crate::face::face;

face! {
    /// A meeting point of a fixed number of callers, who come through together; it is used again as soon as it opens.
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
    /// And since parties can fail apart, a barrier can be told that somebody will not come: after [`abort`](Self::abort)
    /// who waits, and who comes, is told [`Aborted`], until [`reset`](Self::reset), as in Python's `threading.Barrier`.
    /// Nothing aborts it by itself: a party that died may have a successor.
    ///
    /// ```no_run
    /// use greenroom::sync::Barrier;
    ///
    /// let phase = Barrier::named("phase", 80);
    /// if phase.wait()?.is_leader() {
    ///     println!("all 80 are here");
    /// }
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Barrier(BarrierObject);
}

impl Barrier {
    /// The barrier of that key; the first call makes it, for that many parties (at least 1). Nothing is sent.
    ///
    /// The parties are counted over all threads of all processes that name the key.
    pub fn named(key: impl Into<String>, parties: usize) -> Self {
        Self::of(BarrierObject::named(key, parties))
    }

    /// The barrier of that key, which another has made. Nothing is sent.
    pub fn existing(key: impl Into<String>) -> Self {
        Self::of(BarrierObject::existing(key))
    }

    /// The barrier's methods as messages, for a turn's `call`.
    pub fn message(&self) -> BarrierObjectMessages {
        self.handle.message()
    }
}

#[twins]
impl Barrier {
    /// Waits until as many callers as there are parties wait; the last to arrive is the leader.
    ///
    /// Dropping the future gives up the seat.
    ///
    /// # Errors
    /// [`Aborted`] when the barrier is, or meanwhile becomes so; and as every call's.
    pub fn wait(&self) -> impl Future<Output = Result<BarrierWaitResult, Error<Aborted>>> + Send + use<> {
        self.handle.wait_async()
    }

    /// [`wait`](Self::wait), at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when too few came: the seat is free again. And as [`wait`](Self::wait).
    pub fn wait_timeout(
        &self,
        timeout: Duration,
    ) -> impl Future<Output = Result<BarrierWaitResult, Error<Aborted>>> + Send + use<> {
        self.handle.with_timeout(timeout).wait_async()
    }

    /// Comes through, as the leader, if all others wait already; else `None`, and no seat is taken.
    ///
    /// So at a barrier where everybody only tries nobody ever comes through: the others must [`wait`](Self::wait).
    ///
    /// # Errors
    /// [`Aborted`] when the barrier is; and as every call's.
    pub fn try_wait(&self) -> impl Future<Output = Result<Option<BarrierWaitResult>, Error<Aborted>>> + Send + use<> {
        self.handle.try_wait_async()
    }

    /// How many parties the barrier is for.
    ///
    /// # Errors
    /// As every call's.
    pub fn parties(&self) -> impl Future<Output = Result<usize, Error>> + Send + use<> {
        self.handle.parties_async()
    }

    /// How many callers wait now; it may be another number when the answer arrives.
    ///
    /// # Errors
    /// As every call's.
    pub fn waiting(&self) -> impl Future<Output = Result<usize, Error>> + Send + use<> {
        self.handle.waiting_async()
    }

    /// Says that some party will not come: who waits is told [`Aborted`], and so is who comes. Doing so twice means nothing.
    ///
    /// # Errors
    /// As every call's.
    pub fn abort(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.handle.abort_async()
    }

    /// Makes the barrier usable again; generations go on. Who waits now is told [`Aborted`].
    ///
    /// # Errors
    /// As every call's.
    pub fn reset(&self) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        self.handle.reset_async()
    }

    /// Whether the barrier was aborted, and not reset since.
    ///
    /// # Errors
    /// As every call's.
    pub fn is_aborted(&self) -> impl Future<Output = Result<bool, Error>> + Send + use<> {
        self.handle.is_aborted_async()
    }
}
