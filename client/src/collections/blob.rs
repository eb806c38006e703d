//! `Blob`: bytes, whole and by range.

use bytes::Bytes;
use greenroom_actors::objects::{BlobError, BlobObject, BlobObjectHandle, PAGE_BYTES, Place, Stage};
use greenroom_actors::{Error, ObjectHandle};
use greenroom_macros::twins;

use super::pieces::{Page, ReadError, read_whole};
use crate::face::face;

face! {
    /// Shared bytes, written and read whole or by range: a file that lives in memory and is never half written.
    ///
    /// **Guarantees.** Each call is linearizable, also one that writes more than a message may carry: that is sent in pieces of
    /// 1 MiB, which nobody sees, and takes its place at once when the last is there. A writer that gives up or dies before that
    /// has changed nothing, and what it had sent is dropped. A blob has at most 1 GiB.
    ///
    /// **Cost.** One round trip for each MiB that is written or read, and one more to write more than one.
    ///
    /// **Unlike a `std::fs::File`** it has no cursor: a call says where, as `read_at` and `write_at` of
    /// `std::os::unix::fs::FileExt` do. As with those, what is written behind the end leaves a gap of zeros, so that many can
    /// write their parts in any order; and reading at the end brings fewer bytes, or none.
    ///
    /// ```no_run
    /// use greenroom::collections::Blob;
    ///
    /// let image = Blob::named("image");
    /// let (row, width) = (7_u64, 1000_u64);
    /// image.write_at(row * width, &[255; 1000])?;
    /// assert_eq!(image.len()?, 8 * width);
    /// let bytes: Vec<u8> = image.read()?;
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Blob(BlobObject);
}

impl Blob {
    /// The blob of that key, made empty if it is not there.
    pub fn named(key: impl Into<String>) -> Self {
        Self::of(BlobObject::named(key))
    }
}

#[twins]
impl Blob {
    /// All bytes, as they are at one moment.
    ///
    /// If the blob is changed between two of the pages in which it is read, it is read anew in larger ones; so up to 16 MiB are
    /// always read, and more if the blob has a quiet moment.
    ///
    /// # Errors
    /// [`Error::Method`] with [`ReadError::Changing`] when it had none; and as every call's.
    pub async fn read(&self) -> Result<Vec<u8>, Error<ReadError>> {
        self.read_at_async(0, usize::MAX).await
    }

    /// Up to `length` bytes from `offset` on, as they are at one moment: fewer at the end of the blob, and none behind it.
    ///
    /// # Errors
    /// As [`read`](Self::read), for what is larger than a page.
    pub async fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>, Error<ReadError>> {
        read_whole(|from, bytes| self.page(offset, length, from, bytes)).await
    }

    /// Writes all bytes in the place of those that are there, at once.
    ///
    /// # Errors
    /// [`Error::Method`] with [`BlobError::TooLarge`] above 1 GiB, or with [`BlobError::StageGone`] when the session ended
    /// meanwhile; nothing was changed then. And as every call's.
    pub async fn write(&self, content: &[u8]) -> Result<(), Error<BlobError>> {
        self.put(content, Place::Whole).await.map(drop)
    }

    /// Writes bytes from `offset` on, at once; a gap before them is filled with zeros.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_at(&self, offset: u64, content: &[u8]) -> Result<(), Error<BlobError>> {
        self.put(content, Place::At(offset)).await.map(drop)
    }

    /// Adds bytes at the end, at once; returns the offset of the first.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn append(&self, content: &[u8]) -> Result<u64, Error<BlobError>> {
        self.put(content, Place::End).await
    }

    /// Keeps the first `length` bytes and drops the rest; as in `Vec`, more than there are changes nothing.
    ///
    /// # Errors
    /// As every call's.
    pub async fn truncate(&self, length: u64) -> Result<(), Error> {
        self.handle.truncate_async(length).await
    }

    /// How many bytes there are.
    ///
    /// # Errors
    /// As every call's.
    pub async fn len(&self) -> Result<u64, Error> {
        self.handle.len_async().await
    }

    /// Whether there is none.
    ///
    /// # Errors
    /// As every call's.
    pub async fn is_empty(&self) -> Result<bool, Error> {
        self.handle.is_empty_async().await
    }
}

impl Blob {
    /// The bytes of a range without the first `from`.
    async fn page(&self, offset: u64, length: usize, from: usize, bytes: usize) -> Result<Page<u8>, Error<ReadError>> {
        let (start, left) = (offset.saturating_add(from as u64), length.saturating_sub(from));
        let page = self.handle.page_async(start, bytes.min(left)).await.map_err(Error::widen)?;
        let read = from + page.content.len();
        let more = read < length && offset.saturating_add(read as u64) < page.length;
        Ok(Page { version: page.version, values: page.content.into(), more })
    }

    async fn put(&self, content: &[u8], place: Place) -> Result<u64, Error<BlobError>> {
        let mut pieces = content.chunks(PAGE_BYTES).map(Bytes::copy_from_slice);
        let first = pieces.next().unwrap_or_default();
        if pieces.len() == 0 {
            return self.handle.put_async(first, place).await;
        }
        let stage = self.handle.begin_async(first).await?;
        let mut staging = Staging { blob: &self.handle, stage, committed: false };
        for piece in pieces {
            self.handle.stage_async(stage, piece).await?;
        }
        let offset = self.handle.commit_async(stage, place).await?;
        staging.committed = true;
        Ok(offset)
    }
}

/// What has been sent, and is dropped if it is not committed.
struct Staging<'b> {
    blob: &'b BlobObjectHandle,
    stage: Stage,
    committed: bool,
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if !self.committed {
            // A blob that was deleted meanwhile is not made anew for it.
            self.blob.raw().clone().existing().cast("discard", &(self.stage,));
        }
    }
}
