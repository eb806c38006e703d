//! Times, as calls need them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The first pause after a failed try; it doubles up to the longest one, and each is drawn at random around its length.
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(2);
pub(crate) const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// How long a call is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Until its deadline; one that may wait in an object bears troubles for the client's patience.
    Call,
    /// For as long as its session lives: it gives back what the session holds, and nobody else would.
    Cast,
}

/// How long it is until then; without a deadline, for ever.
pub(crate) fn left(deadline: Option<Instant>) -> Duration {
    deadline.map_or(Duration::MAX, |end| end.saturating_duration_since(Instant::now()))
}

/// A time around `mean`, so that many callers do not come back at once.
pub(crate) fn jitter(mean: Duration) -> Duration {
    mean.mul_f64(0.5 + rand::random::<f64>())
}

/// The wall clock, read for each call: in a process that was frozen, no other clock tells how long.
pub(crate) fn clock_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
