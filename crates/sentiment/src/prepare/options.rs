//! What is prepared, and how.

use std::path::PathBuf;

use crate::features::{Feature, SplitRule};

/// The files of the reviews.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewSource {
    /// The folder of the unpacked Yelp Open Dataset: `yelp_academic_dataset_business.json`,
    /// `_review.json` and `_user.json`.
    Folder(PathBuf),
    /// A CSV or Parquet file with columns of [`crate::source::COLUMNS`], `text` and `stars` or `label` at
    /// least, and `part` with [`SplitRule::Part`]. Every row counts as a review of a restaurant.
    Csv(PathBuf),
}

/// What is prepared, and how.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PrepareOptions {
    /// The files of the reviews.
    pub source: ReviewSource,
    /// The inputs beside the text. Default [`Feature::PAPER`].
    pub features: Vec<Feature>,
    /// How rows are split. Default [`SplitRule::Review`].
    pub split: SplitRule,
    /// Seed of the split and of the sample. Default 42.
    pub seed: u64,
    /// Size of a uniform sample of the reviews; `None`, the default, keeps all.
    pub limit: Option<usize>,
    /// Keep restaurants of this city only, ignoring case.
    pub city: Option<String>,
    /// Longest review, in characters; longer ones are left out. Default 20,000.
    pub max_characters: usize,
    /// Least number of training rows of a category that becomes a column. Default 5.
    pub min_category_rows: u64,
    /// Most categories that become columns; the most frequent are taken. Default 512.
    pub max_categories: usize,
    /// Do not read the author file, if no feature needs it. Default `false`.
    pub skip_users: bool,
}

impl PrepareOptions {
    /// The defaults, with the paper's features and split.
    pub fn new(source: ReviewSource) -> Self {
        Self {
            source,
            features: Feature::PAPER.to_vec(),
            split: SplitRule::Review,
            seed: 42,
            limit: None,
            city: None,
            max_characters: 20_000,
            min_category_rows: 5,
            max_categories: 512,
            skip_users: false,
        }
    }
}
