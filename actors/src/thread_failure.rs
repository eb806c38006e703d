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
    /// It was cancelled before it began.
    #[error("was cancelled before it began; nothing has run")]
    Cancelled,
    /// An attempt ended without a word, as when its process crashed, and there is no other. What it did before that stays, in
    /// whole or in part; what it held of shared objects is released.
    #[error("was lost in attempt {attempt}, which may have run in part: {why}")]
    Lost {
        /// The attempt, from 1.
        attempt: u8,
        /// What is known of it.
        why: String,
    },
    /// An attempt ran out of time, and there is no other. What it did before that stays, in whole or in part; what it held of
    /// shared objects is released.
    #[error("ran out of time in attempt {attempt}, and may have run in part")]
    TimedOut {
        /// The attempt, from 1.
        attempt: u8,
    },
    /// The program that was to run it has no such function, or one of other arguments or another result.
    #[error("was not begun, nothing has run: {why}")]
    WrongBuild {
        /// What the caller and what that program has.
        why: String,
    },
    /// It could not be begun.
    #[error("was not begun, nothing has run: {why}")]
    NotStarted {
        /// Why.
        why: String,
    },
    /// A function that was triggered by an event returned an error.
    #[error("{why}")]
    Event {
        /// What it displays.
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
            Self::Panicked { .. } | Self::Lost { .. } | Self::TimedOut { .. } => None,
            Self::Cancelled | Self::NotStarted { .. } | Self::WrongBuild { .. } => Some(false),
            Self::Event { .. } | Self::Result { .. } => Some(true),
        }
    }
}
