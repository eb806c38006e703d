//! `Set<T>`: shared elements.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;
use std::ops::Bound;

use bytes::Bytes;
use greenroom_actors::Error;
use greenroom_actors::objects::{SetObject, SetObjectHandle, TooManySnapshots};
use greenroom_macros::twins;
use serde::Serialize;

use super::bulk::Pieces;
use super::iter::KeyedIter;
use super::keys::{KeyOrder, Unordered, encode_key};
use super::place::Place;
use super::snapshot::SetSnapshot;
use crate::face::face;
use crate::value::{Value, shape};

/// A shared set, for threads on any number of machines: the namesake of `std::collections::HashSet`.
///
/// Each method is one call of one object: atomic, linearizable, and one round trip, which carries the element. A set
/// lives on one node, whole. Bulk calls ([`extend`](KeyedSet::extend), [`contains_many`](KeyedSet::contains_many),
/// [`remove_many`](KeyedSet::remove_many), [`retain_all`](KeyedSet::retain_all),
/// [`intersection`](KeyedSet::intersection)) carry thousands of elements a round trip; what is more than about 1 MiB
/// goes in several calls, in order: each is atomic, and others may come between. [`iter`](KeyedSet::iter) reads in
/// pages, each of its moment; [`snapshot`](KeyedSet::snapshot) and [`to_set`](Set#method.to_set) see all at one moment.
///
/// Elements are equal when their encodings are, and need no `Hash` and no `Eq`. One that cannot be encoded, or would
/// not decode again, or holds a `HashMap` or `HashSet` (equal ones need not be encoded alike), is refused with
/// [`Error::NotSent`].
///
/// Unlike the one of `std` it yields copies. A union or a difference with a local set has to bring all elements here,
/// so there is no method for it: take `to_set()?` and those of `std`. A key names one kind of set: as an
/// [`OrderedSet`](super::OrderedSet), or of another type, it is refused with `DifferentArguments`.
///
/// ```no_run
/// use greenroom::collections::Set;
///
/// let seen = Set::named("seen");
/// if seen.insert("https://example.org/".to_owned())? {
///     println!("it is mine: nobody else gets `true` for it");
/// }
/// assert!(seen.contains("https://example.org/")?);
/// # Ok::<(), greenroom::Error>(())
/// ```
pub type Set<T> = KeyedSet<T, Unordered>;

face! {
    /// A shared set whose elements are in the order `O`: a [`Set`] or an [`OrderedSet`](super::OrderedSet), by which
    /// names it is used.
    pub struct KeyedSet<T, O>(SetObject);
}

impl<T: Value, O: KeyOrder> KeyedSet<T, O> {
    /// The set of that key, made empty if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(SetObject::named(key, O::ENCODING, shape::<T>()))
    }

    /// All elements, in pages that are read when the iterator gets to them; see [`KeyedIter`] for what it sees of
    /// changes.
    pub fn iter(&self) -> KeyedIter<T> {
        Place::now(&self.handle).iter::<T, O>()
    }

    pub(super) fn handle(&self) -> &SetObjectHandle {
        &self.handle
    }

    fn element<Q: Serialize + ?Sized>(&self, element: &Q) -> Result<Bytes, Error>
    where
        T: Borrow<Q>,
    {
        encode_key::<T, Q, O>(element, self.object())
    }

    /// Elements on their way to the object.
    fn pieces<B: Borrow<T>>(
        &self,
        elements: impl IntoIterator<Item = B>,
    ) -> Pieces<impl Iterator<Item = Result<Bytes, Error>>> {
        Pieces::of(elements.into_iter().map(|element| self.element(element.borrow())))
    }

    /// All elements of one moment: without a snapshot if nobody changes the set meanwhile.
    pub(super) async fn whole<C: Default + Extend<T>>(&self) -> Result<C, Error> {
        match self.iter().of_one_moment().await? {
            Some(all) => Ok(all),
            None => self.snapshot_async().await?.iter().all().await,
        }
    }
}

#[twins]
impl<T: Value, O: KeyOrder> KeyedSet<T, O> {
    /// Adds an element; returns whether it is new.
    ///
    /// # Errors
    /// [`Error::NotSent`] for an element that cannot be encoded; and as every call's.
    pub async fn insert(&self, element: T) -> Result<bool, Error> {
        self.handle.insert_async(self.element(&element)?).await
    }

