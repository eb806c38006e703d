//! The object behind `Promise<T>`: a value that is set once, and awaited.

use std::fmt;

use bytes::Bytes;
use greenroom_macros::object;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::grants::WaitQueue;
use crate::waiter::Waiter;

/// A value of any type that is set once, encoded by its clients; use it through the client's `Promise<T>`.
#[object(name = "Promise")]
#[derive(Debug, Serialize, Deserialize)]
pub struct PromiseObject {
    /// The fingerprint of the value's type.
    shape: u64,
    /// What came of it, once something has.
    outcome: Option<Result<Bytes, PromiseError>>,
    waiting: WaitQueue<Result<Bytes, PromiseError>>,
}

/// The promise has its value, or its error, already, and keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlreadySet;

impl fmt::Display for AlreadySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the promise was set already")
    }
}

impl std::error::Error for AlreadySet {}

/// Why a promise will never have a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PromiseError {
    /// Who was to set it could not, and said why.
    #[error("the promise failed: {0}")]
    Failed(String),
    /// It was cancelled: its value is no longer wanted.
    #[error("the promise was cancelled")]
    Cancelled,
}

#[object]
impl PromiseObject {
    /// A promise of a value of the type with that fingerprint.
    pub fn new(shape: u64) -> Self {
        Self { shape, outcome: None, waiting: WaitQueue::default() }
    }

    /// Sets the value and wakes everybody who waits for it.
    pub fn set(&mut self, value: Bytes) -> Result<(), AlreadySet> {
        self.settle(Ok(value))
    }

    /// Says that there will be no value, and wakes everybody who waits for it.
    pub fn fail(&mut self, error: PromiseError) -> Result<(), AlreadySet> {
        self.settle(Err(error))
    }

    /// Waits for the value.
    pub fn get(&mut self, waiter: Waiter<Result<Bytes, PromiseError>>) {
        match &self.outcome {
            Some(outcome) => waiter.reply(outcome.clone()),
            None => self.waiting.push(waiter, ()),
        }
    }

    /// The value, if it is set.
    pub fn try_get(&self) -> Result<Option<Bytes>, PromiseError> {
        self.outcome.clone().transpose()
    }

    /// Whether there is a value or an error.
    pub fn is_done(&self) -> bool {
        self.outcome.is_some()
    }

    /// Whether there is a value.
    pub fn is_set(&self) -> bool {
        matches!(self.outcome, Some(Ok(_)))
    }

    fn settle(&mut self, outcome: Result<Bytes, PromiseError>) -> Result<(), AlreadySet> {
        if self.outcome.is_some() {
            return Err(AlreadySet);
        }
        self.waiting.reply_all(&outcome);
        self.outcome = Some(outcome);
        Ok(())
    }

    fn summary(&self) -> serde_json::Value {
        let outcome = match &self.outcome {
            None => json!("not set"),
            Some(Ok(value)) => json!({ "value_bytes": value.len() }),
            Some(Err(error)) => json!(error.to_string()),
        };
        json!({ "outcome": outcome, "waiting": self.waiting.len() })
    }
}
