//! `Promise<T>`: a value that is set once, and awaited.

use greenroom_actors::Error;
use greenroom_actors::objects::{AlreadySet, PromiseObject};
use greenroom_macros::twins;

use crate::face::face;
use crate::value::{Value, decode, encode, shape};

face! {
    /// A value that one caller sets, once, and any number of callers await, before or after that.
    ///
    /// Each call is one round trip; a wait is parked in the object and costs no thread there. Like a `std::sync::OnceLock`
    /// that can be waited for.
    ///
    /// ```no_run
    /// use greenroom::sync::Promise;
    ///
    /// let result = Promise::named("result");
    /// result.set(42_u64)?;
    /// assert_eq!(result.get()?, 42);
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Promise<T>(PromiseObject);
}

impl<T: Value> Promise<T> {
    /// The promise of that key, made if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(PromiseObject::named(key, shape::<T>()))
    }
}

#[twins]
impl<T: Value> Promise<T> {
    /// Sets the value and wakes everybody who waits for it.
    ///
    /// # Errors
    /// [`Error::Method`] with [`AlreadySet`] when there is one; and as every call's.
    pub async fn set(&self, value: T) -> Result<(), Error<AlreadySet>> {
        self.handle.set_async(encode(&value, self.object()).map_err(Error::widen)?).await
    }

    /// Waits for the value; dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`Error::TimedOut`] at the end of the handle's timeout, if it has one; and as every call's.
    pub async fn get(&self) -> Result<T, Error> {
        decode(&self.handle.get_async().await?, self.object())
    }

    /// The value, if it is set.
    ///
    /// # Errors
    /// As every call's.
    pub async fn try_get(&self) -> Result<Option<T>, Error> {
        self.handle.try_get_async().await?.map(|bytes| decode(&bytes, self.object())).transpose()
    }
}
