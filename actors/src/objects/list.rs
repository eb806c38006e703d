//! The object behind `List<T>`: values in an order, reached by their index.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::pages::{OutOfRange, check_index, check_range, page};
use crate::ids::Fence;
use crate::turn::Turn;

/// Values of any type in an order, encoded by their clients; use it through the client's `List<T>`.
#[object(name = "List")]
#[derive(Debug, Serialize, Deserialize)]
pub struct ListObject {
    /// The fingerprint of the values' type.
    shape: u64,
    /// The turn of the last change, so that a reader of several pages sees whether they belong together. It grows even when the
    /// object is deleted and made anew; one that was never changed is as its constructor made it, whichever it is.
    version: Fence,
    values: VecDeque<Bytes>,
}

/// A piece of a list, as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPage {
    /// The list's version: pages of one version are of one moment.
    pub version: Fence,
    /// Whether the range that was asked for goes on.
    pub more: bool,
    /// The values.
    pub values: Vec<Bytes>,
}

#[object]
impl ListObject {
    /// An empty list for values of the type with that fingerprint.
    pub fn new(shape: u64) -> Self {
        Self { shape, version: Fence(0), values: VecDeque::new() }
    }

    /// Adds a value at the end.
    pub fn push(&mut self, value: Bytes, turn: &mut Turn) {
        self.version = turn.fence();
        self.values.push_back(value);
    }

    /// Adds values at the end.
    pub fn extend(&mut self, values: Vec<Bytes>, turn: &mut Turn) {
        self.version = turn.fence();
        self.values.extend(values);
    }

    /// Takes the last value.
    pub fn pop(&mut self, turn: &mut Turn) -> Option<Bytes> {
        self.version = turn.fence();
        self.values.pop_back()
    }

    /// Puts a value before the one at `index`, or at the end.
    pub fn insert(&mut self, index: usize, value: Bytes, turn: &mut Turn) -> Result<(), OutOfRange> {
        check_range(index, None, self.values.len())?;
        self.version = turn.fence();
        self.values.insert(index, value);
        Ok(())
    }

    /// Takes the value at `index`; those behind it move up.
    pub fn remove(&mut self, index: usize, turn: &mut Turn) -> Result<Bytes, OutOfRange> {
        let out_of_range = OutOfRange { index, length: self.values.len() };
        let removed = self.values.remove(index).ok_or(out_of_range)?;
        self.version = turn.fence();
        Ok(removed)
    }

    /// The value at `index`.
    pub fn get(&self, index: usize) -> Option<Bytes> {
        self.values.get(index).cloned()
    }

    /// Sets the value at `index`.
    pub fn set(&mut self, index: usize, value: Bytes, turn: &mut Turn) -> Result<(), OutOfRange> {
        self.replace(index, value, turn).map(drop)
    }

    /// Sets the value at `index` and returns the one before.
    pub fn replace(&mut self, index: usize, value: Bytes, turn: &mut Turn) -> Result<Bytes, OutOfRange> {
        let index = check_index(index, self.values.len())?;
        self.version = turn.fence();
        Ok(std::mem::replace(&mut self.values[index], value))
    }

    /// Exchanges two values.
    pub fn swap(&mut self, first: usize, second: usize, turn: &mut Turn) -> Result<(), OutOfRange> {
        let length = self.values.len();
        let (first, second) = (check_index(first, length)?, check_index(second, length)?);
        self.version = turn.fence();
        self.values.swap(first, second);
        Ok(())
    }

    /// The first value.
    pub fn first(&self) -> Option<Bytes> {
        self.values.front().cloned()
    }

    /// The last value.
    pub fn last(&self) -> Option<Bytes> {
        self.values.back().cloned()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Drops all values.
    pub fn clear(&mut self, turn: &mut Turn) {
        self.truncate(0, turn);
    }

    /// Keeps the first values and drops the rest.
    pub fn truncate(&mut self, length: usize, turn: &mut Turn) {
        self.version = turn.fence();
        self.values.truncate(length);
    }

    /// Where the value is first.
    pub fn index_of(&self, value: Bytes) -> Option<usize> {
        self.values.iter().position(|there| *there == value)
    }

    /// Where the value is last.
    pub fn last_index_of(&self, value: Bytes) -> Option<usize> {
        self.values.iter().rposition(|there| *there == value)
    }

    /// Whether all of these values are there.
    pub fn contains_all(&self, values: Vec<Bytes>) -> bool {
        let mut missing = BTreeSet::from_iter(values);
        self.values.iter().any(|there| {
            missing.remove(there);
            missing.is_empty()
        }) || missing.is_empty()
    }

    /// Removes the value where it is first; returns whether it was there.
    pub fn remove_value(&mut self, value: Bytes, turn: &mut Turn) -> bool {
        self.index_of(value).is_some_and(|index| self.remove(index, turn).is_ok())
    }

    /// Removes these values wherever they are; returns how many were there.
    pub fn remove_all(&mut self, values: Vec<Bytes>, turn: &mut Turn) -> usize {
        let values = BTreeSet::from_iter(values);
        self.keep(|there| !values.contains(there), turn)
    }

    /// Removes all but these values; returns how many were removed.
    pub fn retain_all(&mut self, values: Vec<Bytes>, turn: &mut Turn) -> usize {
        let values = BTreeSet::from_iter(values);
        self.keep(|there| values.contains(there), turn)
    }

    /// The values from `start` to `end` (or to the end of the list), as many as fit into so many bytes, but at least one.
    pub fn page(&self, start: usize, end: Option<usize>, bytes_max: usize) -> Result<ListPage, OutOfRange> {
        let range = check_range(start, end, self.values.len())?;
        let length = range.len();
        let values = page(self.values.range(range), bytes_max);
        Ok(ListPage { version: self.version, more: values.len() < length, values })
    }

    fn keep(&mut self, keep: impl FnMut(&Bytes) -> bool, turn: &Turn) -> usize {
        let before = self.values.len();
        self.version = turn.fence();
        self.values.retain(keep);
        before - self.values.len()
    }

    fn summary(&self) -> serde_json::Value {
        let bytes: usize = self.values.iter().map(Bytes::len).sum();
        json!({ "length": self.values.len(), "value_bytes": bytes, "version": self.version })
    }
}
