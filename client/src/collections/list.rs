//! `List<T>`: values in an order, reached by their index.

use std::ops::RangeBounds;

use bytes::Bytes;
use greenroom_actors::Error;
use greenroom_actors::objects::{ListObject, OutOfRange, PAGE_BYTES};
use greenroom_macros::twins;

use super::pieces::{Page, ReadError, bounds, bulks, encode_all, read_whole};
use crate::face::face;
use crate::value::{Value, decode, encode, shape};

face! {
    /// A shared list in the shape of `Vec`, for threads on any number of machines.
    ///
    /// **Guarantees.** Each call is linearizable. [`extend`](Self::extend), [`remove_all`](Self::remove_all) and reads of a whole
    /// list say what they do with more than a call can carry.
    ///
    /// **Cost.** Each call is one round trip and carries the values that it names, once. At the node, `push`, `pop`, `get`, `set`
    /// and `swap` take the same time at any length; `insert` and `remove` move the values on the shorter side of the index;
    /// what searches (`contains`, `index_of`, `remove_all` …) looks at all.
    ///
    /// **Unlike `Vec`**, an index that is out of range is a typed error and no panic, since it may have been within when the
    /// caller looked; and `first`, `get` and `iter` bring copies. Values are compared by their encoded bytes: a NaN is equal to
    /// itself, and 0.0 is not -0.0. To work off what others add, use a queue: `pop` and `remove` are not undone when a caller
    /// goes away before it has their answer.
    ///
    /// ```no_run
    /// use greenroom::collections::List;
    ///
    /// let names = List::named("names");
    /// names.push("Ada".to_owned())?;
    /// names.extend(["Grace".to_owned(), "Edsger".to_owned()])?; // one call
    /// assert_eq!(names.get(1)?.as_deref(), Some("Grace"));
    /// for name in names.iter() {
    ///     println!("{}", name?);
    /// }
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct List<T>(ListObject);
}

impl<T: Value> List<T> {
    /// The list of that key, made empty if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(ListObject::named(key, shape::<T>()))
    }

    /// The values in order, brought in pages of about 1 MiB as they are needed.
    ///
    /// Each page is of one moment, the pages together are not: of what others insert or remove meanwhile, the iterator may see
    /// a part, and values that change their index may be passed over or seen twice. [`to_vec`](Self::to_vec) is of one moment.
    pub fn iter(&self) -> ListIter<T> {
        ListIter { list: self.clone(), next: 0, page: Vec::new().into_iter(), more: true }
    }
}

#[twins]
impl<T: Value> List<T> {
    /// Adds a value at the end.
    ///
    /// # Errors
    /// As every call's.
    pub async fn push(&self, value: T) -> Result<(), Error> {
        self.handle.push_async(encode(&value, self.object())?).await
    }

    /// Adds all values at the end: one call, and atomic, up to 16 MiB of encoded values.
    ///
    /// More than that goes in several calls, between which others may add theirs.
    ///
    /// # Errors
    /// As every call's; of several calls, those before the one that failed stay applied.
    pub async fn extend(&self, values: impl IntoIterator<Item = T>) -> Result<(), Error> {
        for bulk in bulks(encode_all::<T, _>(values, self.object())?) {
            self.handle.extend_async(bulk).await?;
        }
        Ok(())
    }

    /// Takes the last value; `None` if there is none.
    ///
    /// # Errors
    /// As every call's.
    pub async fn pop(&self) -> Result<Option<T>, Error> {
        self.decoded(self.handle.pop_async().await?)
    }

    /// Puts a value before the one at `index`, or at the end if that is the length.
    ///
    /// # Errors
    /// [`Error::Method`] with [`OutOfRange`] when the list is shorter; and as every call's.
    pub async fn insert(&self, index: usize, value: T) -> Result<(), Error<OutOfRange>> {
        self.handle.insert_async(index, encode(&value, self.object()).map_err(Error::widen)?).await
    }

    /// Takes the value at `index`; those behind it move up.
    ///
    /// # Errors
    /// [`Error::Method`] with [`OutOfRange`] when there is none; and as every call's.
    pub async fn remove(&self, index: usize) -> Result<T, Error<OutOfRange>> {
        let removed = self.handle.remove_async(index).await?;
        decode(&removed, self.object()).map_err(Error::widen)
    }

