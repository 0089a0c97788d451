//! The ten nearest neighbours in Euclidean distance, each with one vote.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::distances::{Distances, LANES};
use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use crate::error::SentimentError;

/// Neighbours that vote.
const NEIGHBOURS: usize = 10;

/// The training rows with their classes. Models of several labels share the rows they were fitted to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NearestNeighbours {
    width: usize,
    classes: usize,
    #[serde(with = "shared")]
    rows: Arc<Vec<f32>>,
    labels: Vec<u8>,
}

/// The nearest rows found for each of [`LANES`] rows, by their distances, of equally far ones the first.
struct Nearest {
    count: usize,
    found: [Vec<(f64, usize)>; LANES],
    /// The distance of the last of each.
    farthest: [f64; LANES],
}

impl Nearest {
    /// Of `count` rows that are looked for.
    fn new(count: usize) -> Self {
        let found = std::array::from_fn(|_| Vec::with_capacity(count + 1));
        Self { count, found, farthest: [f64::INFINITY; LANES] }
    }

    /// Takes row `index`, which comes after all before it, where it is `far` less than those found.
    fn offer(&mut self, index: usize, far: &[f64; LANES]) {
        let filling = index < self.count;
        // All are compared, without a branch for each.
        let nearer = far.iter().zip(&self.farthest).filter(|(far, last)| far < last).count() > 0;
        if !filling && !nearer {
            return;
        }
        for ((&far, found), farthest) in far.iter().zip(&mut self.found).zip(&mut self.farthest) {
            if filling || far < *farthest {
                found.insert(found.partition_point(|(other, _)| *other <= far), (far, index));
                found.truncate(self.count);
                if found.len() == self.count {
                    *farthest = found[self.count - 1].0;
                }
            }
        }
    }
}

impl NearestNeighbours {
    /// The shares of the classes among the rows `found`.
    fn votes(&self, found: &[(f64, usize)]) -> Vec<f32> {
        let mut votes = vec![0_u16; self.classes];
        for &(_, row) in found {
            votes[usize::from(self.labels[row])] += 1;
        }
        votes.into_iter().map(|votes| f32::from(votes) / found.len() as f32).collect()
    }
}

impl TabularClassifier for NearestNeighbours {
    /// Every prediction computes the distance to every training row.
    const MAX_ROWS: Option<usize> = Some(100_000);

    fn fit(x: &Matrix, y: &[u8], classes: usize, _seed: u64) -> Result<Self, SentimentError> {
        Ok(Self { width: x.width(), classes, rows: Arc::clone(x.values()), labels: y.to_vec() })
    }

    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        let distances = Distances::new(self.rows.chunks_exact(self.width), self.width);
        let mut votes = Vec::with_capacity(x.rows());
        for first in (0..x.rows()).step_by(LANES) {
            let mut nearest = Nearest::new(NEIGHBOURS.min(self.labels.len()));
            distances.of(x, first, |index, far| nearest.offer(index, far));
            votes
                .extend(nearest.found.iter().take(x.rows() - first).map(|found| self.votes(found)));
        }
        Ok(votes)
    }

    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        let all_present = (0..classes).all(|class| self.labels.contains(&(class as u8)));
        let sound = self.width == width
            && width > 0
            && self.classes == classes
            && all_present
            && self.labels.iter().all(|&class| usize::from(class) < classes)
            && self.labels.len().checked_mul(width) == Some(self.rows.len());
        if sound { Ok(()) } else { Err(SentimentError::damaged("nearest neighbours")) }
    }
}

