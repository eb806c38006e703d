//! How good clusters are.

use std::collections::BTreeMap;

use super::data::Data;
use super::points::nearest;

/// How good clusters are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// The sum over all points of the square of the distance to the nearest mean.
    pub inertia: f64,
    /// The share of the points whose label is the most frequent in their cluster.
    pub purity: f64,
}

impl Quality {
    /// Of the clusters around `means`.
    pub fn of(data: &Data, means: &[Vec<f64>]) -> Self {
        let mut inertia = 0.0;
        let mut labels_by_cluster = vec![BTreeMap::<u32, u32>::new(); means.len()];
        for (point, label) in data.points.iter().zip(&data.labels) {
            let (cluster, square) = nearest(point, means);
            inertia += square;
            *labels_by_cluster[cluster].entry(*label).or_default() += 1;
        }
        let most_frequent: u32 = labels_by_cluster.iter().filter_map(|labels| labels.values().max()).sum();
        Self { inertia, purity: f64::from(most_frequent) / data.labels.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kmeans::Points;

    #[test]
    fn a_stranger_in_a_cluster_costs_purity() {
        let mut points = Points::new(1);
        for point in [0.0, 1.0, 9.0, 10.0] {
            points.push(&[point]);
        }
        let data = Data { points, labels: vec![0, 0, 0, 1] };
        let quality = Quality::of(&data, &[vec![0.0], vec![10.0]]);
        assert_eq!(quality, Quality { inertia: 2.0, purity: 0.75 });
    }
}
