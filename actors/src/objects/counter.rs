//! `Counter`: a shared number that is added to.

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

/// A shared 64-bit number that callers add to; it wraps around at its ends, as atomics do.
///
/// **Guarantees.** Each call is linearizable, and made once, also if it has to be sent again: what many add at the same time adds
/// up. A counter begins at 0.
///
/// **Cost.** One round trip a call, of some 60 bytes each way.
///
/// **Unlike `AtomicI64`** it returns what came of an addition, not what was before, and needs no initial value, so that nobody
/// can name another one.
///
/// ```no_run
/// # mod greenroom { pub use greenroom_actors::{objects::*, *}; }
/// use greenroom::Counter;
///
/// let done = Counter::named("done");
/// let number = done.increment()?; // each caller gets another one
/// if done.add(10)? >= 100 {
///     println!("{} were done, and the next begin at 0", done.reset()?);
/// }
/// # Ok::<(), greenroom::Error>(())
/// ```
#[object]
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Counter {
    value: i64,
}

#[object]
impl Counter {
    /// Adds `delta` and returns the new value.
    pub fn add(&mut self, delta: i64) -> i64 {
        self.value = self.value.wrapping_add(delta);
        self.value
    }

    /// Adds one and returns the new value.
    pub fn increment(&mut self) -> i64 {
        self.add(1)
    }

    /// Subtracts one and returns the new value.
    pub fn decrement(&mut self) -> i64 {
        self.add(-1)
    }

    /// The value.
    pub fn get(&self) -> i64 {
        self.value
    }

    /// Sets the value and returns the one before.
    pub fn set(&mut self, value: i64) -> i64 {
        std::mem::replace(&mut self.value, value)
    }
    /// Sets the value to 0 and returns the one before.
    pub fn reset(&mut self) -> i64 {
        self.set(0)
    }
}
