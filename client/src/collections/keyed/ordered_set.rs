//! `OrderedSet<T>`: shared elements in their order.

use std::collections::BTreeSet;
use std::ops::RangeBounds;

use bytes::Bytes;
use greenroom_actors::Error;
use greenroom_actors::objects::ScanFrom;
use greenroom_macros::twins;

use super::iter::KeyedIter;
use super::keys::{Ordered, decode_key, encode_range};
use super::place::Place;
use super::set::KeyedSet;
use crate::value::Value;

/// A shared set in the order of its elements, for threads on any number of machines: the namesake of
/// `std::collections::BTreeSet`.
///
/// It does, costs and promises all that a [`Set`](super::Set) does, and besides knows its first and last elements and
/// the ranges between. Its order, and the elements that it cannot take, are those of an
/// [`OrderedMap`](super::OrderedMap)'s keys.
///
/// ```no_run
/// use greenroom::collections::OrderedSet;
///
/// let free = OrderedSet::named("free");
/// free.extend(0..100_u32)?;
/// assert_eq!(free.pop_first()?, Some(0)); // each number goes to one caller
/// assert_eq!(free.range(50..).rev().next().transpose()?, Some(99));
/// # Ok::<(), greenroom::Error>(())
/// ```
pub type OrderedSet<T> = KeyedSet<T, Ordered>;

impl<T: Value> KeyedSet<T, Ordered> {
    /// The elements in `range`, from either end: `.rev()` begins with the last.
    ///
    /// Pages and bounds are as those of an ordered map's [`range`](super::OrderedMap#method.range).
    pub fn range(&self, range: impl RangeBounds<T>) -> KeyedIter<T> {
        Place::now(self.handle()).range(&range)
    }

    fn decoded(&self, element: Option<Bytes>) -> Result<Option<T>, Error> {
        element.map(|element| decode_key::<T, Ordered>(&element, self.object())).transpose()
    }

    async fn at_end(&self, from: ScanFrom) -> Result<Option<T>, Error> {
        Ok(self.range(..).take_from(from, 1).await?.pop())
    }
}

#[twins]
impl<T: Value> KeyedSet<T, Ordered> {
    /// The smallest element.
    ///
    /// # Errors
    /// As every call's.
    pub async fn first(&self) -> Result<Option<T>, Error> {
        self.at_end(ScanFrom::First).await
    }

    /// The largest element.
    ///
    /// # Errors
    /// As every call's.
    pub async fn last(&self) -> Result<Option<T>, Error> {
        self.at_end(ScanFrom::Last).await
    }

    /// Takes the smallest element; each goes to one caller.
    ///
    /// # Errors
    /// As every call's.
    pub async fn pop_first(&self) -> Result<Option<T>, Error> {
        self.decoded(self.handle().pop_async(ScanFrom::First).await?)
    }

    /// Takes the largest element; each goes to one caller.
    ///
    /// # Errors
    /// As every call's.
    pub async fn pop_last(&self) -> Result<Option<T>, Error> {
        self.decoded(self.handle().pop_async(ScanFrom::Last).await?)
    }

    /// The `count` largest elements, the largest first. One round trip for each 1 MiB.
    ///
    /// # Errors
    /// As every call's.
    pub async fn top(&self, count: usize) -> Result<Vec<T>, Error> {
        self.iter().take_from(ScanFrom::Last, count).await
    }

    /// The `count` smallest elements, the smallest first. One round trip for each 1 MiB.
    ///
    /// # Errors
    /// As every call's.
    pub async fn bottom(&self, count: usize) -> Result<Vec<T>, Error> {
        self.iter().take_from(ScanFrom::First, count).await
    }

    /// How many elements lie in `range`: `count(..element)` is the rank of an element. The node counts them one by one.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn count(&self, range: impl RangeBounds<T>) -> Result<u64, Error> {
        let (lower, upper) = encode_range::<T, Ordered>(&range, self.object())?;
        self.handle().count_async(lower, upper).await
    }

    /// Removes the elements in `range`; returns how many there were. One round trip, atomic.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn remove_range(&self, range: impl RangeBounds<T>) -> Result<u64, Error> {
        let (lower, upper) = encode_range::<T, Ordered>(&range, self.object())?;
        self.handle().remove_range_async(lower, upper).await
    }
}

#[twins]
impl<T: Value + Ord> KeyedSet<T, Ordered> {
    /// A copy of the whole set, of one moment, whatever its size.
    ///
    /// One round trip for each 1 MiB. If others change the set while it is read, it is read again from a
    /// [snapshot](Self::snapshot).
    ///
    /// # Errors
    /// [`Error::Method`] when that is refused, because 16 are held: try again later, or use [`iter`](Self::iter). And
    /// as every call's.
    pub async fn to_set(&self) -> Result<BTreeSet<T>, Error> {
        self.whole().await
    }
}
