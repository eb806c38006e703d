//! The sending half of a stream: frames are written straight into the batch that leaves next.

use std::collections::{HashMap, VecDeque};
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

/// A body of that size is shared instead of copied, once half of what may wait does: one value for many callers is one then.
const SHARED_FROM_BYTES: usize = 1 << 10;
/// What a large frame takes beside its bytes, about.
const LARGE_BYTES: usize = 128;

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
    /// Large frames, which take turns.
    large: VecDeque<Large>,
    large_bytes: usize,
    /// How many of them have a body, by its place in memory and its length: it counts once.
    bodies: HashMap<(usize, usize), u32>,
    piece_is_due: bool,
    next_transfer: u32,
    /// Frames that will probably follow at once: their callers have just been answered.
    expected: u32,
    waker: Option<Waker>,
    /// Who wants to know when the stream is closed.
    closing: Option<Waker>,
    closed: bool,
}

/// A large frame, or what is left of it.
#[derive(Debug)]
struct Large {
    transfer: u32,
    head: Bytes,
    body: Bytes,
    counted_as: (usize, usize),
}

impl Large {
    /// The next piece, and whether it is the last one.
    fn piece(&mut self) -> (Bytes, bool) {
        let piece = if self.head.is_empty() {
            self.body.split_to(self.body.len().min(CHUNK_BYTES))
        } else {
            let mut piece = BytesMut::from(&*self.head);
            self.head.clear();
            piece.extend_from_slice(&self.body.split_to(self.body.len().min(CHUNK_BYTES.saturating_sub(piece.len()))));
            piece.freeze()
        };
        (piece, self.body.is_empty())
    }
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
            state.push_large(Bytes::new(), frame);
        } else {
            state.tail_frames += 1;
            if state.tail.len() >= BATCH_BYTES || state.tail_frames as usize >= GATHER_FRAMES {
                state.tail_frames = 0;
                let batch = state.tail.split().freeze();
                state.full_bytes += batch.len();
                state.full.push_back(batch);
            }
        }
        self.finish(state)
    }

    /// Queues the frame that `encode_head` begins and `body` ends; many frames with one large body hold it once.
    ///
    /// # Errors
    /// As [`push`](Self::push)'s.
    pub fn push_with_body(&self, encode_head: impl FnOnce(&mut BytesMut), body: &Bytes) -> Result<(), PushError> {
        let mut state = self.lock();
        let is_filling = state.full_bytes + state.large_bytes > self.queued_bytes_max / 2;
        if body.len() < CHUNK_BYTES && !(is_filling && body.len() >= SHARED_FROM_BYTES) {
            drop(state);
            return self.push(|out| {
                encode_head(out);
                out.extend_from_slice(body);
            });
        }
        if state.closed {
            return Err(PushError::Closed);
        }
        let mut head = BytesMut::new();
        encode_head(&mut head);
        let length = head.len() + body.len();
        if length > state.frame_bytes_max {
            return Err(PushError::TooLarge(length));
        }
        state.expected = state.expected.saturating_sub(1);
        state.push_large(head.freeze(), body.clone());
        self.finish(state)
    }

    /// Wakes whom a new frame concerns, and closes the stream of a peer that does not read.
    fn finish(&self, mut state: MutexGuard<'_, State>) -> Result<(), PushError> {
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
    fn push_large(&mut self, head: Bytes, body: Bytes) {
        let transfer = self.next_transfer;
        self.next_transfer = transfer.wrapping_add(1);
        let counted_as = (body.as_ptr() as usize, body.len());
        let sharing = self.bodies.entry(counted_as).or_default();
        self.large_bytes += LARGE_BYTES + if *sharing == 0 { body.len() } else { 0 };
        *sharing += 1;
        self.large.push_back(Large { transfer, head, body, counted_as });
    }

    /// A large frame has left as a whole.
    fn forget_large(&mut self, counted_as: (usize, usize)) {
        self.large_bytes -= LARGE_BYTES;
        let Some(sharing) = self.bodies.get_mut(&counted_as) else { return };
        *sharing -= 1;
        if *sharing == 0 {
            self.bodies.remove(&counted_as);
            self.large_bytes -= counted_as.1;
        }
    }

    fn next(&mut self) -> Option<Batch> {
        // A piece goes with the open batch, or with every other full one alone: a message has a limit.
        self.piece_is_due = !self.piece_is_due;
        if (self.full.is_empty() || self.piece_is_due)
            && self.tail.len() < BATCH_BYTES
            && let Some(mut frame) = self.large.pop_front()
        {
            let transfer = frame.transfer;
            let (chunk, last) = frame.piece();
            if last {
                self.forget_large(frame.counted_as);
            } else {
                // The peer takes only so many at once: those that have begun take turns, the others wait.
                let at = self.large.len().min(TRANSFERS_MAX - 1);
                self.large.insert(at, frame);
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
