//! `Journal<T>`: entries that are appended, numbered, and read from any place.

use std::time::Duration;

use greenroom_actors::objects::{JournalError, JournalObject, JournalPage, PAGE_BYTES};
use greenroom_actors::{Error, Fence};
use greenroom_macros::twins;

use super::pieces::{bulks, encode_all};
use crate::face::face;
use crate::value::{Value, decode, encode, shape};

/// How much a waiting reader is brought at most: one append may wake very many readers at once.
const WAKE_BYTES: usize = 64 << 10;

face! {
    /// A shared log: entries are appended at its end, and any number of readers read them, each at its own pace.
    ///
    /// **Guarantees.** Each call is linearizable. Entries are numbered from 0 in the order of their arrival and never change;
    /// nothing is lost to a slow reader until somebody calls [`trim`](Self::trim), which is the only way to shorten a journal.
    /// Readers leave no trace: whoever wants to go on later keeps the index.
    ///
    /// A journal that is deleted takes its entries with it, and a new one of the name begins at 0. Whoever waits in the old one is
    /// told ([`Error::ObjectLost`]), and a reader that has read of the old one is told as soon as it reads on
    /// ([`JournalError::MadeAnew`]): it never goes on silently in another journal. An index that was kept from before knows no
    /// journal, so keep it no longer than the journal.
    ///
    /// **Cost.** Each call is one round trip and carries the entries once. A reader that [follows](Self::follow) waits in the
    /// object, at no cost of a thread there, and gets what was appended with the reply; it does not poll.
    ///
    /// There is nothing like it in std; it is what a topic of one partition is in Kafka, for the life of a job.
    ///
    /// ```no_run
    /// use greenroom::collections::Journal;
    ///
    /// let events = Journal::named("events");
    /// let index = events.append("started".to_owned())?;
    /// for event in events.follow(index) {
    ///     println!("{}", event?); // … and waits for the next
    /// }
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Journal<T>(JournalObject);
}

impl<T: Value> Journal<T> {
    /// The journal of that key, made empty if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(JournalObject::named(key, shape::<T>()))
    }

    /// The entries from the index `from` to the end, brought in pages of about 1 MiB as they are needed.
    ///
    /// Since entries never change, it sees each once and in order; it ends where the journal ended when its last page was read.
    /// If the journal is made anew between two pages, the second is [`JournalError::MadeAnew`].
    pub fn iter(&self, from: u64) -> JournalIter<T> {
        JournalIter { reader: Reader::new(self, from), ended: false }
    }

    /// The entries from the index `from` on, without end: at the end it waits for the next.
    ///
    /// One round trip for each batch, of up to 1 MiB, or up to 64 KiB when it had to wait. With
    /// [`with_timeout`](Self::with_timeout) it says [`Error::TimedOut`] when nothing came for so long, and can go on.
    pub fn follow(&self, from: u64) -> Follow<T> {
        Follow { reader: Reader::new(self, from) }
    }
}

#[twins]
impl<T: Value> Journal<T> {
    /// Appends an entry and returns its index.
    ///
    /// # Errors
    /// As every call's.
    pub async fn append(&self, entry: T) -> Result<u64, Error> {
        self.handle.append_async(encode(&entry, self.object())?).await
    }

    /// Appends entries and returns the index of the first, or of the next to come if there is none.
    ///
    /// One call, and the entries follow each other without a gap, up to 16 MiB of encoded entries; more than that goes in
    /// several calls, between which others may append theirs.
    ///
    /// # Errors
    /// As every call's; of several calls, those before the one that failed stay applied.
    pub async fn append_all(&self, entries: impl IntoIterator<Item = T>) -> Result<u64, Error> {
        let mut first = None;
        for bulk in bulks(encode_all::<T, _>(entries, self.object())?) {
            let index = self.handle.append_all_async(bulk).await?;
            first = first.or(Some(index));
        }
        match first {
            Some(index) => Ok(index),
            None => self.end_index_async().await,
        }
    }

    /// The entries from the index `from` on: at most `max`, and about 1 MiB; none if the journal ends before it.
    ///
    /// # Errors
    /// [`Error::Method`] with [`JournalError::Trimmed`] when that entry is no longer kept; and as every call's.
    pub async fn read_from(&self, from: u64, max: usize) -> Result<Vec<T>, Error<JournalError>> {
        let page = self.handle.read_async(from, max, PAGE_BYTES, None).await?;
        self.entries(&page).map_err(Error::widen)
    }

    /// Waits until the entry of that index, or one behind it, has been appended; returns the end of the journal.
    ///
    /// It does not ask whether the entry is still kept. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`Error::ObjectLost`] when the journal is deleted meanwhile; [`Error::TimedOut`] at the end of the handle's timeout, if it has one; and as every call's.
    pub async fn wait_for(&self, index: u64) -> Result<u64, Error> {
        let page = self.handle.read_when_there_async(index, 0, 0, None).await?;
        Ok(page.end)
    }

    /// As [`wait_for`](Self::wait_for), at most that long.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when the entry was not there in time; and as every call's.
    pub async fn wait_for_timeout(&self, index: u64, timeout: Duration) -> Result<u64, Error> {
        self.with_timeout(timeout).wait_for_async(index).await
    }

    /// The index of the first entry that is kept; the end of the journal if none is.
    ///
    /// # Errors
    /// As every call's.
    pub async fn first_index(&self) -> Result<u64, Error> {
        self.handle.first_index_async().await
    }

    /// The end of the journal: the index that the next appended entry will have.
    ///
    /// # Errors
    /// As every call's.
    pub async fn end_index(&self) -> Result<u64, Error> {
        self.handle.end_index_async().await
    }

