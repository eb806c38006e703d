//! `Average`: a mean of vectors that many callers contribute to, in rounds.

use std::future::Future;

use greenroom_actors::Error;
use greenroom_actors::objects::{AverageObject, AverageObjectMessages, WrongLength};
use greenroom_macros::twins;

use crate::face::face;

face! {
    /// A mean of vectors, in rounds: callers add partial sums, and [`advance`](Self::advance) makes them the new mean.
    ///
    /// It is what the centroids of k-means are, and the averaged gradients of a data-parallel model: the sums are made where the
    /// object is, so each caller sends one vector a round and none is sent around.
    ///
    /// * Each call is one round trip; `add` carries a vector there and `mean` one back, of 8 bytes an element, at most 32 MiB.
    /// * A round is everything that was added since the last `advance`: to have all parts in it, let the callers meet at a
    ///   [`Barrier`](crate::sync::Barrier) before one of them advances.
    /// * Sums are made in the order in which the calls arrive, so their last bits may differ from run to run.
    /// * Everybody must name the same first mean: others are refused with `DifferentArguments`.
    ///
    /// ```no_run
    /// use greenroom::Average;
    ///
    /// let centroid = Average::named("centroid", vec![0.0, 0.0]);
    /// centroid.add(vec![6.0, 8.0], 2)?; // the sum of two points
    /// let moved = centroid.advance()?; // by one caller, when all have added
    /// assert_eq!(centroid.mean()?, [3.0, 4.0]);
    /// assert_eq!(moved, 5.0);
    /// # Ok::<(), greenroom::Error>(())
    /// ```
    pub struct Average(AverageObject);
}

impl Average {
    /// The average of that key; the first call makes it, and its first mean is `mean`. Nothing is sent.
    pub fn named(key: impl Into<String>, mean: Vec<f64>) -> Self {
        Self::of(AverageObject::named(key, mean))
    }

    /// The average of that key, which another has made. Nothing is sent.
    pub fn existing(key: impl Into<String>) -> Self {
        Self::of(AverageObject::existing(key))
    }

    /// The average's methods as messages, for a turn's `call`.
    pub fn message(&self) -> AverageObjectMessages {
        self.handle.message()
    }
}

#[twins]
impl Average {
    /// Adds the sum of `count` vectors to this round.
    ///
    /// # Errors
    /// [`WrongLength`] when `sum` has another length than the mean, where nothing is added; and as every call's.
    pub fn add(
        &self,
        sum: Vec<f64>,
        count: u64,
    ) -> impl Future<Output = Result<(), Error<WrongLength>>> + Send + use<> {
        self.handle.add_async(sum, count)
    }

    /// The mean of the last full round.
    ///
    /// # Errors
    /// As every call's.
    pub fn mean(&self) -> impl Future<Output = Result<Vec<f64>, Error>> + Send + use<> {
        self.handle.mean_async()
    }

    /// Ends the round: its mean becomes the mean. Returns how far that is from the last one; without any vector it stays.
    ///
    /// # Errors
    /// As every call's.
    pub fn advance(&self) -> impl Future<Output = Result<f64, Error>> + Send + use<> {
        self.handle.advance_async()
    }
}
