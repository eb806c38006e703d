//! The first means: k-means++ (Arthur and Vassilvitskii, 2007).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::data::DataError;
use super::points::{Points, distance_square};

impl Points {
    /// `clusters` of the points, far from each other: each next one with a chance that grows with the square of its
    /// distance from those before. The same seed chooses the same.
    ///
    /// # Errors
    /// When there are fewer points than that.
    pub fn choose_means(&self, clusters: usize, seed: u64) -> Result<Vec<Vec<f64>>, DataError> {
        let points: Vec<&[f64]> = self.iter().collect();
        if points.len() < clusters {
            return Err(DataError::TooFew { points: points.len(), clusters });
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut squares = vec![f64::INFINITY; points.len()];
        let mut means: Vec<Vec<f64>> = Vec::new();
        while means.len() < clusters {
            let next = match means.last() {
                None => random.random_range(0..points.len()),
                Some(last) => {
                    for (square, point) in squares.iter_mut().zip(&points) {
                        *square = square.min(distance_square(point, last));
                    }
                    pick(&squares, random.random())
                }
            };
            means.push(points[next].to_vec());
        }
        Ok(means)
    }
}

/// The first place at which the running sum of the weights exceeds that share (0 to 1) of the whole sum.
fn pick(weights: &[f64], share: f64) -> usize {
    let mut rest = share * weights.iter().sum::<f64>();
    let exceeds = weights.iter().position(|weight| {
        rest -= weight;
        rest < 0.0
    });
    // All weights are 0 where the points are fewer places than clusters: any will do.
    exceeds.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_falls_to_a_place_by_its_weight() {
        let weights = [1.0, 0.0, 3.0];
        assert_eq!([0.0, 0.24, 0.25, 0.99].map(|share| pick(&weights, share)), [0, 0, 2, 2]);
        assert_eq!(pick(&[0.0, 0.0], 0.5), 0);
    }

    #[test]
    fn means_are_distinct_points_and_need_enough_of_them() {
        let mut points = Points::new(1);
        for point in [3.0, 3.0, 7.0] {
            points.push(&[point]);
        }
        for seed in 0..20 {
            let mut means = points.choose_means(2, seed).expect("there are enough points");
            means.sort_by(|a, b| a[0].total_cmp(&b[0]));
            assert_eq!(means, [[3.0], [7.0]], "seed {seed}");
        }
        assert!(points.choose_means(4, 0).is_err());
    }
}
