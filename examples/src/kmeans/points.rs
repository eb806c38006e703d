//! Points of a space, and which mean each is nearest to.

/// Points of a space of so many dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    dimensions: usize,
    /// Point after point.
    coordinates: Vec<f64>,
}

/// The sum of some points.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// The sum of each coordinate.
    pub total: Vec<f64>,
    /// How many points there are in it.
    pub count: u64,
}

impl Points {
    /// No points yet.
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, coordinates: Vec::new() }
    }

    /// Appends a point.
    ///
    /// # Panics
    /// When it has another number of coordinates.
    pub fn push(&mut self, point: &[f64]) {
        assert_eq!(point.len(), self.dimensions, "a point has as many coordinates as the space dimensions");
        self.coordinates.extend_from_slice(point);
    }

    /// The number of coordinates of each point.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The points, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        // A chunk has at least one number; without dimensions there are no points.
        self.coordinates.chunks_exact(self.dimensions.max(1))
    }

    /// For each mean, the sum of the points that are nearest to it.
    pub fn assign(&self, means: &[Vec<f64>]) -> Vec<Sum> {
        let mut sums = vec![Sum { total: vec![0.0; self.dimensions], count: 0 }; means.len()];
        for point in self.iter() {
            let sum = &mut sums[nearest(point, means).0];
            sum.count += 1;
            for (total, coordinate) in sum.total.iter_mut().zip(point) {
                *total += coordinate;
            }
        }
        sums
    }
}

/// The number of the mean that is nearest, the first of several, and the square of its distance.
///
/// # Panics
/// When there are no means.
pub(super) fn nearest(point: &[f64], means: &[Vec<f64>]) -> (usize, f64) {
    let squares = means.iter().map(|mean| distance_square(point, mean)).enumerate();
    squares.min_by(|(_, a), (_, b)| a.total_cmp(b)).expect("there is at least one mean")
}

pub(super) fn distance_square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_point_counts_for_its_nearest_mean() {
        let mut points = Points::new(1);
        for point in [0.0, 1.0, 5.0, 9.0] {
            points.push(&[point]);
        }
        let sums = points.assign(&[vec![0.0], vec![10.0], vec![100.0]]);
        let expected = [(1.0 + 5.0, 3), (9.0, 1), (0.0, 0)];
        assert_eq!(sums, expected.map(|(total, count)| Sum { total: vec![total], count }), "the first of two at 5");
    }
}
