//! Batches and chunks: how frames lie in the messages of a stream.
//!
//! A batch is a row of frames, each after its length (4 bytes, little endian). A frame above [`CHUNK_BYTES`] travels in
//! pieces, each a frame of its own of kind 0, so that it does not hold up the small ones.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_core::Stream;

use crate::proto::Batch;

/// A frame above this size is sent in pieces of this size.
pub const CHUNK_BYTES: usize = 64 << 10;
/// Frames that are worked on together: fewer would cost a system call each, more would leave the peer idle meanwhile.
pub const GATHER_FRAMES: usize = 64;
/// Large frames that may be on their way at once on one stream.
pub const TRANSFERS_MAX: usize = 64;

const KIND_CHUNK: u8 = 0;
const CHUNK_HEAD: usize = 6;

/// A stream whose bytes are not as agreed. Nothing after it can be trusted, so the stream is closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A batch ends inside a frame.
    #[error("a batch ends inside a frame")]
    Truncated,
    /// A frame is larger than the limit.
    #[error("a frame of more than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Too many large frames are on their way at once.
    #[error("more than {TRANSFERS_MAX} large frames are on their way at once")]
    TooManyTransfers,
}

/// Appends a frame, written by `encode`, with its length; returns how many bytes the frame has.
pub(crate) fn append(batch: &mut BytesMut, encode: impl FnOnce(&mut BytesMut)) -> usize {
    let start = batch.len();
    batch.put_u32_le(0);
    encode(batch);
    let length = batch.len() - start - 4;
    let prefix = u32::try_from(length).unwrap_or(u32::MAX);
    batch[start..start + 4].copy_from_slice(&prefix.to_le_bytes());
    length
}

/// Appends a piece of a large frame, with its length.
pub(crate) fn append_chunk(batch: &mut BytesMut, transfer: u32, last: bool, bytes: &[u8]) {
    append(batch, |out| {
        out.put_u8(KIND_CHUNK);
        out.put_u32_le(transfer);
        out.put_u8(u8::from(last));
        out.extend_from_slice(bytes);
    });
}

/// Takes batches apart, and puts large frames together.
#[derive(Debug)]
pub struct Inbox {
    frame_bytes_max: usize,
    transfers: HashMap<u32, BytesMut>,
}

impl Inbox {
    /// An inbox for frames of at most that many bytes.
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { frame_bytes_max, transfers: HashMap::new() }
    }

    /// Changes the limit: the two sides agree on it when they greet.
    pub fn set_frame_bytes_max(&mut self, frame_bytes_max: usize) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// Appends the frames that are complete with this batch to `out`. They are slices of `batch`, or put together.
    ///
    /// Memory is taken as bytes arrive, never as a length claims.
    ///
    /// # Errors
    /// When the batch is not as agreed; the frames before the fault are in `out`.
    pub fn take(&mut self, mut batch: Bytes, out: &mut Vec<Bytes>) -> Result<(), FrameError> {
        while !batch.is_empty() {
            if batch.len() < 4 {
                return Err(FrameError::Truncated);
            }
            let length = batch.get_u32_le() as usize;
            if length > self.frame_bytes_max + CHUNK_HEAD {
                return Err(FrameError::TooLarge { bytes_max: self.frame_bytes_max });
            }
            if length > batch.len() {
                return Err(FrameError::Truncated);
            }
            let frame = batch.split_to(length);
            if frame.first() == Some(&KIND_CHUNK) {
                self.take_chunk(frame, out)?;
            } else {
                out.push(frame);
            }
        }
        Ok(())
    }

    fn take_chunk(&mut self, mut frame: Bytes, out: &mut Vec<Bytes>) -> Result<(), FrameError> {
        if frame.len() < CHUNK_HEAD {
            return Err(FrameError::Truncated);
        }
        frame.advance(1);
        let transfer = frame.get_u32_le();
        let last = frame.get_u8() != 0;
        if !self.transfers.contains_key(&transfer) && self.transfers.len() >= TRANSFERS_MAX {
            return Err(FrameError::TooManyTransfers);
        }
        let whole = self.transfers.entry(transfer).or_default();
        if whole.len() + frame.len() > self.frame_bytes_max {
            return Err(FrameError::TooLarge { bytes_max: self.frame_bytes_max });
        }
        whole.extend_from_slice(&frame);
        if last && let Some(whole) = self.transfers.remove(&transfer) {
            out.push(whole.freeze());
        }
        Ok(())
    }
}

/// Receives what has come on a stream: waits for one batch, and takes those that are there already with it.
///
/// Returns whether the stream goes on, or the transport's error. What goes wrong after the first batch shows at the next call.
///
/// # Errors
/// The transport's, or that what came is not as agreed; frames before it are in `frames`.
pub async fn receive<E>(
    stream: &mut (impl Stream<Item = Result<Batch, E>> + Unpin),
    inbox: &mut Inbox,
    frames: &mut Vec<Bytes>,
) -> Result<bool, ReceiveError<E>> {
    let Some(first) = poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await else { return Ok(false) };
    inbox.take(first.map_err(ReceiveError::Transport)?.frames, frames)?;
    while frames.len() < GATHER_FRAMES {
        let ready = poll_fn(|context| Poll::Ready(Pin::new(&mut *stream).poll_next(context))).await;
        match ready {
            Poll::Ready(Some(Ok(batch))) => inbox.take(batch.frames, frames)?,
            Poll::Ready(Some(Err(error))) => return Err(ReceiveError::Transport(error)),
            Poll::Ready(None) => return Ok(false),
            Poll::Pending => break,
        }
    }
    Ok(true)
}

/// Why nothing more can be received.
#[derive(Debug)]
pub enum ReceiveError<E> {
    /// The connection broke.
    Transport(E),
    /// What came is not as agreed.
    Frame(FrameError),
}

impl<E> From<FrameError> for ReceiveError<E> {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}
