//! The object behind `Average`: a mean of vectors that many callers contribute to, in rounds.

use std::fmt;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

use crate::combine::canonical;

/// A mean of vectors, in rounds; use it through the client's `Average`.
#[object(name = "Average")]
#[derive(Debug, Serialize, Deserialize)]
pub struct AverageObject {
    mean: Vec<f64>,
    sum: Vec<f64>,
    count: u64,
}

/// A vector of another length than the average's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongLength {
    /// The average's.
    pub expected: u64,
    /// The vector's.
    pub found: u64,
}

impl fmt::Display for WrongLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the vector has {} elements, and the average has {}", self.found, self.expected)
    }
}

impl std::error::Error for WrongLength {}

#[object]
impl AverageObject {
    /// An average whose first mean is `mean`.
    pub fn new(mean: Vec<f64>) -> Self {
        Self { sum: vec![0.0; mean.len()], mean, count: 0 }
    }

    /// Adds the sum of `count` vectors to this round.
    pub fn add(&mut self, sum: Vec<f64>, count: u64) -> Result<(), WrongLength> {
        if sum.len() != self.sum.len() {
            return Err(WrongLength { expected: self.sum.len() as u64, found: sum.len() as u64 });
        }
        for (total, part) in self.sum.iter_mut().zip(&sum) {
            *total = canonical(*total + part);
        }
        self.count = self.count.saturating_add(count);
        Ok(())
    }

    /// The mean of the last full round.
    pub fn mean(&self) -> Vec<f64> {
        self.mean.clone()
    }

    /// Ends the round: its mean becomes the mean. Returns how far that is from the last one; without any vector it stays.
    pub fn advance(&mut self) -> f64 {
        if self.count == 0 {
            return 0.0;
        }
        let mut square = 0.0;
        for (mean, sum) in self.mean.iter_mut().zip(&mut self.sum) {
            let new = canonical(std::mem::take(sum) / self.count as f64);
            square += (new - *mean) * (new - *mean);
            *mean = new;
        }
        self.count = 0;
        canonical(square.sqrt())
    }
}