    /// The value at `index`; `None` if there is none.
    ///
    /// # Errors
    /// As every call's.
    pub async fn get(&self, index: usize) -> Result<Option<T>, Error> {
        self.decoded(self.handle.get_async(index).await?)
    }

    /// Sets the value at `index`.
    ///
    /// # Errors
    /// [`Error::Method`] with [`OutOfRange`] when there is none; and as every call's.
    pub async fn set(&self, index: usize, value: T) -> Result<(), Error<OutOfRange>> {
        self.handle.set_async(index, encode(&value, self.object()).map_err(Error::widen)?).await
    }

    /// Sets the value at `index` and returns the one before.
    ///
    /// # Errors
    /// [`Error::Method`] with [`OutOfRange`] when there is none; and as every call's.
    pub async fn replace(&self, index: usize, value: T) -> Result<T, Error<OutOfRange>> {
        let value = encode(&value, self.object()).map_err(Error::widen)?;
        let before = self.handle.replace_async(index, value).await?;
        decode(&before, self.object()).map_err(Error::widen)
    }

    /// Exchanges the values at two indices.
    ///
    /// # Errors
    /// [`Error::Method`] with [`OutOfRange`] when one of them is not there; and as every call's.
    pub async fn swap(&self, first: usize, second: usize) -> Result<(), Error<OutOfRange>> {
        self.handle.swap_async(first, second).await
    }

    /// The first value; `None` if there is none.
    ///
    /// # Errors
    /// As every call's.
    pub async fn first(&self) -> Result<Option<T>, Error> {
        self.decoded(self.handle.first_async().await?)
    }

    /// The last value; `None` if there is none.
    ///
    /// # Errors
    /// As every call's.
    pub async fn last(&self) -> Result<Option<T>, Error> {
        self.decoded(self.handle.last_async().await?)
    }

    /// How many values there are.
    ///
    /// # Errors
    /// As every call's.
    pub async fn len(&self) -> Result<usize, Error> {
        self.handle.len_async().await
    }

    /// Whether there is none.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        self.handle.is_empty_async().await
    }

    /// Removes all values.
    ///
    /// # Errors
    /// As every call's.
    pub async fn clear(&self) -> Result<(), Error> {
        self.handle.clear_async().await
    }

    /// Keeps the first `length` values and removes the rest; as in `Vec`, more than there are changes nothing.
    ///
    /// # Errors
    /// As every call's.
    pub async fn truncate(&self, length: usize) -> Result<(), Error> {
        self.handle.truncate_async(length).await
    }

    /// Whether the value is there.
    ///
    /// # Errors
    /// As every call's.
    pub async fn contains(&self, value: &T) -> Result<bool, Error> {
        Ok(self.index_of_async(value).await?.is_some())
    }

    /// Whether all of these values are there; they travel in one call.
    ///
    /// # Errors
    /// As every call's; [`Refusal::TooLarge`](crate::Refusal::TooLarge) above 32 MiB of encoded values.
    pub async fn contains_all(&self, values: &[T]) -> Result<bool, Error> {
        self.handle.contains_all_async(encode_all::<T, _>(values, self.object())?).await
    }

    /// The index at which the value is first.
    ///
    /// # Errors
    /// As every call's.
    pub async fn index_of(&self, value: &T) -> Result<Option<usize>, Error> {
        self.handle.index_of_async(encode(value, self.object())?).await
    }

    /// The index at which the value is last.
    ///
    /// # Errors
    /// As every call's.
    pub async fn last_index_of(&self, value: &T) -> Result<Option<usize>, Error> {
        self.handle.last_index_of_async(encode(value, self.object())?).await
    }

    /// Removes the value where it is first; returns whether it was there.
    ///
    /// # Errors
    /// As every call's.
    pub async fn remove_value(&self, value: &T) -> Result<bool, Error> {
        self.handle.remove_value_async(encode(value, self.object())?).await
    }

    /// Removes these values wherever they are; returns how many were removed.
    ///
    /// One call, and atomic, up to 16 MiB of encoded values; more than that goes in several calls.
    ///
    /// # Errors
    /// As every call's; of several calls, those before the one that failed stay applied.
    pub async fn remove_all(&self, values: &[T]) -> Result<usize, Error> {
        let mut removed = 0;
        for bulk in bulks(encode_all::<T, _>(values, self.object())?) {
            removed += self.handle.remove_all_async(bulk).await?;
        }
        Ok(removed)
    }

    /// Removes all but these values, which travel in one call; returns how many were removed.
    ///
    /// # Errors
    /// As every call's; [`Refusal::TooLarge`](crate::Refusal::TooLarge) above 32 MiB of encoded values.
    pub async fn retain_all(&self, values: &[T]) -> Result<usize, Error> {
        self.handle.retain_all_async(encode_all::<T, _>(values, self.object())?).await
    }

    /// The values of a range of indices, as they are at one moment.
    ///
    /// One round trip for each MiB. If the list is changed between two of them, it is read anew in larger pages; so a range of
    /// up to 16 MiB is always read, and a larger one if the list has a quiet moment. [`iter`](Self::iter) does not need one.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ReadError::OutOfRange`] when the range goes further than the list, or ends before it begins;
    /// with [`ReadError::Changing`] when the list had no quiet moment; and as every call's.
    pub async fn range(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, Error<ReadError>> {
        let (start, end) = bounds(&range);
        read_whole(|from, bytes| self.page(start.saturating_add(from), end, bytes)).await
    }

    /// All values, as they are at one moment: [`range`](Self::range) of all.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub async fn to_vec(&self) -> Result<Vec<T>, Error<ReadError>> {
        self.range_async(..).await
    }
}

