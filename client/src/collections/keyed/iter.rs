//! Iteration over what an object has, in pages.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::iter::FusedIterator;
use std::ops::Bound;
use std::pin::Pin;

use bytes::Bytes;
use greenroom_actors::objects::{SCAN_BYTES_MAX, Scan, ScanFrom, ScanPage};
use greenroom_actors::{Error, Fence, RawHandle};

/// How a page is fetched; a page of keys has empty values.
pub(super) type Fetch = Box<dyn Fn(Scan) -> PageFuture + Send + Sync>;
pub(super) type PageFuture = Pin<Box<dyn Future<Output = Result<ScanPage<Bytes>, Error>> + Send>>;
/// How an entry becomes what the iterator yields.
type Decode<T> = fn(&RawHandle, Bytes, Bytes) -> Result<T, Error>;

/// The first page of a range, whose end is often all that is wanted of it; each further page is larger.
const FIRST_PAGE_BYTES: u32 = 4096;
const GROWTH: u32 = 8;

/// What a shared map or set has, brought in pages of up to 1 MiB as the iterator gets to them, from either end.
///
/// Each page is one round trip, and is as the object is at that moment. Over an object that others change meanwhile, a
/// key that is there throughout is seen exactly once; one that comes or goes may be seen or not, and a value may be
/// from before or after a change. What fits one page (all of a small map) is seen as it is at one moment; a
/// [snapshot](super::KeyedMap::snapshot) is that for any size. Reading takes nothing from the object and leaves nothing
/// behind in it, so an iterator may be kept, or dropped, at any time.
///
/// As an `Iterator` it blocks; [`next_async`](Self::next_async) does not. After an error it is at its end.
pub struct KeyedIter<T> {
    object: RawHandle,
    fetch: Fetch,
    decode: Decode<T>,
    /// What has not been fetched.
    lower: Bound<Bytes>,
    upper: Bound<Bytes>,
    /// Whether nothing is left to be fetched.
    fetched: bool,
    front: VecDeque<(Bytes, Bytes)>,
    /// From the last one on.
    back: VecDeque<(Bytes, Bytes)>,
    page_bytes: u32,
    count_max: u64,
    /// Why there is nothing to iterate over.
    failed: Option<Error>,
    /// The object's last change before each page.
    changes: Changes,
}

/// Whether the pages that were fetched are of one moment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Changes {
    NoPage,
    AllOf(Fence),
    Several,
}

impl<T> KeyedIter<T> {
    /// Over the entries between those bounds, if they could be encoded.
    pub(super) fn over(
        object: RawHandle,
        fetch: Fetch,
        decode: Decode<T>,
        range: Result<(Bound<Bytes>, Bound<Bytes>), Error>,
    ) -> Self {
        let (bounds, failed) = match range {
            Ok(bounds) => (bounds, None),
            Err(error) => ((Bound::Unbounded, Bound::Unbounded), Some(error)),
        };
        let (lower, upper) = bounds;
        Self {
            object,
            fetch,
            decode,
            lower,
            upper,
            fetched: false,
            front: VecDeque::new(),
            back: VecDeque::new(),
            page_bytes: FIRST_PAGE_BYTES,
            count_max: u64::MAX,
            failed,
            changes: Changes::NoPage,
        }
    }

    /// Over everything, in pages that are large from the start.
    pub(super) fn over_all(object: RawHandle, fetch: Fetch, decode: Decode<T>) -> Self {
        let all = Ok((Bound::Unbounded, Bound::Unbounded));
        Self { page_bytes: SCAN_BYTES_MAX, ..Self::over(object, fetch, decode, all) }
    }

    /// The next item; `None` at the end.
    pub async fn next_async(&mut self) -> Option<Result<T, Error>> {
        self.advance(ScanFrom::First).await
    }

    /// The next item from the other end; `None` when the two have met.
    pub async fn next_back_async(&mut self) -> Option<Result<T, Error>> {
        self.advance(ScanFrom::Last).await
    }

