//! Times, as calls need them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The first pause after a failed try; it doubles up to the longest one, and each is drawn at random around its length.
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(2);
pub(crate) const BACKOFF_MAX: Duration = Duration::from_millis(500);

/// How much longer than its deadline a call that may be parked waits for the node's own word on it.
const WORD_OF_NODE: Duration = Duration::from_secs(2);

/// How long a call with that time limit tries to reach its node.
///
/// The limit of one that may be parked says how long it waits in the object, and none at all that it is asked once whether it
/// has to. So a short one does not hasten the way there.
pub(crate) fn time_to_reach(limit: Duration, parks: bool) -> Duration {
    if parks { limit.max(WORD_OF_NODE) } else { limit }
}

/// How much longer than [`time_to_reach`] a call with that timeout waits for its answer, once it is out.
pub(crate) fn time_for_word(timeout: Option<Duration>, parks: bool) -> Duration {
    timeout.filter(|_| parks).map_or(Duration::ZERO, |timeout| timeout.min(WORD_OF_NODE))
}

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

/// The longest that AWS lets a function run.
#[cfg(feature = "lambda")]
pub(crate) const FUNCTION_MAX: Duration = Duration::from_secs(900);

/// How long it is until that time of the wall clock.
#[cfg(feature = "lambda")]
pub(crate) fn left_until(ms: u64) -> Duration {
    Duration::from_millis(ms.saturating_sub(clock_ms()))
}

/// The wall clock, read for each call: in a process that was frozen, no other clock tells how long.
pub(crate) fn clock_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
