//! Where the lines go that functions print.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the lines go that functions print, each after the name of its function and process.
#[derive(Clone)]
pub struct LogSink(Arc<Mutex<Box<dyn Write + Send>>>);

impl LogSink {
    /// Lines go to this writer. It is called on the thread that serves, so a slow one holds up all invocations.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(writer))))
    }

    /// Lines go to the standard error.
    pub fn stderr() -> Self {
        Self::new(std::io::stderr())
    }

    /// Lines go nowhere; tails of invocations still have them.
    pub fn discard() -> Self {
        Self::new(std::io::sink())
    }

    /// Writes one line.
    pub(crate) fn line(&self, source: &str, line: &str) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written must not stop what it is about.
        let _ = writeln!(writer, "{source} | {line}").and_then(|()| writer.flush());
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSink")
    }
}
