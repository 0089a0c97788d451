//! The description of the feature vector, saved with every model.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::refused::refusal;
use crate::error::SentimentError;
use crate::json_file::{read_json, write_json};
use crate::review::Review;

/// Name of the file that describes the features, in a prepared folder and in a model folder.
pub(crate) const FEATURES_FILE: &str = "features.json";

/// Version of the file format.
const VERSION: u32 = 1;

/// A quantity of a review that can be an input beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// `ln(1 + n)` of its `useful` votes.
    Useful,
    /// `ln(1 + n)` of its `funny` votes.
    Funny,
    /// `ln(1 + n)` of its `cool` votes.
    Cool,
    /// The day it was written.
    Date,
    /// One column for each frequent category of restaurants, and one that is 1 when the restaurant has
    /// none of these.
    Categories,
    /// The restaurant's latitude in degrees; it nearly identifies the restaurant, so it is no default.
    Latitude,
    /// The restaurant's longitude in degrees; no default either.
    Longitude,
    /// The restaurant's price range, 1 to 4.
    Price,
    /// Age of the author's account when the review was written, in days.
    AccountAge,
    /// Number of years in which the author had elite status.
    EliteYears,
    /// `ln(1 + n)` of the author's fans.
    Fans,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 11] = [
        Self::Useful,
        Self::Funny,
        Self::Cool,
        Self::Date,
        Self::Categories,
        Self::Latitude,
        Self::Longitude,
        Self::Price,
        Self::AccountAge,
        Self::EliteYears,
        Self::Fans,
    ];

    /// The meta features of arXiv 2201.07999.
    pub const PAPER: [Self; 5] =
        [Self::Useful, Self::Funny, Self::Cool, Self::Date, Self::Categories];

    /// The name on a command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Useful => "useful",
            Self::Funny => "funny",
            Self::Cool => "cool",
            Self::Date => "date",
            Self::Categories => "categories",
            Self::Latitude => "latitude",
            Self::Longitude => "longitude",
            Self::Price => "price",
            Self::AccountAge => "account_age",
            Self::EliteYears => "elite_years",
            Self::Fans => "fans",
        }
    }

    /// The feature of this name.
    ///
    /// # Errors
    /// [`SentimentError::RefusedFeature`] for a column that contains the answer,
    /// [`SentimentError::UnknownFeature`] for any other name.
    pub fn parse(name: &str) -> Result<Self, SentimentError> {
        if let Some(why) = refusal(name) {
            return Err(SentimentError::RefusedFeature { name: name.to_owned(), why });
        }
        let found = Self::ALL.into_iter().find(|feature| feature.as_str() == name);
        found.ok_or_else(|| SentimentError::UnknownFeature {
            name: name.to_owned(),
            known: Self::ALL.map(Self::as_str).join(", "),
        })
    }

    /// The value of a numeric feature before scaling; `None` if it is missing. Dates are in days. Votes
    /// and fans are `ln(1 + n)`, because a few have hundreds; negative votes count as 0.
    pub(crate) fn value(self, review: &Review) -> Option<f64> {
        const DAY: f64 = 86_400.0;
        let votes = |count: Option<i64>| count.map(|count| (count.max(0) as f64).ln_1p());
        match self {
            Self::Useful => votes(review.useful),
            Self::Funny => votes(review.funny),
            Self::Cool => votes(review.cool),
            Self::Date => review.date.map(|date| date as f64 / DAY),
            Self::Categories => None,
            Self::Latitude => review.business.latitude,
            Self::Longitude => review.business.longitude,
            Self::Price => review.business.price.map(f64::from),
            Self::AccountAge => {
                let (date, since) = (review.date?, review.author.since?);
                Some((date as f64 - since as f64) / DAY)
            }
            Self::EliteYears => review.author.elite_years.map(f64::from),
            Self::Fans => review.author.fans.map(|fans| (fans as f64).ln_1p()),
        }
    }
}

