//! Entries sorted by their encoded keys, with pages and snapshots: what `Map` and `Set` are made of.
//!
//! A snapshot costs nothing when it is taken. While it is held, each change first notes in it what the entry was
//! before; the entries as they were are the entries of now, with these notes laid over them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::ops::Bound;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::Grants;
use crate::ids::{Fence, Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;

/// The most bytes of a page, unless one entry alone is larger.
pub const SCAN_BYTES_MAX: u32 = 1 << 20;
/// The most snapshots of one object that can be held at a time: each change is noted in all of them.
pub const SNAPSHOTS_MAX: usize = 16;
/// How many bytes the snapshots of one object may keep of what was changed since: beyond it the oldest ones end.
const SNAPSHOT_BYTES_MAX: u64 = 256 << 20;
/// What an entry counts for in a page besides its bytes, so that many small ones end a page too.
const ENTRY_OVERHEAD_BYTES: usize = 16;

/// How the keys of an object are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyEncoding {
    /// By postcard: short, in no order that means anything.
    Compact,
    /// So that encoded keys have the order of the keys.
    Ordered,
}

/// Which entries to read, and how many of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// Where the keys begin.
    pub lower: Bound<Bytes>,
    /// Where they end. Below `lower` there are none.
    pub upper: Bound<Bytes>,
    /// At which end to begin.
    pub from: ScanFrom,
    /// About how many bytes to bring, at most [`SCAN_BYTES_MAX`]; one entry is brought whatever its size.
    pub bytes_max: u32,
    /// How many entries to bring at most, from 1.
    pub count_max: u64,
}

/// An end of a range of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScanFrom {
    /// The smallest key first.
    First,
    /// The largest key first.
    Last,
}

/// A part of the entries, as they were at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanPage<W> {
    /// Keys and what was asked of their values, in the order of the scan.
    pub entries: Vec<(Bytes, W)>,
    /// Whether the scan has more behind these.
    pub more: bool,
    /// The last change of the object: equal in two pages if nothing was changed between them.
    pub changed: Fence,
}

/// A snapshot that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotTaken {
    /// Its name.
    pub grant: WaiterId,
    /// Its fence.
    pub fence: Fence,
    /// How many entries it has.
    pub len: u64,
}

/// The snapshot is not held: it was given back, its owner has ended, or what it kept had become too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotGone;

impl fmt::Display for SnapshotGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the snapshot is not held any more")
    }
}

impl std::error::Error for SnapshotGone {}

/// As many snapshots are held as can be. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TooManySnapshots;

impl fmt::Display for TooManySnapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{SNAPSHOTS_MAX} snapshots are held, which is the limit: try again later, or read without one by `iter`"
        )
    }
}

impl std::error::Error for TooManySnapshots {}

/// What a page carries of a value.
pub(crate) trait Part {
    /// Its size.
    fn bytes(&self) -> usize;
}

impl Part for Bytes {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl Part for () {
    fn bytes(&self) -> usize {
        0
    }
}

/// What an entry counts for in a page, or in a piece of a bulk call.
pub const fn entry_bytes(key_bytes: usize, value_bytes: usize) -> usize {
    ENTRY_OVERHEAD_BYTES + key_bytes + value_bytes
}

/// The entries.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "V: Serialize + DeserializeOwned")]
pub(crate) struct Sorted<V> {
    held: BTreeMap<Bytes, V>,
    /// The turn of the last change. It grows even when the object is deleted and made anew, so pages of two never pass
    /// for one's.
    changed: Fence,
    snapshots: Grants<Before<V>>,
}

/// What a snapshot remembers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "V: Serialize + DeserializeOwned")]
struct Before<V> {
    len: u64,
    /// What was changed since, as it was; `None` was not there, and is now.
    entries: BTreeMap<Bytes, Option<V>>,
    /// What these entries take, about.
    bytes: u64,
}

impl<V: Clone + Part> Before<V> {
    /// Keeps what an entry is, unless it was changed before.
    fn note(&mut self, key: &Bytes, value: Option<&V>) {
        if !self.entries.contains_key(key) {
            self.bytes += entry_bytes(key.len(), value.map_or(0, Part::bytes)) as u64;
            self.entries.insert(key.clone(), value.cloned());
        }
    }

