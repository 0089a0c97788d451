//! A classifier of any classical kind, chosen by name.

use bestof_tasks::rng::SeededRng;
use serde::{Deserialize, Serialize};

use super::boosting::Boosting;
use super::knn::NearestNeighbours;
use super::logistic::Logistic;
use super::matrix::Matrix;
use super::mlp::Perceptron;
use super::options::FitOptions;
use super::svm::SupportVectors;
use super::tabular::TabularClassifier;
use super::trees::{DecisionTree, RandomForest};
use crate::error::SentimentError;
use crate::model::ModelKind;

/// A fitted model of any kind; `Constant` if all rows had the same class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FittedModel {
    Constant,
    DecisionTree(DecisionTree),
    RandomForest(RandomForest),
    Knn(NearestNeighbours),
    Svm(SupportVectors),
    GradientBoosting(Boosting),
    Mlp(Perceptron),
    Logistic(Logistic),
}

/// A classifier with a fixed number of classes, of which some may not occur in the training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ClassifierHead {
    classes: usize,
    width: usize,
    /// Classes that occur in the training rows, ascending: class `i` of the model is `present[i]`.
    present: Vec<u8>,
    fitted: FittedModel,
    /// Rows it was fitted on.
    pub(super) trained_on: u64,
    /// Rows before sampling.
    pub(super) available: u64,
}

impl ClassifierHead {
    /// Fits a model of `kind` to rows with labels `y`, one per row, in `0..classes`.
    ///
    /// # Errors
    /// [`SentimentError::NotClassical`] for a neural kind, [`SentimentError::NoRows`] without rows,
    /// [`SentimentError::Class`] for a label outside.
    pub(super) fn fit(
        kind: ModelKind,
        x: &Matrix,
        y: &[u8],
        classes: usize,
        options: &FitOptions,
    ) -> Result<Self, SentimentError> {
        if x.rows() == 0 || y.len() != x.rows() {
            return Err(SentimentError::NoRows);
        }
        if let Some(&class) = y.iter().find(|&&class| usize::from(class) >= classes) {
            return Err(SentimentError::Class { found: class.into(), classes });
        }
        match kind {
            ModelKind::DecisionTree => fit_as(x, y, classes, options, FittedModel::DecisionTree),
            ModelKind::RandomForest => fit_as(x, y, classes, options, FittedModel::RandomForest),
            ModelKind::Knn => fit_as(x, y, classes, options, FittedModel::Knn),
            ModelKind::Svm => fit_as(x, y, classes, options, FittedModel::Svm),
            ModelKind::GradientBoosting => {
                fit_as(x, y, classes, options, FittedModel::GradientBoosting)
            }
            ModelKind::Mlp => fit_as(x, y, classes, options, FittedModel::Mlp),
            ModelKind::Logistic => fit_as(x, y, classes, options, FittedModel::Logistic),
            other => Err(SentimentError::NotClassical { kind: other.as_str() }),
        }
    }

