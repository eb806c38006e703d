//! What is larger than a page, read and written in pieces.

use std::borrow::Borrow;
use std::future::Future;
use std::ops::{Bound, RangeBounds};

use bytes::Bytes;
use greenroom_actors::objects::{ArrayError, BULK_BYTES, OutOfRange, PAGE_BYTES};
use greenroom_actors::{Error, Fence, RawHandle};

use crate::value::{Value, encode};

/// How often something that changes all the time is begun anew, with larger pages, before its reader is told.
const ATTEMPTS_MAX: u32 = 8;

/// What an encoded value takes up in a call besides its bytes, at most.
const VALUE_OVERHEAD_BYTES: usize = 8;

/// Why something was not read. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The range goes further than what is there.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// It was changed during each of so many attempts to read it whole: read it in smaller ranges, or when fewer write.
    #[error("it was changed during each of {attempts} attempts to read it whole")]
    Changing {
        /// How many attempts were made.
        attempts: u32,
    },
}

/// An error that says that there was no moment in which something could be read whole.
pub(super) trait Changing {
    fn changing(attempts: u32) -> Self;
}

impl Changing for ReadError {
    fn changing(attempts: u32) -> Self {
        Self::Changing { attempts }
    }
}

impl Changing for ArrayError {
    fn changing(attempts: u32) -> Self {
        Self::Changing { attempts }
    }
}

/// A piece of something that is read.
pub(super) struct Page<T> {
    /// Pages of one version are of one moment.
    pub(super) version: Fence,
    pub(super) values: Vec<T>,
    /// Whether there are pages behind it.
    pub(super) more: bool,
}

/// Reads something as it is at one moment, page by page: `page` is given the place from which on, and how many bytes.
///
/// If it was changed in between, it is read anew, in larger pages: what has no more than [`BULK_BYTES`] is in the end read at
/// once, so this can only fail for what is larger.
pub(super) async fn read_whole<T, E, F>(page: impl Fn(usize, usize) -> F) -> Result<Vec<T>, Error<E>>
where
    E: Changing,
    F: Future<Output = Result<Page<T>, Error<E>>>,
{
    for attempt in 0..ATTEMPTS_MAX {
        let bytes = (PAGE_BYTES << attempt).min(BULK_BYTES);
        let first = page(0, bytes).await?;
        let (mut values, mut more) = (first.values, first.more);
        while more {
            let next = match page(values.len(), bytes).await {
                Ok(next) if next.version == first.version => next,
                // What is gone now was there before.
                Ok(_) | Err(Error::Method(_)) => break,
                Err(other) => return Err(other),
            };
            values.extend(next.values);
            more = next.more;
        }
        if !more {
            return Ok(values);
        }
    }
    Err(Error::Method(E::changing(ATTEMPTS_MAX)))
}

/// The start of a range, and its end if it has one.
pub(super) fn bounds(range: &impl RangeBounds<usize>) -> (usize, Option<usize>) {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => Some(last.saturating_add(1)),
        Bound::Excluded(&end) => Some(end),
        Bound::Unbounded => None,
    };
    (start, end)
}

/// Encodes all values.
pub(crate) fn encode_all<T: Value, V: Borrow<T>>(
    values: impl IntoIterator<Item = V>,
    object: &RawHandle,
) -> Result<Vec<Bytes>, Error> {
    values.into_iter().map(|value| encode(value.borrow(), object)).collect()
}

/// Parts encoded values into as few calls as can carry them.
pub(crate) fn bulks(values: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let (mut bulks, mut bulk, mut left) = (Vec::new(), Vec::new(), BULK_BYTES);
    for value in values {
        let bytes = value.len() + VALUE_OVERHEAD_BYTES;
        if bytes > left && !bulk.is_empty() {
            bulks.push(std::mem::take(&mut bulk));
            left = BULK_BYTES;
        }
        left = left.saturating_sub(bytes);
        bulk.push(value);
    }
    if !bulk.is_empty() {
        bulks.push(bulk);
    }
    bulks
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Plays a list that is changed after each of the given numbers of reads, and records how much was asked for.
    fn read(length: usize, page_max: usize, changes: &[usize]) -> (Result<Vec<usize>, Error<ReadError>>, Vec<usize>) {
        let asked = RefCell::new(Vec::new());
        let result = pollster::block_on(read_whole(|from, bytes| {
            asked.borrow_mut().push(bytes);
            let reads = asked.borrow().len();
            let version = Fence(changes.iter().filter(|&&change| change < reads).count() as u64);
            let to = length.min(from + page_max * (bytes / PAGE_BYTES));
            async move { Ok(Page { version, values: (from..to).collect(), more: to < length }) }
        }));
        (result, asked.into_inner())
    }

    #[test]
    fn what_does_not_change_is_read_page_by_page() {
        let (values, asked) = read(10, 4, &[]);
        assert_eq!(values, Ok((0..10).collect()));
        assert_eq!(asked, [PAGE_BYTES; 3]);
    }

    #[test]
    fn what_was_changed_in_between_is_read_anew_in_larger_pages() {
        let (values, asked) = read(10, 4, &[2]);
        assert_eq!(values, Ok((0..10).collect()));
        assert_eq!(asked, [1, 1, 1, 2, 2].map(|pages| pages * PAGE_BYTES));
    }

    #[test]
    fn what_changes_all_the_time_is_read_if_it_fits_into_one_call() {
        let always: Vec<usize> = (0..100).collect();
        let (values, asked) = read(60, 4, &always);
        assert_eq!(values, Ok((0..60).collect()));
        assert_eq!(asked.last(), Some(&BULK_BYTES));
        let (values, asked) = read(70, 4, &always);
        assert_eq!(values, Err(Error::Method(ReadError::Changing { attempts: ATTEMPTS_MAX })));
        assert_eq!(asked.len(), 16);
    }

    #[test]
    fn values_are_parted_into_as_few_calls_as_can_carry_them() {
        let large = Bytes::from(vec![0; BULK_BYTES / 2]);
        let sizes = |values: Vec<Bytes>| bulks(values).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(vec![large.clone(), Bytes::new(), large.clone(), large.clone()]), [2, 1, 1]);
        assert_eq!(sizes(vec![Bytes::from(vec![0; 2 * BULK_BYTES])]), [1], "one value is never parted");
        assert!(sizes(Vec::new()).is_empty());
    }

    #[test]
    fn a_range_has_the_bounds_of_std() {
        assert_eq!(bounds(&(2..5)), (2, Some(5)));
        assert_eq!(bounds(&(2..=5)), (2, Some(6)));
        assert_eq!(bounds(&..), (0, None));
        assert_eq!(bounds(&(Bound::Excluded(2), Bound::Unbounded)), (3, None));
    }
}