    /// An entry is not there any more: one that was not there either is as it was.
    fn forget_new(&mut self, key: &Bytes) {
        if self.entries.get(key).is_some_and(Option::is_none) {
            self.entries.remove(key);
            self.bytes -= entry_bytes(key.len(), 0) as u64;
        }
    }
}

impl<V> Default for Sorted<V> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), changed: Fence(0), snapshots: Grants::default() }
    }
}

impl<V: Clone + Part> Sorted<V> {
    pub(crate) fn insert(&mut self, key: Bytes, value: V, turn: &Turn) -> Option<V> {
        self.note(&key, turn);
        self.held.insert(key, value)
    }

    pub(crate) fn remove(&mut self, key: &Bytes, turn: &Turn) -> Option<V> {
        if !self.held.contains_key(key) {
            return None;
        }
        self.note(key, turn);
        for before in self.snapshots.given_mut() {
            before.forget_new(key);
        }
        self.held.remove(key)
    }

    /// Takes the entry at an end.
    pub(crate) fn pop(&mut self, from: ScanFrom, turn: &Turn) -> Option<(Bytes, V)> {
        let (key, _) = match from {
            ScanFrom::First => self.held.first_key_value()?,
            ScanFrom::Last => self.held.last_key_value()?,
        };
        let key = key.clone();
        let value = self.remove(&key, turn)?;
        Some((key, value))
    }

    /// Removes what lies in the range and is not to stay; returns how many there were.
    pub(crate) fn remove_range(
        &mut self,
        range: (Bound<Bytes>, Bound<Bytes>),
        stays: impl Fn(&Bytes) -> bool,
        turn: &Turn,
    ) -> u64 {
        let goes: Vec<Bytes> = self.range(&range).map(|(key, _)| key.clone()).filter(|key| !stays(key)).collect();
        for key in &goes {
            self.remove(key, turn);
        }
        goes.len() as u64
    }

    pub(crate) fn clear(&mut self, turn: &Turn) {
        self.changed = turn.fence();
        let held = std::mem::take(&mut self.held);
        for before in self.snapshots.given_mut() {
            for (key, value) in &held {
                before.note(key, Some(value));
                before.forget_new(key);
            }
        }
        self.end_large_snapshots();
    }

    pub(crate) fn get(&self, key: &Bytes) -> Option<&V> {
        self.held.get(key)
    }

