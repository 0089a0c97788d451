//! The ten nearest neighbours in Euclidean distance, each with one vote.

use serde::{Deserialize, Serialize};
use smartcore::algorithm::neighbour::KNNAlgorithmName;
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::metrics::distance::euclidian::Euclidian;
use smartcore::neighbors::KNNWeightFunction;
use smartcore::neighbors::knn_classifier::{KNNClassifier, KNNClassifierParameters};

use super::matrix::Matrix;
use super::tabular::TabularClassifier;
use crate::error::SentimentError;

/// Neighbours that vote.
const NEIGHBOURS: usize = 10;

/// The training rows with their classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NearestNeighbours {
    width: usize,
    classes: usize,
    rows: Vec<f32>,
    labels: Vec<u8>,
}

impl TabularClassifier for NearestNeighbours {
    /// Every prediction computes the distance to every training row.
    const MAX_ROWS: Option<usize> = Some(20_000);

    fn fit(x: &Matrix, y: &[u8], classes: usize, _seed: u64) -> Result<Self, SentimentError> {
        Ok(Self { width: x.width(), classes, rows: x.values().to_vec(), labels: y.to_vec() })
    }

    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        if x.rows() == 0 {
            return Ok(Vec::new());
        }
        let rows = DenseMatrix::new(self.labels.len(), self.width, self.rows.clone(), false)
            .map_err(SentimentError::fit("nearest neighbours"))?;
        let queries = DenseMatrix::new(x.rows(), x.width(), x.values().to_vec(), false)
            .map_err(SentimentError::fit("nearest neighbours"))?;
        let labels: Vec<u32> = self.labels.iter().copied().map(u32::from).collect();
        let parameters: KNNClassifierParameters<f32, Euclidian<f32>> =
            KNNClassifierParameters::default()
                .with_k(NEIGHBOURS.min(labels.len()))
                .with_weight(KNNWeightFunction::Uniform)
                .with_algorithm(KNNAlgorithmName::LinearSearch);
        let model: KNNClassifier<f32, u32, DenseMatrix<f32>, Vec<u32>, Euclidian<f32>> =
            KNNClassifier::fit(&rows, &labels, parameters)
                .map_err(SentimentError::fit("nearest neighbours"))?;
        let found =
            model.predict_proba(&queries).map_err(SentimentError::fit("nearest neighbours"))?;
        Ok(found.into_iter().map(|row| row.into_iter().map(|p| p as f32).collect()).collect())
    }

    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        let all_present = (0..classes).all(|class| self.labels.contains(&(class as u8)));
        let sound = self.width == width
            && self.classes == classes
            && all_present
            && self.labels.iter().all(|&class| usize::from(class) < classes)
            && self.labels.len().checked_mul(width) == Some(self.rows.len());
        if sound { Ok(()) } else { Err(SentimentError::damaged("nearest neighbours")) }
    }
}

#[cfg(test)]
mod tests {
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
}
