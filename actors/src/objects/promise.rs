//! The object behind `Promise<T>`: a value that is set once, and awaited.

use std::fmt;

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};

use crate::waiter::Waiter;

/// A value of any type that is set once, encoded by its clients; use it through the client's `Promise<T>`.
#[object(name = "Promise")]
#[derive(Debug, Serialize, Deserialize)]
pub struct PromiseObject {
    /// The fingerprint of the value's type.
    shape: u64,
    value: Option<Bytes>,
    waiting: Vec<Waiter<Bytes>>,
}

/// The promise has been kept already, and keeps its first value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlreadySet;

impl fmt::Display for AlreadySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the promise has a value already")
    }
}

impl std::error::Error for AlreadySet {}

#[object]
impl PromiseObject {
    /// A promise of a value of the type with that fingerprint.
    pub fn new(shape: u64) -> Self {
        Self { shape, value: None, waiting: Vec::new() }
    }

    /// Sets the value and wakes everybody who waits for it.
    pub fn set(&mut self, value: Bytes) -> Result<(), AlreadySet> {
        if self.value.is_some() {
            return Err(AlreadySet);
        }
        for waiter in self.waiting.drain(..) {
            waiter.reply(value.clone());
        }
        self.value = Some(value);
        Ok(())
    }

    /// Waits for the value.
    pub fn get(&mut self, waiter: Waiter<Bytes>) {
        match &self.value {
            Some(value) => waiter.reply(value.clone()),
            None => {
                // Who gave up meanwhile is forgotten, at a cost that stays in proportion.
                if self.waiting.len().is_power_of_two() {
                    self.waiting.retain(Waiter::is_live);
                }
                self.waiting.push(waiter);
            }
        }
    }

    /// The value, if it is set.
    pub fn try_get(&self) -> Option<Bytes> {
        self.value.clone()
    }
}
