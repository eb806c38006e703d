//! The object behind `Journal<T>`: entries that are appended, numbered, and read from any place.

use std::collections::VecDeque;

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::pages::page;
use crate::grants::WaitQueue;
use crate::ids::{Fence, Owner};
use crate::turn::Turn;
use crate::waiter::Waiter;

/// Entries of any type, encoded by their clients; use it through the client's `Journal<T>`.
#[object(name = "Journal")]
#[derive(Debug, Serialize, Deserialize)]
pub struct JournalObject {
    /// The fingerprint of the entries' type.
    shape: u64,
    /// The turn of the first append or wait, so that a reader of several pages sees that they are of one journal: one that
    /// is deleted and made anew is born later. `None`: it has had no entry, and nobody has waited for one.
    born: Option<Fence>,
    /// The index of the first entry that is kept.
    first: u64,
    entries: VecDeque<Bytes>,
    waiting: WaitQueue<Read, Wanted>,
    /// No call waits for an entry before this one.
    awaited_from: u64,
}

/// What a reader is told.
type Read = Result<JournalPage, JournalError>;

/// What a reader wants.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Wanted {
    from: u64,
    entries_max: usize,
    bytes_max: usize,
    born: Option<Fence>,
}

/// Entries that follow each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalPage {
    /// When the journal was born, for those who read on; `None` if nothing has happened to it.
    pub born: Option<Fence>,
    /// The index that the next appended entry will have.
    pub end: u64,
    /// The entries, from the index that was asked for.
    pub entries: Vec<Bytes>,
}

/// The entry has been trimmed: it is no longer kept. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("entry {index} has been trimmed, the journal begins at {first}")]
pub struct Trimmed {
    /// The index that was asked for.
    pub index: u64,
    /// The index of the first entry that is kept.
    pub first: u64,
}

/// Why entries were not read. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The entry is no longer kept.
    #[error(transparent)]
    Trimmed(#[from] Trimmed),
    /// The journal that the reader began with was deleted, and another made of its name: what the reader had not seen of the old
    /// one is lost, and the new one begins at 0. Whoever wants to read that begins with a new reader.
    #[error("the journal was deleted and made anew since its reader began: begin a new reader, at 0")]
    MadeAnew,
}

#[object]
impl JournalObject {
    /// An empty journal for entries of the type with that fingerprint.
    pub fn new(shape: u64) -> Self {
        Self {
            shape,
            born: None,
            first: 0,
            entries: VecDeque::new(),
            waiting: WaitQueue::default(),
            awaited_from: u64::MAX,
        }
    }

    /// Appends an entry and returns its index.
    pub fn append(&mut self, entry: Bytes, turn: &mut Turn) -> u64 {
        self.append_all(vec![entry], turn)
    }

    /// Appends entries, one behind the other, and returns the index of the first.
    pub fn append_all(&mut self, entries: Vec<Bytes>, turn: &mut Turn) -> u64 {
        self.born.get_or_insert_with(|| turn.fence());
        let index = self.end_index();
        self.entries.extend(entries);
        self.wake();
        index
    }

    /// The entries from that index on: at most so many, in at most so many bytes, but at least one if there is one.
    ///
    /// A reader that has read before says in `born` of what journal.
    pub fn read(
        &self,
        from: u64,
        entries_max: usize,
        bytes_max: usize,
        born: Option<Fence>,
    ) -> Result<JournalPage, JournalError> {
        self.page(Wanted { from, entries_max, bytes_max, born })
    }

    /// As `read`; waits until there is an entry at that index.
    pub fn read_when_there(
        &mut self,
        from: u64,
        entries_max: usize,
        bytes_max: usize,
        born: Option<Fence>,
        waiter: Waiter<Result<JournalPage, JournalError>>,
        turn: &mut Turn,
    ) {
        self.born.get_or_insert_with(|| turn.fence());
        let wanted = Wanted { from, entries_max, bytes_max, born };
        self.answer(waiter, wanted);
    }

    /// The index of the first entry that is kept, or of the next to be appended if none is.
    pub fn first_index(&self) -> u64 {
        self.first
    }

    /// The index that the next appended entry will have.
    pub fn end_index(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// How many entries are kept.
    pub fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops the entries before that index; returns how many.
    pub fn trim(&mut self, before: u64) -> u64 {
        let count = before.min(self.end_index()).saturating_sub(self.first);
        // There are no more entries than a `usize` can count.
        self.entries.drain(..usize::try_from(count).unwrap_or(self.entries.len()));
        self.first += count;
        count
    }

    fn page(&self, wanted: Wanted) -> Read {
        let Wanted { from, entries_max, bytes_max, .. } = wanted;
        if self.is_another(wanted) {
            return Err(JournalError::MadeAnew);
        }
        let (born, end) = (self.born, self.end_index());
        if entries_max == 0 || from >= end {
            return Ok(JournalPage { born, end, entries: Vec::new() });
        }
        let trimmed = Trimmed { index: from, first: self.first };
        let skipped = from.checked_sub(self.first).ok_or(trimmed)?;
        let skipped = usize::try_from(skipped).unwrap_or(self.entries.len());
        Ok(JournalPage { born, end, entries: page(self.entries.range(skipped..).take(entries_max), bytes_max) })
    }

    /// Answers those who wait for what is there now. Readers follow at the end, so mostly that is everybody.
    fn wake(&mut self) {
        if self.awaited_from < self.end_index() {
            self.awaited_from = u64::MAX;
            self.waiting.drain().for_each(|(waiter, wanted)| self.answer(waiter, wanted));
        }
    }

    /// Whether the reader has read of an earlier journal.
    fn is_another(&self, wanted: Wanted) -> bool {
        wanted.born.is_some() && wanted.born != self.born
    }

    /// Answers a reader, or lets it wait.
    fn answer(&mut self, waiter: Waiter<Read>, wanted: Wanted) {
        if wanted.from < self.end_index() || self.is_another(wanted) {
            return waiter.reply(self.page(wanted));
        }
        self.awaited_from = self.awaited_from.min(wanted.from);
        self.waiting.push(waiter, wanted);
    }

    /// An owner has ended: its calls have left the table already.
    fn owner_gone(&mut self, _owner: Owner) {
        self.waiting.forget_gone();
    }

    fn summary(&self) -> serde_json::Value {
        let bytes: usize = self.entries.iter().map(Bytes::len).sum();
        json!({
            "first": self.first,
            "end": self.end_index(),
            "entry_bytes": bytes,
            "waiting": self.waiting.len(),
        })
    }
}
