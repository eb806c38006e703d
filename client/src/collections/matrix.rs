//! `Matrix<T>`: numbers in rows and columns, with which the node calculates.

use std::ops::RangeBounds;
use std::sync::atomic::{AtomicUsize, Ordering};

use greenroom_actors::Error;
use greenroom_actors::objects::{ArrayError, BULK_BYTES, Element, ElementsPage, MatrixObject, MergeBy, Op, Shape};
use greenroom_macros::twins;

use super::pieces::{Page, bounds, read_whole};
use super::vector::{INDEX_BYTES, one, page, pieces, single};
use crate::face::face;

face! {
    /// A shared matrix of numbers (`f64`, `f32`, `i64`, `u64`, `i32`, `u32`), with which the node calculates: the votes of a
    /// forest's trees, the counts of a histogram, the weights of a layer.
    ///
    /// **Guarantees.** Each call is linearizable, and what one call carries is atomic: up to 16 MiB of elements, row by row.
    /// Larger deltas go in pieces of that size, each of which is atomic, and between which others may come. A matrix has at
    /// most 1 GiB.
    ///
    /// **Cost.** One round trip a call. Elements travel packed: 8 or 4 bytes each. [`merge`](Self::merge) costs the node what
    /// a loop over a slice does. What elements are merged by is an [`Op`] or a [`Combine`](crate::Combine) function, as in a
    /// [`Vector`](super::Vector).
    ///
    /// **Unlike `Vec<Vec<T>>`** it has fixed rows of one length, and calculates where the data is, so that many can add to it at
    /// the same time without a lock. A row or column that is not there, or a delta of another shape, is a typed error that
    /// changes nothing. Sums of floating-point numbers are made in the order in which the calls arrive.
    ///
    /// ```no_run
    /// use greenroom::collections::{Matrix, Op};
    ///
    /// let votes = Matrix::named("votes", 3, 2, 0_u32);
    /// votes.merge(&[[1, 0], [0, 1], [0, 1]], Op::Sum)?; // one call, whoever else does the same
    /// votes.merge_at(0, 1, 5, Op::Max)?;
    /// assert_eq!(votes.row(0)?, [1, 5]);
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Matrix<T>(MatrixObject);
}

impl<T: Element> Matrix<T> {
    /// The matrix of that key, made of `rows` rows of `columns` times `initial` if it is not there.
    ///
    /// Everybody must name the same: the others are refused with `DifferentArguments`. Calls of one without rows or columns, or
    /// of more than 1 GiB, are refused with `Constructor`.
    pub fn named(key: impl Into<String>, rows: usize, columns: usize, initial: T) -> Self {
        Self::of(MatrixObject::named(key, rows, columns, one(initial)))
    }
}

#[twins]
impl<T: Element> Matrix<T> {
    /// How many rows there are, and how many columns.
    ///
    /// # Errors
    /// As every call's.
    pub async fn shape(&self) -> Result<(usize, usize), Error> {
        self.handle.shape_async().await
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// As every call's.
    pub async fn rows(&self) -> Result<usize, Error> {
        Ok(self.shape_async().await?.0)
    }

    /// How many columns there are.
    ///
    /// # Errors
    /// As every call's.
    pub async fn columns(&self) -> Result<usize, Error> {
        Ok(self.shape_async().await?.1)
    }

    /// The element in that row and column.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Row`] or [`ArrayError::Column`] when there is none; and as every call's.
    pub async fn get(&self, row: usize, column: usize) -> Result<T, Error<ArrayError>> {
        single(self.handle.get_async(row, column).await?, self.object())
    }

    /// Sets the element in that row and column.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn set(&self, row: usize, column: usize, value: T) -> Result<(), Error<ArrayError>> {
        self.merge_at_async(row, column, value, Op::Replace).await.map(drop)
    }

