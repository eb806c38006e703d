//! `Cell<T>`: one shared value.

use std::future::Future;

use greenroom_actors::Error;
use greenroom_actors::combine::{Combine, CombineError};
use greenroom_actors::objects::CellObject;
use greenroom_macros::twins;

use crate::collections::pieces::{bulks, encode_all};
use crate::face::face;
use crate::value::{Value, decode, encode, encode_initial, shape};

face! {
    /// One shared value of any serde type, which is read and written whole.
    ///
    /// Each call is one round trip and carries the value once ([`replace`](Self::replace) and [`merge`](Self::merge): once in each
    /// direction; [`compare_exchange`](Self::compare_exchange): twice, and back). Calls are linearizable.
    ///
    /// What a message carries has at most 32 MiB, encoded, so a value has at most about that; what `merge` makes of it, 31 MiB; and
    /// the two of a `compare_exchange`, together. More is refused ([`Refusal::TooLarge`](crate::Refusal::TooLarge)) and changes
    /// nothing; a [`Blob`](crate::collections::Blob) takes more.
    /// Unlike `std::cell::Cell` it is for many threads and machines, and unlike an atomic it takes any type.
    ///
    /// ```no_run
    /// use greenroom::{Cell, Combine};
    ///
    /// let best = Cell::named("best", f64::MAX);
    /// best.merge(0.5, Combine::min())?; // one round trip, whoever else does the same
    /// best.update(|score| score / 2.0)?; // two or more
    /// assert!(best.get()? <= 0.25);
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Cell<T>(CellObject);
}

impl<T: Value> Cell<T> {
    /// Combines the value with `value` by the function of that name; nothing is sent back.
    pub(crate) fn merge_by_name(
        &self,
        value: T,
        combine: &str,
    ) -> impl Future<Output = Result<(), Error<CombineError>>> + Send + use<T> {
        let (cell, combine) = (self.clone(), combine.to_owned());
        async move {
            let value = encode(&value, cell.object()).map_err(Error::widen)?;
            cell.handle.merge_all_async(vec![value], combine).await
        }
    }

    /// The cell of that key, made with `initial` if it is not there.
    ///
    /// Everybody must name the same initial value: the others are refused with `DifferentArguments`. Take a `BTreeMap` rather
    /// than a `HashMap`, which need not encode alike twice; see [`Value`].
    ///
    /// # Panics
    /// When `initial` cannot be encoded.
    pub fn named(key: impl Into<String>, initial: T) -> Self {
        Self::of(CellObject::named(key, shape::<T>(), encode_initial(&initial)))
    }
}

#[twins]
impl<T: Value> Cell<T> {
    /// The value.
    ///
    /// # Errors
    /// As every call's.
    pub async fn get(&self) -> Result<T, Error> {
        decode(&self.handle.get_async().await?, self.object())
    }

    /// Sets the value.
    ///
    /// # Errors
    /// As every call's.
    pub async fn set(&self, value: T) -> Result<(), Error> {
        self.handle.set_async(encode(&value, self.object())?).await
    }

    /// Sets the value and returns the one before.
    ///
    /// # Errors
    /// As every call's.
    pub async fn replace(&self, value: T) -> Result<T, Error> {
        let before = self.handle.replace_async(encode(&value, self.object())?).await?;
        decode(&before, self.object())
    }

    /// Sets the value to `new` if it is `current` (byte for byte, once encoded); the inner result says whether it was, and what.
    ///
    /// # Errors
    /// As every call's.
    pub async fn compare_exchange(&self, current: &T, new: T) -> Result<Result<T, T>, Error> {
        let current = encode(current, self.object())?;
        let before = self.handle.compare_exchange_async(current.clone(), encode(&new, self.object())?).await?;
        let value = decode(&before, self.object())?;
        Ok(if before == current { Ok(value) } else { Err(value) })
    }

    /// Combines the value with `value`, beside it; returns what came of it.
    ///
    /// What came of it travels back. Where nobody needs it, and it is large, [`merge_all`](Self::merge_all) of one value is cheaper.
    ///
    /// # Errors
    /// [`Error::Method`] when the node's program has no such function; and as every call's.
    pub async fn merge(&self, value: T, combine: Combine<T>) -> Result<T, Error<CombineError>> {
        let value = encode(&value, self.object()).map_err(Error::widen)?;
        let merged = self.handle.merge_async(value, combine.name().to_owned()).await?;
        decode(&merged, self.object()).map_err(Error::widen)
    }

    /// Combines the value with all of these, one after the other, beside it; nothing is sent back.
    ///
    /// One call, and atomic, up to 16 MiB of encoded values; more than that goes in several calls, between which others may come.
    ///
    /// # Errors
    /// As [`merge`](Self::merge); of several calls, those before the one that failed stay applied.
    pub async fn merge_all(
        &self,
        values: impl IntoIterator<Item = T>,
        combine: Combine<T>,
    ) -> Result<(), Error<CombineError>> {
        for bulk in bulks(encode_all::<T, _>(values, self.object()).map_err(Error::widen)?) {
            self.handle.merge_all_async(bulk, combine.name().to_owned()).await?;
        }
        Ok(())
    }

    /// Sets the value to `change` of it, trying again when another caller came between; returns the one before.
    ///
    /// Two round trips at least, each of which carries the value once. Another came between if it has set the value, also to an
    /// equal one. Where many update one value, [`merge`](Self::merge) or a method of an object's own is faster.
    ///
    /// # Errors
    /// As every call's.
    pub async fn update(&self, mut change: impl FnMut(T) -> T) -> Result<T, Error> {
        let object = self.object();
        let (mut current, mut version) = self.handle.get_version_async().await?;
        loop {
            let new = encode(&change(decode(&current, object)?), object)?;
            match self.handle.set_if_version_async(version, new).await? {
                None => return decode(&current, object),
                Some(there) => (current, version) = there,
            }
        }
    }
}
