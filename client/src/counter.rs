//! `Counter`: a shared number that is added to.

use std::future::Future;

use greenroom_actors::Error;
use greenroom_actors::objects::{CounterObject, CounterObjectMessages};
use greenroom_macros::twins;

use crate::face::face;

face! {
    /// A shared 64-bit number that callers add to; it begins at 0, and wraps around at its ends, as atomics do.
    ///
    /// Each call is one round trip of some 60 bytes each way, and is linearizable. Unlike the
    /// [atomics](crate::sync::atomic) it has no initial value to agree on, so a `static` can hold it; and what changes it
    /// returns the new value, where their `fetch_` methods return the one before.
    /// Dropping the future of a change leaves open whether it was made.
    ///
    /// ```no_run
    /// use greenroom::{Counter, Error};
    ///
    /// static HITS: Counter = Counter::shared("hits");
    ///
    /// fn hit() -> Result<i64, Error> {
    ///     HITS.increment() // no two callers get the same number
    /// }
    ///
    /// let of_today = Counter::named("hits of today");
    /// of_today.add(5)?;
    /// assert!(of_today.get()? >= 5);
    /// # Ok::<(), Error>(())
    /// ```
    pub struct Counter(CounterObject);
}

impl Counter {
    /// The counter of that key; it is made at the first call. Nothing is sent.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(CounterObject::named(key))
    }

    /// The counter of that key, for a `static`.
    pub const fn shared(key: &'static str) -> Self {
        Self::of(CounterObject::shared(key))
    }

    /// The counter's methods as messages, for a turn's `call`.
    pub fn message(&self) -> CounterObjectMessages {
        self.handle.message()
    }
}

#[twins]
impl Counter {
    /// Adds `delta` and returns the new value.
    ///
    /// # Errors
    /// As every call's.
    pub fn add(&self, delta: i64) -> impl Future<Output = Result<i64, Error>> + Send + use<> {
        self.handle.add_async(delta)
    }

    /// Adds one and returns the new value.
    ///
    /// # Errors
    /// As every call's.
    pub fn increment(&self) -> impl Future<Output = Result<i64, Error>> + Send + use<> {
        self.handle.increment_async()
    }

    /// Subtracts one and returns the new value.
    ///
    /// # Errors
    /// As every call's.
    pub fn decrement(&self) -> impl Future<Output = Result<i64, Error>> + Send + use<> {
        self.handle.decrement_async()
    }

    /// The value.
    ///
    /// # Errors
    /// As every call's.
    pub fn get(&self) -> impl Future<Output = Result<i64, Error>> + Send + use<> {
        self.handle.get_async()
    }

    /// Sets the value and returns the one before.
    ///
    /// # Errors
    /// As every call's.
    pub fn set(&self, value: i64) -> impl Future<Output = Result<i64, Error>> + Send + use<> {
        self.handle.set_async(value)
    }

    /// Sets the value to 0 and returns the one before.
    ///
    /// # Errors
    /// As every call's.
    pub fn reset(&self) -> impl Future<Output = Result<i64, Error>> + Send + use<> {
        self.handle.reset_async()
    }
}
