//! What is computed, and what came out.

use serde::{Deserialize, Serialize};

use super::data::{DataError, Source};

/// What is computed; it travels to each worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Where the points are.
    pub source: Source,
    /// Number of workers, at least 1.
    pub workers: u32,
    /// The most iterations.
    pub iterations: u32,
    /// The clusters stand still when their centroids together move no farther than that in an iteration.
    pub tolerance: f64,
}

/// What came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The mean of each cluster.
    pub means: Vec<Vec<f64>>,
    /// The iteration in which the clusters stood still, from 1; `None` if they never did.
    pub converged: Option<u32>,
}

impl Outcome {
    /// The largest difference between a coordinate of a mean and the same of `other`; 0 if they agree exactly.
    pub fn difference(&self, other: &Self) -> f64 {
        let [ours, theirs] = [self, other].map(|outcome| outcome.means.iter().flatten());
        ours.zip(theirs).map(|(ours, theirs)| (ours - theirs).abs()).max_by(f64::total_cmp).unwrap_or(0.0)
    }
}

/// Why there is no outcome.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// The points could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A call to a shared object failed.
    #[error(transparent)]
    Call(#[from] greenroom::Error),
    /// A sum has another length than its centroid.
    #[error(transparent)]
    Length(#[from] greenroom::WrongLength),
    /// The two computations came to different results.
    #[error("the results of shared objects and threads differ by {difference}, more than the allowed {difference_max}")]
    Disagreement {
        /// The largest difference between two coordinates.
        difference: f64,
        /// What rounding may cause.
        difference_max: f64,
    },
}

/// Why a worker has no result.
impl From<greenroom::Error<Self>> for Failure {
    fn from(error: greenroom::Error<Self>) -> Self {
        match error {
            greenroom::Error::Method(own) => own,
            other => Self::Call(other.into()),
        }
    }
}

impl From<greenroom::Error<greenroom::WrongLength>> for Failure {
    fn from(error: greenroom::Error<greenroom::WrongLength>) -> Self {
        Self::Call(error.into())
    }
}

impl From<greenroom::Error<greenroom::sync::Aborted>> for Failure {
    fn from(error: greenroom::Error<greenroom::sync::Aborted>) -> Self {
        Self::Call(error.into())
    }
}