    /// Probabilities `[rows][classes]`; 0 for classes that do not occur in the training rows.
    pub(super) fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        x.expect_width(self.width)?;
        let own = match &self.fitted {
            FittedModel::Constant => vec![vec![1.0]; x.rows()],
            FittedModel::DecisionTree(model) => model.predict_proba(x)?,
            FittedModel::RandomForest(model) => model.predict_proba(x)?,
            FittedModel::Knn(model) => model.predict_proba(x)?,
            FittedModel::Svm(model) => model.predict_proba(x)?,
            FittedModel::GradientBoosting(model) => model.predict_proba(x)?,
            FittedModel::Mlp(model) => model.predict_proba(x)?,
            FittedModel::Logistic(model) => model.predict_proba(x)?,
        };
        let all_classes = |row: Vec<f32>| {
            let mut all = vec![0.0; self.classes];
            for (&class, p) in self.present.iter().zip(row) {
                all[usize::from(class)] = p;
            }
            all
        };
        Ok(own.into_iter().map(all_classes).collect())
    }

    /// Refuses a head, read from a file, that is not of rows of `width` numbers and of `classes` classes.
    pub(super) fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        let ordered = self.present.is_sorted_by(|a, b| a < b);
        let known = self.present.iter().all(|&class| usize::from(class) < classes);
        if self.classes != classes
            || self.width != width
            || !ordered
            || !known
            || self.present.is_empty()
        {
            return Err(SentimentError::damaged("classes"));
        }
        let classes = self.present.len();
        match &self.fitted {
            FittedModel::Constant if classes == 1 => Ok(()),
            FittedModel::Constant => Err(SentimentError::damaged("classes")),
            FittedModel::DecisionTree(model) => model.check(width, classes),
            FittedModel::RandomForest(model) => model.check(width, classes),
            FittedModel::Knn(model) => model.check(width, classes),
            FittedModel::Svm(model) => model.check(width, classes),
            FittedModel::GradientBoosting(model) => model.check(width, classes),
            FittedModel::Mlp(model) => model.check(width, classes),
            FittedModel::Logistic(model) => model.check(width, classes),
        }
    }
}