    /// Combines the element in that row and column with `value`; returns what came of it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn merge_at(
        &self,
        row: usize,
        column: usize,
        value: T,
        by: impl MergeBy<T>,
    ) -> Result<T, Error<ArrayError>> {
        single(self.handle.merge_one_async(row, column, one(value), by.into_by()).await?, self.object())
    }

    /// A row, as it is at one moment; see [`row_range`](Self::row_range).
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Row`] when there is none; else as [`row_range`](Self::row_range).
    pub async fn row(&self, row: usize) -> Result<Vec<T>, Error<ArrayError>> {
        Ok(self.flat(row, Some(row.saturating_add(1))).await?.0)
    }

    /// A column, as it is at one moment.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Column`] when there is none; else as [`row_range`](Self::row_range).
    pub async fn column(&self, column: usize) -> Result<Vec<T>, Error<ArrayError>> {
        read_whole(
            |from, bytes| async move { page(self.handle.column_async(column, from, bytes).await?, self.object()) },
        )
        .await
    }

    /// Some rows, as they are at one moment.
    ///
    /// One round trip for each MiB. If the matrix is changed between two of them, it is read anew in larger pages; so rows of up
    /// to 16 MiB are always read, and more if the matrix has a quiet moment.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Row`] when the range goes further than the matrix, or ends before it begins; with
    /// [`ArrayError::Changing`] when it had no quiet moment; and as every call's.
    pub async fn row_range(&self, rows: impl RangeBounds<usize>) -> Result<Vec<Vec<T>>, Error<ArrayError>> {
        let (start, end) = bounds(&rows);
        let (flat, columns) = self.flat(start, end).await?;
        Ok(in_rows(&flat, columns))
    }

    /// All rows, as they are at one moment: [`row_range`](Self::row_range) of all.
    ///
    /// # Errors
    /// As [`row_range`](Self::row_range).
    pub async fn to_rows(&self) -> Result<Vec<Vec<T>>, Error<ArrayError>> {
        self.row_range_async(..).await
    }

    /// All elements row by row, as they are at one moment; without the copies that rows of their own cost.
    ///
    /// # Errors
    /// As [`row_range`](Self::row_range).
    pub async fn to_vec(&self) -> Result<Vec<T>, Error<ArrayError>> {
        Ok(self.flat(0, None).await?.0)
    }

    /// Combines each element with the one of `delta` in its place: one call, and atomic, up to 16 MiB of elements.
    ///
    /// Rows can be vectors, arrays or slices: `&flat.chunks(columns).collect::<Vec<_>>()` is a delta too.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Shape`] when `delta` has another number of rows, or a row of another length; and as
    /// every call's.
    pub async fn merge(&self, delta: &[impl AsRef<[T]>], by: impl MergeBy<T>) -> Result<(), Error<ArrayError>> {
        let columns = delta.first().map_or(0, |row| row.as_ref().len());
        if let Some(other) = delta.iter().map(|row| row.as_ref().len()).find(|&length| length != columns) {
            let (expected, found) = (Shape::Vector(columns), Shape::Vector(other));
            return Err(Error::Method(ArrayError::Shape { expected, found }));
        }
        let shape = (delta.len(), columns);
        let delta: Vec<T> = delta.iter().flat_map(AsRef::as_ref).copied().collect();
        let by = by.into_by();
        for (start, piece) in pieces(&delta) {
            self.handle.merge_async(shape, start, piece, by.clone()).await?;
        }
        Ok(())
    }

    /// Combines each element of a row with the one of `delta` in its place: one call, and atomic, up to 16 MiB of elements.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Row`] when there is no such row, or with [`ArrayError::Shape`] when it has another
    /// length; and as every call's.
    pub async fn merge_row(&self, row: usize, delta: &[T], by: impl MergeBy<T>) -> Result<(), Error<ArrayError>> {
        let by = by.into_by();
        for (start, piece) in pieces(delta) {
            self.handle.merge_row_async(row, delta.len(), start, piece, by.clone()).await?;
        }
        Ok(())
    }

    /// Combines some elements (row, column), each with the value beside them: one call, and atomic, up to 16 MiB.
    ///
    /// An element that comes more than once is combined as often.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ArrayError::Row`] or [`ArrayError::Column`] when an element is not there: nothing of its call
    /// was changed. And as every call's.
    pub async fn merge_sparse(
        &self,
        delta: &[(usize, usize, T)],
        by: impl MergeBy<T>,
    ) -> Result<(), Error<ArrayError>> {
        let by = by.into_by();
        for piece in delta.chunks(BULK_BYTES / (2 * INDEX_BYTES + size_of::<T>())) {
            let (places, values) = piece.iter().map(|&(row, column, value)| ((row, column), value)).unzip();
            self.handle.merge_sparse_async(places, T::wrap(values), by.clone()).await?;
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

    /// Takes all rows, and leaves the initial value in the place of each element: what was merged is taken once.
    ///
    /// One call, and atomic, up to 16 MiB of elements. A larger matrix is taken in pieces of that size: a delta that comes
    /// meanwhile may be taken in part now, and in part the next time. Who goes away before the answer has taken it all the same.
    ///
    /// # Errors
    /// As every call's; what was taken before the call that failed is gone.
    pub async fn take(&self) -> Result<Vec<Vec<T>>, Error<ArrayError>> {
        let mut taken = Vec::new();
        loop {
            let part = self.handle.take_async(taken.len(), BULK_BYTES).await?;
            let columns = columns(&part);
            let part: Page<T> = page(part, self.object())?;
            taken.extend(part.values);
            if !part.more {
                return Ok(in_rows(&taken, columns));
            }
        }
    }
}

impl<T: Element> Matrix<T> {
    /// The elements of some rows, row by row, and how many columns these have.
    async fn flat(&self, start: usize, end: Option<usize>) -> Result<(Vec<T>, usize), Error<ArrayError>> {
        // Every page says it, and all say the same.
        let n_columns = AtomicUsize::new(0);
        let read = read_whole(|from, bytes| {
            let n_columns = &n_columns;
            async move {
                let part = self.handle.page_async(start, end, from, bytes).await?;
                n_columns.store(columns(&part), Ordering::Relaxed);
                page(part, self.object())
            }
        });
        Ok((read.await?, n_columns.into_inner()))
    }
}

fn columns(page: &ElementsPage) -> usize {
    match page.shape {
        Shape::Matrix(_, columns) | Shape::Vector(columns) => columns,
    }
}

fn in_rows<T: Element>(flat: &[T], columns: usize) -> Vec<Vec<T>> {
    // `chunks` does not take 0, which no matrix has.
    flat.chunks(columns.max(1)).map(<[T]>::to_vec).collect()
}
