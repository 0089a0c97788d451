//! The metrics of one model on labelled rows.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::explain::{Explained, explain};
use crate::dataset::Dataset;
use crate::error::SentimentError;
use crate::metrics::{Interval, RESAMPLES, Scores, wilson};
use crate::model::{ModelKind, Predictor};
use crate::predictions::Predictions;

/// Rows of one call of the model.
const BATCH: usize = 512;

/// How models are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvaluateOptions {
    /// Resamples of the bootstrap. Default 1000.
    pub resamples: usize,
    /// Seed of the bootstrap. Default 0.
    pub seed: u64,
    /// Width of a bin of restaurants, in training reviews. Default 60, as in the paper.
    pub bin_width: u64,
    /// Number of reviews whose words are explained, for models with gradients. Default 0.
    pub explain: usize,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self { resamples: RESAMPLES, seed: 0, bin_width: 60, explain: 0 }
    }
}

/// Number of bins of training counts; the last one is open.
const BINS: u64 = 11;

/// Accuracy on the restaurants with a similar number of training reviews.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountBin {
    /// Least training reviews of the bin's restaurants.
    pub from: u64,
    /// Most of them; `None` for the last bin.
    pub to: Option<u64>,
    /// Restaurants in the bin that have rows here.
    pub restaurants: u64,
    /// Rows.
    pub rows: u64,
    /// Binary accuracy, in [0, 1].
    pub positive: Option<Interval>,
    /// Star accuracy, in [0, 1].
    pub stars: Option<Interval>,
}

/// Accuracy on one restaurant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestaurantScore {
    /// Its index in the prepared folder.
    pub business: u32,
    /// Its training reviews.
    pub train: u64,
    /// Rows here.
    pub rows: u64,
    /// Binary accuracy, in [0, 1].
    pub positive: Option<Interval>,
    /// Star accuracy, in [0, 1].
    pub stars: Option<Interval>,
}

/// The evaluation of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelEvaluation {
    /// A name for tables, such as that of its folder.
    pub name: String,
    /// Which model.
    pub kind: ModelKind,
    /// Its inputs: `meta`, `text` or `joint`.
    pub inputs: String,
    /// Rows it was fitted on.
    pub trained_on: u64,
    /// Rows of the training part.
    pub available: u64,
    /// Speed of prediction, in rows per second.
    pub rows_per_second: f64,
    /// Metrics of every head.
    pub scores: Scores,
    /// By number of training reviews of the restaurant; those without any are the first bin.
    pub by_training_count: Vec<CountBin>,
    /// By restaurant, most rows first.
    pub by_restaurant: Vec<RestaurantScore>,
    /// Some reviews with the contributions of their words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explained: Vec<Explained>,
}

/// Predicts every row of `data` and compares the predictions with the labels; `progress` is called with
/// the number of rows done.
///
/// # Errors
/// [`SentimentError::OtherFeatures`] when the model was trained on another preparation, with other
/// columns or scalers, [`SentimentError::NotFinite`] for a model whose answers are no numbers.
pub fn evaluate(
    name: impl Into<String>,
    model: &dyn Predictor,
    data: &Dataset,
    options: &EvaluateOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<ModelEvaluation, SentimentError> {
    let name = name.into();
    if *model.features() != data.features {
        return Err(SentimentError::OtherFeatures { model: name });
    }
    let started = Instant::now();
    let mut answers = Predictions::default();
    for batch in data.examples.chunks(BATCH) {
        answers.append(model.predict(batch)?.checked(batch)?);
        progress(answers.len());
    }
    let seconds = started.elapsed().as_secs_f64();
    let card = model.card();
    let correct = CorrectRows::new(data, &answers);
    Ok(ModelEvaluation {
        name,
        kind: card.kind,
        inputs: card.inputs.clone(),
        trained_on: card.trained_on,
        available: card.available,
        rows_per_second: data.len() as f64 / seconds.max(1e-9),
        scores: Scores::of(data, &answers, options.resamples, options.seed),
        by_training_count: by_training_count(data, &correct, &card.restaurants, options.bin_width),
        by_restaurant: by_restaurant(data, &correct, &card.restaurants),
        explained: explain(model, data, options.explain)?,
    })
}

/// Which rows were predicted correctly.
struct CorrectRows {
    positive: Option<Vec<bool>>,
    stars: Option<Vec<bool>>,
}

impl CorrectRows {
    fn new(data: &Dataset, answers: &Predictions) -> Self {
        let positive = answers.positive_labels().map(|labels| {
            labels
                .iter()
                .zip(&data.examples)
                .map(|(predicted, row)| *predicted == row.positive)
                .collect()
        });
        let stars = answers.star_labels().filter(|_| data.has_stars()).map(|labels| {
            labels
                .iter()
                .zip(&data.examples)
                .map(|(predicted, row)| *predicted == row.stars)
                .collect()
        });
        Self { positive, stars }
    }

    /// Binary and star accuracy on `rows`.
    fn among(&self, rows: &[usize]) -> (Option<Interval>, Option<Interval>) {
        let accuracy = |correct: &Vec<bool>| {
            let hits = rows.iter().filter(|&&row| correct.get(row) == Some(&true)).count();
            wilson(hits as u64, rows.len() as u64)
        };
        (self.positive.as_ref().map(accuracy), self.stars.as_ref().map(accuracy))
    }
}

/// The rows of each restaurant, by its index.
fn rows_of_restaurants(data: &Dataset) -> Vec<Vec<usize>> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for (index, example) in data.examples.iter().enumerate() {
        let business = example.business as usize;
        if rows.len() <= business {
            rows.resize(business + 1, Vec::new());
        }
        rows[business].push(index);
    }
    rows
}

fn by_training_count(
    data: &Dataset,
    correct: &CorrectRows,
    train: &[u64],
    width: u64,
) -> Vec<CountBin> {
    let width = width.max(1);
    // Bin 0 holds restaurants without training reviews, bin i + 1 counts from `i width` on.
    let mut bins: Vec<(u64, Vec<usize>)> = vec![(0, Vec::new()); BINS as usize + 1];
    for (business, rows) in rows_of_restaurants(data).into_iter().enumerate() {
        if rows.is_empty() {
            continue;
        }
        let count = train.get(business).copied().unwrap_or(0);
        let bin = if count == 0 { 0 } else { 1 + (count / width).min(BINS - 1) };
        bins[bin as usize].0 += 1;
        bins[bin as usize].1.extend(rows);
    }
    let filled = bins.into_iter().enumerate().filter(|(_, (_, rows))| !rows.is_empty());
    filled
        .map(|(bin, (restaurants, rows))| {
            let (positive, stars) = correct.among(&rows);
            let first = (bin as u64).saturating_sub(1);
            let (from, to) = match bin {
                0 => (0, Some(0)),
                _ => {
                    ((first * width).max(1), (first + 1 < BINS).then_some((first + 1) * width - 1))
                }
            };
            CountBin { from, to, restaurants, rows: rows.len() as u64, positive, stars }
        })
        .collect()
}

fn by_restaurant(data: &Dataset, correct: &CorrectRows, train: &[u64]) -> Vec<RestaurantScore> {
    let mut scores: Vec<RestaurantScore> = rows_of_restaurants(data)
        .into_iter()
        .enumerate()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(business, rows)| {
            let (positive, stars) = correct.among(&rows);
            let train = train.get(business).copied().unwrap_or(0);
            RestaurantScore {
                business: business as u32,
                train,
                rows: rows.len() as u64,
                positive,
                stars,
            }
        })
        .collect();
    scores.sort_by_key(|score| (std::cmp::Reverse(score.rows), score.business));
    scores
}
