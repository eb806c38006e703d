//! The object behind `Blob`: bytes, whole and by range.

use bytes::{Bytes, BytesMut};
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::pages::BULK_BYTES;
use crate::grants::Grants;
use crate::ids::{Fence, Owner, WaiterId};
use crate::object::Holder;
use crate::turn::Turn;

/// The largest blob, in bytes; also how much may be staged in one at a time.
pub const BLOB_BYTES_MAX: u64 = 1 << 30;

/// Bytes that are written whole or by range; use it through the client's `Blob`.
#[object(name = "Blob")]
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct BlobObject {
    /// The turn of the last change, so that a reader of several pages sees whether they belong together. It grows even when the
    /// object is deleted and made anew; one that was never changed is as its constructor made it, whichever it is.
    version: Fence,
    content: BytesMut,
    /// What writers have sent in pieces and not committed.
    staged: Grants<BytesMut>,
}

/// A piece of a blob, as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobPage {
    /// The blob's version: pages of one version are of one moment.
    pub version: Fence,
    /// How many bytes the blob has.
    pub length: u64,
    /// The bytes.
    pub content: Bytes,
}

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// In the place of all that is there.
    Whole,
    /// From that offset on; a gap before it is filled with zeros.
    At(u64),
    /// Behind all that is there.
    End,
}

/// Names what a writer stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The grant.
    pub grant: WaiterId,
    /// Grows with each grant of the blob.
    pub fence: Fence,
}

/// Why bytes were not written. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// The blob, or what is staged in it, would be larger than allowed.
    #[error("the blob would have {bytes} bytes, and at most {bytes_max} are allowed")]
    TooLarge {
        /// How large it would be.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// What was staged is gone: its owner has ended.
    #[error("what was staged as {0} is gone, since its owner has ended")]
    StageGone(Fence),
}

#[object]
impl BlobObject {
    /// Up to so many bytes from that offset on; fewer at the end, none behind it.
    pub fn page(&self, offset: u64, length: usize) -> BlobPage {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.content.len());
        let to = from.saturating_add(length.min(BULK_BYTES)).min(self.content.len());
        let content = Bytes::copy_from_slice(&self.content[from..to]);
        BlobPage { version: self.version, length: self.len(), content }
    }

    /// Writes bytes; returns the offset of the first.
    pub fn put(&mut self, content: Bytes, place: Place, turn: &mut Turn) -> Result<u64, BlobError> {
        let offset = match place {
            Place::Whole => 0,
            Place::At(offset) => offset,
            Place::End => self.len(),
        };
        check_size(offset.saturating_add(content.len() as u64))?;
        self.version = turn.fence();
        // It is within the limit now.
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        if place == Place::Whole {
            self.content = content.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            return Ok(0);
        }
        if content.is_empty() {
            // As in a file, it is the bytes that make a blob longer.
            return Ok(offset);
        }
        let to = from + content.len();
        if self.content.len() < from {
            self.content.resize(from, 0);
        }
        let over = to.min(self.content.len());
        let (inside, behind) = content.split_at(over - from);
        self.content[from..over].copy_from_slice(inside);
        self.content.extend_from_slice(behind);
        Ok(offset)
    }

    /// Keeps the first bytes and drops the rest.
    pub fn truncate(&mut self, length: u64, turn: &mut Turn) {
        self.version = turn.fence();
        self.content.truncate(usize::try_from(length).unwrap_or(usize::MAX));
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.content.len() as u64
    }

    /// Whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// Begins to stage what is to be written at once.
    pub fn begin(&mut self, piece: Bytes, turn: &mut Turn) -> Result<Stage, BlobError> {
        self.check_staged(&piece)?;
        let piece = piece.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let grant = turn.grant();
        let fence = self.staged.give(grant, turn.owner(), piece, turn);
        Ok(Stage { grant, fence })
    }

    /// Adds a piece to what is staged.
    pub fn stage(&mut self, stage: Stage, piece: Bytes) -> Result<(), BlobError> {
        self.check_staged(&piece)?;
        let staged = self.staged.get_mut(stage.grant).ok_or(BlobError::StageGone(stage.fence))?;
        staged.what.extend_from_slice(&piece);
        Ok(())
    }

    /// Writes what is staged, at once; returns the offset of the first byte.
    pub fn commit(&mut self, stage: Stage, place: Place, turn: &mut Turn) -> Result<u64, BlobError> {
        let staged = self.staged.take(stage.grant).ok_or(BlobError::StageGone(stage.fence))?;
        self.put(staged.what.freeze(), place, turn)
    }

    /// Drops what is staged.
    pub fn discard(&mut self, stage: Stage) {
        self.staged.take(stage.grant);
    }

    fn check_staged(&self, piece: &Bytes) -> Result<(), BlobError> {
        let staged: usize = self.staged.iter().map(|(_, grant)| grant.what.len()).sum();
        check_size((staged + piece.len()) as u64)
    }

    /// The caller gave up before it learned the name of its stage.
    fn grant_cancelled(&mut self, grant: WaiterId) {
        self.staged.take(grant);
    }

    /// An owner has ended: it will not commit what it has staged.
    fn owner_gone(&mut self, owner: Owner) {
        self.staged.take_all_of(owner);
    }

    fn holders(&self) -> Vec<Holder> {
        self.staged.holders(|staged| format!("{} staged bytes", staged.len()))
    }

    fn summary(&self) -> serde_json::Value {
        json!({ "length": self.content.len(), "version": self.version, "staged": self.staged.len() })
    }
}

fn check_size(bytes: u64) -> Result<(), BlobError> {
    if bytes > BLOB_BYTES_MAX { Err(BlobError::TooLarge { bytes, bytes_max: BLOB_BYTES_MAX }) } else { Ok(()) }
}
