//! From the data set's files to a prepared folder: rows are read, joined, split, scaled and written.
//!
//! The files are streamed; memory holds the kept reviews, the restaurants and the authors of the kept
//! reviews. Vocabularies and scalers are fitted on the training part only.

mod collect;
mod fit;
mod options;
mod page;
mod progress;
mod sample;
mod split;
mod summary;

use std::path::Path;

pub use options::{PrepareOptions, ReviewSource};
pub use progress::PrepareProgress;
pub use summary::{PartSummary, PreparationSummary};

use crate::dataset::{Example, PreparedWriter};
use crate::error::SentimentError;
use crate::json_file::write_json;
use crate::lexicon;
use progress::StageTimer;

/// Name of the summary in a prepared folder.
const SUMMARY_FILE: &str = "summary.json";

/// Name of the summary page in a prepared folder.
const SUMMARY_PAGE: &str = "summary.html";

/// Reads the source and writes a prepared folder with its summary into `out`.
///
/// `progress` is called every few thousand rows.
///
/// # Errors
/// A file that is missing or not text, a CSV header without a required column, a row without a part of a
/// given split, too few rows for three parts. Other single bad rows are counted in the summary instead.
pub fn prepare(
    options: &PrepareOptions,
    out: &Path,
    progress: &mut dyn FnMut(&PrepareProgress),
) -> Result<PreparationSummary, SentimentError> {
    let mut timer = StageTimer::new(progress);
    let collected = collect::collect(options, &mut timer)?;
    let scores: Vec<f32> = collected.rows.iter().map(|row| lexicon::score(&row.text)).collect();
    let parts = split::assign(options.split, options.seed, &collected.rows).ok_or_else(|| {
        SentimentError::TooFewRows {
            rows: collected.rows.len() as u64,
            split: options.split.as_str(),
            left_out: collected.describe_left_out(),
        }
    })?;
    if let Some(class) = collected.only_class() {
        return Err(SentimentError::OneClass { rows: collected.rows.len() as u64, class });
    }
    let (features, unavailable) = fit::fit(options, &collected, &parts, &scores);
    let names = collected.restaurants.iter().map(|restaurant| restaurant.id.clone());
    let mut writer = PreparedWriter::create(out, &features, names)?;
    timer.stage("writing", collected.rows.len() as u64);
    let mut summary = PreparationSummary::new(options, &collected, &features, unavailable);
    for (index, row) in collected.rows.iter().enumerate() {
        let review = collected.review(row);
        let example = Example {
            row: row.line,
            meta: features.meta(&review),
            stars: row.label.stars(),
            positive: row.label.positive(),
            sentiment: features.sentiment.scale(f64::from(scores[index])) as f32,
            sentiment_raw: scores[index],
            business: row.business,
            text: review.text,
        };
        summary.add(parts[index], &example);
        writer.push(parts[index], example)?;
        timer.update(index as u64 + 1, index as u64 + 1);
    }
    let prepared = writer.finish()?;
    summary.finish(&prepared.restaurants()?);
    write_summary(&summary, out)?;
    Ok(summary)
}

/// Writes the summary as JSON and as a page.
fn write_summary(summary: &PreparationSummary, folder: &Path) -> Result<(), SentimentError> {
    write_json(&folder.join(SUMMARY_FILE), summary)?;
    page::page(summary).write(&folder.join(SUMMARY_PAGE)).map_err(SentimentError::Report)
}
