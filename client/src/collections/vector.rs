//! `Vector<T>`: numbers in a row, with which the node calculates.

use std::ops::RangeBounds;

use greenroom_actors::objects::{ArrayError, BULK_BYTES, Element, Elements, ElementsPage, MergeBy, Op, VectorObject};
use greenroom_actors::{Error, RawHandle};
use greenroom_macros::twins;

use super::pieces::{Page, bounds, read_whole};
use crate::face::face;

/// About how many bytes an index takes up in a sparse delta.
pub(super) const INDEX_BYTES: usize = 10;

face! {
    /// A shared vector of numbers (`f64`, `f32`, `i64`, `u64`, `i32`, `u32`), with which the node calculates: sums of
    /// gradients, counts of votes, a running minimum.
    ///
    /// **Guarantees.** Each call is linearizable, and what one call carries is atomic: up to 16 MiB of elements. Larger deltas go
    /// in pieces of that size, each of which is atomic, and between which others may come. A vector has at most 1 GiB.
    ///
    /// **Cost.** One round trip a call. Elements travel packed: 8 or 4 bytes each. [`merge`](Self::merge) costs the node what
    /// a loop over a slice does.
    ///
    /// **What elements are merged by** is an [`Op`] or a [`Combine`](crate::Combine) function of the element's type. One of your own
    /// (`#[combine]`) must be in the node's program, or the call is an error ([`ArrayError::Combine`]) that changes nothing; it is
    /// called once for each element.
    ///
    /// **Unlike `Vec`** it has a fixed length, and calculates where the data is, so that many can add to it at the same time
    /// without a lock. An index out of range, or a delta of another length, is a typed error that changes nothing. Sums of
    /// floating-point numbers are made in the order in which the calls arrive, so their last bits may differ from run to run.
    ///
    /// ```no_run
    /// use greenroom::collections::{Op, Vector};
    ///
    /// #[greenroom::combine]
    /// fn larger(there: &mut f32, comes: f32) {
    ///     if comes.abs() > there.abs() {
    ///         *there = comes;
    ///     }
    /// }
    ///
    /// let gradient = Vector::named("gradient", 1000, 0.0_f32);
    /// gradient.merge(&[0.5; 1000], Op::Sum)?; // one call, whoever else does the same
    /// gradient.merge_sparse(&[(3, 1.0), (999, -1.0)], Op::Sum)?;
    /// gradient.merge(&[1.0; 1000], larger::combine())?; // by a function of your own
    /// let total: Vec<f32> = gradient.take()?; // and all are zero again
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Vector<T>(VectorObject);
}

impl<T: Element> Vector<T> {
    /// The vector of that key, made with `length` times `initial` if it is not there.
    ///
    /// Everybody must name the same length and value: the others are refused with `DifferentArguments`. Calls of one of more
    /// than 1 GiB are refused with `Constructor`.
    pub fn named(key: impl Into<String>, length: usize, initial: T) -> Self {
        Self::of(VectorObject::named(key, length, one(initial)))
    }
}

#[twins]
impl<T: Element> Vector<T> {
    /// How many elements there are.
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

    /// The element at `index`.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Index`] when there is none; and as every call's.
    pub async fn get(&self, index: usize) -> Result<T, Error<ArrayError>> {
        single(self.handle.get_async(index).await?, self.object())
    }