impl<T: Value> List<T> {
    async fn page(&self, start: usize, end: Option<usize>, bytes: usize) -> Result<Page<T>, Error<ReadError>> {
        let page = self.handle.page_async(start, end, bytes).await;
        let page = page.map_err(|error| error.map_method(ReadError::OutOfRange))?;
        let values: Result<_, Error> = page.values.iter().map(|value| decode(value, self.object())).collect();
        Ok(Page { version: page.version, values: values.map_err(Error::widen)?, more: page.more })
    }

    fn decoded(&self, value: Option<Bytes>) -> Result<Option<T>, Error> {
        value.map(|bytes| decode(&bytes, self.object())).transpose()
    }
}

/// The values of a [`List`] in order; see [`List::iter`]. After an error it ends.
#[derive(Debug)]
pub struct ListIter<T> {
    list: List<T>,
    /// The index of the first value behind the page.
    next: usize,
    page: std::vec::IntoIter<T>,
    more: bool,
}

impl<T: Value> ListIter<T> {
    /// The next value, for async code. Dropping the future skips nothing.
    pub async fn next_async(&mut self) -> Option<Result<T, Error>> {
        if self.page.len() == 0 && self.more {
            let turned = self.turn_page().await;
            return self.after(turned);
        }
        self.page.next().map(Ok)
    }

    /// Brings the next page.
    async fn turn_page(&mut self) -> Result<(), Error> {
        match self.list.page(self.next, None, PAGE_BYTES).await {
            Ok(page) => {
                self.next += page.values.len();
                (self.page, self.more) = (page.values.into_iter(), page.more);
                Ok(())
            }
            Err(Error::Method(_)) => {
                // The list has become shorter than what was read of it.
                self.more = false;
                Ok(())
            }
            Err(other) => Err(other.into()),
        }
    }

    fn after(&mut self, turned: Result<(), Error>) -> Option<Result<T, Error>> {
        if let Err(error) = turned {
            self.more = false;
            return Some(Err(error));
        }
        self.page.next().map(Ok)
    }
}

impl<T: Value> Iterator for ListIter<T> {
    type Item = Result<T, Error>;

    /// Blocks while a page is brought; [`next_async`](Self::next_async) does not.
    fn next(&mut self) -> Option<Result<T, Error>> {
        if self.page.len() == 0 && self.more {
            let raw = self.list.object().clone();
            let turned = raw.wait(self.turn_page());
            return self.after(turned);
        }
        self.page.next().map(Ok)
    }
}
