//! `Mutex<T>`: a value that one caller at a time may change.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use greenroom_actors::objects::{Locked, MutexObject, MutexObjectHandle};
use greenroom_actors::{Error, Fence, RawHandle};
use greenroom_macros::twins;

use super::Condvar;
use super::guard::Held;
use crate::face::face;
use crate::value::{Value, encode_initial, shape};

face! {
    /// A value behind a lock, for threads on any number of machines; fair, in the order of arrival.
    ///
    /// **It guarantees** that one guard at a time can write the value back, and that each sees what the one before wrote.
    /// Callers get the lock in the order of their arrival, and `try_lock` does not overtake those who wait. A caller that
    /// times out, is cancelled or ends has left the queue, or the lock that it was given meanwhile goes to the next.
    ///
    /// **It costs** one round trip and the value once to lock, one round trip to unlock, and the value once more if it was
    /// changed. Dropping the guard does the same without waiting, as best it can: errors go unseen. Who waits costs no
    /// thread, no connection and no polling. A value has less than 32 MiB, encoded, or than a node takes that is set to less:
    /// one that has become larger stays here, and its lock goes back without it.
    ///
    /// **It differs from `std::sync::Mutex`**: the guard works on a local copy, which goes back when the guard does. If the
    /// owner ends (its session is closed, or nothing is heard of its process for the grace period), its copy is discarded,
    /// the next caller gets the lock with the old value, and [`unlock`](MutexGuard::unlock) tells the late owner
    /// [`Error::Superseded`]: nothing of it was applied. So there is no poisoning: a guard that is dropped by a panic gives
    /// the lock back without its changes. As in `std`, who locks again what it holds waits for itself.
    ///
    /// **Bad input**: an initial value of another type, or another one, than the lock was made with is refused
    /// (`DifferentArguments`); bytes that do not decode as `T` are [`Error::Reply`], and the lock goes back.
    ///
    /// ```no_run
    /// use greenroom::sync::Mutex;
    ///
    /// let log = Mutex::named("log", Vec::<String>::new());
    /// let mut guard = log.lock()?;
    /// guard.push("hello".to_owned());
    /// guard.unlock()?;
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Mutex<T>(MutexObject);
}

impl<T: Value> Mutex<T> {
    /// The lock of that key, made over `initial` if it is not there.
    ///
    /// Everybody must name the same initial value: the others are refused with `DifferentArguments`. Take a `BTreeMap` rather
    /// than a `HashMap`, which need not encode alike twice; see [`Value`].
    ///
    /// # Panics
    /// When `initial` cannot be encoded.
    pub fn named(key: impl Into<String>, initial: T) -> Self {
        Self::of(MutexObject::named(key, shape::<T>(), encode_initial(&initial)))
    }

    /// The condition of that name, for which holders of this lock wait: `mutex.condvar("not_empty")`.
    ///
    /// It needs no making: a condition is there as soon as somebody waits for it.
    pub fn condvar(&self, name: impl Into<String>) -> Condvar<T> {
        Condvar::of(self.clone(), name.into())
    }

    pub(super) fn handle(&self) -> &MutexObjectHandle {
        &self.handle
    }

    pub(super) fn guard(&self, locked: Locked) -> Result<MutexGuard<T>, Error> {
        Held::to_write(locked, &self.handle).map(MutexGuard)
    }
}

#[twins]
impl<T: Value> Mutex<T> {
    /// Waits for the lock, and brings the value. Dropping the future leaves the queue, or gives the lock back.
    ///
    /// # Errors
    /// As every call's.
    pub async fn lock(&self) -> Result<MutexGuard<T>, Error> {
        self.guard(self.handle.lock_async().await?)
    }

    /// Waits for the lock at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when others had it for all that time: the caller has left the queue. And as every call's.
    pub async fn lock_timeout(&self, timeout: Duration) -> Result<MutexGuard<T>, Error> {
        self.guard(self.handle.with_timeout(timeout).lock_async().await?)
    }

    /// The lock, if nobody has it.
    ///
    /// # Errors
    /// As every call's.
    pub async fn try_lock(&self) -> Result<Option<MutexGuard<T>>, Error> {
        self.handle.try_lock_async().await?.map(|locked| self.guard(locked)).transpose()
    }

    /// Whether somebody has the lock; it may have changed when the answer arrives.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_locked(&self) -> Result<bool, Error> {
        self.handle.is_locked_async().await
    }
}

/// The lock, and a local copy of the value under it; see [`Mutex`].
///
/// Dropping it sends the value back, if it was changed, and gives the lock back, without waiting for the answer. That holds
/// at the end of the program too: what is on its way when `main` returns or panics, or at `std::process::exit`, is sent
/// before the process ends, for as long as the nodes answer within seconds. It is lost if the process aborts or is killed,
/// or if it goes through a [`Client`](crate::Client) of its own that is not [closed](crate::Client::close) before its
/// runtime ends: the lock is then free after the grace period, with the value of before.
#[must_use = "the lock is given back when the guard is dropped"]
pub struct MutexGuard<T: Value>(pub(super) Held<T, MutexObjectHandle>);

impl<T: Value> MutexGuard<T> {
    /// The fence of this holding of the lock: it grows with each, so that what it protects can refuse an older holder.
    pub fn fence(&self) -> Fence {
        self.0.fence
    }

    fn object(&self) -> &RawHandle {
        self.0.object()
    }
}

#[twins]
impl<T: Value> MutexGuard<T> {
    /// Sends the value back, if it was changed, and gives the lock back: one round trip.
    ///
    /// # Errors
    /// [`Error::Superseded`] when the lock had been taken away: nothing was applied. [`Error::ObjectLost`] when the mutex was
    /// deleted. [`Error::Refused`], as of a value that is too large, and [`Error::NotSent`] of one that cannot be encoded: the
    /// change is not applied, and the lock is given back without it. And as every call's; the lock is then given back later,
    /// as by a drop.
    pub async fn unlock(self) -> Result<(), Error> {
        self.0.unlock().await
    }
}

impl<T: Value> Deref for MutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Value> DerefMut for MutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.value
    }
}

impl<T: Value + fmt::Debug> fmt::Debug for MutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}
