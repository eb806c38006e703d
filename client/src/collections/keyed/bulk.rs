//! Bulk calls in pieces of about 1 MiB, so that any number of entries can be sent.

use std::iter::Peekable;

use bytes::Bytes;
use greenroom_actors::Error;
use greenroom_actors::objects::{SCAN_BYTES_MAX, entry_bytes};

/// What a piece is made of.
pub(super) trait Item {
    fn bytes(&self) -> usize;
}

impl Item for Bytes {
    fn bytes(&self) -> usize {
        entry_bytes(self.len(), 0)
    }
}

impl Item for (Bytes, Bytes) {
    fn bytes(&self) -> usize {
        entry_bytes(self.0.len(), self.1.len())
    }
}

/// Items on their way, cut into pieces: of about 1 MiB, or of one item that is larger.
pub(super) struct Pieces<I: Iterator> {
    items: Peekable<I>,
}

impl<T: Item, I: Iterator<Item = Result<T, Error>>> Pieces<I> {
    pub(super) fn of(items: I) -> Self {
        Self { items: items.peekable() }
    }

    /// Whether no piece is left.
    pub(super) fn is_done(&mut self) -> bool {
        self.items.peek().is_none()
    }

    /// The next piece; an empty one is the end.
    pub(super) fn next(&mut self) -> Result<Vec<T>, Error> {
        let (mut piece, mut bytes) = (Vec::new(), 0);
        while let Some(item) = self.items.next_if(|item| {
            bytes += item.as_ref().map_or(0, Item::bytes);
            piece.is_empty() || bytes <= SCAN_BYTES_MAX as usize
        }) {
            piece.push(item?);
        }
        Ok(piece)
    }
}