    /// The first `count` items from one end.
    pub(super) async fn take_from(&mut self, from: ScanFrom, count: usize) -> Result<Vec<T>, Error> {
        let mut taken = Vec::new();
        while taken.len() < count {
            self.count_max = (count - taken.len()) as u64;
            let Some(item) = self.advance(from).await else { break };
            taken.push(item?);
        }
        Ok(taken)
    }

    /// All items, if the object was not changed while they were fetched.
    pub(super) async fn of_one_moment<C: Default + Extend<T>>(mut self) -> Result<Option<C>, Error> {
        let mut all = C::default();
        while let Some(item) = self.next_async().await {
            if self.changes == Changes::Several {
                return Ok(None);
            }
            all.extend([item?]);
        }
        // The last page may have been an empty one.
        Ok((self.changes != Changes::Several).then_some(all))
    }

    /// All items.
    pub(super) async fn all<C: Default + Extend<T>>(mut self) -> Result<C, Error> {
        let mut all = C::default();
        while let Some(item) = self.next_async().await {
            all.extend([item?]);
        }
        Ok(all)
    }

    async fn advance(&mut self, from: ScanFrom) -> Option<Result<T, Error>> {
        loop {
            if let Some(item) = self.take(from) {
                return Some(item);
            }
            if self.fetched {
                return None;
            }
            if let Err(error) = self.fetch(from).await {
                return Some(Err(self.fail(error)));
            }
        }
    }

    /// What has been fetched and comes next from that end.
    fn take(&mut self, from: ScanFrom) -> Option<Result<T, Error>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(self.fail(error)));
        }
        let (near, far) = match from {
            ScanFrom::First => (&mut self.front, &mut self.back),
            ScanFrom::Last => (&mut self.back, &mut self.front),
        };
        // Once all is fetched, what is left was fetched from the other end.
        let (key, value) = near.pop_front().or_else(|| if self.fetched { far.pop_back() } else { None })?;
        let item = (self.decode)(&self.object, key, value);
        Some(item.map_err(|error| self.fail(error)))
    }

    /// Fetches a page. Dropping the future loses nothing.
    async fn fetch(&mut self, from: ScanFrom) -> Result<(), Error> {
        let scan = Scan {
            lower: self.lower.clone(),
            upper: self.upper.clone(),
            from,
            bytes_max: self.page_bytes,
            count_max: self.count_max,
        };
        let page = (self.fetch)(scan).await?;
        self.page_bytes = self.page_bytes.saturating_mul(GROWTH).min(SCAN_BYTES_MAX);
        self.changes = match self.changes {
            Changes::NoPage => Changes::AllOf(page.changed),
            Changes::AllOf(changed) if changed == page.changed => self.changes,
            Changes::AllOf(_) | Changes::Several => Changes::Several,
        };
        self.fetched = !page.more;
        if let Some((key, _)) = page.entries.last() {
            let rest = Bound::Excluded(key.clone());
            match from {
                ScanFrom::First => self.lower = rest,
                ScanFrom::Last => self.upper = rest,
            }
        }
        match from {
            ScanFrom::First => self.front.extend(page.entries),
            ScanFrom::Last => self.back.extend(page.entries),
        }
        Ok(())
    }

    /// Ends the iteration, so that a loop over the items that goes on after an error comes to an end.
    fn fail(&mut self, error: Error) -> Error {
        self.fetched = true;
        self.front.clear();
        self.back.clear();
        error
    }

    /// The next item, which this thread waits for if it has to be fetched.
    fn wait(&mut self, from: ScanFrom) -> Option<Result<T, Error>> {
        if let Some(item) = self.take(from) {
            return Some(item);
        }
        if self.fetched {
            return None;
        }
        let object = self.object.clone();
        match object.wait(async { self.advance(from).await.transpose() }) {
            Ok(item) => item.map(Ok),
            Err(error) => Some(Err(self.fail(error))),
        }
    }
}

impl<T> Iterator for KeyedIter<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.wait(ScanFrom::First)
    }
}

impl<T> DoubleEndedIterator for KeyedIter<T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.wait(ScanFrom::Last)
    }
}

impl<T> FusedIterator for KeyedIter<T> {}

impl<T> fmt::Debug for KeyedIter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedIter").field("object", &self.object).finish_non_exhaustive()
    }
}