    /// How many entries are kept.
    ///
    /// # Errors
    /// As every call's.
    pub async fn len(&self) -> Result<u64, Error> {
        self.handle.len_async().await
    }

    /// Whether no entry is kept.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        self.handle.is_empty_async().await
    }

    /// Drops the entries before the index `before`, all of them if the journal ends there or earlier; returns how many.
    ///
    /// The others keep their indices.
    ///
    /// # Errors
    /// As every call's.
    pub async fn trim(&self, before: u64) -> Result<u64, Error> {
        self.handle.trim_async(before).await
    }
}

impl<T: Value> Journal<T> {
    fn entries(&self, page: &JournalPage) -> Result<Vec<T>, Error> {
        page.entries.iter().map(|entry| decode(entry, self.object())).collect()
    }
}

/// A place in a journal, and what was brought from there.
#[derive(Debug)]
struct Reader<T> {
    journal: Journal<T>,
    page: std::vec::IntoIter<T>,
    /// The index of the next entry of the page, or of the first behind it.
    next: u64,
    /// The end of the journal, as it was last heard.
    end: u64,
    /// Which of the journals that had this name it is.
    born: Option<Fence>,
}

impl<T: Value> Reader<T> {
    fn new(journal: &Journal<T>, from: u64) -> Self {
        // It is not known where the journal ends, only that nothing behind it was heard of.
        Self { journal: journal.clone(), page: Vec::new().into_iter(), next: from, end: u64::MAX, born: None }
    }

    fn take(&mut self) -> Option<T> {
        let entry = self.page.next()?;
        self.next += 1;
        Some(entry)
    }

    /// Brings the next page; it is empty at the end of the journal.
    async fn turn_page(&mut self) -> Result<(), Error<JournalError>> {
        let page = self.journal.handle.read_async(self.next, usize::MAX, PAGE_BYTES, self.born).await?;
        self.accept(page)
    }

    /// Brings the next page, and waits for it at the end of the journal.
    async fn turn_page_when_there(&mut self) -> Result<(), Error<JournalError>> {
        if self.next < self.end {
            self.turn_page().await?;
            if self.page.len() > 0 {
                return Ok(());
            }
        }
        let waiting = self.journal.handle.read_when_there_async(self.next, usize::MAX, WAKE_BYTES, self.born);
        let page = waiting.await?;
        self.accept(page)
    }

    fn accept(&mut self, page: JournalPage) -> Result<(), Error<JournalError>> {
        self.page = self.journal.entries(&page).map_err(Error::widen)?.into_iter();
        (self.end, self.born) = (page.end, page.born);
        Ok(())
    }
}

/// The entries of a [`Journal`] to its end; see [`Journal::iter`]. After an error it ends.
#[derive(Debug)]
pub struct JournalIter<T> {
    reader: Reader<T>,
    ended: bool,
}

impl<T: Value> JournalIter<T> {
    /// The next entry, for async code. Dropping the future skips nothing.
    pub async fn next_async(&mut self) -> Option<Result<T, Error<JournalError>>> {
        if self.needs_page() {
            let turned = self.reader.turn_page().await;
            return self.after(turned);
        }
        self.reader.take().map(Ok)
    }

    /// The index of the next entry.
    pub fn index(&self) -> u64 {
        self.reader.next
    }

    fn needs_page(&self) -> bool {
        self.reader.page.len() == 0 && !self.ended
    }

    fn after(&mut self, turned: Result<(), Error<JournalError>>) -> Option<Result<T, Error<JournalError>>> {
        if let Err(error) = turned {
            self.ended = true;
            return Some(Err(error));
        }
        self.ended = self.reader.next + self.reader.page.len() as u64 >= self.reader.end;
        self.reader.take().map(Ok)
    }
}

impl<T: Value> Iterator for JournalIter<T> {
    type Item = Result<T, Error<JournalError>>;

    /// Blocks while a page is brought; [`next_async`](Self::next_async) does not.
    fn next(&mut self) -> Option<Result<T, Error<JournalError>>> {
        if self.needs_page() {
            let raw = self.reader.journal.object().clone();
            let turned = raw.wait(self.reader.turn_page());
            return self.after(turned);
        }
        self.reader.take().map(Ok)
    }
}

/// The entries of a [`Journal`] without end; see [`Journal::follow`].
///
/// After an error it can go on: it tries again from the same entry. Only of a journal that was made anew it never tells anything
/// but that.
#[derive(Debug)]
pub struct Follow<T> {
    reader: Reader<T>,
}

impl<T: Value> Follow<T> {
    /// The next entry, for async code. Dropping the future skips nothing.
    ///
    /// # Errors
    /// [`Error::Method`] with [`JournalError::Trimmed`] when that entry is no longer kept, or with [`JournalError::MadeAnew`] when
    /// the journal is another one than before; [`Error::ObjectLost`] when it is deleted while this waits; [`Error::TimedOut`] at
    /// the end of the handle's timeout, if it has one; and as every call's.
    pub async fn next_async(&mut self) -> Result<T, Error<JournalError>> {
        loop {
            if let Some(entry) = self.reader.take() {
                return Ok(entry);
            }
            self.reader.turn_page_when_there().await?;
        }
    }

    /// The index of the next entry: a later [`follow`](Journal::follow) from there goes on.
    pub fn index(&self) -> u64 {
        self.reader.next
    }
}

impl<T: Value> Iterator for Follow<T> {
    type Item = Result<T, Error<JournalError>>;

    /// Blocks until there is an entry; never `None`.
    fn next(&mut self) -> Option<Result<T, Error<JournalError>>> {
        if let Some(entry) = self.reader.take() {
            return Some(Ok(entry));
        }
        let raw = self.reader.journal.object().clone();
        Some(raw.wait(self.next_async()))
    }
}
