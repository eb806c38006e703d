//! The object behind `Map<K, V>` and `OrderedMap<K, V>`: entries with opaque keys and values.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};

use super::sorted::{
    KeyEncoding, SCAN_BYTES_MAX, Scan, ScanFrom, ScanPage, SnapshotGone, SnapshotTaken, Sorted, TooManySnapshots,
    entry_bytes,
};
use crate::combine::{self, CombineError, combine, combine_all};
use crate::ids::{Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;

/// Keys with values of any types, encoded by its clients; use it through the client's `Map<K, V>` or `OrderedMap<K,
/// V>`.
#[object(name = "Map")]
#[derive(Debug, Serialize, Deserialize)]
pub struct MapObject {
    /// How keys are encoded, and the fingerprints of their type and of the values': clients that differ in one do not
    /// meet.
    keys: KeyEncoding,
    key_shape: u64,
    value_shape: u64,
    entries: Sorted<Bytes>,
}

#[object]
impl MapObject {
    /// An empty map for keys and values of the types with those fingerprints.
    pub fn new(keys: KeyEncoding, key_shape: u64, value_shape: u64) -> Self {
        Self { keys, key_shape, value_shape, entries: Sorted::default() }
    }

    /// Sets the value of a key and returns the one before.
    pub fn insert(&mut self, key: Bytes, value: Bytes, turn: &mut Turn) -> Option<Bytes> {
        self.entries.insert(key, value, turn)
    }

    /// Sets the value of a key that has one, and returns the one before.
    pub fn replace(&mut self, key: Bytes, value: Bytes, turn: &mut Turn) -> Option<Bytes> {
        if self.entries.contains_key(&key) { self.entries.insert(key, value, turn) } else { None }
    }

    /// The value of a key, which becomes `value` if there is none.
    pub fn get_or_insert(&mut self, key: Bytes, value: Bytes, turn: &mut Turn) -> Bytes {
        if let Some(there) = self.entries.get(&key) {
            return there.clone();
        }
        self.entries.insert(key, value.clone(), turn);
        value
    }

    /// Sets or removes the entry of a key if it is `current`, and returns the one before; it was changed if that is
    /// `current`.
    pub fn compare_exchange(
        &mut self,
        key: Bytes,
        current: Option<Bytes>,
        new: Option<Bytes>,
        turn: &mut Turn,
    ) -> Option<Bytes> {
        let before = self.entries.get(&key).cloned();
        if before == current {
            match new {
                Some(value) => self.entries.insert(key, value, turn),
                None => self.entries.remove(&key, turn),
            };
        }
        before
    }

    /// Combines the value of a key with `value` by the function of that name, or makes it `value`; returns what came of
    /// it.
    pub fn merge(&mut self, key: Bytes, value: Bytes, by: String, turn: &mut Turn) -> Result<Bytes, CombineError> {
        let merged = merged(self.entries.get(&key), value, &by)?;
        self.entries.insert(key, merged.clone(), turn);
        Ok(merged)
    }

    /// Merges all of these, or, if one cannot be, none.
    pub fn merge_all(&mut self, deltas: Vec<(Bytes, Bytes)>, by: String, turn: &mut Turn) -> Result<(), CombineError> {
        // What comes for one key is combined with it at once: one at a time would copy a large value for each.
        let mut by_key: BTreeMap<Bytes, (Bytes, Vec<Bytes>)> = BTreeMap::new();
        for (key, value) in deltas {
            match by_key.entry(key) {
                Entry::Occupied(entry) => entry.into_mut().1.push(value),
                Entry::Vacant(entry) => {
                    let begun = match self.entries.get(entry.key()) {
                        Some(there) => (there.clone(), vec![value]),
                        None => (value, Vec::new()),
                    };
                    entry.insert(begun);
                }
            }
        }
        let merged = by_key.into_iter().map(|(key, (there, come))| Ok((key, combine_all(&by, there, &come)?)));
        for (key, value) in merged.collect::<Result<Vec<_>, CombineError>>()? {
            self.entries.insert(key, value, turn);
        }
        Ok(())
    }

    /// Sets the values of keys; returns how many keys are new.
    pub fn extend(&mut self, entries: Vec<(Bytes, Bytes)>, turn: &mut Turn) -> u64 {
        let before = self.entries.len();
        for (key, value) in entries {
            self.entries.insert(key, value, turn);
        }
        self.entries.len() - before
    }

    /// Removes a key and returns its value.
    pub fn remove(&mut self, key: Bytes, turn: &mut Turn) -> Option<Bytes> {
        self.entries.remove(&key, turn)
    }

    /// Removes keys; returns how many were there.
    pub fn remove_many(&mut self, keys: Vec<Bytes>, turn: &mut Turn) -> u64 {
        keys.iter().filter(|key| self.entries.remove(key, turn).is_some()).count() as u64
    }

    /// Removes the keys of a range; returns how many there were.
    pub fn remove_range(&mut self, lower: Bound<Bytes>, upper: Bound<Bytes>, turn: &mut Turn) -> u64 {
        self.entries.remove_range((lower, upper), |_| false, turn)
    }

    /// Takes the entry at an end.
    pub fn pop(&mut self, from: ScanFrom, turn: &mut Turn) -> Option<(Bytes, Bytes)> {
        self.entries.pop(from, turn)
    }

    /// Removes all entries.
    pub fn clear(&mut self, turn: &mut Turn) {
        self.entries.clear(turn);
    }

    /// The value of a key.
    pub fn get(&self, key: Bytes) -> Option<Bytes> {
        self.entries.get(&key).cloned()
    }

    /// The values of the first of these keys, as many as fit a page, and one at least.
    pub fn get_many(&self, keys: Vec<Bytes>) -> Vec<Option<Bytes>> {
        let mut bytes = 0;
        let values = keys.iter().map(|key| self.entries.get(key).cloned()).enumerate().take_while(|(place, value)| {
            bytes += entry_bytes(0, value.as_ref().map_or(0, Bytes::len));
            *place == 0 || bytes <= SCAN_BYTES_MAX as usize
        });
        values.map(|(_, value)| value).collect()
    }

    /// Whether a key has a value.
    pub fn contains_key(&self, key: Bytes) -> bool {
        self.entries.contains_key(&key)
    }

    /// Whether a key has that value.
    pub fn contains_value(&self, value: Bytes) -> bool {
        self.entries.values().any(|there| *there == value)
    }

    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// How many keys of a range there are.
    pub fn count(&self, lower: Bound<Bytes>, upper: Bound<Bytes>) -> u64 {
        self.entries.count(&(lower, upper))
    }

    /// A page of the entries, as they are or as a snapshot has them.
    pub fn scan(&self, at: Option<WaiterId>, scan: Scan) -> Result<ScanPage<Bytes>, SnapshotGone> {
        self.entries.scan(at, &scan, Bytes::clone)
    }

    /// A page of the keys, as they are or as a snapshot has them.
    pub fn scan_keys(&self, at: Option<WaiterId>, scan: Scan) -> Result<ScanPage<()>, SnapshotGone> {
        self.entries.scan(at, &scan, |_| ())
    }

    /// Keeps the entries as they are for the caller.
    pub fn snapshot(&mut self, turn: &mut Turn) -> Result<SnapshotTaken, TooManySnapshots> {
        self.entries.snapshot(turn)
    }

    /// Gives a snapshot back.
    pub fn release(&mut self, grant: WaiterId) -> Result<(), SnapshotGone> {
        self.entries.release(grant)
    }

    fn grant_cancelled(&mut self, grant: WaiterId, _turn: &mut Turn) {
        // Any call may have been given up; most hold no snapshot.
        let _ = self.entries.release(grant);
    }

    fn owner_gone(&mut self, owner: Owner, _turn: &mut Turn) {
        self.entries.owner_gone(owner);
    }

    fn holders(&self) -> Vec<Holder> {
        self.entries.holders()
    }

    fn summary(&self) -> serde_json::Value {
        self.entries.summary(self.keys)
    }
}

fn merged(there: Option<&Bytes>, comes: Bytes, by: &str) -> Result<Bytes, CombineError> {
    match there {
        Some(there) => combine(by, there, &comes),
        // A wrong name is not to be found out only by the second who merges.
        None => combine::check(by).map(|()| comes),
    }
}
