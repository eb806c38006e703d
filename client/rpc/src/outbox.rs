//! The sending half of a stream: frames are written straight into the batch that leaves next.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;

use crate::framing::{self, CHUNK_BYTES, GATHER_FRAMES, TRANSFERS_MAX};
use crate::proto::Batch;

/// A batch is closed at about this size, and the next one begun.
const BATCH_BYTES: usize = 256 << 10;

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The stream is closed.
    #[error("the stream is closed")]
    Closed,
    /// The peer does not read: more than the limit waits to be sent, and the stream has been closed.
    #[error("the peer does not read what is sent")]
    Full,
    /// The frame is larger than the peer takes.
    #[error("a frame of {0} bytes is larger than the peer takes")]
    TooLarge(usize),
}

/// Frames that wait to be sent. Whatever is ready when the stream is polled leaves as one batch, without a timer.
#[derive(Debug)]
pub struct Outbox {
    state: Mutex<State>,
    queued_bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    frame_bytes_max: usize,
    tail: BytesMut,
    tail_frames: u32,
    full: VecDeque<Bytes>,
    full_bytes: usize,
    /// Large frames, each with its number and what is left of it; they take turns.
    large: VecDeque<(u32, Bytes)>,
    large_bytes: usize,
    piece_is_due: bool,
    next_transfer: u32,
    /// Frames that will probably follow at once: their callers have just been answered.
    expected: u32,
    waker: Option<Waker>,
    /// Who wants to know when the stream is closed.
    closing: Option<Waker>,
    closed: bool,
}

impl Outbox {
    /// An outbox for frames of at most `frame_bytes_max`, which closes when more than `queued_bytes_max` wait.
    pub fn new(frame_bytes_max: usize, queued_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { frame_bytes_max, ..State::default() }), queued_bytes_max })
    }

    /// Queues the frame that `encode` writes.
    ///
    /// # Errors
    /// When the stream is closed, its peer does not read, or the frame is too large: then it is not queued.
    pub fn push(&self, encode: impl FnOnce(&mut BytesMut)) -> Result<(), PushError> {
        let mut state = self.lock();
        if state.closed {
            return Err(PushError::Closed);
        }
        state.expected = state.expected.saturating_sub(1);
        let start = state.tail.len();
        let length = framing::append(&mut state.tail, encode);
        if length > state.frame_bytes_max {
            state.tail.truncate(start);
            return Err(PushError::TooLarge(length));
        }
        if length > CHUNK_BYTES {
            let frame = state.tail.split_off(start).freeze().slice(4..);
            let transfer = state.next_transfer;
            state.next_transfer = transfer.wrapping_add(1);
            state.large_bytes += length;
            state.large.push_back((transfer, frame));
        } else {
            state.tail_frames += 1;
            if state.tail.len() >= BATCH_BYTES || state.tail_frames as usize >= GATHER_FRAMES {
                state.tail_frames = 0;
                let batch = state.tail.split().freeze();
                state.full_bytes += batch.len();
                state.full.push_back(batch);
            }
        }
        if state.full_bytes + state.large_bytes > self.queued_bytes_max {
            state.closed = true;
        }
        let closing = if state.closed { state.closing.take() } else { None };
        let (closed, waker) = (state.closed, state.waker.take());
        drop(state);
        for waker in [waker, closing].into_iter().flatten() {
            waker.wake();
        }
        if closed { Err(PushError::Full) } else { Ok(()) }
    }

    /// That many callers have just been answered, and will probably call again at once: the next batch may wait for them.
    pub fn expect(&self, frames: usize) {
        self.lock().expected = u32::try_from(frames).unwrap_or(u32::MAX);
    }

    /// Lets what is queued leave, and then ends the stream.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let wakers = [state.waker.take(), state.closing.take()];
        drop(state);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    /// Changes the limit of a frame: the two sides agree on it when they greet.
    pub fn set_frame_bytes_max(&self, frame_bytes_max: usize) {
        self.lock().frame_bytes_max = frame_bytes_max;
    }

    /// Ready once the stream is closed, from either side. One task may wait for it.
    pub fn poll_closed(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.closed {
            return Poll::Ready(());
        }
        state.closing = Some(context.waker().clone());
        Poll::Pending
    }

    /// Whether the stream takes no more frames.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether everything has left.
    pub fn is_empty(&self) -> bool {
        let state = self.lock();
        state.tail.is_empty() && state.full.is_empty() && state.large.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<Batch> {
        // A piece goes with the open batch, or with every other full one alone: a message has a limit.
        self.piece_is_due = !self.piece_is_due;
        if (self.full.is_empty() || self.piece_is_due)
            && self.tail.len() < BATCH_BYTES
            && let Some((transfer, mut rest)) = self.large.pop_front()
        {
            let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
            self.large_bytes -= chunk.len();
            let last = rest.is_empty();
            if !last {
                // The peer takes only so many at once: those that have begun take turns, the others wait.
                let at = self.large.len().min(TRANSFERS_MAX - 1);
                self.large.insert(at, (transfer, rest));
            }
            if !self.full.is_empty() {
                // Alone, so that nothing overtakes the full batches.
                let mut frames = BytesMut::new();
                framing::append_chunk(&mut frames, transfer, last, &chunk);
                return Some(Batch { frames: frames.freeze() });
            }
            framing::append_chunk(&mut self.tail, transfer, last, &chunk);
            self.tail_frames = 0;
            return Some(Batch { frames: self.tail.split().freeze() });
        }
        if let Some(frames) = self.full.pop_front() {
            self.full_bytes -= frames.len();
            return Some(Batch { frames });
        }
        if self.tail.is_empty() {
            return None;
        }
        self.tail_frames = 0;
        Some(Batch { frames: self.tail.split().freeze() })
    }
}

/// The stream that empties an [`Outbox`].
#[derive(Debug)]
pub struct OutboxStream {
    outbox: Arc<Outbox>,
    /// Frames in the batch when the stream last stood back for those that are expected, and how often it did in vain.
    seen: u32,
    in_vain: u32,
}

/// How often the stream stands back without a new frame before it sends what there is.
const IN_VAIN_MAX: u32 = 32;

impl OutboxStream {
    /// The stream of that outbox.
    pub fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox, seen: 0, in_vain: 0 }
    }

    /// Whether to let other tasks go first, so that their frames leave with those that are there.
    ///
    /// Only frames that are expected are waited for, and only as long as they keep coming: nothing waits for a timer.
    fn stands_back(&mut self, state: &mut State) -> bool {
        if state.expected == 0 || state.tail_frames == 0 || !state.full.is_empty() {
            return false;
        }
        self.in_vain = if self.seen == state.tail_frames { self.in_vain + 1 } else { 0 };
        self.seen = state.tail_frames;
        if self.in_vain > IN_VAIN_MAX {
            state.expected = 0;
        }
        state.expected > 0
    }

    fn poll_batch(&mut self, context: &Context<'_>) -> Poll<Option<Batch>> {
        let outbox = Arc::clone(&self.outbox);
        let mut state = outbox.lock();
        if self.stands_back(&mut state) {
            drop(state);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        (self.seen, self.in_vain) = (0, 0);
        if let Some(batch) = state.next() {
            return Poll::Ready(Some(batch));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        if state.waker.as_ref().is_none_or(|waker| !waker.will_wake(context.waker())) {
            state.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Stream for OutboxStream {
    type Item = Batch;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Batch>> {
        self.poll_batch(context)
    }
}

impl Drop for OutboxStream {
    fn drop(&mut self) {
        self.outbox.close();
    }
}
