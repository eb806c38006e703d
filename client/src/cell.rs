//! `Cell<T>`: one shared value.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use greenroom_actors::objects::{CellObject, CellObjectHandle};
use greenroom_actors::{Caller, Error, ObjectHandle};

use crate::value::{Value, decode, encode, encode_initial, shape};

/// One shared value of any serde type, which is read and written whole.
///
/// Each call is one round trip and carries the value once (`compare_exchange`: up to three times). Calls are linearizable.
/// Unlike `std::cell::Cell` it is for many threads and machines, and unlike an atomic it takes any type.
///
/// ```no_run
/// use greenroom::Cell;
///
/// let best = Cell::named("best", f64::MAX);
/// best.update(|score| score.min(0.5))?;
/// assert!(best.get()? <= 0.5);
/// # Ok::<(), greenroom::Error>(())
/// ```
pub struct Cell<T> {
    object: CellObjectHandle,
    value: PhantomData<fn() -> T>,
}

impl<T: Value> Cell<T> {
    /// The cell of that key, made with `initial` if it is not there.
    ///
    /// Everybody must name the same initial value: the others are refused with `DifferentArguments`.
    ///
    /// # Panics
    /// When `initial` cannot be encoded.
    pub fn named(key: impl Into<String>, initial: T) -> Self {
        Self { object: CellObject::named(key, shape::<T>(), encode_initial(&initial)), value: PhantomData }
    }

    /// The same cell, reached through `caller`.
    #[must_use]
    pub fn through(&self, caller: Arc<dyn Caller>) -> Self {
        Self { object: self.object.through(caller), value: PhantomData }
    }

    /// The same cell; each call takes at most `timeout`.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { object: self.object.with_timeout(timeout), value: PhantomData }
    }

    /// The value.
    ///
    /// # Errors
    /// As every call's.
    pub fn get(&self) -> Result<T, Error> {
        decode(&self.object.get()?, self.object.raw())
    }

    /// The value.
    ///
    /// # Errors
    /// As every call's.
    pub async fn get_async(&self) -> Result<T, Error> {
        decode(&self.object.get_async().await?, self.object.raw())
    }

    /// Sets the value.
    ///
    /// # Errors
    /// As every call's.
    pub fn set(&self, value: T) -> Result<(), Error> {
        self.object.set(encode(&value, self.object.raw())?)
    }

    /// Sets the value.
    ///
    /// # Errors
    /// As every call's.
    pub async fn set_async(&self, value: T) -> Result<(), Error> {
        self.object.set_async(encode(&value, self.object.raw())?).await
    }

    /// Sets the value and returns the one before.
    ///
    /// # Errors
    /// As every call's.
    pub fn replace(&self, value: T) -> Result<T, Error> {
        decode(&self.object.replace(encode(&value, self.object.raw())?)?, self.object.raw())
    }

    /// Sets the value and returns the one before.
    ///
    /// # Errors
    /// As every call's.
    pub async fn replace_async(&self, value: T) -> Result<T, Error> {
        let before = self.object.replace_async(encode(&value, self.object.raw())?).await?;
        decode(&before, self.object.raw())
    }

    /// Sets the value to `new` if it is `current` (byte for byte, once encoded); the inner result says whether it was, and what.
    ///
    /// # Errors
    /// As every call's.
    pub fn compare_exchange(&self, current: &T, new: T) -> Result<Result<T, T>, Error> {
        let (raw, current) = (self.object.raw(), encode(current, self.object.raw())?);
        let before = self.object.compare_exchange(current.clone(), encode(&new, raw)?)?;
        let value = decode(&before, raw)?;
        Ok(if before == current { Ok(value) } else { Err(value) })
    }

    /// Sets the value to `change` of it, trying again when another caller came between; returns the one before.
    ///
    /// Two round trips at least. Where many update one value, a method of an object's own is faster.
    ///
    /// # Errors
    /// As every call's.
    pub fn update(&self, mut change: impl FnMut(T) -> T) -> Result<T, Error> {
        let raw = self.object.raw();
        let mut current = self.object.get()?;
        loop {
            let new = encode(&change(decode(&current, raw)?), raw)?;
            let before = self.object.compare_exchange(current.clone(), new)?;
            if before == current {
                return decode(&before, raw);
            }
            current = before;
        }
    }
}

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), value: PhantomData }
    }
}

impl<T> fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.object.raw().fmt(f)
    }
}
