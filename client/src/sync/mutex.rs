//! `Mutex<T>`: a value that one caller at a time may change.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use greenroom_actors::objects::{Locked, MutexObject, MutexObjectHandle, Superseded};
use greenroom_actors::{Caller, Error, Fence, ObjectHandle};

use crate::value::{Value, decode, encode, encode_initial, shape};

/// A value behind a lock, for threads on any number of machines; fair, in the order of arrival.
///
/// `lock` brings the value with the lock: one round trip, and the value once. The guard works on that local copy;
/// [`unlock`](MutexGuard::unlock) sends it back if it was changed: one round trip more. Dropping the guard does the same
/// without waiting, as best it can: errors go unseen. A waiting caller costs no thread at the node.
///
/// If the owner dies, or its session ends, its copy is discarded and the next caller gets the lock. A guard that comes to
/// unlock after that is told [`Error::Superseded`]: nothing of it was applied. There is no poisoning: a guard that is
/// dropped by a panic gives the lock back without its changes.
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
pub struct Mutex<T> {
    object: MutexObjectHandle,
    value: PhantomData<fn() -> T>,
}

impl<T: Value> Mutex<T> {
    /// The lock of that key, made over `initial` if it is not there.
    ///
    /// Everybody must name the same initial value: the others are refused with `DifferentArguments`.
    ///
    /// # Panics
    /// When `initial` cannot be encoded.
    pub fn named(key: impl Into<String>, initial: T) -> Self {
        Self { object: MutexObject::named(key, shape::<T>(), encode_initial(&initial)), value: PhantomData }
    }

    /// The same lock, reached through `caller`.
    #[must_use]
    pub fn through(&self, caller: Arc<dyn Caller>) -> Self {
        Self { object: self.object.through(caller), value: PhantomData }
    }

    /// Waits for the lock, and brings the value.
    ///
    /// # Errors
    /// As every call's.
    pub fn lock(&self) -> Result<MutexGuard<T>, Error> {
        self.guard(self.object.lock()?)
    }

    /// Waits for the lock, and brings the value. Dropping the future leaves the queue, or gives the lock back.
    ///
    /// # Errors
    /// As every call's.
    pub async fn lock_async(&self) -> Result<MutexGuard<T>, Error> {
        self.guard(self.object.lock_async().await?)
    }

    /// Waits for the lock at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when others had it for all that time: the caller has left the queue.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<MutexGuard<T>, Error> {
        self.guard(self.object.with_timeout(timeout).lock()?)
    }

    /// Waits for the lock at most that long.
    ///
    /// # Errors
    /// As [`lock_timeout`](Self::lock_timeout).
    pub async fn lock_timeout_async(&self, timeout: Duration) -> Result<MutexGuard<T>, Error> {
        self.guard(self.object.with_timeout(timeout).lock_async().await?)
    }

    /// The lock, if nobody has it.
    ///
    /// # Errors
    /// As every call's.
    pub fn try_lock(&self) -> Result<Option<MutexGuard<T>>, Error> {
        self.object.try_lock()?.map(|locked| self.guard(locked)).transpose()
    }

    /// The lock, if nobody has it.
    ///
    /// # Errors
    /// As every call's.
    pub async fn try_lock_async(&self) -> Result<Option<MutexGuard<T>>, Error> {
        self.object.try_lock_async().await?.map(|locked| self.guard(locked)).transpose()
    }

    /// Whether somebody has the lock; it may have changed when the answer arrives.
    ///
    /// # Errors
    /// As every call's.
    pub fn is_locked(&self) -> Result<bool, Error> {
        self.object.is_locked()
    }

    fn guard(&self, locked: Locked) -> Result<MutexGuard<T>, Error> {
        let lock = Held { object: self.object.clone(), fence: locked.fence };
        match decode(&locked.value, self.object.raw()) {
            Ok(value) => Ok(MutexGuard { value, before: locked.value, lock: Some(lock) }),
            Err(error) => {
                lock.release(None);
                Err(error)
            }
        }
    }
}

/// A lock that is held.
struct Held {
    object: MutexObjectHandle,
    fence: Fence,
}

impl Held {
    /// Gives the lock back without waiting for an answer.
    fn release(self, changed: Option<Bytes>) {
        self.object.raw().cast("unlock", &(self.fence, changed));
    }
}

/// A lock that is being given back.
struct Unlocking(Option<(Held, Option<Bytes>)>);

impl Drop for Unlocking {
    fn drop(&mut self) {
        if let Some((lock, changed)) = self.0.take() {
            lock.release(changed);
        }
    }
}

/// The lock, and a local copy of the value under it.
#[must_use = "the lock is given back when the guard is dropped"]
pub struct MutexGuard<T: Value> {
    value: T,
    /// The value as it came, encoded.
    before: Bytes,
    /// `None` once it has been given back.
    lock: Option<Held>,
}

impl<T: Value> MutexGuard<T> {
    /// The fence of this holding of the lock: it grows with each, so that what it protects can refuse an older holder.
    pub fn fence(&self) -> Fence {
        self.lock.as_ref().map_or(Fence(0), |lock| lock.fence)
    }

    /// Sends the value back, if it was changed, and gives the lock back.
    ///
    /// # Errors
    /// [`Error::Superseded`] when the lock had been taken away: nothing was applied. And as every call's.
    pub fn unlock(mut self) -> Result<(), Error> {
        let Some((object, fence, changed)) = self.take()? else { return Ok(()) };
        let name = object.raw().name();
        object.unlock(fence, changed).map_err(|error| superseded(error, name))
    }

    /// Sends the value back, if it was changed, and gives the lock back.
    ///
    /// # Errors
    /// As [`unlock`](Self::unlock).
    pub async fn unlock_async(mut self) -> Result<(), Error> {
        let Some((object, fence, changed)) = self.take()? else { return Ok(()) };
        let name = object.raw().name();
        let unlock = object.unlock_async(fence, changed.clone());
        // If the future is dropped before the answer, the lock is given back all the same; a second time does no harm.
        let mut unlocking = Unlocking(Some((Held { object, fence }, changed)));
        let unlocked = unlock.await;
        unlocking.0 = None;
        unlocked.map_err(|error| superseded(error, name))
    }

    fn take(&mut self) -> Result<Option<(MutexObjectHandle, Fence, Option<Bytes>)>, Error> {
        let Some(lock) = self.lock.as_ref() else { return Ok(None) };
        let changed = self.changed(lock)?;
        Ok(self.lock.take().map(|lock| (lock.object, lock.fence, changed)))
    }

    fn changed(&self, lock: &Held) -> Result<Option<Bytes>, Error> {
        let now = encode(&self.value, lock.object.raw())?;
        Ok((now != self.before).then_some(now))
    }
}

fn superseded(error: Error<Superseded>, object: String) -> Error {
    match error {
        Error::Method(Superseded { fence }) => Error::Superseded { object, fence },
        other => other.into(),
    }
}

impl<T: Value> Deref for MutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Value> DerefMut for MutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Value> Drop for MutexGuard<T> {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        // Work that a panic broke off is not kept; nor is a value that cannot be encoded.
        let changed = if std::thread::panicking() { None } else { self.changed(&lock).unwrap_or_default() };
        lock.release(changed);
    }
}

impl<T: Value + fmt::Debug> fmt::Debug for MutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), value: PhantomData }
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.raw().fmt(f)
    }
}
