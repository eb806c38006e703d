//! `Counter`: a shared number that is added to.

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

/// A shared 64-bit number that callers add to; it wraps around at its ends, as atomics do.
///
/// One round trip a call, of some 60 bytes each way.
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
