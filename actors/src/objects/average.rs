//! `Average`: a mean of vectors that many callers contribute to, in rounds.

use std::fmt;

use greenroom_macros::object;
use serde::{Deserialize, Serialize};

/// A mean of vectors, in rounds: callers add partial sums, and `advance` makes them the new mean.
///
/// It is what the centroids of k-means are, and the averaged gradients of a data-parallel model: the sums are made where the
/// object is, so each caller sends one vector a round and none is sent around.
///
/// **Guarantees.** Each call is linearizable. A round is what was added since the last `advance`; who adds after it adds to the
/// next. Wait at a [`Barrier`](crate::objects::Barrier) where all are to be in one.
///
/// **Cost.** One round trip a call; `add` and `mean` carry a vector, 8 bytes an element, and `advance` one number. A vector has
/// at most about 4 million elements, since it travels in one message.
///
/// A vector of another length is [`WrongLength`] and changes nothing. Everybody must name the same first mean: the others are
/// refused with `DifferentArguments`. Sums are made in the order in which the calls arrive, so their last bits may differ from run
/// to run.
///
/// ```no_run
/// # mod greenroom { pub use greenroom_actors::{objects::*, *}; }
/// use greenroom::Average;
///
/// let centroid = Average::named("centroid 3", vec![0.0; 2]);
/// centroid.add(vec![4.0, 8.0], 2)?; // each worker, of its points that are nearest: here (1, 2) and (3, 6)
/// let moved = centroid.advance()?; // one of them, when all have added
/// assert_eq!(centroid.mean()?, [2.0, 4.0]);
/// # Ok::<(), greenroom::Error>(())
/// ```
#[object]
#[derive(Debug, Serialize, Deserialize)]
pub struct Average {
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
impl Average {
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
            *total += part;
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
            let new = std::mem::take(sum) / self.count as f64;
            square += (new - *mean) * (new - *mean);
            *mean = new;
        }
        self.count = 0;
        square.sqrt()
    }
}
