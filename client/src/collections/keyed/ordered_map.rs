//! `OrderedMap<K, V>`: shared entries in the order of their keys.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use bytes::Bytes;
use greenroom_actors::Error;
use greenroom_actors::objects::ScanFrom;
use greenroom_macros::twins;

use super::iter::KeyedIter;
use super::keys::{Ordered, decode_key, encode_range};
use super::map::KeyedMap;
use super::place::Place;
use crate::value::{Value, decode};

/// A shared map in the order of its keys, for threads on any number of machines: the namesake of
/// `std::collections::BTreeMap`.
///
/// It does, costs and promises all that a [`Map`](super::Map) does, and besides knows its first and last entries and
/// the ranges between keys, so it is also a priority queue, an index by time, a board of the best.
///
/// **The order** is that of the keys' encoding: that of `Ord` for integers, `bool`, `char`, strings, `Option`, tuples,
/// arrays, sequences, and structs and enums whose `Ord` is derived, in the order in which fields and variants are
/// declared. Floats have theirs, with `-0.0` equal to `0.0` and `NaN` above all. What does not show in the encoding is
/// not known to it: a `Reverse` does not reverse, nor does an `Ord` written by hand count.
///
/// **Keys that it cannot take** are refused with [`Error::NotSent`], and nothing is sent: maps, enums of more than 256
/// variants, and types that ask serde for a borrowed `str` or for anything that comes. A [`Map`](super::Map) takes most
/// of them. A key takes more bytes than in a `Map`: integers their full width, strings 9 bytes for each 8, sequences a
/// byte an element.
///
/// A range whose end lies before its start is empty, where `std` panics.
///
/// ```no_run
/// use greenroom::collections::OrderedMap;
///
/// let jobs = OrderedMap::named("jobs");
/// jobs.insert((2_u32, "sweep".to_owned()), 0_u64)?;
/// jobs.insert((1, "cook".to_owned()), 7)?;
/// for job in jobs.range((1, String::new())..(2, String::new())) {
///     println!("{:?}", job?);
/// }
/// while let Some(((rank, name), cost)) = jobs.pop_first()? {
///     println!("{rank}: {name} for {cost}"); // each job goes to one caller
/// }
/// # Ok::<(), greenroom::Error>(())
/// ```
pub type OrderedMap<K, V> = KeyedMap<K, V, Ordered>;

impl<K: Value, V: Value> KeyedMap<K, V, Ordered> {
    /// The entries whose keys lie in `range`, from either end: `.rev()` begins with the last.
    ///
    /// The first page is one of 4 KiB, and the next ones grow to 1 MiB, so that `range(key..).next()` is cheap. See
    /// [`KeyedIter`] for what it sees of changes. Bounds that cannot be encoded are the iterator's first item, an
    /// error.
    pub fn range(&self, range: impl RangeBounds<K>) -> KeyedIter<(K, V)> {
        Place::now(self.handle()).range(&range)
    }

    fn entry(&self, entry: Option<(Bytes, Bytes)>) -> Result<Option<(K, V)>, Error> {
        let Some((key, value)) = entry else { return Ok(None) };
        Ok(Some((decode_key::<K, Ordered>(&key, self.object())?, decode(&value, self.object())?)))
    }

    async fn at_end(&self, from: ScanFrom) -> Result<Option<(K, V)>, Error> {
        Ok(self.range(..).take_from(from, 1).await?.pop())
    }
}

#[twins]
impl<K: Value, V: Value> KeyedMap<K, V, Ordered> {
    /// The entry with the smallest key.
    ///
    /// # Errors
    /// As every call's.
    pub async fn first_key_value(&self) -> Result<Option<(K, V)>, Error> {
        self.at_end(ScanFrom::First).await
    }

    /// The entry with the largest key.
    ///
    /// # Errors
    /// As every call's.
    pub async fn last_key_value(&self) -> Result<Option<(K, V)>, Error> {
        self.at_end(ScanFrom::Last).await
    }

    /// Takes the entry with the smallest key; each goes to one caller.
    ///
    /// # Errors
    /// As every call's.
    pub async fn pop_first(&self) -> Result<Option<(K, V)>, Error> {
        self.entry(self.handle().pop_async(ScanFrom::First).await?)
    }

    /// Takes the entry with the largest key; each goes to one caller.
    ///
    /// # Errors
    /// As every call's.
    pub async fn pop_last(&self) -> Result<Option<(K, V)>, Error> {
        self.entry(self.handle().pop_async(ScanFrom::Last).await?)
    }

    /// The `count` entries with the largest keys, the largest first. One round trip for each 1 MiB.
    ///
    /// # Errors
    /// As every call's.
    pub async fn top(&self, count: usize) -> Result<Vec<(K, V)>, Error> {
        self.iter().take_from(ScanFrom::Last, count).await
    }

    /// The `count` entries with the smallest keys, the smallest first. One round trip for each 1 MiB.
    ///
    /// # Errors
    /// As every call's.
    pub async fn bottom(&self, count: usize) -> Result<Vec<(K, V)>, Error> {
        self.iter().take_from(ScanFrom::First, count).await
    }

    /// How many keys lie in `range`: `count(..key)` is the rank of a key. The node counts them one by one.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn count(&self, range: impl RangeBounds<K>) -> Result<u64, Error> {
        let (lower, upper) = encode_range::<K, Ordered>(&range, self.object())?;
        self.handle().count_async(lower, upper).await
    }

    /// Removes the entries whose keys lie in `range`; returns how many there were. One round trip, atomic.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn remove_range(&self, range: impl RangeBounds<K>) -> Result<u64, Error> {
        let (lower, upper) = encode_range::<K, Ordered>(&range, self.object())?;
        self.handle().remove_range_async(lower, upper).await
    }
}

#[twins]
impl<K: Value + Ord, V: Value> KeyedMap<K, V, Ordered> {
    /// A copy of the whole map, of one moment, whatever its size.
    ///
    /// One round trip for each 1 MiB. If others change the map while it is read, it is read again from a
    /// [snapshot](Self::snapshot).
    ///
    /// # Errors
    /// [`Error::Method`] when that is refused, because 16 are held: try again later, or use [`iter`](Self::iter). And
    /// as every call's.
    pub async fn to_map(&self) -> Result<BTreeMap<K, V>, Error> {
        self.whole().await
    }
}
