//! What every classical model can do, and the choice of one by name.

use bestof_tasks::rng::SeededRng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{
    Boosting, DecisionTree, Logistic, Matrix, NearestNeighbours, Perceptron, RandomForest,
    SupportVectors, damaged,
};
use crate::error::SentimentError;
use crate::model::ModelKind;

/// Settings that fitting needs beside the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FitOptions {
    /// Seed of everything random.
    pub seed: u64,
    /// Most rows to fit on; more are sampled. `None` takes the model's own limit.
    pub max_rows: Option<usize>,
}

/// A model that gives each row a probability for each class.
pub trait Classifier: Sized + Serialize + DeserializeOwned {
    /// Most rows it is fitted on unless told otherwise; `None` for no limit.
    const MAX_ROWS: Option<usize>;

    /// Fits the model to rows with class numbers below `classes`, each of which occurs.
    fn fit(x: &Matrix, y: &[u8], classes: usize, seed: u64) -> Result<Self, SentimentError>;

    /// Probabilities `[rows][classes]`.
    fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError>;

    /// Checks a model that was read for rows of `width` and for `classes`.
    fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError>;
}

/// One fitted model of any kind, or the one class that all rows had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Fitted {
    Constant,
    DecisionTree(DecisionTree),
    RandomForest(RandomForest),
    Knn(NearestNeighbours),
    Svm(SupportVectors),
    GradientBoosting(Boosting),
    Mlp(Perceptron),
    Logistic(Logistic),
}

/// A classifier for a fixed number of classes, some of which training rows may lack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    classes: usize,
    width: usize,
    /// Classes that training rows have, in order: the model's own class numbers.
    present: Vec<u8>,
    fitted: Fitted,
    /// Rows it was fitted on.
    pub trained_on: u64,
    /// Rows there were.
    pub available: u64,
}

impl Head {
    /// Fits a model of `kind` to rows with class numbers below `classes`.
    ///
    /// # Errors
    /// [`SentimentError::NotClassical`] for a kind that is no classical model,
    /// [`SentimentError::NoRows`] without rows, or what the library says.
    ///
    /// ```
    /// use bestof_sentiment::classical::{FitOptions, Head, Matrix};
    /// use bestof_sentiment::model::ModelKind;
    ///
    /// let rows: Vec<Vec<f32>> = (0..40).map(|i| vec![i as f32, 1.0]).collect();
    /// let x = Matrix::from_rows(&rows)?;
    /// let y: Vec<u8> = (0..40).map(|i| u8::from(i >= 20)).collect();
    /// let options = FitOptions { seed: 1, max_rows: None };
    /// let tree = Head::fit(ModelKind::DecisionTree, &x, &y, 2, &options)?;
    /// assert_eq!(tree.predict_proba(&x)?[39], [0.0, 1.0]);
    /// # Ok::<(), bestof_sentiment::SentimentError>(())
    /// ```
    pub fn fit(
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
            ModelKind::DecisionTree => fit_as(x, y, classes, options, Fitted::DecisionTree),
            ModelKind::RandomForest => fit_as(x, y, classes, options, Fitted::RandomForest),
            ModelKind::Knn => fit_as(x, y, classes, options, Fitted::Knn),
            ModelKind::Svm => fit_as(x, y, classes, options, Fitted::Svm),
            ModelKind::GradientBoosting => fit_as(x, y, classes, options, Fitted::GradientBoosting),
            ModelKind::Mlp => fit_as(x, y, classes, options, Fitted::Mlp),
            ModelKind::Logistic => fit_as(x, y, classes, options, Fitted::Logistic),
            other => Err(SentimentError::NotClassical { kind: other.as_str() }),
        }
    }

    /// Probabilities `[rows][classes]`; classes that training rows lack get 0.
    pub fn predict_proba(&self, x: &Matrix) -> Result<Vec<Vec<f32>>, SentimentError> {
        x.expect_width(self.width)?;
        let own = match &self.fitted {
            Fitted::Constant => vec![vec![1.0]; x.rows()],
            Fitted::DecisionTree(model) => model.predict_proba(x)?,
            Fitted::RandomForest(model) => model.predict_proba(x)?,
            Fitted::Knn(model) => model.predict_proba(x)?,
            Fitted::Svm(model) => model.predict_proba(x)?,
            Fitted::GradientBoosting(model) => model.predict_proba(x)?,
            Fitted::Mlp(model) => model.predict_proba(x)?,
            Fitted::Logistic(model) => model.predict_proba(x)?,
        };
        let spread = |row: Vec<f32>| {
            let mut all = vec![0.0; self.classes];
            for (&class, p) in self.present.iter().zip(row) {
                all[usize::from(class)] = p;
            }
            all
        };
        Ok(own.into_iter().map(spread).collect())
    }

    /// Checks a head that was read.
    pub(super) fn check(&self, width: usize, classes: usize) -> Result<(), SentimentError> {
        let ordered = self.present.is_sorted_by(|a, b| a < b);
        let known = self.present.iter().all(|&class| usize::from(class) < classes);
        if self.classes != classes
            || self.width != width
            || !ordered
            || !known
            || self.present.is_empty()
        {
            return Err(damaged("classes"));
        }
        let classes = self.present.len();
        match &self.fitted {
            Fitted::Constant if classes == 1 => Ok(()),
            Fitted::Constant => Err(damaged("classes")),
            Fitted::DecisionTree(model) => model.check(width, classes),
            Fitted::RandomForest(model) => model.check(width, classes),
            Fitted::Knn(model) => model.check(width, classes),
            Fitted::Svm(model) => model.check(width, classes),
            Fitted::GradientBoosting(model) => model.check(width, classes),
            Fitted::Mlp(model) => model.check(width, classes),
            Fitted::Logistic(model) => model.check(width, classes),
        }
    }
}

