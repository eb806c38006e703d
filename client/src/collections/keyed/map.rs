//! `Map<K, V>`: shared entries with keys.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use bytes::Bytes;
use greenroom_actors::Error;
use greenroom_actors::combine::{Combine, CombineError};
use greenroom_actors::objects::{MapObject, MapObjectHandle, TooManySnapshots};
use greenroom_macros::twins;
use serde::Serialize;

use super::bulk::Pieces;
use super::iter::KeyedIter;
use super::keys::{KeyOrder, Unordered, encode_key};
use super::place::Place;
use super::snapshot::MapSnapshot;
use crate::face::face;
use crate::value::{Value, decode, encode, shape};

/// A shared map, for threads on any number of machines: the namesake of `std::collections::HashMap`.
///
/// Each method is one call of one object: atomic, linearizable, and one round trip, which carries the key and what is
/// asked or answered. A map lives on one node, whole; split what outgrows that over several keys of maps.
///
/// - **Many at once.** [`extend`](KeyedMap::extend), [`merge_all`](KeyedMap::merge_all),
///   [`get_many`](KeyedMap::get_many) and [`remove_many`](KeyedMap::remove_many) carry thousands of entries a round
///   trip. What is more than about 1 MiB goes in several calls, in order: each is atomic, and others may come between.
///   After an error the calls before it stay.
/// - **Beside the data.** [`merge`](KeyedMap::merge) combines values where they are, by a [`Combine`] of the library or
///   of your program, so that nobody has to lock, read and write back. [`update`](KeyedMap::update) takes any closure,
///   for two round trips or more.
/// - **Reading all.** [`iter`](KeyedMap::iter) reads in pages of 1 MiB and sees each page at its moment;
///   [`snapshot`](KeyedMap::snapshot) and [`to_map`](Map#method.to_map) see all at one moment.
/// - **Keys** are equal when their encodings are: `0.0` and `-0.0` are two keys. They need no `Hash` and no `Eq`. A key
///   that cannot be encoded, would not decode again, or holds a `HashMap` or `HashSet` (equal ones need not be encoded
///   alike), is refused with [`Error::NotSent`], and so is a [`Value`] that nobody could read; a value that does not
///   decode is [`Error::Reply`].
///
/// Unlike the one of `std` it yields copies, so `get` costs the value's bytes, and there is no `entry` to hold on to:
/// `get_or_insert`, `merge`, `update` and `compare_exchange` do what it is used for. A key names one kind of map: as an
/// [`OrderedMap`](super::OrderedMap), or with other types, it is refused with `DifferentArguments`.
///
/// ```no_run
/// use greenroom::Combine;
/// use greenroom::collections::Map;
///
/// let words = Map::named("words");
/// words.insert("green".to_owned(), 1_u64)?;
/// let counted = [("green", 2), ("room", 5)].map(|(word, count)| (word.to_owned(), count));
/// words.merge_all(counted, Combine::sum())?; // one round trip, whoever else does the same
/// assert_eq!(words.get("green")?, Some(3));
/// for entry in &words {
///     let (word, count) = entry?;
///     println!("{word}: {count}");
/// }
/// # Ok::<(), greenroom::Error>(())
/// ```
pub type Map<K, V> = KeyedMap<K, V, Unordered>;

face! {
    /// A shared map whose keys are in the order `O`: a [`Map`] or an [`OrderedMap`](super::OrderedMap), by which names
    /// it is used.
    pub struct KeyedMap<K, V, O>(MapObject);
}

impl<K: Value, V: Value, O: KeyOrder> KeyedMap<K, V, O> {
    /// The map of that key, made empty if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(MapObject::named(key, O::ENCODING, shape::<K>(), shape::<V>()))
    }

    /// All entries, in pages that are read when the iterator gets to them; see [`KeyedIter`] for what it sees of
    /// changes.
    ///
    /// It is not a [`snapshot`](Self::snapshot), because that is a write, can be refused, and costs the node memory
    /// while it is held; most loops over a map need none of it, and a map of up to 1 MiB is seen at one moment anyway.
    pub fn iter(&self) -> KeyedIter<(K, V)> {
        Place::now(&self.handle).iter::<K, V, O>()
    }

    /// All keys, as by [`iter`](Self::iter), without the bytes of the values.
    pub fn keys(&self) -> KeyedIter<K> {
        Place::now(&self.handle).iter_keys::<K, O>()
    }

    /// All values, in the order of their keys, as by [`iter`](Self::iter).
    pub fn values(&self) -> KeyedIter<V> {
        Place::now(&self.handle).iter_values()
    }

    pub(super) fn handle(&self) -> &MapObjectHandle {
        &self.handle
    }

    fn key<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Bytes, Error>
    where
        K: Borrow<Q>,
    {
        encode_key::<K, Q, O>(key, self.object())
    }

    fn value(&self, value: &V) -> Result<Bytes, Error> {
        encode(value, self.object())
    }

    fn decoded(&self, value: Option<Bytes>) -> Result<Option<V>, Error> {
        value.map(|value| decode(&value, self.object())).transpose()
    }

    /// Entries on their way to the object.
    fn pieces(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Pieces<impl Iterator<Item = Result<(Bytes, Bytes), Error>>> {
        Pieces::of(entries.into_iter().map(|(key, value)| Ok((self.key(&key)?, self.value(&value)?))))
    }

    /// All entries of one moment: without a snapshot if nobody changes the map meanwhile.
    pub(super) async fn whole<C: Default + Extend<(K, V)>>(&self) -> Result<C, Error> {
        match self.iter().of_one_moment().await? {
            Some(all) => Ok(all),
            None => self.snapshot_async().await?.iter().all().await,
        }
    }
}

