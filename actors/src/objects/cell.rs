//! The object behind `Cell<T>`: one opaque value.

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::shown::shown;
use crate::combine::{CombineError, combine, combine_all};
use crate::ids::Fence;
use crate::turn::Turn;

/// One value of any type, encoded by its clients; use it through the client's `Cell<T>`.
#[object(name = "Cell")]
#[derive(Debug, Serialize, Deserialize)]
pub struct CellObject {
    /// The fingerprint of the values' type; it is part of the constructor, so that clients of two types do not meet.
    shape: u64,
    value: Bytes,
    /// The turn of the last change, which stands for the value where that need not travel. It grows even when the object is
    /// deleted and made anew; a cell that was never changed holds what its constructor was given.
    version: Fence,
}

#[object]
impl CellObject {
    /// A cell for values of the type with that fingerprint.
    pub fn new(shape: u64, value: Bytes) -> Self {
        Self { shape, value, version: Fence(0) }
    }

    /// The value.
    pub fn get(&self) -> Bytes {
        self.value.clone()
    }

    /// Sets the value.
    pub fn set(&mut self, value: Bytes, turn: &mut Turn) {
        self.replace(value, turn);
    }

    /// Sets the value and returns the one before.
    pub fn replace(&mut self, value: Bytes, turn: &mut Turn) -> Bytes {
        self.version = turn.fence();
        std::mem::replace(&mut self.value, value)
    }

    /// Combines the value with `value` by the function of that name; returns what came of it.
    pub fn merge(&mut self, value: Bytes, by: String, turn: &mut Turn) -> Result<Bytes, CombineError> {
        let merged = combine(&by, &self.value, &value)?;
        self.set(merged.clone(), turn);
        Ok(merged)
    }

    /// Combines the value with all of these, one after the other, by the function of that name.
    pub fn merge_all(&mut self, values: Vec<Bytes>, by: String, turn: &mut Turn) -> Result<(), CombineError> {
        let merged = combine_all(&by, self.value.clone(), &values)?;
        self.set(merged, turn);
        Ok(())
    }

    /// Sets the value if it is `current`, and returns the one before; it was set if that is `current`.
    pub fn compare_exchange(&mut self, current: Bytes, new: Bytes, turn: &mut Turn) -> Bytes {
        if self.value == current { self.replace(new, turn) } else { self.value.clone() }
    }

    /// The value, and the version that it is.
    pub fn get_version(&self) -> (Bytes, Fence) {
        (self.value.clone(), self.version)
    }

    /// Sets the value if it is still of that version; else returns what it is.
    pub fn set_if_version(&mut self, version: Fence, value: Bytes, turn: &mut Turn) -> Option<(Bytes, Fence)> {
        if self.version != version {
            return Some(self.get_version());
        }
        self.set(value, turn);
        None
    }

    fn summary(&self) -> serde_json::Value {
        let value = shown(self.shape, &self.value);
        json!({ "value": value, "value_is_known": value.is_some(), "value_bytes": self.value.len() })
    }
}
