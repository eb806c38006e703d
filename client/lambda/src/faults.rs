//! What goes wrong on purpose, and how often.

use std::time::Duration;

use rand::Rng;
use rand::rngs::SmallRng;

/// What goes wrong on purpose; by default nothing does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The share of invocations that are delivered twice, under the same request id and to two processes; 0 to 1.
    /// The second delivery does not count for the concurrency limits, and its answer is dropped.
    pub duplicate: f64,
    /// Processes that are frozen while they run an invocation.
    pub freeze: FaultRate,
    /// Processes that are killed while they run an invocation; `lasts` has no meaning.
    pub kill: FaultRate,
    /// Processes that start later; `after` has no meaning.
    pub slow_start: FaultRate,
}

/// A fault: how often, when, and for how long.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultRate {
    /// The share of invocations, or of starts, that it happens to; 0 to 1.
    pub rate: f64,
    /// How long after the event was delivered.
    pub after: Duration,
    /// How long it lasts.
    pub lasts: Duration,
}

/// What happens to one invocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    pub(crate) duplicate: bool,
    pub(crate) freeze: Option<FaultRate>,
    pub(crate) kill: Option<FaultRate>,
}

impl Faults {
    /// Draws what happens to an invocation.
    pub(crate) fn fate(&self, rng: &mut SmallRng) -> Fate {
        let duplicate = rng.random::<f64>() < self.duplicate;
        Fate { duplicate, freeze: self.freeze.draw(rng), kill: self.kill.draw(rng) }
    }

    /// Draws how much later a process starts.
    pub(crate) fn start_delay(&self, rng: &mut SmallRng) -> Duration {
        self.slow_start.draw(rng).map_or(Duration::ZERO, |slow| slow.lasts)
    }
}

impl FaultRate {
    fn draw(self, rng: &mut SmallRng) -> Option<Self> {
        (rng.random::<f64>() < self.rate).then_some(self)
    }
}
