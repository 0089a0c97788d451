//! Predictions for the reviews of a file of JSON lines, CSV or Parquet, in batches, without holding the file in memory.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::dataset::Example;
use crate::error::SentimentError;
use crate::model::Predictor;
use crate::predictions::{Predictions, STARS};
use crate::review::{Review, UNKNOWN_STARS};
use crate::source::{
    JsonRows, Label, LeftOut, LineProblem, Opened, RawReview, ReviewLine, TableRows, UnreadDates,
};

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PredictOptions {
    /// Rows of one call of the model. Default 128.
    pub batch: usize,
    /// Longest review, in characters; longer ones are left out. Default 20,000.
    pub max_characters: usize,
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self { batch: 128, max_characters: 20_000 }
    }
}

/// The prediction for one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictedRow {
    /// Line of the row in its file, counted from 1.
    pub line: u64,
    /// The row's `review_id` or `id`, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The most probable number of stars, 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stars: Option<u8>,
    /// Probabilities of one to five stars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub star_probabilities: Option<[f32; STARS]>,
    /// Whether a positive review is more probable: four or five stars, or class 1 of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<bool>,
    /// Probability of a positive review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive_probability: Option<f32>,
    /// Sentiment score in the lexicon's unit, -5 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<f32>,
}

/// Counts of a file's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PredictedFile {
    /// Rows predicted.
    pub rows: u64,
    /// Rows left out.
    pub left_out: LeftOut,
    /// Rows predicted without their date, because it cannot be read.
    pub unread_dates: UnreadDates,
}

/// Predicts every row of the file at `path` and passes each prediction to `sink` in the order of the file:
/// Parquet, CSV if its name ends in `.csv` or `.tsv`, and JSON lines otherwise.
///
/// A row needs `text`; missing meta features, as `useful` or `date`, count as the training mean, and so does
/// a date that cannot be read.
/// `progress` is called with the bytes read and the bytes of the file.
///
/// # Errors
/// A file that cannot be read, or an error of the model or of `sink`; single bad rows are counted
/// instead.
pub fn predict_file<E: From<SentimentError>>(
    model: &dyn Predictor,
    path: &Path,
    options: &PredictOptions,
    progress: &mut dyn FnMut(u64, u64),
    mut sink: impl FnMut(&PredictedRow) -> Result<(), E>,
) -> Result<PredictedFile, E> {
    let (mut rows, position) = Rows::open(path)?;
    let total = std::fs::metadata(path).map_or(0, |about| about.len());
    let mut counts = PredictedFile::default();
    let mut pending = PendingRows::default();
    while let Some((line, row)) = rows.next() {
        match row.and_then(|row| row.check_text(options.max_characters).map(|()| row)) {
            Ok(mut row) => {
                if let Some(found) = row.unread_date.take() {
                    counts.unread_dates.push(line, found);
                }
                pending.add(line, row, model);
            }
            Err(problem) => counts.left_out.push_problem(line, &problem),
        }
        if pending.examples.len() >= options.batch.max(1) {
            counts.rows += pending.predict(model, &mut sink)?;
            progress(position.get(), total);
        }
    }
    if let Some(source) = rows.io_error() {
        return Err(SentimentError::io("read", path)(source).into());
    }
    counts.rows += pending.predict(model, &mut sink)?;
    progress(total, total);
    Ok(counts)
}

/// The reviews of a file of either kind.
enum Rows {
    Table(TableRows),
    Lines(JsonRows<ReviewLine>),
}

impl Rows {
    /// The rows, and the number of bytes read so far.
    fn open(path: &Path) -> Result<(Self, Rc<Cell<u64>>), SentimentError> {
        if TableRows::is_one(path) {
            let rows = TableRows::open(path, false)?;
            let position = rows.position();
            return Ok((Self::Table(rows), position));
        }
        let opened = Opened::open(path)?;
        let position = opened.position();
        Ok((Self::Lines(JsonRows::new(opened)), position))
    }

    fn next(&mut self) -> Option<(u64, Result<RawReview, LineProblem>)> {
        match self {
            Self::Table(rows) => rows.next(),
            Self::Lines(rows) => {
                let (line, row) = rows.next()?;
                Some((line, row.map(|ReviewLine(row)| row)))
            }
        }
    }

    fn io_error(&mut self) -> Option<io::Error> {
        match self {
            Self::Table(rows) => rows.io_error(),
            Self::Lines(rows) => rows.io_error(),
        }
    }
}

/// Rows of the next call of the model.
#[derive(Default)]
struct PendingRows {
    lines: Vec<(u64, Option<String>)>,
    examples: Vec<Example>,
}

impl PendingRows {
    fn add(&mut self, line: u64, row: RawReview, model: &dyn Predictor) {
        let id = Some(row.id.clone()).filter(|id| !id.is_empty());
        let review = Review {
            id: row.id,
            business_id: row.business_id,
            user_id: row.user_id,
            text: row.text,
            stars: row.label.map_or(UNKNOWN_STARS, Label::stars),
            date: row.date,
            useful: row.useful,
            funny: row.funny,
            cool: row.cool,
            business: row.metadata,
            ..Review::default()
        };
        let meta = model.features().meta(&review);
        self.lines.push((line, id));
        self.examples.push(Example { row: line, text: review.text, meta, ..Example::default() });
    }

    /// Predicts the rows and empties the batch; returns their number.
    fn predict<E: From<SentimentError>>(
        &mut self,
        model: &dyn Predictor,
        sink: &mut impl FnMut(&PredictedRow) -> Result<(), E>,
    ) -> Result<u64, E> {
        if self.examples.is_empty() {
            return Ok(0);
        }
        let predictions = model.predict(&self.examples)?.checked(&self.examples)?;
        let (stars, positive) = (predictions.star_labels(), predictions.positive_labels());
        let Predictions { stars: probabilities, positive: probability, sentiment } = predictions;
        let scaler = model.features().sentiment;
        for (index, (line, id)) in self.lines.drain(..).enumerate() {
            let raw = |all: &Vec<f32>| all.get(index).map(|&z| scaler.unscale(f64::from(z)) as f32);
            sink(&PredictedRow {
                line,
                id,
                stars: stars.as_ref().and_then(|all| all.get(index).copied()),
                star_probabilities: probabilities.as_ref().and_then(|all| all.get(index).copied()),
                positive: positive.as_ref().and_then(|all| all.get(index).copied()),
                positive_probability: probability.as_ref().and_then(|all| all.get(index).copied()),
                sentiment: sentiment.as_ref().and_then(raw),
            })?;
        }
        let rows = self.examples.len() as u64;
        self.examples.clear();
        Ok(rows)
    }
}
