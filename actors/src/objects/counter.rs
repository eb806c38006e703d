//! The object behind `Counter`: a number that is added to.

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

/// A 64-bit number that callers add to; use it through the client's `Counter`.
#[object(name = "Counter")]
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CounterObject {
    value: i64,
}

#[object]
impl CounterObject {
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