fn fit_as<C: TabularClassifier>(
    x: &Matrix,
    y: &[u8],
    classes: usize,
    options: &FitOptions,
    wrap: fn(C) -> FittedModel,
) -> Result<ClassifierHead, SentimentError> {
    let limit = options.max_rows.or(C::MAX_ROWS).unwrap_or(usize::MAX);
    let available = x.rows() as u64;
    let (x, y) = if x.rows() > limit {
        let mut rows = SeededRng::new(options.seed, 3).sample(x.rows(), limit);
        rows.sort_unstable();
        (&x.select(&rows), rows.iter().map(|&row| y[row]).collect::<Vec<_>>())
    } else {
        (x, y.to_vec())
    };
    let mut present = y.clone();
    present.sort_unstable();
    present.dedup();
    let own: Vec<u8> =
        y.iter().map(|class| present.partition_point(|known| known < class) as u8).collect();
    let fitted = if present.len() == 1 {
        FittedModel::Constant
    } else {
        wrap(C::fit(x, &own, present.len(), options.seed)?)
    };
    let (width, trained_on) = (x.width(), x.rows() as u64);
    Ok(ClassifierHead { classes, width, present, fitted, trained_on, available })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::likeliest;

    const KINDS: [ModelKind; 7] = [
        ModelKind::DecisionTree,
        ModelKind::RandomForest,
        ModelKind::Knn,
        ModelKind::Svm,
        ModelKind::GradientBoosting,
        ModelKind::Mlp,
        ModelKind::Logistic,
    ];

    const OPTIONS: FitOptions = FitOptions { seed: 3, max_rows: None };

    /// Three rings of points that no straight line separates, and two columns of noise.
    fn rings(count: usize, seed: u64) -> (Matrix, Vec<u8>) {
        let mut draw = SeededRng::new(seed, 9);
        let mut unit = || draw.index(1000) as f32 / 1000.0;
        let mut rows = Vec::new();
        let mut classes = Vec::new();
        for i in 0..count {
            let class = (i % 3) as u8;
            let (angle, far) =
                (unit() * std::f32::consts::TAU, 0.3 + f32::from(class) + 0.4 * unit());
            rows.push(vec![far * angle.cos(), far * angle.sin(), unit(), unit()]);
            classes.push(class);
        }
        (Matrix::from_rows(&rows).unwrap(), classes)
    }

    fn accuracy(head: &ClassifierHead, x: &Matrix, y: &[u8]) -> f64 {
        let rows = head.predict_proba(x).unwrap();
        let right =
            rows.iter().zip(y).filter(|(row, class)| likeliest(row) == usize::from(**class));
        right.count() as f64 / y.len() as f64
    }

    #[test]
    fn a_tree_splits_at_a_threshold() {
        let rows: Vec<Vec<f32>> = (0..40).map(|i| vec![i as f32, 1.0]).collect();
        let x = Matrix::from_rows(&rows).unwrap();
        let y: Vec<u8> = (0..40).map(|i| u8::from(i >= 20)).collect();
        let tree = ClassifierHead::fit(ModelKind::DecisionTree, &x, &y, 2, &OPTIONS).unwrap();
        assert_eq!(tree.predict_proba(&x).unwrap()[39], [0.0, 1.0]);
    }

    #[test]
    fn every_kind_but_the_linear_one_learns_rings() {
        let (x, y) = rings(600, 1);
        let (test_x, test_y) = rings(300, 2);
        for kind in KINDS {
            let head = ClassifierHead::fit(kind, &x, &y, 3, &OPTIONS).unwrap();
            let found = accuracy(&head, &test_x, &test_y);
            if kind == ModelKind::Logistic {
                assert!(found < 0.6, "{kind} {found}");
            } else {
                assert!(found > 0.85, "{kind} {found}");
            }
            for row in head.predict_proba(&test_x).unwrap() {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{kind} {row:?}");
                assert!(row.iter().all(|p| (0.0..=1.0).contains(p)), "{kind} {row:?}");
            }
        }
    }

    #[test]
    fn saved_models_predict_the_same_and_equal_seeds_fit_the_same() {
        let (x, y) = rings(150, 1);
        for kind in KINDS {
            let head = ClassifierHead::fit(kind, &x, &y, 3, &OPTIONS).unwrap();
            let again = ClassifierHead::fit(kind, &x, &y, 3, &OPTIONS).unwrap();
            assert_eq!(head, again, "{kind}");
            let read: ClassifierHead =
                serde_json::from_str(&serde_json::to_string(&head).unwrap()).unwrap();
            read.check(4, 3).unwrap();
            assert_eq!(read.predict_proba(&x).unwrap(), head.predict_proba(&x).unwrap(), "{kind}");
            assert!(read.check(5, 3).is_err() && read.check(4, 2).is_err(), "{kind}");
            let narrow = Matrix::zeros(1, 3).unwrap();
            assert!(head.predict_proba(&narrow).unwrap_err().to_string().contains('4'), "{kind}");
        }
    }

    #[test]
    fn classes_without_training_rows_have_probability_zero() {
        let (x, y) = rings(150, 1);
        let y: Vec<u8> = y.into_iter().map(|class| class * 2).collect();
        for kind in KINDS {
            let head = ClassifierHead::fit(kind, &x, &y, 5, &OPTIONS).unwrap();
            for row in head.predict_proba(&x).unwrap() {
                assert_eq!((row.len(), row[1], row[3]), (5, 0.0, 0.0), "{kind}");
            }
            let one = ClassifierHead::fit(kind, &x, &[4; 150], 5, &OPTIONS).unwrap();
            assert_eq!(one.predict_proba(&x).unwrap()[7], [0.0, 0.0, 0.0, 0.0, 1.0], "{kind}");
        }
    }

    #[test]
    fn limits_sample_and_are_recorded() {
        let (x, y) = rings(400, 1);
        let options = FitOptions { seed: 1, max_rows: Some(90) };
        let head = ClassifierHead::fit(ModelKind::Knn, &x, &y, 3, &options).unwrap();
        assert_eq!((head.trained_on, head.available), (90, 400));
        let error =
            ClassifierHead::fit(ModelKind::Bert, &x, &y, 3, &OPTIONS).unwrap_err().to_string();
        assert!(error.contains("bert"), "{error}");
        assert!(ClassifierHead::fit(ModelKind::Knn, &x, &y, 2, &OPTIONS).is_err());
        assert!(
            ClassifierHead::fit(ModelKind::Knn, &Matrix::zeros(0, 4).unwrap(), &[], 2, &OPTIONS)
                .is_err()
        );
    }
}