fn fit_as<C: Classifier>(
    x: &Matrix,
    y: &[u8],
    classes: usize,
    options: &FitOptions,
    wrap: fn(C) -> Fitted,
) -> Result<Head, SentimentError> {
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
        Fitted::Constant
    } else {
        wrap(C::fit(x, &own, present.len(), options.seed)?)
    };
    let (width, trained_on) = (x.width(), x.rows() as u64);
    Ok(Head { classes, width, present, fitted, trained_on, available })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Three rings of points that no straight line parts, and two columns of noise.
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

    fn accuracy(head: &Head, x: &Matrix, y: &[u8]) -> f64 {
        let rows = head.predict_proba(x).unwrap();
        let right = rows
            .iter()
            .zip(y)
            .filter(|(row, class)| crate::predictions::likeliest(row) == usize::from(**class));
        right.count() as f64 / y.len() as f64
    }

    #[test]
    fn every_kind_learns_rings_except_the_straight_one() {
        let (x, y) = rings(600, 1);
        let (test_x, test_y) = rings(300, 2);
        for kind in KINDS {
            let head = Head::fit(kind, &x, &y, 3, &OPTIONS).unwrap();
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
    fn saved_models_say_the_same_and_seeds_decide() {
        let (x, y) = rings(150, 1);
        for kind in KINDS {
            let head = Head::fit(kind, &x, &y, 3, &OPTIONS).unwrap();
            let again = Head::fit(kind, &x, &y, 3, &OPTIONS).unwrap();
            assert_eq!(head, again, "{kind}");
            let read: Head = serde_json::from_str(&serde_json::to_string(&head).unwrap()).unwrap();
            read.check(4, 3).unwrap();
            assert_eq!(read.predict_proba(&x).unwrap(), head.predict_proba(&x).unwrap(), "{kind}");
            assert!(read.check(5, 3).is_err() && read.check(4, 2).is_err(), "{kind}");
            let narrow = Matrix::zeros(1, 3).unwrap();
            assert!(head.predict_proba(&narrow).unwrap_err().to_string().contains('4'), "{kind}");
        }
    }

    #[test]
    fn classes_that_training_rows_lack_get_nothing() {
        let (x, y) = rings(150, 1);
        let y: Vec<u8> = y.into_iter().map(|class| class * 2).collect();
        for kind in KINDS {
            let head = Head::fit(kind, &x, &y, 5, &OPTIONS).unwrap();
            for row in head.predict_proba(&x).unwrap() {
                assert_eq!((row.len(), row[1], row[3]), (5, 0.0, 0.0), "{kind}");
            }
            let one = Head::fit(kind, &x, &[4; 150], 5, &OPTIONS).unwrap();
            assert_eq!(one.predict_proba(&x).unwrap()[7], [0.0, 0.0, 0.0, 0.0, 1.0], "{kind}");
        }
    }

    #[test]
    fn limits_sample_and_say_so() {
        let (x, y) = rings(400, 1);
        let options = FitOptions { seed: 1, max_rows: Some(90) };
        let head = Head::fit(ModelKind::Knn, &x, &y, 3, &options).unwrap();
        assert_eq!((head.trained_on, head.available), (90, 400));
        let error = Head::fit(ModelKind::Bert, &x, &y, 3, &OPTIONS).unwrap_err().to_string();
        assert!(error.contains("bert"), "{error}");
        assert!(Head::fit(ModelKind::Knn, &x, &y, 2, &OPTIONS).is_err());
        assert!(
            Head::fit(ModelKind::Knn, &Matrix::zeros(0, 4).unwrap(), &[], 2, &OPTIONS).is_err()
        );
    }
}
