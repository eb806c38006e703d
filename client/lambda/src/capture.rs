//! What a process prints: passed on line by line, and its end kept for callers who ask for a tail.

use std::collections::VecDeque;
use std::io::{self, PipeReader, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::unix::pipe::Receiver;

use crate::log::LogSink;

/// How much of an invocation's lines a caller may have, as on AWS.
const TAIL_BYTES_MAX: usize = 4096;
/// A longer line is passed on in pieces.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// How much is read before others have their turn: a process may print faster than it is read.
const DRAIN_BYTES_MAX: usize = 1024 * 1024;

/// The reading end of the one pipe that is both the standard output and the standard error of a process.
#[derive(Debug)]
pub(crate) struct Capture {
    /// Wakes when there is something.
    pipe: Receiver,
    /// The same end, for reading at once what the runtime has not been told of yet.
    at_once: PipeReader,
    source: String,
    sink: LogSink,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// A line whose end has not been read yet.
    partial: Vec<u8>,
    tail: VecDeque<u8>,
}

/// Why reading paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paused {
    Empty,
    Enough,
    Ended,
}

impl Capture {
    /// Reads this pipe; needs a tokio runtime.
    pub(crate) fn new(pipe: PipeReader, source: String, sink: LogSink) -> io::Result<Self> {
        let at_once = pipe.try_clone()?;
        // Neither waits from here on: they are one file to the system.
        Ok(Self { pipe: Receiver::from_owned_fd(pipe.into())?, at_once, source, sink, kept: Mutex::default() })
    }

    /// Passes lines on until no process has the other end open.
    pub(crate) async fn follow(&self) {
        while self.pipe.readable().await.is_ok() {
            match self.read(|buffer| self.pipe.try_read(buffer)) {
                Paused::Empty => {}
                Paused::Enough => tokio::task::yield_now().await,
                Paused::Ended => return,
            }
        }
    }

    /// Reads what was printed until now, so that it counts for the invocation that printed it.
    pub(crate) fn catch_up(&self) {
        self.read(|buffer| (&self.at_once).read(buffer));
    }

    /// Lets the tail begin anew.
    pub(crate) fn begin(&self) {
        self.catch_up();
        self.kept().tail.clear();
    }

    /// Adds a line of the platform to the tail.
    pub(crate) fn note(&self, line: &str) {
        self.kept().keep(line.as_bytes());
    }

    /// The last bytes that were printed since [`begin`](Self::begin).
    pub(crate) fn tail(&self) -> Vec<u8> {
        self.catch_up();
        self.kept().tail.iter().copied().collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> Paused {
        let mut kept = self.kept();
        let mut buffer = [0; 8192];
        let mut n_read = 0;
        while n_read < DRAIN_BYTES_MAX {
            match read(&mut buffer) {
                Ok(0) => {
                    self.end_line(&mut kept);
                    return Paused::Ended;
                }
                Ok(n) => {
                    n_read += n;
                    self.take(&mut kept, &buffer[..n]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Paused::Empty,
                Err(_) => return Paused::Ended,
            }
        }
        Paused::Enough
    }

    fn take(&self, kept: &mut Kept, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            kept.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || kept.partial.len() >= LINE_BYTES_MAX {
                self.end_line(kept);
            }
        }
    }

    fn end_line(&self, kept: &mut Kept) {
        if kept.partial.is_empty() {
            return;
        }
        let line = std::mem::take(&mut kept.partial);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        self.sink.line(&self.source, &String::from_utf8_lossy(line));
        kept.keep(line);
    }
}

impl Kept {
    fn keep(&mut self, line: &[u8]) {
        self.tail.extend(line.iter().chain(b"\n"));
        let too_many = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..too_many);
    }
}
