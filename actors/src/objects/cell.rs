//! The object behind `Cell<T>`: one opaque value.

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::shown::shown;
use crate::combine::{CombineError, combine};

/// One value of any type, encoded by its clients; use it through the client's `Cell<T>`.
#[object(name = "Cell")]
#[derive(Debug, Serialize, Deserialize)]
pub struct CellObject {
    /// The fingerprint of the values' type; it is part of the constructor, so that clients of two types do not meet.
    shape: u64,
    value: Bytes,
}

#[object]
impl CellObject {
    /// A cell for values of the type with that fingerprint.
    pub fn new(shape: u64, value: Bytes) -> Self {
        Self { shape, value }
    }

    /// The value.
    pub fn get(&self) -> Bytes {
        self.value.clone()
    }

    /// Sets the value.
    pub fn set(&mut self, value: Bytes) {
        self.value = value;
    }

    /// Sets the value and returns the one before.
    pub fn replace(&mut self, value: Bytes) -> Bytes {
        std::mem::replace(&mut self.value, value)
    }

    /// Combines the value with `value` by the function of that name; returns what came of it.
    pub fn merge(&mut self, value: Bytes, by: String) -> Result<Bytes, CombineError> {
        self.value = combine(&by, &self.value, &value)?;
        Ok(self.value.clone())
    }

    /// Sets the value if it is `current`, and returns the one before; it was set if that is `current`.
    pub fn compare_exchange(&mut self, current: Bytes, new: Bytes) -> Bytes {
        if self.value == current { std::mem::replace(&mut self.value, new) } else { self.value.clone() }
    }

    fn summary(&self) -> serde_json::Value {
        let value = shown(self.shape, &self.value);
        json!({ "value": value, "value_is_known": value.is_some(), "value_bytes": self.value.len() })
    }
}
