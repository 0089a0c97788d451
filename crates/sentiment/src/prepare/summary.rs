//! Counts and statistics of a preparation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::options::PrepareOptions;
use super::sample::Collected;
use crate::dataset::{Example, Part, Restaurant};
use crate::features::{Feature, FeatureSpec, SplitRule};
use crate::review::UNKNOWN_STARS;
use crate::source::LeftOut;

/// Width of a bin of the histogram of text lengths, in words.
const WORDS: u64 = 10;

/// Class balance of one part.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PartSummary {
    /// Rows.
    pub rows: u64,
    /// Rows of one to five stars; none in a table of two classes.
    pub stars: [u64; 5],
    /// Rows of four and five stars, or of the positive class.
    pub positive: u64,
    /// Restaurants with rows in this part.
    pub restaurants: u64,
    /// Those of them without a training row.
    pub unseen_restaurants: u64,
    /// Accuracy of always predicting the more frequent of the two labels.
    pub majority_positive: f64,
    /// Accuracy of always predicting the most frequent number of stars; `None` without stars.
    pub majority_stars: Option<f64>,
}

/// Counts and statistics of a preparation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreparationSummary {
    /// Usable reviews of restaurants; more than `kept` if they were sampled.
    pub usable: u64,
    /// Rows kept.
    pub kept: u64,
    /// Reviews of businesses other than restaurants, or in another city.
    pub elsewhere: u64,
    /// Restaurants with kept reviews.
    pub restaurants: u64,
    /// Kept reviews whose author is not in the author file; `None` if that was not read.
    pub unknown_users: Option<u64>,
    /// Lines of the first twenty of these reviews.
    pub unknown_user_lines: Vec<u64>,
    /// Votes below zero, which count as zero.
    pub negative_votes: u64,
    /// Rows left out, by file.
    pub left_out: BTreeMap<String, LeftOut>,
    /// The parts `train`, `validation` and `test`.
    pub parts: BTreeMap<String, PartSummary>,
    /// How rows were split.
    pub split: SplitRule,
    /// Seed of the split.
    pub seed: u64,
    /// Length of the feature vector.
    pub width: usize,
    /// How the files were read, where that is not plain.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Features without a value in any training row, which have no column.
    pub unavailable: Vec<Feature>,
    /// Correlation of the lexicon score with the stars (0.526 in the paper's data), or with the class of
    /// a table of two.
    pub sentiment_stars_correlation: f64,
    /// Mean score of the reviews of one to five stars.
    pub sentiment_by_stars: [f64; 5],
    /// Histogram of the lengths of reviews: from the first length of a bin of ten words to reviews.
    pub words: BTreeMap<u64, u64>,
    /// Histogram of the reviews of a restaurant: from reviews to restaurants.
    pub reviews_of_a_restaurant: BTreeMap<u64, u64>,
    #[serde(skip)]
    moments: Moments,
}

/// Sums for the correlation of score and stars.
#[derive(Debug, Clone, PartialEq, Default)]
struct Moments {
    n: f64,
    score: f64,
    stars: f64,
    score_score: f64,
    stars_stars: f64,
    score_stars: f64,
}

impl Moments {
    fn add(&mut self, score: f64, stars: f64) {
        self.n += 1.0;
        self.score += score;
        self.stars += stars;
        self.score_score += score * score;
        self.stars_stars += stars * stars;
        self.score_stars += score * stars;
    }

    fn correlation(&self) -> f64 {
        let joint = self.n * self.score_stars - self.score * self.stars;
        let score = self.n * self.score_score - self.score * self.score;
        let stars = self.n * self.stars_stars - self.stars * self.stars;
        let deviations = (score * stars).sqrt();
        if deviations > 0.0 { joint / deviations } else { 0.0 }
    }
}

