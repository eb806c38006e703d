//! The values of a channel, numbered in the order in which they came in.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A channel with more than this in it is full, whatever its capacity. Values that are put back pass it.
pub(super) const STORE_BYTES_MAX: u64 = 256 << 20;
/// What a value costs beyond its own bytes; about its place in memory, and the same on every replica.
pub(super) const ITEM_BYTES: u64 = 32;

/// A value with its place in the channel's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelItem {
    /// Counts the values that came in, from 0.
    pub number: u64,
    /// The value, encoded.
    pub value: Bytes,
}

impl ChannelItem {
    /// What it counts for where there is a limit on bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.value.len() as u64 + ITEM_BYTES
    }
}

/// Values that wait to be taken, by number.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Store {
    items: VecDeque<ChannelItem>,
    bytes: u64,
    /// The number of the next value that comes in.
    next: u64,
}

impl Store {
    /// Adds a value at the end.
    pub(super) fn push(&mut self, value: Bytes) {
        let item = ChannelItem { number: self.next, value };
        self.next += 1;
        self.bytes += item.bytes();
        self.items.push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<ChannelItem> {
        let item = self.items.pop_front()?;
        self.bytes -= item.bytes();
        Some(item)
    }

    pub(super) fn front(&self) -> Option<&ChannelItem> {
        self.items.front()
    }

    /// Puts a value back that nobody has taken: before all that came in after it.
    pub(super) fn put_back(&mut self, item: ChannelItem) {
        let place = self.items.partition_point(|other| other.number < item.number);
        let is_there = self.items.get(place).is_some_and(|other| other.number == item.number);
        // Numbers that are not given out yet are of an object of this name that was deleted.
        if !is_there && item.number < self.next {
            self.bytes += item.bytes();
            self.items.insert(place, item);
        }
    }

    /// Whether one more value may come in where there is room for `capacity`.
    pub(super) fn has_room(&self, capacity: u64) -> bool {
        self.len() < capacity && self.bytes < STORE_BYTES_MAX
    }

    /// Forgets all values; returns how many there were.
    pub(super) fn clear(&mut self) -> u64 {
        let count = self.len();
        self.items = VecDeque::new();
        self.bytes = 0;
        count
    }

    pub(super) fn len(&self) -> u64 {
        self.items.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many values have ever come in.
    pub(super) fn n_come(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(values: u8) -> Store {
        let mut store = Store::default();
        for value in 0..values {
            store.push(Bytes::copy_from_slice(&[value]));
        }
        store
    }

    fn numbers(store: &Store) -> Vec<u64> {
        store.items.iter().map(|item| item.number).collect()
    }

    #[test]
    fn values_that_are_put_back_stand_where_they_came_from() {
        let mut store = store(5);
        let taken: Vec<ChannelItem> = std::iter::from_fn(|| store.pop()).take(4).collect();
        for place in [1, 3, 0] {
            store.put_back(taken[place].clone());
        }
        assert_eq!(numbers(&store), [0, 1, 3, 4]);
        assert_eq!(store.bytes(), 4 * (1 + ITEM_BYTES));
    }

    #[test]
    fn a_value_is_put_back_once_and_only_where_it_came_from() {
        let mut store = store(2);
        let taken = store.pop().expect("is there");
        store.put_back(taken.clone());
        store.put_back(taken);
        store.put_back(ChannelItem { number: 2, value: Bytes::new() });
        assert_eq!(numbers(&store), [0, 1]);
    }

    #[test]
    fn a_store_is_full_by_bytes_or_by_number() {
        let mut store = Store::default();
        let large = Bytes::from(vec![0; 64 << 20]);
        for _ in 0..4 {
            assert!(store.has_room(u64::MAX));
            store.push(large.clone());
        }
        assert!(!store.has_room(u64::MAX), "256 MiB are its limit");
        assert!(!store.has_room(4));
        store.pop();
        assert!(store.has_room(4));
        assert!(!store.has_room(3));
    }
}