#[twins]
impl<K: Value, V: Value, O: KeyOrder> KeyedMap<K, V, O> {
    /// Sets the value of a key; returns the one before.
    ///
    /// # Errors
    /// [`Error::NotSent`] for a key that cannot be encoded; and as every call's.
    pub async fn insert(&self, key: K, value: V) -> Result<Option<V>, Error> {
        let before = self.handle.insert_async(self.key(&key)?, self.value(&value)?).await?;
        self.decoded(before)
    }

    /// The value of a key.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
    {
        self.decoded(self.handle.get_async(self.key(key)?).await?)
    }

    /// Removes a key; returns its value.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn remove<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, Error>
    where
        K: Borrow<Q>,
    {
        self.decoded(self.handle.remove_async(self.key(key)?).await?)
    }

    /// Whether a key has a value.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn contains_key<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<bool, Error>
    where
        K: Borrow<Q>,
    {
        self.handle.contains_key_async(self.key(key)?).await
    }

    /// Whether a key has that value, byte for byte, once encoded. The node looks at every entry.
    ///
    /// # Errors
    /// As every call's.
    pub async fn contains_value(&self, value: &V) -> Result<bool, Error> {
        self.handle.contains_value_async(self.value(value)?).await
    }

    /// How many entries there are.
    ///
    /// # Errors
    /// As every call's.
    pub async fn len(&self) -> Result<u64, Error> {
        self.handle.len_async().await
    }

