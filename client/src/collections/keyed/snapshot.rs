//! Snapshots: what a map or a set has at one moment, held for one reader.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use greenroom_actors::objects::{MapObjectHandle, Scan, ScanFrom, SetObjectHandle, SnapshotTaken};
use greenroom_actors::{Error, ObjectHandle, RawHandle};
use greenroom_macros::twins;
use serde::Serialize;

use super::iter::{Fetch, KeyedIter};
use super::keys::{KeyOrder, Ordered, Unordered, encode_key};
use super::place::{Held, Place};
use crate::value::{Value, decode};

/// What a map has at one moment, for reading at leisure while others change the map.
///
/// Taking it is one round trip and copies nothing. While it is held, the node keeps of each entry that is changed what
/// it was, so it costs memory there in proportion to the changes, and each change a little more. Give it back soon: it
/// is given back when the last of this value, its clones and its iterators is dropped, by [`release`](Self::release),
/// or when the owner or its session ends. The oldest snapshot of a map also ends when all of them together would keep
/// more than 256 MiB. After that, reading ends with [`Error::Superseded`].
pub struct MapSnapshot<K, V, O> {
    place: Place<MapObjectHandle>,
    len: u64,
    types: PhantomData<Types<K, V, O>>,
}

type Types<K, V, O> = fn() -> (K, V, O);

/// What a set has at one moment, for reading at leisure while others change the set.
///
/// It costs and ends as a [`MapSnapshot`] does.
pub struct SetSnapshot<T, O> {
    place: Place<SetObjectHandle>,
    len: u64,
    types: PhantomData<fn() -> (T, O)>,
}

impl<K, V, O> MapSnapshot<K, V, O> {
    pub(super) fn of(handle: &MapObjectHandle, taken: &SnapshotTaken) -> Self {
        let held = Held::new(handle.raw().clone(), taken);
        Self { place: Place::of(handle, held), len: taken.len, types: PhantomData }
    }

    /// How many entries it has; known without asking.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none; known without asking.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn object(&self) -> &RawHandle {
        self.place.raw()
    }
}

impl<K: Value, V: Value, O: KeyOrder> MapSnapshot<K, V, O> {
    /// All entries.
    pub fn iter(&self) -> KeyedIter<(K, V)> {
        self.place.iter::<K, V, O>()
    }

    /// All keys.
    pub fn keys(&self) -> KeyedIter<K> {
        self.place.iter_keys::<K, O>()
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> KeyedIter<V> {
        self.place.iter_values()
    }
}

#[twins]
impl<K: Value, V: Value, O: KeyOrder> MapSnapshot<K, V, O> {
    /// The value of a key. One round trip.
    ///
    /// # Errors
    /// [`Error::Superseded`] when the snapshot is not held any more; and as every call's.
    pub async fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
    {
        let value = one(&self.place.entries(), encode_key::<K, Q, O>(key, self.object())?).await?;
        value.map(|value| decode(&value, self.object())).transpose()
    }

    /// Whether a key has a value. One round trip.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn contains_key<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<bool, Error>
    where
        K: Borrow<Q>,
    {
        Ok(one(&self.place.keys(), encode_key::<K, Q, O>(key, self.object())?).await?.is_some())
    }

    /// Gives the snapshot back, also if clones and iterators of it are left, which end with [`Error::Superseded`].
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn release(self) -> Result<(), Error> {
        self.place.release().await
    }
}

#[twins]
impl<K: Value + Eq + Hash, V: Value> MapSnapshot<K, V, Unordered> {
    /// A copy of all of it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn to_map(&self) -> Result<HashMap<K, V>, Error> {
        self.iter().all().await
    }
}

#[twins]
impl<K: Value + Ord, V: Value> MapSnapshot<K, V, Ordered> {
    /// A copy of all of it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn to_map(&self) -> Result<BTreeMap<K, V>, Error> {
        self.iter().all().await
    }
}

impl<K: Value, V: Value> MapSnapshot<K, V, Ordered> {
    /// The entries whose keys lie in `range`; see [`OrderedMap`](super::OrderedMap#method.range).
    pub fn range(&self, range: impl RangeBounds<K>) -> KeyedIter<(K, V)> {
        self.place.range(&range)
    }
}

impl<T, O> SetSnapshot<T, O> {
    pub(super) fn of(handle: &SetObjectHandle, taken: &SnapshotTaken) -> Self {
        let held = Held::new(handle.raw().clone(), taken);
        Self { place: Place::of(handle, held), len: taken.len, types: PhantomData }
    }

    /// How many elements it has; known without asking.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has none; known without asking.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn object(&self) -> &RawHandle {
        self.place.raw()
    }
}

impl<T: Value, O: KeyOrder> SetSnapshot<T, O> {
    /// All elements.
    pub fn iter(&self) -> KeyedIter<T> {
        self.place.iter::<T, O>()
    }
}

#[twins]
impl<T: Value, O: KeyOrder> SetSnapshot<T, O> {
    /// Whether an element is there. One round trip.
    ///
    /// # Errors
    /// [`Error::Superseded`] when the snapshot is not held any more; and as every call's.
    pub async fn contains<Q: Serialize + ?Sized>(&self, element: &Q) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        Ok(one(&self.place.elements(), encode_key::<T, Q, O>(element, self.object())?).await?.is_some())
    }

    /// Gives the snapshot back, also if clones and iterators of it are left, which end with [`Error::Superseded`].
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn release(self) -> Result<(), Error> {
        self.place.release().await
    }
}

#[twins]
impl<T: Value + Eq + Hash> SetSnapshot<T, Unordered> {
    /// A copy of all of it.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn to_set(&self) -> Result<HashSet<T>, Error> {
        self.iter().all().await
    }
}

#[twins]
impl<T: Value + Ord> SetSnapshot<T, Ordered> {
    /// A copy of all of it.
    ///
    /// # Errors
    /// As [`contains`](Self::contains).
    pub async fn to_set(&self) -> Result<BTreeSet<T>, Error> {
        self.iter().all().await
    }
}

impl<T: Value> SetSnapshot<T, Ordered> {
    /// The elements in `range`; see [`OrderedSet`](super::OrderedSet#method.range).
    pub fn range(&self, range: impl RangeBounds<T>) -> KeyedIter<T> {
        self.place.range(&range)
    }
}

/// The entry of one key.
async fn one(fetch: &Fetch, key: Bytes) -> Result<Option<Bytes>, Error> {
    let (lower, upper) = (Bound::Included(key.clone()), Bound::Included(key));
    let page = fetch(Scan { lower, upper, from: ScanFrom::First, bytes_max: 0, count_max: 1 }).await?;
    Ok(page.entries.into_iter().next().map(|(_, value)| value))
}

impl<K, V, O> Clone for MapSnapshot<K, V, O> {
    fn clone(&self) -> Self {
        Self { place: self.place.clone(), len: self.len, types: PhantomData }
    }
}

impl<T, O> Clone for SetSnapshot<T, O> {
    fn clone(&self) -> Self {
        Self { place: self.place.clone(), len: self.len, types: PhantomData }
    }
}

impl<K, V, O> fmt::Debug for MapSnapshot<K, V, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapSnapshot").field("object", self.object()).field("len", &self.len).finish_non_exhaustive()
    }
}

impl<T, O> fmt::Debug for SetSnapshot<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetSnapshot").field("object", self.object()).field("len", &self.len).finish_non_exhaustive()
    }
}
