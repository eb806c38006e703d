//! A progress bar that follows a shared number.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar asks for its position.
const PERIOD: Duration = Duration::from_millis(100);

/// A bar on stderr that a thread of its own moves until it is dropped; where stderr is no terminal, nothing at all.
#[derive(Debug)]
pub struct Progress {
    watch: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// A bar of `length` steps of `unit`; `position` says how many are done, or nothing if that cannot be known now.
    pub fn watch(length: u64, unit: &str, position: impl Fn() -> Option<i64> + Send + 'static) -> Self {
        let bar = ProgressBar::new(length).with_message(unit.to_owned());
        if bar.is_hidden() {
            return Self { watch: None };
        }
        let style = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} {msg}, {elapsed}");
        bar.set_style(style.expect("the template is well-formed"));
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                if let Some(position) = position() {
                    bar.set_position(u64::try_from(position).unwrap_or(0));
                }
            }
            bar.finish_and_clear();
        });
        Self { watch: Some((stop, thread)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.watch.take() {
            drop(stop);
            // If that thread panicked, it has said so itself; the result does not depend on it.
            let _ = thread.join();
        }
    }
}