    /// Sets the element at `index`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn set(&self, index: usize, value: T) -> Result<(), Error<ArrayError>> {
        self.merge_at_async(index, value, Op::Replace).await.map(drop)
    }

    /// Combines the element at `index` with `value`; returns what came of it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn merge_at(&self, index: usize, value: T, by: impl MergeBy<T>) -> Result<T, Error<ArrayError>> {
        single(self.handle.merge_one_async(index, one(value), by.into_by()).await?, self.object())
    }

    /// The elements of a range of indices, as they are at one moment.
    ///
    /// One round trip for each MiB. If the vector is changed between two of them, it is read anew in larger pages; so a range of
    /// up to 16 MiB is always read, and a larger one if the vector has a quiet moment.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Index`] when the range goes further than the vector, or ends before it begins; with
    /// [`ArrayError::Changing`] when it had no quiet moment; and as every call's.
    pub async fn range(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, Error<ArrayError>> {
        let (start, end) = bounds(&range);
        read_whole(|from, bytes| async move {
            page(self.handle.page_async(start.saturating_add(from), end, bytes).await?, self.object())
        })
        .await
    }

    /// All elements, as they are at one moment: [`range`](Self::range) of all.
    ///
    /// # Errors
    /// As [`range`](Self::range).
    pub async fn to_vec(&self) -> Result<Vec<T>, Error<ArrayError>> {
        self.range_async(..).await
    }

    /// Combines each element with the one of `delta` in its place: one call, and atomic, up to 16 MiB of elements.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Shape`] when `delta` has another length, or with [`ArrayError::Combine`] when the node
    /// has no such function; and as every call's.
    pub async fn merge(&self, delta: &[T], by: impl MergeBy<T>) -> Result<(), Error<ArrayError>> {
        let by = by.into_by();
        for (start, piece) in pieces(delta) {
            self.handle.merge_async(delta.len(), start, piece, by.clone()).await?;
        }
        Ok(())
    }

    /// Combines the elements from `start` on with those of `delta`: one call, and atomic, up to 16 MiB of elements.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Index`] when `delta` goes further than the vector: of a larger delta, the pieces
    /// that do not stay applied. And as every call's.
    pub async fn merge_range(&self, start: usize, delta: &[T], by: impl MergeBy<T>) -> Result<(), Error<ArrayError>> {
        let by = by.into_by();
        for (skipped, piece) in pieces(delta) {
            self.handle.merge_range_async(start.saturating_add(skipped), piece, by.clone()).await?;
        }
        Ok(())
    }

    /// Combines the elements at some indices, each with the value beside it: one call, and atomic, up to 16 MiB.
    ///
    /// An index that comes more than once is combined as often.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Index`] when an element is not there: nothing of its call was changed. And as every
    /// call's.
    pub async fn merge_sparse(&self, delta: &[(usize, T)], by: impl MergeBy<T>) -> Result<(), Error<ArrayError>> {
        let by = by.into_by();
        for piece in delta.chunks(BULK_BYTES / (INDEX_BYTES + size_of::<T>())) {
            let (indices, values) = piece.iter().copied().unzip();
            self.handle.merge_sparse_async(indices, T::wrap(values), by.clone()).await?;
        }
        Ok(())
    }

    /// Sets all elements to `value`.
    ///
    /// # Errors
    /// As every call's.
    pub async fn fill(&self, value: T) -> Result<(), Error<ArrayError>> {
        self.handle.fill_async(one(value)).await
    }

    /// The sum of the elements; integers wrap around at their ends.
    ///
    /// # Errors
    /// As every call's.
    pub async fn sum(&self) -> Result<T, Error> {
        single(self.handle.sum_async().await?, self.object())
    }

    /// Takes the elements, and leaves the initial value in their place: what was merged is taken once.
    ///
    /// One call, and atomic, up to 16 MiB of elements. A larger vector is taken in pieces of that size: a delta that comes
    /// meanwhile may be taken in part now, and in part the next time. Who goes away before the answer has taken it all the same.
    ///
    /// # Errors
    /// As every call's; what was taken before the call that failed is gone.
    pub async fn take(&self) -> Result<Vec<T>, Error<ArrayError>> {
        let mut taken = Vec::new();
        loop {
            let page: Page<T> = page(self.handle.take_async(taken.len(), BULK_BYTES).await?, self.object())?;
            taken.extend(page.values);
            if !page.more {
                return Ok(taken);
            }
        }
    }
}

pub(super) fn one<T: Element>(value: T) -> Elements {
    T::wrap(vec![value])
}

/// The numbers, if they are of that type.
pub(super) fn typed<T: Element, E>(elements: Elements, object: &RawHandle) -> Result<Vec<T>, Error<E>> {
    let found = elements.type_name();
    T::from_elements(elements).ok_or_else(|| Error::Reply {
        object: object.name(),
        why: format!("it has elements of type {found}, and {} was expected", T::NAME),
    })
}

/// A number that came alone.
pub(super) fn single<T: Element, E>(elements: Elements, object: &RawHandle) -> Result<T, Error<E>> {
    let first = typed(elements, object)?.into_iter().next();
    first.ok_or_else(|| Error::Reply { object: object.name(), why: "it has no element".to_owned() })
}

pub(super) fn page<T: Element, E>(page: ElementsPage, object: &RawHandle) -> Result<Page<T>, Error<E>> {
    Ok(Page { version: page.version, values: typed(page.elements, object)?, more: page.more })
}

/// A delta in pieces that a call can carry, each with its place; one at least.
pub(super) fn pieces<T: Element>(delta: &[T]) -> impl Iterator<Item = (usize, Elements)> {
    let piece_length = BULK_BYTES / size_of::<T>();
    let starts = (0..delta.len().max(1)).step_by(piece_length);
    starts.map(move |start| (start, T::wrap(delta[start..delta.len().min(start + piece_length)].to_vec())))
}
