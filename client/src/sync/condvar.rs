//! `Condvar<T>`: a condition of a mutex, for which holders of the lock wait.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use greenroom_actors::objects::MutexObjectHandle;
use greenroom_actors::{Caller, Error, RawHandle};
use greenroom_macros::twins;
use serde::{Deserialize, Serialize};

use super::guard::existing;
use super::{Mutex, MutexGuard};
use crate::value::Value;

/// A condition of a [`Mutex`], for which holders of the lock wait until others notify them.
///
/// **It guarantees** that giving up the lock and beginning to wait are one step: no notification falls in between. Who waits
/// is notified in the order of arrival, and then takes its place at the end of the lock's own queue; `wait` returns with the
/// lock. A notification is not lost with its waiter: if one that `notify_one` chose times out, is cancelled, or ends before
/// it has given the lock back, another that waits for the condition is notified in its place. So `wait` can return although
/// nobody notified this caller: check what is waited for again, as with `std`, or use [`wait_while`](Self::wait_while).
///
/// **It costs** one round trip a wait, in which the value goes if it was changed, and comes with the lock; one round trip a
/// notification. A wait that times out costs a message and a lock more. Who waits costs no thread and no polling.
///
/// **It differs from `std::sync::Condvar`**: it belongs to one mutex and is made by it, [`Mutex::condvar`], because both must
/// be in one object. A guard of another mutex is an error where `std` panics. `T` is the mutex's.
///
/// **Bad input**: a guard of another mutex is [`Error::NotSent`], and that mutex is unlocked as by dropping the guard; a guard
/// whose lock had been taken away is [`Error::Superseded`].
///
/// ```no_run
/// use std::collections::VecDeque;
///
/// use greenroom::sync::Mutex;
///
/// let queue = Mutex::named("queue", VecDeque::<u64>::new());
/// let not_empty = queue.condvar("not_empty");
///
/// // One thread or machine:
/// let mut guard = queue.lock()?;
/// guard.push_back(7);
/// not_empty.notify_one()?;
/// guard.unlock()?;
///
/// // Another:
/// let mut guard = not_empty.wait_while(queue.lock()?, |queue| queue.is_empty())?;
/// let first = guard.pop_front();
/// guard.unlock()?;
/// # Ok::<(), greenroom::Error>(())
/// ```
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Condvar<T> {
    mutex: Mutex<T>,
    name: String,
}

/// Whether a wait with a timeout ended by it; as `std::sync::WaitTimeoutResult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over before the caller was notified and had the lock again.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl<T> Condvar<T> {
    pub(super) fn of(mutex: Mutex<T>, name: String) -> Self {
        Self { mutex, name }
    }

    /// The condition's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The untyped handle of the mutex.
    pub fn object(&self) -> &RawHandle {
        self.mutex.object()
    }

    /// The same condition, reached through `caller`, such as a [`Client`](crate::Client).
    #[must_use]
    pub fn through(&self, caller: Arc<dyn Caller>) -> Self {
        Self::of(self.mutex.through(caller), self.name.clone())
    }
}

impl<T: Value> Condvar<T> {
    /// One call: writes the value back, gives the lock up, and waits for a notification and the lock.
    async fn park(&self, handle: &MutexObjectHandle, mut guard: MutexGuard<T>) -> Result<MutexGuard<T>, Error> {
        let held = &mut guard.0;
        if !held.object().is_same_object(self.object()) {
            let (object, ours) = (held.object().name(), self.object().name());
            let why = format!("its guard cannot wait for `{}`, a condition of `{ours}`; it is unlocked", self.name);
            return Err(Error::NotSent { object, why });
        }
        // Whether a wait that failed had begun is not known; if not, this gives the lock back.
        let ((grant, changed), unlocking) = held.give_back()?;
        let woken = unlocking.judge(existing(handle).wait_async(grant, changed, self.name.clone()).await);
        self.mutex.guard(woken.map_err(|error| held.superseded(error))?)
    }
}

#[twins]
impl<T: Value> Condvar<T> {
    /// Gives the lock up, waits to be notified, and returns with the lock and the value. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`Error::Superseded`] when the guard's lock had been taken away; [`Error::NotSent`] when it is of another mutex; and as
    /// every call's. The lock is then held no more, and after [`Error::Refused`], as of a value that is too large, the change is
    /// not applied.
    pub async fn wait(&self, guard: MutexGuard<T>) -> Result<MutexGuard<T>, Error> {
        self.park(self.mutex.handle(), guard).await
    }

    /// Waits for as long as `condition` holds; it is asked before each wait, with the lock held.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub async fn wait_while(
        &self,
        guard: MutexGuard<T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Result<MutexGuard<T>, Error> {
        let (mut guard, mut condition) = (guard, condition);
        while condition(&mut guard) {
            guard = self.wait_async(guard).await?;
        }
        Ok(guard)
    }

    /// As [`wait`](Self::wait), but for at most that long; after it the caller waits for the lock like a new one, without limit.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub async fn wait_timeout(
        &self,
        guard: MutexGuard<T>,
        timeout: Duration,
    ) -> Result<(MutexGuard<T>, WaitTimeoutResult), Error> {
        match self.park(&self.mutex.handle().with_timeout(timeout), guard).await {
            Ok(guard) => Ok((guard, WaitTimeoutResult(false))),
            Err(Error::TimedOut { .. }) => Ok((self.mutex.lock_async().await?, WaitTimeoutResult(true))),
            Err(error) => Err(error),
        }
    }

    /// As [`wait_while`](Self::wait_while), but for at most that long; it has timed out if `condition` still holds at the end.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub async fn wait_timeout_while(
        &self,
        guard: MutexGuard<T>,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(MutexGuard<T>, WaitTimeoutResult), Error> {
        let (mut guard, mut condition) = (guard, condition);
        let began = Instant::now();
        let mut in_time = true;
        while condition(&mut guard) {
            let left = timeout.checked_sub(began.elapsed()).filter(|_| in_time);
            let Some(left) = left else { return Ok((guard, WaitTimeoutResult(true))) };
            let (locked, waited) = self.wait_timeout_async(guard, left).await?;
            (guard, in_time) = (locked, !waited.timed_out());
        }
        Ok((guard, WaitTimeoutResult(false)))
    }

    /// Notifies the first who waits; without one it means nothing, as in `std`. The caller need not hold the lock.
    ///
    /// # Errors
    /// As every call's.
    pub async fn notify_one(&self) -> Result<(), Error> {
        self.mutex.handle().notify_one_async(self.name.clone()).await
    }

    /// Notifies all who wait now.
    ///
    /// # Errors
    /// As every call's.
    pub async fn notify_all(&self) -> Result<(), Error> {
        self.mutex.handle().notify_all_async(self.name.clone()).await
    }
}

impl<T> Clone for Condvar<T> {
    fn clone(&self) -> Self {
        Self::of(self.mutex.clone(), self.name.clone())
    }
}

impl<T> fmt::Debug for Condvar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}", self.mutex, self.name)
    }
}
