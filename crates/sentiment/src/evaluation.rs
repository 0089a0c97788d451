//! How good models are: all of them in one table, per restaurant, and by how often training saw
//! the restaurant (the balance experiment of arXiv 2201.07999, figure 7b, with intervals).

mod explain;
mod page;

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::error::SentimentError;
use crate::metrics::{Interval, Scores, wilson};
use crate::model::{ModelKind, Predictor};
use crate::predictions::Predictions;

pub use explain::Explained;
pub use page::page;

/// Rows that are asked at once.
const BATCH: usize = 512;

/// How models are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluateOptions {
    /// Resamples of the bootstrap.
    pub resamples: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Training reviews that one bin of restaurants spans; the paper's 60.
    pub bin_width: u64,
    /// Reviews whose words are explained, of models that have gradients.
    pub explain: usize,
}

impl Default for EvaluateOptions {
    fn default() -> Self {
        Self { resamples: crate::metrics::RESAMPLES, seed: 0, bin_width: 60, explain: 0 }
    }
}

/// Bins of training counts; the last one is open.
const BINS: u64 = 11;

/// The rows of restaurants that training saw about equally often.
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
    /// Share of right binary labels.
    pub positive: Option<Interval>,
    /// Share of right stars.
    pub stars: Option<Interval>,
}

/// The rows of one restaurant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RestaurantScore {
    /// Its number in the prepared folder.
    pub business: u32,
    /// Its training reviews.
    pub train: u64,
    /// Rows here.
    pub rows: u64,
    /// Share of right binary labels.
    pub positive: Option<Interval>,
    /// Share of right stars.
    pub stars: Option<Interval>,
}

/// A model with its figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// The name it was given, such as its folder.
    pub name: String,
    /// Its kind.
    pub kind: ModelKind,
    /// What it sees.
    pub inputs: String,
    /// Rows it was fitted on.
    pub trained_on: u64,
    /// Rows it could have been fitted on.
    pub available: u64,
    /// Rows a second.
    pub rows_per_second: f64,
    /// Figures of every head.
    pub scores: Scores,
    /// By training count of the restaurant; restaurants never seen are the first bin.
    pub by_training_count: Vec<CountBin>,
    /// By restaurant, those with most rows first.
    pub by_restaurant: Vec<RestaurantScore>,
    /// Some reviews with what their words add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explained: Vec<Explained>,
}

/// Asks a model about every row of `data` and judges the answers; `progress` is told how many rows
/// are done.
///
/// # Errors
/// [`SentimentError::OtherFeatures`] when the model was trained on another preparation, whose
/// scalers and columns differ.
pub fn evaluate(
    name: impl Into<String>,
    model: &dyn Predictor,
    data: &Dataset,
    options: &EvaluateOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<Evaluated, SentimentError> {
    let name = name.into();
    if *model.features() != data.features {
        return Err(SentimentError::OtherFeatures { model: name });
    }
    let started = Instant::now();
    let mut answers = Predictions::default();
    for batch in data.examples.chunks(BATCH) {
        answers.append(model.predict(batch)?);
        progress(answers.len());
    }
    let seconds = started.elapsed().as_secs_f64();
    let card = model.card();
    let outcome = Outcome::of(data, &answers);
    Ok(Evaluated {
        name,
        kind: card.kind,
        inputs: card.inputs.clone(),
        trained_on: card.trained_on,
        available: card.available,
        rows_per_second: data.len() as f64 / seconds.max(1e-9),
        scores: Scores::of(data, &answers, options.resamples, options.seed),
        by_training_count: by_training_count(data, &outcome, &card.restaurants, options.bin_width),
        by_restaurant: by_restaurant(data, &outcome, &card.restaurants),
        explained: explain::explain(model, data, options.explain)?,
    })
}

/// Which rows were answered rightly.
struct Outcome {
    positive: Option<Vec<bool>>,
    stars: Option<Vec<bool>>,
}

impl Outcome {
    fn of(data: &Dataset, answers: &Predictions) -> Self {
        let positive = answers.positive_labels().map(|labels| {
            labels.iter().zip(&data.examples).map(|(said, row)| *said == row.positive).collect()
        });
        let stars = answers.star_labels().map(|labels| {
            labels.iter().zip(&data.examples).map(|(said, row)| *said == row.stars).collect()
        });
        Self { positive, stars }
    }

    /// Shares of right answers among `rows`.
    fn among(&self, rows: &[usize]) -> (Option<Interval>, Option<Interval>) {
        let share = |right: &Vec<bool>| {
            let hits = rows.iter().filter(|&&row| right.get(row) == Some(&true)).count();
            wilson(hits as u64, rows.len() as u64)
        };
        (self.positive.as_ref().map(share), self.stars.as_ref().map(share))
    }
}

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
    outcome: &Outcome,
    train: &[u64],
    width: u64,
) -> Vec<CountBin> {
    let width = width.max(1);
    // Bin 0 holds the unseen ones, bin i + 1 the counts from `i width` on.
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
    let told = bins.into_iter().enumerate().filter(|(_, (_, rows))| !rows.is_empty());
    told.map(|(bin, (restaurants, rows))| {
        let (positive, stars) = outcome.among(&rows);
        let first = (bin as u64).saturating_sub(1);
        let (from, to) = match bin {
            0 => (0, Some(0)),
            _ => ((first * width).max(1), (first + 1 < BINS).then_some((first + 1) * width - 1)),
        };
        CountBin { from, to, restaurants, rows: rows.len() as u64, positive, stars }
    })
    .collect()
}

