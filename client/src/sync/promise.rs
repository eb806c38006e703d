//! `Promise<T>`: a value that is set once, and awaited.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use greenroom_actors::objects::{AlreadySet, PromiseObject, PromiseObjectHandle};
use greenroom_actors::{Caller, Error, ObjectHandle};

use crate::value::{Value, decode, encode, shape};

/// A value that one caller sets, once, and any number of callers await, before or after that.
///
/// Each call is one round trip; a wait is parked in the object and costs no thread there. Like a `std::sync::OnceLock` that
/// can be waited for.
///
/// ```no_run
/// use greenroom::sync::Promise;
///
/// let result = Promise::named("result");
/// result.set(42_u64)?;
/// assert_eq!(result.get()?, 42);
/// # Ok::<(), greenroom::Error>(())
/// ```
pub struct Promise<T> {
    object: PromiseObjectHandle,
    value: PhantomData<fn() -> T>,
}

impl<T: Value> Promise<T> {
    /// The promise of that key, made if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self { object: PromiseObject::named(key, shape::<T>()), value: PhantomData }
    }

    /// The same promise, reached through `caller`.
    #[must_use]
    pub fn through(&self, caller: Arc<dyn Caller>) -> Self {
        Self { object: self.object.through(caller), value: PhantomData }
    }

    /// The same promise; each call takes at most `timeout`, a wait too.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { object: self.object.with_timeout(timeout), value: PhantomData }
    }

    /// Sets the value and wakes everybody who waits for it.
    ///
    /// # Errors
    /// [`Error::Method`] with [`AlreadySet`] when there is one; and as every call's.
    pub fn set(&self, value: T) -> Result<(), Error<AlreadySet>> {
        self.object.set(encode(&value, self.object.raw()).map_err(unmethod)?)
    }

    /// Sets the value and wakes everybody who waits for it.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn set_async(&self, value: T) -> Result<(), Error<AlreadySet>> {
        self.object.set_async(encode(&value, self.object.raw()).map_err(unmethod)?).await
    }

    /// Waits for the value.
    ///
    /// # Errors
    /// [`Error::TimedOut`] at the end of the handle's timeout, if it has one; and as every call's.
    pub fn get(&self) -> Result<T, Error> {
        decode(&self.object.get()?, self.object.raw())
    }

    /// Waits for the value; dropping the future leaves the queue.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_async(&self) -> Result<T, Error> {
        decode(&self.object.get_async().await?, self.object.raw())
    }

    /// The value, if it is set.
    ///
    /// # Errors
    /// As every call's.
    pub fn try_get(&self) -> Result<Option<T>, Error> {
        self.object.try_get()?.map(|bytes| decode(&bytes, self.object.raw())).transpose()
    }

    /// The value, if it is set.
    ///
    /// # Errors
    /// As every call's.
    pub async fn try_get_async(&self) -> Result<Option<T>, Error> {
        self.object.try_get_async().await?.map(|bytes| decode(&bytes, self.object.raw())).transpose()
    }
}

/// An error of encoding, which is never a method's.
fn unmethod(error: Error) -> Error<AlreadySet> {
    error.map_method(|_| AlreadySet)
}

impl<T> Clone for Promise<T> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), value: PhantomData }
    }
}

impl<T> fmt::Debug for Promise<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.raw().fmt(f)
    }
}