/// Shared numbers in a file.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        rows: &Arc<Vec<f32>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        rows.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Vec<f32>>, D::Error> {
        Vec::deserialize(deserializer).map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use bestof_tasks::rng::SeededRng;

    use super::*;

    #[test]
    fn ten_nearest_rows_vote() {
        // Rows 0 to 19 on a line; classes 0 up to 6, 1 beyond. The ten nearest to 5 are 0 to 9 or
        // 1 to 10: seven or six of class 0.
        let rows: Vec<Vec<f32>> = (0..20_u8).map(|i| vec![f32::from(i)]).collect();
        let labels: Vec<u8> = (0..20).map(|i| u8::from(i > 6)).collect();
        let model =
            NearestNeighbours::fit(&Matrix::from_rows(&rows).unwrap(), &labels, 2, 0).unwrap();
        let found =
            model.predict_proba(&Matrix::from_rows(&[vec![4.6], vec![19.0]]).unwrap()).unwrap();
        assert_eq!(found, [[0.7, 0.3], [0.0, 1.0]]);
    }

    #[test]
    fn distances_are_euclidean_and_the_first_of_equals_votes() {
        // Eleven rows, one of them farther than the others from the query (0, 2): (3, 0).
        let mut rows = vec![vec![0.0, 1.0]; 5];
        rows.push(vec![3.0, 0.0]);
        rows.extend(vec![vec![0.0, 3.0]; 5]);
        let mut labels = vec![0; 5];
        labels.extend([2, 1, 1, 1, 1, 1]);
        let fit = |rows: &[Vec<f32>], labels: &[u8]| {
            NearestNeighbours::fit(&Matrix::from_rows(rows).unwrap(), labels, 3, 0).unwrap()
        };
        let query = Matrix::from_rows(&[vec![0.0, 2.0]]).unwrap();
        assert_eq!(fit(&rows, &labels).predict_proba(&query).unwrap(), [[0.5, 0.5, 0.0]]);
        // All equally far: the first ten.
        let equal = vec![vec![1.0, 2.0]; 12];
        let labels = [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2];
        assert_eq!(fit(&equal, &labels).predict_proba(&query).unwrap(), [[0.3, 0.7, 0.0]]);
    }
    #[test]
    fn neighbours_are_those_of_all_distances_sorted() {
        // Whole numbers, so that many distances are equal, and more rows asked about than are compared at once.
        let mut draw = SeededRng::new(2, 0);
        let mut rows = |count: usize| -> Vec<Vec<f32>> {
            (0..count).map(|_| (0..4).map(|_| draw.index(4) as f32 - 1.0).collect()).collect()
        };
        let asked = rows(2 * LANES + 3);
        for count in [3, NEIGHBOURS, NEIGHBOURS + 1, 200] {
            let rows = rows(count);
            let labels: Vec<u8> = (0..count).map(|row| (row % 3) as u8).collect();
            let model =
                NearestNeighbours::fit(&Matrix::from_rows(&rows).unwrap(), &labels, 3, 0).unwrap();
            let found = model.predict_proba(&Matrix::from_rows(&asked).unwrap()).unwrap();
            assert_eq!(found.len(), asked.len());
            for (asked, found) in asked.iter().zip(found) {
                let far = |row: &usize| -> f32 {
                    rows[*row].iter().zip(asked).map(|(a, b)| (a - b).powi(2)).sum()
                };
                let mut order: Vec<usize> = (0..count).collect();
                order.sort_by(|a, b| far(a).total_cmp(&far(b)));
                order.truncate(NEIGHBOURS);
                let share = |class: u8| {
                    let votes = order.iter().filter(|&&row| labels[row] == class).count();
                    votes as f32 / order.len() as f32
                };
                assert_eq!(found, [share(0), share(1), share(2)], "{count}");
            }
        }
    }

    #[test]
    fn models_of_the_same_rows_share_them() {
        let x = Matrix::from_rows(&[vec![1.0], vec![2.0]]).unwrap();
        let fit = |labels: &[u8]| NearestNeighbours::fit(&x, labels, 2, 0).unwrap();
        assert!(Arc::ptr_eq(&fit(&[0, 1]).rows, &fit(&[1, 0]).rows));
    }
}
