//! Why a cloud thread has no result.

use serde::{Deserialize, Serialize};

/// Why a cloud thread has no result of its function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadFailure {
    /// The function panicked. What it did before that stays; what it held of shared objects is released.
    #[error("panicked{}: {message}", at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default())]
    Panicked {
        /// The panic's message.
        message: String,
        /// Where, as `file:line:column`, if that is known.
        at: Option<String>,
    },
    /// It could not be begun.
    #[error("was not begun, nothing has run: {why}")]
    NotStarted {
        /// Why.
        why: String,
    },
    /// The function has returned, and its result cannot be brought.
    #[error("has run to its end, but its result cannot be read: {why}")]
    Result {
        /// Why.
        why: String,
    },
}

impl ThreadFailure {
    /// Whether the function has run to its end: `Some(false)` if nothing of it has run, `None` if a part of it may have.
    pub fn has_run(&self) -> Option<bool> {
        match self {
            Self::Panicked { .. } => None,
            Self::NotStarted { .. } => Some(false),
            Self::Result { .. } => Some(true),
        }
    }
}
