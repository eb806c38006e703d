//! `Semaphore`: permits that callers take and give back.

use std::fmt;
use std::time::Duration;

use greenroom_actors::objects::{AcquireError, Permits, SemaphoreObject, SemaphoreObjectHandle, TooManyPermits};
use greenroom_actors::{Error, Fence, ObjectHandle, RawHandle, WaiterId};
use greenroom_macros::twins;

use super::guard::{GivingBack, existing, superseded};
use crate::face::face;

face! {
    /// A number of permits, which threads on any number of machines take and give back.
    ///
    /// **It guarantees** that no more permits are out than there are. It is fair: callers get permits in the order of their
    /// arrival, a large request at the head of the queue is not overtaken by small ones behind it, and `try_acquire` overtakes
    /// nobody. A caller that times out, is cancelled or ends has taken nothing, and who waited behind it goes on. The permits
    /// of an owner that ends (its session is closed, or nothing is heard of its process for the grace period) come back.
    ///
    /// **It costs** one round trip to acquire and one to release, of some 70 bytes each way, whatever the number of permits.
    /// Dropping a permit does the same without waiting: errors go unseen. Who waits costs no thread and no polling.
    ///
    /// **It differs from `tokio::sync::Semaphore`**: a [`SemaphorePermit`] owns its handle, so there is no `acquire_owned`; it
    /// cannot be split or merged; `try_acquire` returns `None` where there are too few permits; and to forget a permit is a
    /// call, since its owner's end would bring it back.
    ///
    /// **Bad input**: to ask for 0 permits is [`AcquireError::NoneWanted`]; of a closed semaphore, [`AcquireError::Closed`];
    /// more permits than [`MAX_PERMITS`](Self::MAX_PERMITS) are [`TooManyPermits`], and a constructor's are refused. To ask for
    /// more than there are waits until others add some. Another number of permits than the semaphore was made with is
    /// refused (`DifferentArguments`).
    ///
    /// ```no_run
    /// use greenroom::sync::Semaphore;
    ///
    /// let downloads = Semaphore::named("downloads", 3);
    /// let permit = downloads.acquire()?; // at most three at a time, on all machines together
    /// // …
    /// permit.release()?;
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Semaphore(SemaphoreObject);
}

impl Semaphore {
    /// The most permits that a semaphore can have, those that are out included; as tokio's.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    /// The semaphore of that key, made with so many permits if it is not there; 0 is none until some are added.
    ///
    /// Everybody must name the same number: the others are refused with `DifferentArguments`.
    pub fn named(key: impl Into<String>, permits: usize) -> Self {
        Self::of(SemaphoreObject::named(key, permits as u64))
    }

    fn permit(&self, permits: u32, given: Permits) -> SemaphorePermit {
        let Permits { grant, fence } = given;
        SemaphorePermit { permits, handle: existing(&self.handle), grant, fence, held: true }
    }
}

#[twins]
impl Semaphore {
    /// Waits for a permit. Dropping the future leaves the queue, or gives the permit back.
    ///
    /// # Errors
    /// [`Error::Method`] with [`AcquireError::Closed`]; and as every call's.
    pub async fn acquire(&self) -> Result<SemaphorePermit, Error<AcquireError>> {
        self.acquire_many_async(1).await
    }

    /// Waits for so many permits, at least 1, which it gets all at once.
    ///
    /// # Errors
    /// [`Error::Method`] with an [`AcquireError`]; and as every call's.
    pub async fn acquire_many(&self, permits: u32) -> Result<SemaphorePermit, Error<AcquireError>> {
        Ok(self.permit(permits, self.handle.acquire_async(permits).await?))
    }

    /// As [`acquire`](Self::acquire), but waits at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when there was none in all that time: the caller has left the queue. And as `acquire`.
    pub async fn acquire_timeout(&self, timeout: Duration) -> Result<SemaphorePermit, Error<AcquireError>> {
        self.acquire_many_timeout_async(1, timeout).await
    }

    /// As [`acquire_many`](Self::acquire_many), but waits at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when there were too few in all that time: the caller has left the queue. And as `acquire_many`.
    pub async fn acquire_many_timeout(
        &self,
        permits: u32,
        timeout: Duration,
    ) -> Result<SemaphorePermit, Error<AcquireError>> {
        Ok(self.permit(permits, self.handle.with_timeout(timeout).acquire_async(permits).await?))
    }