fn by_restaurant(data: &Dataset, outcome: &Outcome, train: &[u64]) -> Vec<RestaurantScore> {
    let mut scores: Vec<RestaurantScore> = rows_of_restaurants(data)
        .into_iter()
        .enumerate()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(business, rows)| {
            let (positive, stars) = outcome.among(&rows);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Example;
    use crate::features::{FeatureSpec, Scaler};
    use crate::model::ModelCard;

    struct Fixed {
        card: ModelCard,
        features: FeatureSpec,
    }

    impl Predictor for Fixed {
        fn card(&self) -> &ModelCard {
            &self.card
        }

        fn features(&self) -> &FeatureSpec {
            &self.features
        }

        fn predict(&self, rows: &[Example]) -> Result<Predictions, SentimentError> {
            // Says "positive" to all.
            Ok(Predictions { positive: Some(vec![0.9; rows.len()]), ..Predictions::default() })
        }
    }

    fn made() -> (Fixed, Dataset) {
        let features = FeatureSpec::new(Vec::new(), Scaler { mean: 0.0, std: 1.0 }, "none");
        // Restaurant 0 unseen (2 rows), 1 seen 5 times (4 rows), 2 seen 700 times (1 row).
        let row =
            |business, positive| Example { business, positive, stars: 3, ..Example::default() };
        let examples = vec![
            row(0, true),
            row(0, false),
            row(1, true),
            row(1, true),
            row(1, true),
            row(1, false),
            row(2, true),
        ];
        let mut card = ModelCard::new(ModelKind::Logistic, "text", 0);
        card.restaurants = vec![0, 5, 700];
        (Fixed { card, features: features.clone() }, Dataset { examples, features })
    }

    #[test]
    fn bins_and_restaurants_by_hand() {
        let (model, data) = made();
        let options = EvaluateOptions { resamples: 50, ..EvaluateOptions::default() };
        let mut done = 0;
        let found = evaluate("fixed", &model, &data, &options, &mut |rows| done = rows).unwrap();
        assert_eq!(done, 7);
        let bins: Vec<_> = found
            .by_training_count
            .iter()
            .map(|bin| (bin.from, bin.to, bin.restaurants, bin.rows, bin.positive.unwrap().value))
            .collect();
        assert_eq!(
            bins,
            [(0, Some(0), 1, 2, 0.5), (1, Some(59), 1, 4, 0.75), (600, None, 1, 1, 1.0)]
        );
        assert!(found.by_training_count[0].positive.unwrap().high > 0.9, "two rows say little");
        let order: Vec<_> =
            found.by_restaurant.iter().map(|score| (score.business, score.train)).collect();
        assert_eq!(order, [(1, 5), (0, 0), (2, 700)]);
        let html = page(&[found], "test").to_html();
        assert!(html.contains("majority") && html.contains("Training reviews"), "{html}");
    }

    #[test]
    fn another_preparation_is_refused() {
        let (model, mut data) = made();
        data.features.sentiment.mean = 1.0;
        let options = EvaluateOptions::default();
        let error = evaluate("m", &model, &data, &options, &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("another preparation"), "{error}");
    }
}
