//! The logs of cloud threads: the last of what each has written.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use greenroom_actors::objects::LOGS_BYTES_MAX;

use super::attempt::Attempt;

/// The last of what one attempt has logged, at most 64 KiB.
#[derive(Debug, Default)]
pub(crate) struct Logs(Mutex<VecDeque<u8>>);

impl Logs {
    pub(super) fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&bytes[bytes.len().saturating_sub(LOGS_BYTES_MAX)..]);
        let surplus = kept.len().saturating_sub(LOGS_BYTES_MAX);
        kept.drain(..surplus);
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}

/// Writes to the standard error of the process and, in a cloud thread, also to the thread's logs, of which the last 64 KiB are
/// kept: whoever has the thread reads them by [`Thread::logs`](super::Thread::logs).
///
/// What a function prints by `println!` goes elsewhere, since a process has one standard output for all its threads. It takes
/// `writeln!(cloud::log_writer(), …)`, or a subscriber of `tracing` that writes there:
///
/// ```no_run
/// use greenroom::cloud;
///
/// tracing_subscriber::fmt().with_writer(cloud::log_writer).with_ansi(false).init();
/// ```
///
/// A panic of the function is logged by itself. Of code that runs on other threads than the function's own, as of tasks that it
/// spawns, nothing is kept.
pub fn log_writer() -> LogWriter {
    LogWriter(())
}

/// What [`log_writer`] returns.
#[derive(Debug)]
pub struct LogWriter(());

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(attempt) = Attempt::current() {
            attempt.kept_logs().push(bytes);
        }
        io::stderr().write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept() {
        let logs = Logs::default();
        logs.push(b"first");
        logs.push(&vec![b'a'; LOGS_BYTES_MAX - 2]);
        logs.push(b"z");
        let kept = logs.bytes();
        assert_eq!((kept.len(), &kept[..2], kept.last()), (LOGS_BYTES_MAX, &b"ta"[..], Some(&b'z')));
        logs.push(&vec![b'b'; 2 * LOGS_BYTES_MAX]);
        assert_eq!(logs.bytes(), vec![b'b'; LOGS_BYTES_MAX]);
    }
}