    /// A permit, if there is one and nobody waits.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self) -> Result<Option<SemaphorePermit>, Error<AcquireError>> {
        self.try_acquire_many_async(1).await
    }

    /// So many permits, at least 1, if they are there and nobody waits.
    ///
    /// # Errors
    /// As [`acquire_many`](Self::acquire_many).
    pub async fn try_acquire_many(&self, permits: u32) -> Result<Option<SemaphorePermit>, Error<AcquireError>> {
        Ok(self.handle.try_acquire_async(permits).await?.map(|given| self.permit(permits, given)))
    }

    /// Adds so many permits, for those who wait or come.
    ///
    /// # Errors
    /// [`Error::Method`] with [`TooManyPermits`], when nothing was added; and as every call's.
    pub async fn add_permits(&self, permits: usize) -> Result<(), Error<TooManyPermits>> {
        self.handle.add_permits_async(permits as u64).await
    }

    /// Lets up to so many permits that are not out vanish; returns how many did.
    ///
    /// # Errors
    /// As every call's.
    pub async fn forget_permits(&self, permits: usize) -> Result<usize, Error> {
        self.handle.forget_permits_async(permits as u64).await.map(count)
    }

    /// How many permits are not out; it may have changed when the answer arrives.
    ///
    /// # Errors
    /// As every call's.
    pub async fn available_permits(&self) -> Result<usize, Error> {
        self.handle.available_permits_async().await.map(count)
    }

    /// Closes the semaphore for good: who waits, and who comes later, is told [`AcquireError::Closed`]. Permits that are out
    /// stay valid. Returns whether it was this call that closed it: to close it again does no harm, and is `false`.
    ///
    /// # Errors
    /// As every call's.
    pub async fn close(&self) -> Result<bool, Error> {
        self.handle.close_async().await
    }

    /// Whether it was closed.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_closed(&self) -> Result<bool, Error> {
        self.handle.is_closed_async().await
    }
}

/// A number of permits on its way to a caller.
fn count(permits: u64) -> usize {
    usize::try_from(permits).unwrap_or(usize::MAX)
}

/// Permits that were taken from a [`Semaphore`].
#[must_use = "the permits are given back when this is dropped"]
pub struct SemaphorePermit {
    permits: u32,
    handle: SemaphoreObjectHandle,
    grant: WaiterId,
    fence: Fence,
    /// Whether the permits have still to be given back.
    held: bool,
}

impl SemaphorePermit {
    /// How many permits these are.
    pub fn num_permits(&self) -> usize {
        count(u64::from(self.permits))
    }

    /// The fence of the turn in which the permits were given: it grows, so that what they protect can refuse older ones.
    ///
    /// Callers that were given permits in one turn, such as by one `add_permits`, have equal fences.
    pub fn fence(&self) -> Fence {
        self.fence
    }

    fn object(&self) -> &RawHandle {
        self.handle.raw()
    }

    /// A call of that method is about to end the holding.
    fn give_back(&mut self, method: &'static str) -> GivingBack<(WaiterId,)> {
        self.held = false;
        GivingBack::new(self.object(), method, (self.grant,))
    }
}

#[twins]
impl SemaphorePermit {
    /// Gives the permits back: one round trip.
    ///
    /// # Errors
    /// [`Error::Superseded`] when they had been taken away, since their owner had ended; [`Error::ObjectLost`] when the
    /// semaphore was deleted. And as every call's; the permits are then given back later, as by a drop.
    pub async fn release(mut self) -> Result<(), Error> {
        let releasing = self.give_back("release");
        let released = releasing.judge(self.handle.release_async(self.grant).await);
        released.map_err(|error| superseded(error, self.fence, self.object()))
    }

    /// Lets the permits vanish: the semaphore has so many less.
    ///
    /// # Errors
    /// As [`release`](Self::release); where that says that permits are given back, these are forgotten.
    pub async fn forget(mut self) -> Result<(), Error> {
        let forgetting = self.give_back("forget");
        let forgotten = forgetting.judge(self.handle.forget_async(self.grant).await);
        forgotten.map_err(|error| superseded(error, self.fence, self.object()))
    }
}

impl Drop for SemaphorePermit {
    fn drop(&mut self) {
        if self.held {
            self.object().cast("release", &(self.grant,));
        }
    }
}

impl fmt::Debug for SemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit").field("permits", &self.permits).field("fence", &self.fence).finish()
    }
}
