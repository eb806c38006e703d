//! What the objects that are read and written in pieces share: how large a piece is, and indices that are out of range.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// About how many encoded bytes a page has, so that neither a reader nor the node's other objects wait long for one.
pub const PAGE_BYTES: usize = 1 << 20;

/// About how many encoded bytes one call carries where it would otherwise not be atomic: half of what a frame may have.
pub const BULK_BYTES: usize = 16 << 20;

/// What an encoded value takes up in a page besides its bytes: no page has very many values, however small they are.
const VALUE_OVERHEAD_BYTES: usize = 4;

/// An index, or the end of a range, that the object does not reach. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("index {index} is out of range for length {length}")]
pub struct OutOfRange {
    /// The index that was asked for.
    pub index: usize,
    /// How many there are.
    pub length: usize,
}

/// `index`, if it is one of something of that length.
pub(super) fn check_index(index: usize, length: usize) -> Result<usize, OutOfRange> {
    if index < length { Ok(index) } else { Err(OutOfRange { index, length }) }
}

/// The range from `start` to `end`, or to the end of all; checked as slices check theirs.
pub(super) fn check_range(start: usize, end: Option<usize>, length: usize) -> Result<Range<usize>, OutOfRange> {
    let end = end.unwrap_or(length);
    if end > length {
        return Err(OutOfRange { index: end, length });
    }
    if start > end { Err(OutOfRange { index: start, length: end }) } else { Ok(start..end) }
}

/// The first of `values`, as many as fit into so many bytes, but at least one.
pub(super) fn page<'a>(values: impl Iterator<Item = &'a Bytes>, bytes_max: usize) -> Vec<Bytes> {
    let mut left = bytes_max.min(BULK_BYTES);
    let mut page = Vec::new();
    for value in values {
        let bytes = value.len() + VALUE_OVERHEAD_BYTES;
        if bytes > left && !page.is_empty() {
            break;
        }
        left = left.saturating_sub(bytes);
        page.push(value.clone());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_at_least_one_value_and_no_more_than_fit() {
        let values = vec![Bytes::from_static(b"123456"); 5];
        assert_eq!(page(values.iter(), 1).len(), 1);
        assert_eq!(page(values.iter(), 20).len(), 2);
        assert_eq!(page(values.iter(), usize::MAX).len(), 5);
        assert!(page([].iter(), 20).is_empty());
    }

    #[test]
    fn a_range_is_checked_as_that_of_a_slice() {
        assert_eq!(check_range(1, None, 3), Ok(1..3));
        assert_eq!(check_range(3, Some(3), 3), Ok(3..3));
        assert_eq!(check_range(0, Some(4), 3), Err(OutOfRange { index: 4, length: 3 }));
        assert_eq!(check_range(2, Some(1), 3), Err(OutOfRange { index: 2, length: 1 }));
    }
}