    /// Removes an element; returns whether it was there.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn remove<Q: Serialize + ?Sized>(&self, element: &Q) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        self.handle.remove_async(self.element(element)?).await
    }

    /// Whether an element is there.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn contains<Q: Serialize + ?Sized>(&self, element: &Q) -> Result<bool, Error>
    where
        T: Borrow<Q>,
    {
        self.handle.contains_async(self.element(element)?).await
    }

    /// How many elements there are.
    ///
    /// # Errors
    /// As every call's.
    pub async fn len(&self) -> Result<u64, Error> {
        self.handle.len_async().await
    }

    /// Whether there is no element.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        self.handle.is_empty_async().await
    }

    /// Removes all elements.
    ///
    /// # Errors
    /// As every call's.
    pub async fn clear(&self) -> Result<(), Error> {
        self.handle.clear_async().await
    }

    /// Adds many elements; returns how many are new. One round trip for each 1 MiB of them; each call is atomic.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); the calls before stay.
    pub async fn extend(&self, elements: impl IntoIterator<Item = T>) -> Result<u64, Error> {
        let (mut pieces, mut new) = (self.pieces(elements), 0);
        loop {
            let piece = pieces.next()?;
            if piece.is_empty() {
                return Ok(new);
            }
            new += self.handle.extend_async(piece).await?;
        }
    }

    /// Removes many elements; returns how many were there. One round trip for each 1 MiB of them; each call is atomic.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); the calls before stay.
    pub async fn remove_many<B: Borrow<T>>(&self, elements: impl IntoIterator<Item = B>) -> Result<u64, Error> {
        let (mut pieces, mut removed) = (self.pieces(elements), 0);
        loop {
            let piece = pieces.next()?;
            if piece.is_empty() {
                return Ok(removed);
            }
            removed += self.handle.remove_many_async(piece).await?;
        }
    }

    /// Whether each of many elements is there, in their order. One round trip for each 1 MiB of them, each of one
    /// moment.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn contains_many<B: Borrow<T>>(&self, elements: impl IntoIterator<Item = B>) -> Result<Vec<bool>, Error> {
        let (mut pieces, mut there) = (self.pieces(elements), Vec::new());
        loop {
            let piece = pieces.next()?;
            if piece.is_empty() {
                return Ok(there);
            }
            there.extend(self.handle.contains_many_async(piece).await?);
        }
    }

    /// Those of `elements` that are in the set, in their order; it costs as [`contains_many`](Self::contains_many).
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn intersection<B: Borrow<T>>(&self, elements: impl IntoIterator<Item = B>) -> Result<Vec<B>, Error> {
        let elements: Vec<B> = elements.into_iter().collect();
        let there = self.contains_many_async(elements.iter().map(Borrow::borrow)).await?;
        Ok(elements.into_iter().zip(there).filter_map(|(element, there)| there.then_some(element)).collect())
    }

    /// Removes all elements but these; returns how many went. One round trip for each 1 MiB of them.
    ///
    /// Of more than that, each call is atomic and does its part of the set.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), before anything is sent; and as every call's: the calls before stay.
    pub async fn retain_all<B: Borrow<T>>(&self, elements: impl IntoIterator<Item = B>) -> Result<u64, Error> {
        let stay: BTreeSet<Bytes> =
            elements.into_iter().map(|element| self.element(element.borrow())).collect::<Result<_, Error>>()?;
        let (mut pieces, mut removed, mut lower) = (Pieces::of(stay.into_iter().map(Ok)), 0, Bound::Unbounded);
        loop {
            // Each call speaks for the elements from the last one of the call before to its own last one.
            let piece: BTreeSet<Bytes> = pieces.next()?.into_iter().collect();
            let upper = if pieces.is_done() { None } else { piece.last().cloned() };
            let next = upper.clone().map(Bound::Excluded);
            let upper = upper.map_or(Bound::Unbounded, Bound::Included);
            removed += self.handle.retain_all_async(lower, upper, piece).await?;
            match next {
                Some(next) => lower = next,
                None => return Ok(removed),
            }
        }
    }

    /// What the set has now, to be read at leisure while others change it.
    ///
    /// # Errors
    /// [`Error::Method`] with [`TooManySnapshots`] when 16 of this set are held: nothing was taken. And as every
    /// call's.
    pub async fn snapshot(&self) -> Result<SetSnapshot<T, O>, Error<TooManySnapshots>> {
        let taken = self.handle.snapshot_async().await?;
        Ok(SetSnapshot::of(&self.handle, &taken))
    }
}

#[twins]
impl<T: Value + Eq + Hash> KeyedSet<T, Unordered> {
    /// A copy of the whole set, of one moment, whatever its size.
    ///
    /// One round trip for each 1 MiB. If others change the set while it is read, it is read again from a
    /// [snapshot](Self::snapshot).
    ///
    /// # Errors
    /// [`Error::Method`] when that is refused, because 16 are held: try again later, or use [`iter`](Self::iter). And
    /// as every call's.
    pub async fn to_set(&self) -> Result<HashSet<T>, Error> {
        self.whole().await
    }
}

impl<T: Value, O: KeyOrder> IntoIterator for &KeyedSet<T, O> {
    type Item = Result<T, Error>;
    type IntoIter = KeyedIter<T>;

    fn into_iter(self) -> KeyedIter<T> {
        self.iter()
    }
}
