//! `RwLock<T>`: a value that many callers may read at a time, or one may change.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use greenroom_actors::objects::{Locked, RwLockObject, RwLockObjectHandle};
use greenroom_actors::{Error, Fence, RawHandle};
use greenroom_macros::twins;

use super::guard::Held;
use crate::face::face;
use crate::value::{Value, encode_initial, shape};

face! {
    /// A value behind a lock that any number of readers may have together, or one writer alone.
    ///
    /// **It guarantees** that nobody else has the lock while a writer has it, and that readers see what the last writer wrote
    /// back. It is fair to both, as `tokio::sync::RwLock` is: callers get it in the order of their arrival, so a reader that
    /// comes after a waiting writer waits for it, and the `try_` methods overtake nobody. A caller that times out, is
    /// cancelled or ends has left the queue, and who waited behind it goes on.
    ///
    /// **It costs** one round trip and the value once to lock, for readers too; one round trip to unlock, and the value once
    /// more if a writer changed it. Dropping a guard does the same without waiting: errors go unseen. Readers who wait behind
    /// a writer get the lock in one turn, each with a copy of the value. A value has less than 32 MiB, encoded: one that has
    /// become larger stays here, and its lock goes back without it.
    ///
    /// **It differs from `std::sync::RwLock`** as [`Mutex`](super::Mutex) does from its namesake: guards work on local copies,
    /// a writer's goes back when its guard does, an owner that ends loses its locks and what it changed
    /// ([`Error::Superseded`]), and there is no poisoning. `std` leaves the order of callers open. As there, a thread that
    /// reads twice at a time may wait for itself, if a writer comes in between.
    ///
    /// **Bad input** is as `Mutex`'s.
    ///
    /// ```no_run
    /// use greenroom::sync::RwLock;
    ///
    /// let config = RwLock::named("config", vec![1_u32]);
    /// assert_eq!(config.read()?.len(), 1);
    /// let mut guard = config.write()?;
    /// guard.push(2);
    /// let guard = guard.downgrade()?; // others read as well; nobody has written in between
    /// assert_eq!(*guard, [1, 2]);
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct RwLock<T>(RwLockObject);
}

impl<T: Value> RwLock<T> {
    /// The lock of that key, made over `initial` if it is not there.
    ///
    /// Everybody must name the same initial value: the others are refused with `DifferentArguments`. Take a `BTreeMap` rather
    /// than a `HashMap`, which need not encode alike twice; see [`Value`].
    ///
    /// # Panics
    /// When `initial` cannot be encoded.
    pub fn named(key: impl Into<String>, initial: T) -> Self {
        Self::of(RwLockObject::named(key, shape::<T>(), encode_initial(&initial)))
    }

    fn to_read(&self, locked: Locked) -> Result<RwLockReadGuard<T>, Error> {
        Held::to_read(locked, &self.handle).map(RwLockReadGuard)
    }

    fn to_write(&self, locked: Locked) -> Result<RwLockWriteGuard<T>, Error> {
        Held::to_write(locked, &self.handle).map(RwLockWriteGuard)
    }
}

#[twins]
impl<T: Value> RwLock<T> {
    /// Waits until nobody writes and nobody who came before waits to, and brings the value. Dropping the future leaves the
    /// queue, or gives the lock back.
    ///
    /// # Errors
    /// As every call's.
    pub async fn read(&self) -> Result<RwLockReadGuard<T>, Error> {
        self.to_read(self.handle.read_async().await?)
    }

    /// As [`read`](Self::read), but waits at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it was to be waited for all that time: the caller has left the queue. And as every call's.
    pub async fn read_timeout(&self, timeout: Duration) -> Result<RwLockReadGuard<T>, Error> {
        self.to_read(self.handle.with_timeout(timeout).read_async().await?)
    }

    /// The value to read, if nobody writes, and nobody waits to.
    ///
    /// # Errors
    /// As every call's.
    pub async fn try_read(&self) -> Result<Option<RwLockReadGuard<T>>, Error> {
        self.handle.try_read_async().await?.map(|locked| self.to_read(locked)).transpose()
    }