impl PreparationSummary {
    /// A summary of what was read; rows are added by [`PreparationSummary::add`].
    pub(super) fn new(
        options: &PrepareOptions,
        collected: &Collected,
        features: &FeatureSpec,
        unavailable: Vec<Feature>,
    ) -> Self {
        let mut texts = BTreeMap::new();
        for row in &collected.rows {
            let words = row.text.split_whitespace().count() as u64 / WORDS * WORDS;
            *texts.entry(words).or_default() += 1;
        }
        Self {
            usable: collected.read,
            kept: collected.rows.len() as u64,
            elsewhere: collected.elsewhere,
            restaurants: collected.restaurants.len() as u64,
            unknown_users: collected.authors_read.then_some(collected.unknown_users.0),
            unknown_user_lines: collected.unknown_users.1.clone(),
            negative_votes: collected.negative_votes,
            left_out: collected.left_out.clone(),
            parts: Part::ALL.map(|part| (part.as_str().to_owned(), PartSummary::default())).into(),
            split: options.split,
            seed: options.seed,
            width: features.width(),
            notes: notes(collected, &unavailable),
            unavailable,
            sentiment_stars_correlation: 0.0,
            sentiment_by_stars: [0.0; 5],
            words: texts,
            reviews_of_a_restaurant: BTreeMap::new(),
            moments: Moments::default(),
        }
    }

    pub(super) fn add(&mut self, part: Part, example: &Example) {
        let score = f64::from(example.sentiment_raw);
        let part = self.parts.entry(part.as_str().to_owned()).or_default();
        part.rows += 1;
        part.positive += u64::from(example.positive);
        if example.stars == UNKNOWN_STARS {
            self.moments.add(score, f64::from(u8::from(example.positive)));
            return;
        }
        self.moments.add(score, f64::from(example.stars));
        let star = usize::from(example.stars.min(5)) - 1;
        self.sentiment_by_stars[star] += score;
        part.stars[star] += 1;
    }

    /// Computes means and shares once every row was added.
    pub(super) fn finish(&mut self, restaurants: &[Restaurant]) {
        self.sentiment_stars_correlation = self.moments.correlation();
        for (star, sum) in self.sentiment_by_stars.iter_mut().enumerate() {
            let rows: u64 = self.parts.values().map(|part| part.stars[star]).sum();
            *sum /= (rows as f64).max(1.0);
        }
        for (name, part) in &mut self.parts {
            let rows = |restaurant: &Restaurant| match name.as_str() {
                "train" => restaurant.train,
                "validation" => restaurant.validation,
                _ => restaurant.test,
            };
            let here: Vec<&Restaurant> = restaurants.iter().filter(|r| rows(r) > 0).collect();
            part.restaurants = here.len() as u64;
            part.unseen_restaurants = here.iter().filter(|r| r.train == 0).count() as u64;
            let all = (part.rows as f64).max(1.0);
            part.majority_positive = part.positive.max(part.rows - part.positive) as f64 / all;
            let most = part.stars.iter().copied().max().filter(|&most| most > 0);
            part.majority_stars = most.map(|most| most as f64 / all);
        }
        for restaurant in restaurants {
            let reviews = restaurant.train + restaurant.validation + restaurant.test;
            *self.reviews_of_a_restaurant.entry(reviews).or_default() += 1;
        }
    }

    /// The files with rows left out.
    pub fn files_with_gaps(&self) -> impl Iterator<Item = (&String, &LeftOut)> {
        self.left_out.iter().filter(|(_, rows)| !rows.is_empty())
    }

    /// The parts with their names: training, validation, test.
    pub(super) fn in_order(&self) -> Vec<(&'static str, &PartSummary)> {
        let part = |part: Part| Some((part.as_str(), self.parts.get(part.as_str())?));
        Part::ALL.into_iter().filter_map(part).collect()
    }
}

/// What a reader of the prepared rows should know.
fn notes(collected: &Collected, unavailable: &[Feature]) -> Vec<String> {
    let mut notes = collected.notes.clone();
    notes.extend(collected.unread_dates.note(collected.read));
    if !unavailable.is_empty() {
        let names: Vec<&str> = unavailable.iter().map(|feature| feature.as_str()).collect();
        notes.push(format!(
            "no training row has a value of {}: these features have no columns",
            names.join(", ")
        ));
    }
    let positive = collected.rows.iter().filter(|row| row.label.positive()).count();
    if positive == 0 || positive == collected.rows.len() {
        let which = if positive == 0 { "fewer than four" } else { "four or five" };
        notes.push(format!("every review has {which} stars: `--labels binary` has one class only"));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlation_by_hand() {
        let mut moments = Moments::default();
        for (score, stars) in [(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0)] {
            moments.add(score, stars);
        }
        // Deviations (-1.5,-.5),(-.5,-1.5),(.5,1.5),(1.5,.5): 3 over 5.
        assert!((moments.correlation() - 0.6).abs() < 1e-12);
        assert_eq!(Moments::default().correlation(), 0.0);
    }
}