/// Mean and standard deviation of a quantity, to standardise it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// Mean over the training rows.
    pub mean: f64,
    /// Standard deviation over the training rows; 1 if all are equal.
    pub std: f64,
}

impl Scaler {
    /// The scaler of `values`; mean 0 and deviation 1 without values.
    pub(crate) fn fit(values: impl IntoIterator<Item = f64>) -> Self {
        // Welford's update: dates are large compared with their deviation.
        let (mut count, mut mean, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
        for value in values {
            count += 1.0;
            let difference = value - mean;
            mean += difference / count;
            squares += difference * (value - mean);
        }
        let std = if count > 0.0 { (squares / count).sqrt() } else { 1.0 };
        Self { mean, std: if std > 1e-12 * mean.abs().max(1e-12) { std } else { 1.0 } }
    }

    /// `value` in standard deviations from the mean.
    pub(crate) fn scale(&self, value: f64) -> f64 {
        (value - self.mean) / self.std
    }

    /// The inverse of [`Scaler::scale`].
    pub(crate) fn unscale(&self, scaled: f64) -> f64 {
        scaled * self.std + self.mean
    }
}

/// One entry of the feature vector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Column {
    /// A standardised quantity; 0, the training mean, where it is missing.
    Number {
        /// The quantity.
        feature: Feature,
        /// Fitted on the training rows that have a value.
        scaler: Scaler,
    },
    /// 1 if the restaurant has this category, otherwise 0.
    Category {
        /// In lower case.
        name: String,
    },
    /// 1 if the restaurant has none of the categories with a column, otherwise 0.
    UnknownCategory,
}

impl Column {
    /// The name, which the Parquet files have after `meta:`.
    pub fn name(&self) -> String {
        match self {
            Self::Number { feature, .. } => feature.as_str().to_owned(),
            Self::Category { name } => format!("category={name}"),
            Self::UnknownCategory => "category unknown".to_owned(),
        }
    }
}

/// How rows are split into training, validation and test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitRule {
    /// Each review by itself, 70 : 15 : 15 (the paper's rule): restaurants and authors occur in several
    /// parts.
    #[default]
    Review,
    /// Whole restaurants: a test restaurant has no training review.
    Restaurant,
    /// By date: the oldest 70 % for training, the newest 15 % for testing.
    Time,
    /// As a column `part` of the table says: `train`, `validation` or `test`.
    Part,
}

impl SplitRule {
    /// The name on a command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Restaurant => "restaurant",
            Self::Time => "time",
            Self::Part => "part",
        }
    }
}

/// The description of the feature vector, fitted on the training part only and saved with every model.
///
/// The vector has one entry per column, in the order of `columns`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// Version of the file format.
    pub version: u32,
    /// The columns, in the order of the vector.
    pub columns: Vec<Column>,
    /// Scaler of the sentiment score.
    pub sentiment: Scaler,
    /// Name and version of the lexicon of the score.
    pub lexicon: String,
    /// Seed of the split.
    pub seed: u64,
    /// How rows were split.
    pub split: SplitRule,
    /// Number of training rows that the scalers were fitted on.
    pub fitted_on: u64,
}