    /// Waits until nobody has the lock, and brings the value to change. Dropping the future leaves the queue, or gives the
    /// lock back.
    ///
    /// # Errors
    /// As every call's.
    pub async fn write(&self) -> Result<RwLockWriteGuard<T>, Error> {
        self.to_write(self.handle.write_async().await?)
    }

    /// As [`write`](Self::write), but waits at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it was to be waited for all that time: the caller has left the queue. And as every call's.
    pub async fn write_timeout(&self, timeout: Duration) -> Result<RwLockWriteGuard<T>, Error> {
        self.to_write(self.handle.with_timeout(timeout).write_async().await?)
    }

    /// The value to change, if nobody has the lock or waits for it.
    ///
    /// # Errors
    /// As every call's.
    pub async fn try_write(&self) -> Result<Option<RwLockWriteGuard<T>>, Error> {
        self.handle.try_write_async().await?.map(|locked| self.to_write(locked)).transpose()
    }
}

/// The lock of a reader, and a local copy of the value under it; see [`RwLock`].
#[must_use = "the lock is given back when the guard is dropped"]
pub struct RwLockReadGuard<T: Value>(Held<T, RwLockObjectHandle>);

/// The lock of a writer, and a local copy of the value under it; see [`RwLock`].
#[must_use = "the lock is given back when the guard is dropped"]
pub struct RwLockWriteGuard<T: Value>(Held<T, RwLockObjectHandle>);

impl<T: Value> RwLockReadGuard<T> {
    /// The fence of this holding of the lock: greater than those of the writers before it, less than those after it.
    pub fn fence(&self) -> Fence {
        self.0.fence
    }

    fn object(&self) -> &RawHandle {
        self.0.object()
    }
}

impl<T: Value> RwLockWriteGuard<T> {
    /// The fence of this holding of the lock: it grows, so that what it protects can refuse an older holder.
    pub fn fence(&self) -> Fence {
        self.0.fence
    }

    fn object(&self) -> &RawHandle {
        self.0.object()
    }
}

#[twins]
impl<T: Value> RwLockReadGuard<T> {
    /// Gives the lock back: one round trip.
    ///
    /// # Errors
    /// [`Error::Superseded`] when it had been taken away, so that others may have written meanwhile; [`Error::ObjectLost`] when
    /// the lock was deleted. And as every call's; the lock is then given back later, as by a drop.
    pub async fn unlock(self) -> Result<(), Error> {
        self.0.unlock().await
    }
}

#[twins]
impl<T: Value> RwLockWriteGuard<T> {
    /// Sends the value back, if it was changed, and gives the lock back: one round trip.
    ///
    /// # Errors
    /// [`Error::Superseded`] when it had been taken away: nothing was applied. [`Error::ObjectLost`] when the lock was deleted.
    /// [`Error::Refused`], as of a value that is too large, and [`Error::NotSent`] of one that cannot be encoded: the change is
    /// not applied, and the lock is given back without it. And as every call's; the lock is then given back later, as by a drop.
    pub async fn unlock(self) -> Result<(), Error> {
        self.0.unlock().await
    }

    /// Sends the value back, if it was changed, and goes on as a reader: one round trip, and nobody writes in between.
    ///
    /// Readers at the head of the queue get the lock too. The fence stays that of the writer.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock)'s; the lock is then held no more.
    pub async fn downgrade(self) -> Result<RwLockReadGuard<T>, Error> {
        let mut held = self.0;
        let ((grant, changed), unlocking) = held.give_back()?;
        let downgraded = held.handle.downgrade_async(grant, changed.clone()).await;
        unlocking.judge(downgraded).map_err(|error| held.superseded(error))?;
        held.become_reader((grant, changed)).map(RwLockReadGuard)
    }
}

impl<T: Value> Deref for RwLockReadGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Value> Deref for RwLockWriteGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Value> DerefMut for RwLockWriteGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.value
    }
}

impl<T: Value + fmt::Debug> fmt::Debug for RwLockReadGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

impl<T: Value + fmt::Debug> fmt::Debug for RwLockWriteGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}