    pub(crate) fn contains_key(&self, key: &Bytes) -> bool {
        self.held.contains_key(key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.held.values()
    }

    pub(crate) fn len(&self) -> u64 {
        self.held.len() as u64
    }

    pub(crate) fn count(&self, range: &(Bound<Bytes>, Bound<Bytes>)) -> u64 {
        self.range(range).count() as u64
    }

    /// A part of the entries, as they are or as the snapshot `at` has them.
    pub(crate) fn scan<W: Part>(
        &self,
        at: Option<WaiterId>,
        scan: &Scan,
        part: impl Fn(&V) -> W,
    ) -> Result<ScanPage<W>, SnapshotGone> {
        let bytes_max = scan.bytes_max.min(SCAN_BYTES_MAX) as usize;
        let mut page = ScanPage { entries: Vec::new(), more: false, changed: self.changed };
        let mut bytes = 0;
        for (key, value) in self.view(at, scan)? {
            let value = part(value);
            bytes += entry_bytes(key.len(), value.bytes());
            let full = bytes > bytes_max || page.entries.len() as u64 >= scan.count_max;
            if full && !page.entries.is_empty() {
                page.more = true;
                break;
            }
            page.entries.push((key.clone(), value));
        }
        Ok(page)
    }

    /// Keeps the entries as they are now for the caller.
    pub(crate) fn snapshot(&mut self, turn: &Turn) -> Result<SnapshotTaken, TooManySnapshots> {
        if self.snapshots.len() >= SNAPSHOTS_MAX {
            return Err(TooManySnapshots);
        }
        let (grant, len) = (turn.grant(), self.len());
        let fence = self.snapshots.give(grant, turn.owner(), Before { len, entries: BTreeMap::new(), bytes: 0 }, turn);
        Ok(SnapshotTaken { grant, fence, len })
    }

    pub(crate) fn release(&mut self, grant: WaiterId) -> Result<(), SnapshotGone> {
        self.snapshots.take(grant).map(|_| ()).ok_or(SnapshotGone)
    }

    pub(crate) fn owner_gone(&mut self, owner: Owner) {
        self.snapshots.take_all_of(owner);
    }

    pub(crate) fn holders(&self) -> Vec<Holder> {
        self.snapshots.holders(|before| format!("snapshot of {} entries", before.len))
    }

    pub(crate) fn summary(&self, keys: KeyEncoding) -> serde_json::Value {
        let bytes: usize = self.held.iter().map(|(key, value)| key.len() + value.bytes()).sum();
        let noted: usize = self.snapshots.iter().map(|(_, grant)| grant.what.entries.len()).sum();
        let kept: u64 = self.snapshots.iter().map(|(_, grant)| grant.what.bytes).sum();
        json!({
            "entries": self.held.len(),
            "bytes": bytes,
            "ordered": keys == KeyEncoding::Ordered,
            "snapshots": self.snapshots.len(),
            "entries_kept_for_snapshots": noted,
            "bytes_kept_for_snapshots": kept,
        })
    }

    /// An entry is about to be changed: whoever holds a snapshot keeps what it is.
    fn note(&mut self, key: &Bytes, turn: &Turn) {
        self.changed = turn.fence();
        for before in self.snapshots.given_mut() {
            before.note(key, self.held.get(key));
        }
        self.end_large_snapshots();
    }

    /// Ends the oldest snapshots for as long as all together keep too much.
    fn end_large_snapshots(&mut self) {
        let mut bytes: u64 = self.snapshots.iter().map(|(_, grant)| grant.what.bytes).sum();
        while bytes > SNAPSHOT_BYTES_MAX {
            let oldest = self.snapshots.iter().next().map(|(grant, _)| grant);
            let Some(ended) = oldest.and_then(|grant| self.snapshots.take(grant)) else { return };
            bytes -= ended.what.bytes;
        }
    }

    fn range(&self, range: &(Bound<Bytes>, Bound<Bytes>)) -> impl Iterator<Item = (&Bytes, &V)> {
        in_range(&self.held, (&range.0, &range.1), ScanFrom::First)
    }

    fn view<'a>(&'a self, at: Option<WaiterId>, scan: &Scan) -> Result<Entries<'a, V>, SnapshotGone> {
        let range = (&scan.lower, &scan.upper);
        let now = in_range(&self.held, range, scan.from);
        let Some(at) = at else { return Ok(now) };
        let before = in_range(&self.snapshots.get(at).ok_or(SnapshotGone)?.what.entries, range, scan.from);
        Ok(Box::new(Overlaid { now: now.peekable(), before: before.peekable(), from: scan.from }))
    }
}

type Entries<'a, V> = Box<dyn Iterator<Item = (&'a Bytes, &'a V)> + 'a>;