impl FeatureSpec {
    /// A description without rows.
    pub fn new(columns: Vec<Column>, sentiment: Scaler, lexicon: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            columns,
            sentiment,
            lexicon: lexicon.into(),
            seed: 0,
            split: SplitRule::default(),
            fitted_on: 0,
        }
    }

    /// Length of the feature vector.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The names of the columns, in the order of the vector.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(Column::name).collect()
    }

    /// The scaled feature vector of a review, `[width]`.
    pub(crate) fn meta(&self, review: &Review) -> Vec<f32> {
        let has = |name: &String| review.business.categories.contains(name);
        let known = self
            .columns
            .iter()
            .any(|column| matches!(column, Column::Category { name } if has(name)));
        let value = |column: &Column| match column {
            Column::Number { feature, scaler } => {
                feature.value(review).map_or(0.0, |value| scaler.scale(value) as f32)
            }
            Column::Category { name } => f32::from(u8::from(has(name))),
            Column::UnknownCategory => f32::from(u8::from(!known)),
        };
        self.columns.iter().map(value).collect()
    }

    /// Reads [`FEATURES_FILE`] of `folder`.
    pub(crate) fn load(folder: &Path) -> Result<Self, SentimentError> {
        let path = folder.join(FEATURES_FILE);
        let spec: Self = read_json(&path)?;
        if spec.version != VERSION {
            return Err(SentimentError::Version { path, found: spec.version, expected: VERSION });
        }
        Ok(spec)
    }

    /// Writes [`FEATURES_FILE`] into `folder`.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), SentimentError> {
        write_json(&folder.join(FEATURES_FILE), self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::BusinessMetadata;

    fn spec() -> FeatureSpec {
        let columns = vec![
            Column::Number { feature: Feature::Useful, scaler: Scaler { mean: 2.0, std: 4.0 } },
            Column::Number { feature: Feature::Price, scaler: Scaler { mean: 2.0, std: 1.0 } },
            Column::Category { name: "thai".into() },
            Column::Category { name: "pizza".into() },
            Column::UnknownCategory,
        ];
        FeatureSpec::new(columns, Scaler { mean: 0.5, std: 2.0 }, "test 1")
    }

    fn review(useful: i64, price: Option<u8>, categories: &[&str]) -> Review {
        let categories = categories.iter().map(|&name| name.to_owned()).collect();
        Review {
            useful: Some(useful),
            business: BusinessMetadata { categories, price, ..BusinessMetadata::default() },
            ..Review::default()
        }
    }

    #[test]
    fn vectors_follow_the_columns() {
        let spec = spec();
        // (ln 11 - 2) / 4, and the mean for a missing price.
        let tenth = ((11.0_f64.ln() - 2.0) / 4.0) as f32;
        assert_eq!(spec.meta(&review(10, Some(3), &["pizza"])), [tenth, 1.0, 0.0, 1.0, 0.0]);
        assert_eq!(spec.meta(&review(0, None, &["thai", "bars"])), [-0.5, 0.0, 1.0, 0.0, 0.0]);
        assert_eq!(spec.meta(&review(-1, None, &["bars"])), [-0.5, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(spec.meta(&review(-1, None, &[]))[4], 1.0);
    }

    #[test]
    fn scalers_fit_large_numbers_with_a_small_deviation() {
        // Mean and population deviation by hand: 1e9 + 2 and sqrt(2).
        let scaler = Scaler::fit([0.0, 1.0, 2.0, 3.0, 4.0].map(|x| 1e9 + x));
        assert!(
            (scaler.mean - 1e9 - 2.0).abs() < 1e-6 && (scaler.std - 2.0_f64.sqrt()).abs() < 1e-9
        );
        assert!((scaler.unscale(scaler.scale(7.5)) - 7.5).abs() < 1e-6);
        assert_eq!(Scaler::fit([3.0, 3.0]).std, 1.0);
        assert_eq!(Scaler::fit([]), Scaler { mean: 0.0, std: 1.0 });
    }

    #[test]
    fn saved_and_loaded() {
        let folder = tempfile::tempdir().unwrap();
        spec().save(folder.path()).unwrap();
        assert_eq!(FeatureSpec::load(folder.path()).unwrap(), spec());
        let path = folder.path().join(FEATURES_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"version\": 1", "\"version\": 9")).unwrap();
        let error = FeatureSpec::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("version 9"), "{error}");
    }

    #[test]
    fn columns_that_contain_the_answer_are_refused() {
        let message = |name: &str| Feature::parse(name).unwrap_err().to_string();
        assert!(message("business_stars").contains("mean of its reviews"));
        assert!(refusal("average_stars").is_some_and(|why| why.contains("mean")));
        assert!(refusal("useful").is_none());
        assert!(message("usefull").contains("useful, funny, cool"));
        for feature in Feature::ALL {
            assert_eq!(Feature::parse(feature.as_str()).unwrap(), feature);
        }
    }
}
