//! The object behind `Set<T>` and `OrderedSet<T>`: opaque elements.

use std::collections::BTreeSet;
use std::ops::Bound;

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};

use super::sorted::{KeyEncoding, Scan, ScanFrom, ScanPage, SnapshotGone, SnapshotTaken, Sorted, TooManySnapshots};
use crate::ids::{Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;

/// Elements of any type, encoded by its clients; use it through the client's `Set<T>` or `OrderedSet<T>`.
#[object(name = "Set")]
#[derive(Debug, Serialize, Deserialize)]
pub struct SetObject {
    /// How elements are encoded, and the fingerprint of their type: clients that differ in one do not meet.
    keys: KeyEncoding,
    shape: u64,
    elements: Sorted<()>,
}

#[object]
impl SetObject {
    /// An empty set for elements of the type with that fingerprint.
    pub fn new(keys: KeyEncoding, shape: u64) -> Self {
        Self { keys, shape, elements: Sorted::default() }
    }

    /// Adds an element; returns whether it is new.
    pub fn insert(&mut self, element: Bytes, turn: &mut Turn) -> bool {
        // What is there already changes nothing, and disturbs nobody who reads.
        !self.elements.contains_key(&element) && self.elements.insert(element, (), turn).is_none()
    }

    /// Adds elements; returns how many are new.
    pub fn extend(&mut self, elements: Vec<Bytes>, turn: &mut Turn) -> u64 {
        let before = self.elements.len();
        for element in elements {
            self.insert(element, turn);
        }
        self.elements.len() - before
    }

    /// Removes an element; returns whether it was there.
    pub fn remove(&mut self, element: Bytes, turn: &mut Turn) -> bool {
        self.elements.remove(&element, turn).is_some()
    }

    /// Removes elements; returns how many were there.
    pub fn remove_many(&mut self, elements: Vec<Bytes>, turn: &mut Turn) -> u64 {
        elements.iter().filter(|element| self.elements.remove(element, turn).is_some()).count() as u64
    }

    /// Removes the elements of a range; returns how many there were.
    pub fn remove_range(&mut self, lower: Bound<Bytes>, upper: Bound<Bytes>, turn: &mut Turn) -> u64 {
        self.elements.remove_range((lower, upper), |_| false, turn)
    }

    /// Removes the elements of a range but those listed; returns how many went.
    pub fn retain_all(
        &mut self,
        lower: Bound<Bytes>,
        upper: Bound<Bytes>,
        stay: BTreeSet<Bytes>,
        turn: &mut Turn,
    ) -> u64 {
        self.elements.remove_range((lower, upper), |element| stay.contains(element), turn)
    }

    /// Takes the element at an end.
    pub fn pop(&mut self, from: ScanFrom, turn: &mut Turn) -> Option<Bytes> {
        self.elements.pop(from, turn).map(|(element, ())| element)
    }

    /// Removes all elements.
    pub fn clear(&mut self, turn: &mut Turn) {
        self.elements.clear(turn);
    }

    /// Whether an element is there.
    pub fn contains(&self, element: Bytes) -> bool {
        self.elements.contains_key(&element)
    }

    /// Whether elements are there, in their order.
    pub fn contains_many(&self, elements: Vec<Bytes>) -> Vec<bool> {
        elements.iter().map(|element| self.elements.contains_key(element)).collect()
    }

    /// How many elements there are.
    pub fn len(&self) -> u64 {
        self.elements.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.elements.len() == 0
    }

    /// How many elements of a range there are.
    pub fn count(&self, lower: Bound<Bytes>, upper: Bound<Bytes>) -> u64 {
        self.elements.count(&(lower, upper))
    }

    /// A page of the elements, as they are or as a snapshot has them.
    pub fn scan(&self, at: Option<WaiterId>, scan: Scan) -> Result<ScanPage<()>, SnapshotGone> {
        self.elements.scan(at, &scan, |()| ())
    }

    /// Keeps the elements as they are for the caller.
    pub fn snapshot(&mut self, turn: &mut Turn) -> Result<SnapshotTaken, TooManySnapshots> {
        self.elements.snapshot(turn)
    }

    /// Gives a snapshot back.
    pub fn release(&mut self, grant: WaiterId) -> Result<(), SnapshotGone> {
        self.elements.release(grant)
    }

    fn grant_cancelled(&mut self, grant: WaiterId, _turn: &mut Turn) {
        // Any call may have been given up; most hold no snapshot.
        let _ = self.elements.release(grant);
    }

    fn owner_gone(&mut self, owner: Owner, _turn: &mut Turn) {
        self.elements.owner_gone(owner);
    }

    fn holders(&self) -> Vec<Holder> {
        self.elements.holders()
    }

    fn summary(&self) -> serde_json::Value {
        self.elements.summary(self.keys)
    }
}