/// The entries of a range, which may be an empty one, from one of its ends.
fn in_range<'a, V>(
    entries: &'a BTreeMap<Bytes, V>,
    (lower, upper): (&Bound<Bytes>, &Bound<Bytes>),
    from: ScanFrom,
) -> Entries<'a, V> {
    let backward = match (lower, upper) {
        (Bound::Excluded(lower), Bound::Excluded(upper)) => lower >= upper,
        (Bound::Included(lower) | Bound::Excluded(lower), Bound::Included(upper) | Bound::Excluded(upper)) => {
            lower > upper
        }
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    };
    // The range of a `BTreeMap` panics there.
    if backward {
        return Box::new(std::iter::empty());
    }
    let range = entries.range::<Bytes, _>((lower.as_ref(), upper.as_ref()));
    match from {
        ScanFrom::First => Box::new(range),
        ScanFrom::Last => Box::new(range.rev()),
    }
}

/// Entries as they were: those of now, with what was changed since laid over them.
struct Overlaid<'a, V> {
    now: Peekable<Entries<'a, V>>,
    before: Peekable<Entries<'a, Option<V>>>,
    from: ScanFrom,
}

impl<'a, V> Iterator for Overlaid<'a, V> {
    type Item = (&'a Bytes, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.now.peek(), self.before.peek()) {
                (Some((now, _)), Some((before, _))) => match self.from {
                    ScanFrom::First => now.cmp(before),
                    ScanFrom::Last => before.cmp(now),
                },
                (Some(_), None) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            match order {
                Ordering::Less => return self.now.next(),
                Ordering::Equal => drop(self.now.next()),
                Ordering::Greater => {}
            }
            if let (key, Some(value)) = self.before.next()? {
                return Some((key, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{CallId, LogIndex};
    use crate::turn::Stamp;

    fn turn(index: u64) -> Turn {
        let stamp = Stamp { index: LogIndex(index), now_ms: 0, seed: 0 };
        Turn::new(stamp, CallId::default(), Owner::Session(CallId::default().session))
    }

    fn noted(sorted: &Sorted<Bytes>) -> Vec<(usize, u64)> {
        sorted.snapshots.iter().map(|(_, grant)| (grant.what.entries.len(), grant.what.bytes)).collect()
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing_in_a_snapshot() {
        let mut sorted = Sorted::default();
        let (old, value) = (Bytes::from_static(b"old"), Bytes::from_static(b"value"));
        sorted.insert(old.clone(), value.clone(), &turn(1));
        sorted.snapshot(&turn(2)).expect("is taken");
        for index in 3..1_000_u64 {
            let key = Bytes::copy_from_slice(&index.to_le_bytes());
            sorted.insert(key.clone(), value.clone(), &turn(index));
            sorted.remove(&key, &turn(index));
        }
        assert_eq!(noted(&sorted), [(0, 0)]);
        sorted.insert(Bytes::from_static(b"new"), value.clone(), &turn(1_000));
        sorted.clear(&turn(1_001));
        sorted.insert(old.clone(), value.clone(), &turn(1_002));
        sorted.remove(&old, &turn(1_003));
        assert_eq!(noted(&sorted), [(1, entry_bytes(old.len(), value.len()) as u64)], "what was there is kept");
    }

    #[test]
    fn the_oldest_snapshots_end_when_they_keep_too_much() {
        let mut sorted = Sorted::default();
        let large = Bytes::from(vec![0; 64 << 20]);
        let key = |number: u8| Bytes::from(vec![number]);
        for number in 0..4 {
            sorted.insert(key(number), large.clone(), &turn(1));
        }
        let oldest = sorted.snapshot(&turn(2)).expect("is taken");
        for number in 0..3 {
            sorted.insert(key(number), large.clone(), &turn(3));
        }
        let next = sorted.snapshot(&turn(4)).expect("is taken");
        sorted.insert(key(0), large.clone(), &turn(5));
        assert_eq!(sorted.release(oldest.grant), Err(SnapshotGone));
        assert_eq!(sorted.release(next.grant), Ok(()));
        sorted.snapshot(&turn(6)).expect("is taken");
        sorted.clear(&turn(7));
        assert!(sorted.snapshots.is_empty(), "it kept all four");
    }
}
