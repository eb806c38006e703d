//! Map and reduce: what threads bring is combined in a shared object, and not by whoever began them.

use std::fmt;
use std::future::Future;

use greenroom_actors::combine::{Combine, CombineError};
use greenroom_actors::{Error, RawHandle, ReplyBody};
use greenroom_macros::twins;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::executor::{Executor, check_may_block};
use super::function::Call;
use super::map::Order;
use crate::Cell;
use crate::value::Value;

/// Where the threads of [`Executor::map_reduce`] bring their parts of one value: an argument of their function.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Reduction<A> {
    reduced: Cell<A>,
    /// The name of the function that combines.
    combine: String,
}

#[twins]
impl<A: Value> Reduction<A> {
    /// Combines the value with `part`, beside it: one call, which carries the part and brings nothing back.
    ///
    /// What a thread has brought stays if it fails later. So of a thread that may be tried again bring all at its end, or have
    /// twice the same do no harm, as with a minimum.
    ///
    /// # Errors
    /// [`Error::Method`] when the node's program has no such function; and as every call's.
    pub fn merge(&self, part: A) -> impl Future<Output = Result<(), Error<CombineError>>> + Send + use<A> {
        self.reduced.merge_by_name(part, &self.combine)
    }

    fn object(&self) -> &RawHandle {
        self.reduced.object()
    }
}

impl<A> Clone for Reduction<A> {
    fn clone(&self) -> Self {
        Self { reduced: self.reduced.clone(), combine: self.combine.clone() }
    }
}

impl<A> fmt::Debug for Reduction<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reduction").field("reduced", &self.reduced).field("combine", &self.combine).finish()
    }
}

impl Executor {
    /// Runs a call for each item, a bounded number at once, and returns what comes of `initial` and all the parts that the calls
    /// bring to their [`Reduction`]: combined one after the other, in any order, in a shared object. Results do not pass
    /// through here.
    ///
    /// If one fails the others are cancelled, no more are begun, and once all have ended the first failure is returned.
    ///
    /// ```no_run
    /// use greenroom::cloud::{Executor, Reduction};
    /// use greenroom::{Combine, Error, cloud};
    ///
    /// #[cloud]
    /// fn longest_line(path: String, longest: Reduction<u64>) -> Result<(), Error> {
    ///     let text = std::fs::read_to_string(path).unwrap_or_default();
    ///     Ok(longest.merge(text.lines().map(|line| line.len() as u64).max().unwrap_or(0))?)
    /// }
    ///
    /// # fn main() -> Result<(), Error> {
    /// let paths = ["a.txt", "b.txt"].map(str::to_owned);
    /// let longest = Executor::new().map_reduce(paths, 0, Combine::max(), longest_line::call)?;
    /// println!("the longest line has {longest} bytes");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of the call that failed first; those of calls of the shared object; [`Error::Blocking`] on a thread that runs async
    /// tasks, where nothing is begun.
    ///
    /// # Panics
    /// When `initial` cannot be encoded.
    pub fn map_reduce<A, I, T, E>(
        &self,
        items: I,
        initial: A,
        combine: Combine<A>,
        call: impl FnMut(I::Item, Reduction<A>) -> Call<T, E>,
    ) -> Result<A, Error<E>>
    where
        A: Value,
        I: IntoIterator,
        E: ReplyBody<T, Body: DeserializeOwned>,
    {
        check_may_block("map_reduce")?;
        pollster::block_on(self.map_reduce_async(items, initial, combine, call))
    }

    /// The twin of [`map_reduce`](Self::map_reduce) for async code. Dropping the future cancels what runs.
    ///
    /// # Errors
    /// As [`map_reduce`](Self::map_reduce).
    ///
    /// # Panics
    /// As [`map_reduce`](Self::map_reduce).
    pub async fn map_reduce_async<A, I, T, E>(
        &self,
        items: I,
        initial: A,
        combine: Combine<A>,
        mut call: impl FnMut(I::Item, Reduction<A>) -> Call<T, E>,
    ) -> Result<A, Error<E>>
    where
        A: Value,
        I: IntoIterator,
        E: ReplyBody<T, Body: DeserializeOwned>,
    {
        let reduced = Cell::named(format!("cloud/reduction/{:x}", rand::random::<u64>()), initial);
        let reduction = Reduction { reduced: reduced.clone(), combine: combine.name().to_owned() };
        let calls = items.into_iter().map(|item| call(item, reduction.clone()));
        let mut all = self.map(calls).ordered(Order::AsTheyCome);
        let mut failed = None;
        while let Some(joined) = all.next_async().await {
            if let Err(error) = joined
                && failed.is_none()
            {
                all.cancel();
                failed = Some(error);
            }
        }
        let value = match failed {
            Some(error) => Err(error),
            None => reduced.get_async().await.map_err(Error::widen),
        };
        // Its value is known; what cannot be deleted now goes with the job.
        let _ = reduced.object().delete_async().await;
        value
    }
}
