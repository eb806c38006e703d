//! The clocks of one process: one that only goes forward, at a rate of its own, and one on the wall, that is wrong.

/// True time, in microseconds since the run began. Nobody in the world can read it.
pub(crate) type Time = u64;

/// The wall clocks' time at the beginning, in milliseconds.
const WALL_BEGIN_MS: u64 = 1_700_000_000_000;

/// What a process knows of the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Thousandths of true time.
    pub(crate) rate: u64,
    pub(crate) steady_offset_ms: u64,
    pub(crate) wall_offset_ms: u64,
}

impl Clock {
    /// Milliseconds of the clock that only goes forward.
    pub(crate) fn steady_ms(self, now: Time) -> u64 {
        self.steady_offset_ms + now * self.rate / 1_000_000
    }

    /// Milliseconds since the Unix epoch, as the wall clock has it.
    pub(crate) fn wall_ms(self, now: Time) -> u64 {
        WALL_BEGIN_MS + self.wall_offset_ms + now / 1_000
    }
}
