//! `Exchanger<T>`: callers swap values in pairs.

use std::fmt;
use std::time::Duration;

use greenroom_actors::Error;
use greenroom_actors::objects::ExchangerObject;
use greenroom_macros::twins;

use crate::face::face;
use crate::value::{Value, decode, encode, shape};

face! {
    /// Two callers meet and swap their values: each brings one, and gets the other's.
    ///
    /// Callers meet in the order of their arrival, the first with the second, the third with the fourth; an odd one waits. It
    /// is Java's `Exchanger`: two that fill and empty buffers by turns, or two functions that tell each other where they are.
    ///
    /// One round trip an exchange, with a value each way, of at most 32 MiB. An exchange that times out, or is given up or
    /// ends with its session while it waits, has not happened: the next caller waits for another. Once both have come it has
    /// happened for both, also if one of them no longer looks at what it got.
    ///
    /// ```no_run
    /// use greenroom::sync::Exchanger;
    ///
    /// let buffers = Exchanger::named("buffers");
    /// let empty: Vec<u64> = buffers.exchange(vec![1, 2, 3])?; // one of the two
    /// # let _ = empty;
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Exchanger<T>(ExchangerObject);
}

impl<T: Value> Exchanger<T> {
    /// The exchanger of that key, made if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(ExchangerObject::named(key, shape::<T>()))
    }
}

#[twins]
impl<T: Value> Exchanger<T> {
    /// Waits for another caller, and swaps values with it; dropping the future takes the value back if nobody has come.
    ///
    /// # Errors
    /// As every call's.
    pub async fn exchange(&self, value: T) -> Result<T, Error> {
        let others = self.handle.exchange_async(encode(&value, self.object())?).await?;
        decode(&others, self.object())
    }

    /// Waits for another caller, at most that long, and swaps values with it.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when nobody came: the value was given to nobody. And as every call's.
    pub async fn exchange_timeout(&self, value: T, timeout: Duration) -> Result<T, Error> {
        self.with_timeout(timeout).exchange_async(value).await
    }

    /// Swaps values with a caller who waits, if there is one.
    ///
    /// # Errors
    /// [`Error::Method`] with [`NobodyWaits`], which gives the value back; and as every call's.
    pub async fn try_exchange(&self, value: T) -> Result<T, Error<NobodyWaits<T>>> {
        let offered = encode(&value, self.object()).map_err(Error::widen)?;
        match self.handle.try_exchange_async(offered).await.map_err(Error::widen)? {
            Some(others) => decode(&others, self.object()).map_err(Error::widen),
            None => Err(Error::Method(NobodyWaits(value))),
        }
    }
}

/// Nobody waits to swap values; this is the value that was offered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NobodyWaits<T>(pub T);

impl<T> fmt::Debug for NobodyWaits<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NobodyWaits").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for NobodyWaits<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody waits to swap values")
    }
}

impl<T> std::error::Error for NobodyWaits<T> {}