    /// Whether there is no entry.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        self.handle.is_empty_async().await
    }

    /// Removes all entries.
    ///
    /// # Errors
    /// As every call's.
    pub async fn clear(&self) -> Result<(), Error> {
        self.handle.clear_async().await
    }

    /// Sets the value of a key that has one; returns the one before. Without one nothing is set, and it is `None`.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn replace(&self, key: K, value: V) -> Result<Option<V>, Error> {
        let before = self.handle.replace_async(self.key(&key)?, self.value(&value)?).await?;
        self.decoded(before)
    }

    /// The value of a key, which becomes `value` if there is none: `entry(key).or_insert(value)`.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn get_or_insert(&self, key: K, value: V) -> Result<V, Error> {
        let there = self.handle.get_or_insert_async(self.key(&key)?, self.value(&value)?).await?;
        decode(&there, self.object())
    }

    /// Changes the entry of a key from `current` to `new`, where `None` is no entry, if it is `current` (byte for byte,
    /// once encoded); the inner result says whether it was, and what.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn compare_exchange(
        &self,
        key: K,
        current: Option<&V>,
        new: Option<V>,
    ) -> Result<Result<Option<V>, Option<V>>, Error> {
        let current = current.map(|value| self.value(value)).transpose()?;
        let new = new.map(|value| self.value(&value)).transpose()?;
        let before = self.handle.compare_exchange_async(self.key(&key)?, current.clone(), new).await?;
        let exchanged = before == current;
        let value = self.decoded(before)?;
        Ok(if exchanged { Ok(value) } else { Err(value) })
    }

    /// Changes the entry of a key to `change` of it, where `None` is no entry, trying again when another caller came
    /// between; returns the one before.
    ///
    /// Two round trips at least. Where many update one key, [`merge`](Self::merge) is faster.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn update(&self, key: K, mut change: impl FnMut(Option<V>) -> Option<V>) -> Result<Option<V>, Error> {
        let key = self.key(&key)?;
        let mut current = self.handle.get_async(key.clone()).await?;
        loop {
            let new = change(self.decoded(current.clone())?).map(|value| self.value(&value)).transpose()?;
            let before = self.handle.compare_exchange_async(key.clone(), current.clone(), new).await?;
            if before == current {
                return self.decoded(before);
            }
            current = before;
        }
    }

    /// Combines the value of a key with `value`, beside it, or makes it `value` if there is none; returns what came of
    /// it.
    ///
    /// # Errors
    /// [`Error::Method`] when the node's program has no such function, or the result is larger than 31 MiB: nothing is
    /// changed. And as [`insert`](Self::insert).
    pub async fn merge(&self, key: K, value: V, combine: Combine<V>) -> Result<V, Error<CombineError>> {
        let (key, value) = (self.key(&key).map_err(Error::widen)?, self.value(&value).map_err(Error::widen)?);
        let merged = self.handle.merge_async(key, value, combine.name().to_owned()).await?;
        decode(&merged, self.object()).map_err(Error::widen)
    }

    /// Merges many entries, such as a local map of deltas: one round trip for each 1 MiB of them.
    ///
    /// Each call is atomic; if one value of it cannot be combined, none of the call is.
    ///
    /// # Errors
    /// As [`merge`](Self::merge); the calls before stay.
    pub async fn merge_all(
        &self,
        deltas: impl IntoIterator<Item = (K, V)>,
        combine: Combine<V>,
    ) -> Result<(), Error<CombineError>> {
        let mut pieces = self.pieces(deltas);
        loop {
            let piece = pieces.next().map_err(Error::widen)?;
            if piece.is_empty() {
                return Ok(());
            }
            self.handle.merge_all_async(piece, combine.name().to_owned()).await?;
        }
    }

    /// Sets the values of many keys, the last one of a key that comes twice; returns how many keys are new.
    ///
    /// One round trip for each 1 MiB of entries; each call is atomic.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); the calls before stay.
    pub async fn extend(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<u64, Error> {
        let (mut pieces, mut new) = (self.pieces(entries), 0);
        loop {
            let piece = pieces.next()?;
            if piece.is_empty() {
                return Ok(new);
            }
            new += self.handle.extend_async(piece).await?;
        }
    }

    /// The values of many keys, in the order of the keys: one round trip for each 1 MiB of keys or of values.
    ///
    /// The keys of each call are read at one moment.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn get_many<B: Borrow<K>>(&self, keys: impl IntoIterator<Item = B>) -> Result<Vec<Option<V>>, Error> {
        let mut pieces = Pieces::of(keys.into_iter().map(|key| self.key(key.borrow())));
        let mut values = Vec::new();
        loop {
            let mut piece = pieces.next()?;
            if piece.is_empty() {
                return Ok(values);
            }
            // The answer is cut where it is full.
            while !piece.is_empty() {
                let some = self.handle.get_many_async(piece.clone()).await?;
                piece.drain(..some.len().clamp(1, piece.len()));
                for value in some {
                    values.push(self.decoded(value)?);
                }
            }
        }
    }

    /// Removes many keys; returns how many were there. One round trip for each 1 MiB of keys; each call is atomic.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); the calls before stay.
    pub async fn remove_many<B: Borrow<K>>(&self, keys: impl IntoIterator<Item = B>) -> Result<u64, Error> {
        let (mut pieces, mut removed) = (Pieces::of(keys.into_iter().map(|key| self.key(key.borrow()))), 0);
        loop {
            let piece = pieces.next()?;
            if piece.is_empty() {
                return Ok(removed);
            }
            removed += self.handle.remove_many_async(piece).await?;
        }
    }

    /// What the map has now, to be read at leisure while others change it.
    ///
    /// # Errors
    /// [`Error::Method`] with [`TooManySnapshots`] when 16 of this map are held: nothing was taken. And as every
    /// call's.
    pub async fn snapshot(&self) -> Result<MapSnapshot<K, V, O>, Error<TooManySnapshots>> {
        let taken = self.handle.snapshot_async().await?;
        Ok(MapSnapshot::of(&self.handle, &taken))
    }
}

#[twins]
impl<K: Value + Eq + Hash, V: Value> KeyedMap<K, V, Unordered> {
    /// A copy of the whole map, of one moment, whatever its size.
    ///
    /// One round trip for each 1 MiB. If others change the map while it is read, it is read again from a
    /// [snapshot](Self::snapshot).
    ///
    /// # Errors
    /// [`Error::Method`] when that is refused, because 16 are held: try again later, or use [`iter`](Self::iter). And
    /// as every call's.
    pub async fn to_map(&self) -> Result<HashMap<K, V>, Error> {
        self.whole().await
    }
}

impl<K: Value, V: Value, O: KeyOrder> IntoIterator for &KeyedMap<K, V, O> {
    type Item = Result<(K, V), Error>;
    type IntoIter = KeyedIter<(K, V)>;

    fn into_iter(self) -> KeyedIter<(K, V)> {
        self.iter()
    }
}
