//! From the data set's files to a prepared folder: read, joined, dealt out, fitted, written.
//!
//! The files are streamed, and memory holds the kept reviews, the restaurants and the authors of
//! the kept reviews. Vocabularies and scalers see the training part only.

mod collect;
mod fit;
mod page;
mod progress;
mod split;
mod summary;

use std::path::{Path, PathBuf};

pub use progress::PrepareProgress;
pub use summary::{PartSummary, SUMMARY_FILE, SUMMARY_PAGE, Summary};

use crate::dataset::{Example, PreparedWriter};
use crate::error::SentimentError;
use crate::features::{Feature, SplitRule};
use crate::lexicon;
use crate::review::is_positive;
use progress::Clock;

/// Where reviews come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The folder of the unpacked Yelp Open Dataset: `yelp_academic_dataset_business.json`,
    /// `_review.json` and `_user.json`.
    Folder(PathBuf),
    /// A CSV file with the columns of [`crate::source::CSV_COLUMNS`], of which `text` and `stars`
    /// have to be there. Every row counts as a restaurant's.
    Csv(PathBuf),
}

/// What is prepared, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct PrepareOptions {
    /// Where reviews come from.
    pub source: Source,
    /// The inputs beside the text.
    pub features: Vec<Feature>,
    /// How rows are dealt out.
    pub split: SplitRule,
    /// Seed of the split and of the sample.
    pub seed: u64,
    /// Keep a uniform sample of this many reviews.
    pub limit: Option<usize>,
    /// Keep restaurants of this city only, whatever its case.
    pub city: Option<String>,
    /// Longest review, in characters.
    pub max_characters: usize,
    /// A category becomes a column when this many training rows have it ...
    pub min_category_rows: u64,
    /// ... and it is among this many most frequent ones.
    pub max_categories: usize,
    /// Leave the author file unread; only possible when no feature needs it.
    pub skip_users: bool,
}

impl PrepareOptions {
    /// The paper's features and split, from `source`.
    pub fn new(source: Source) -> Self {
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

/// Reads the source and writes a prepared folder with its summary into `out`.
///
/// `progress` is told of every few thousand rows.
///
/// # Errors
/// A file that is missing or no text at all, a CSV header without a needed column, too few rows
/// for three parts. Single bad rows are counted in the summary instead.
pub fn prepare(
    options: &PrepareOptions,
    out: &Path,
    progress: &mut dyn FnMut(&PrepareProgress),
) -> Result<Summary, SentimentError> {
    let mut clock = Clock::new(progress);
    let collected = collect::collect(options, &mut clock)?;
    let scores: Vec<f32> = collected.rows.iter().map(|row| lexicon::score(&row.text)).collect();
    let parts = split::assign(options.split, options.seed, &collected.rows).ok_or_else(|| {
        SentimentError::TooFewRows {
            rows: collected.rows.len() as u64,
            split: options.split.as_str(),
            left_out: collected.left_out_in_words(),
        }
    })?;
    let (features, unavailable) = fit::fit(options, &collected, &parts, &scores);
    let names = collected.restaurants.iter().map(|restaurant| restaurant.id.clone());
    let mut writer = PreparedWriter::create(out, &features, names)?;
    clock.stage("writing", collected.rows.len() as u64);
    let mut summary = Summary::start(options, &collected, &features, unavailable);
    for (index, row) in collected.rows.iter().enumerate() {
        let review = collected.review(row);
        let example = Example {
            row: row.line,
            meta: features.meta(&review),
            stars: row.stars,
            positive: is_positive(row.stars),
            sentiment: features.sentiment.scale(f64::from(scores[index])) as f32,
            sentiment_raw: scores[index],
            business: row.business,
            text: review.text,
        };
        summary.add(parts[index], &example);
        writer.push(parts[index], example)?;
        clock.at(index as u64 + 1, index as u64 + 1);
    }
    let prepared = writer.finish()?;
    summary.finish(&prepared.restaurants()?);
    summary.save(out)?;
    Ok(summary)
}
