//! Why there are no counts.

use std::path::Path;

use greenroom::{CombineError, Error};
use serde::{Deserialize, Serialize};

/// Why there are no counts.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// A file cannot be read.
    #[error("cannot read {path}: {why}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// A call to a shared object failed.
    #[error(transparent)]
    Call(#[from] Error),
    /// The two computations came to different results.
    #[error("cloud threads and plain threads have counted differently, such as `{word}`: {shared} and {plain}")]
    Disagreement {
        /// The first word that is counted differently.
        word: String,
        /// How often cloud threads have seen it.
        shared: u64,
        /// How often plain threads have.
        plain: u64,
    },
}

impl Failure {
    pub(super) fn read(path: &Path, error: &std::io::Error) -> Self {
        Self::Read { path: path.display().to_string(), why: error.to_string() }
    }
}

/// Why a part has no counts.
impl From<Error<Self>> for Failure {
    fn from(error: Error<Self>) -> Self {
        match error {
            Error::Method(own) => own,
            other => Self::Call(other.into()),
        }
    }
}

impl From<Error<CombineError>> for Failure {
    fn from(error: Error<CombineError>) -> Self {
        Self::Call(error.into())
    }
}
