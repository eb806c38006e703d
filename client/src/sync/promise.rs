//! `Promise<T>`: a value that is set once, and awaited.

use std::time::Duration;

use greenroom_actors::Error;
use greenroom_actors::objects::{AlreadySet, PromiseError, PromiseObject};
use greenroom_macros::twins;

use crate::face::face;
use crate::value::{Value, decode, encode, shape};

face! {
    /// A value that one caller sets, once, and any number of callers await, before or after that.
    ///
    /// Instead of a value it can get an error: [`fail`](Self::fail) says why there will be none, and [`cancel`](Self::cancel)
    /// that nobody wants it. The first word counts: whoever comes second with a value, an error or a cancel gets
    /// [`AlreadySet`], and changes nothing. A promise does not know who will set it, so nothing fails it by itself.
    ///
    /// Each call is one round trip, and carries the value once; a wait is parked in the object and costs no thread there.
    /// All who wait are told in the turn that sets it, in the order of their arrival. A wait that times out, or is given up,
    /// leaves nothing behind. It is Java's `CompletableFuture`, or a `std::sync::OnceLock` that can be waited for.
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
    /// [`Error::Method`] with [`AlreadySet`] when it is set, failed or cancelled; and as every call's.
    pub async fn set(&self, value: T) -> Result<(), Error<AlreadySet>> {
        self.handle.set_async(encode(&value, self.object()).map_err(Error::widen)?).await
    }

    /// Says why there will be no value; who waits for it, and who comes, is told [`PromiseError::Failed`] with `message`.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn fail(&self, message: impl Into<String>) -> Result<(), Error<AlreadySet>> {
        self.handle.fail_async(PromiseError::Failed(message.into())).await
    }

    /// Says that nobody wants the value; who waits for it, and who comes, is told [`PromiseError::Cancelled`].
    ///
    /// Who would set it learns of that by [`AlreadySet`], or by [`is_done`](Self::is_done) before it begins.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub async fn cancel(&self) -> Result<(), Error<AlreadySet>> {
        self.handle.fail_async(PromiseError::Cancelled).await
    }

    /// Waits for the value; dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`Error::Method`] with a [`PromiseError`] when there will be none; and as every call's.
    pub async fn get(&self) -> Result<T, Error<PromiseError>> {
        let value = self.handle.get_async().await?;
        decode(&value, self.object()).map_err(Error::widen)
    }

    /// Waits for the value at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it was not set; and as [`get`](Self::get).
    pub async fn get_timeout(&self, timeout: Duration) -> Result<T, Error<PromiseError>> {
        self.with_timeout(timeout).get_async().await
    }

    /// The value, if it is set.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn try_get(&self) -> Result<Option<T>, Error<PromiseError>> {
        let value = self.handle.try_get_async().await?;
        value.map(|bytes| decode(&bytes, self.object())).transpose().map_err(Error::widen)
    }

    /// Whether there is a value.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_set(&self) -> Result<bool, Error> {
        self.handle.is_set_async().await
    }

    /// Whether there is a value or an error: nobody would have to wait.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_done(&self) -> Result<bool, Error> {
        self.handle.is_done_async().await
    }
}
