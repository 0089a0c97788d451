//! Reviews in, answers out: row by row from JSON lines or CSV, in batches, without holding the
//! file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dataset::Example;
use crate::error::SentimentError;
use crate::model::Predictor;
use crate::predictions::{Predictions, STARS};
use crate::review::Review;
use crate::source::{CsvRows, JsonRows, LeftOut, Opened, Problem, RawRow, ReviewLine};

/// How rows to predict are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PredictOptions {
    /// Rows that are asked at once.
    pub batch: usize,
    /// Longest review, in characters.
    pub max_characters: usize,
}

impl Default for PredictOptions {
    fn default() -> Self {
        Self { batch: 128, max_characters: 20_000 }
    }
}

/// The answer to one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictedRow {
    /// Line of the row in its file, counted from 1.
    pub line: u64,
    /// The row's `review_id` or `id`, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The likeliest number of stars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stars: Option<u8>,
    /// Probabilities of one to five stars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub star_probabilities: Option<[f32; STARS]>,
    /// Whether four or five stars are likelier than fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<bool>,
    /// Probability of four or five stars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive_probability: Option<f32>,
    /// Sentiment score in the lexicon's unit, -5 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<f32>,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Predicted {
    /// Rows answered.
    pub rows: u64,
    /// Rows that could not be used.
    pub left_out: LeftOut,
}

/// Answers every row of the file at `path`, which is CSV when its name ends in `.csv` and JSON
/// lines otherwise, and hands each answer to `sink` in the file's order.
///
/// A row needs `text`; `useful`, `funny`, `cool`, `date`, `categories` and whatever else the model
/// was trained on count as the training mean where they are missing. `progress` is told the bytes
/// read and the bytes of the file.
///
/// # Errors
/// What is wrong with the file as a whole, with the model, or with the `sink`; single bad rows are
/// counted instead.
pub fn predict_file<E: From<SentimentError>>(
    model: &dyn Predictor,
    path: &Path,
    options: &PredictOptions,
    progress: &mut dyn FnMut(u64, u64),
    mut sink: impl FnMut(&PredictedRow) -> Result<(), E>,
) -> Result<Predicted, E> {
    let opened = Opened::open(path)?;
    let place = opened.place();
    let total = std::fs::metadata(path).map_or(0, |about| about.len());
    let mut told = Predicted::default();
    let mut waiting = Waiting::default();
    let mut each = |line: u64, row: Result<RawRow, Problem>| -> Result<(), E> {
        match row.and_then(|row| row.check_text(options.max_characters).map(|()| row)) {
            Ok(row) => waiting.add(line, row, model),
            Err(problem) => told.left_out.push_problem(line, &problem),
        }
        if waiting.examples.len() >= options.batch.max(1) {
            told.rows += waiting.answer(model, &mut sink)?;
            progress(place.get(), total);
        }
        Ok(())
    };
    let failure = if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        let mut rows = CsvRows::new(opened, path, &["text"])?;
        for (line, row) in rows.by_ref() {
            each(line, row)?;
        }
        rows.io_error()
    } else {
        let mut rows = JsonRows::<ReviewLine>::new(opened);
        for (line, row) in rows.by_ref() {
            each(line, row.map(|ReviewLine(row)| row))?;
        }
        rows.io_error()
    };
    if let Some(source) = failure {
        return Err(SentimentError::io("read", path)(source).into());
    }
    told.rows += waiting.answer(model, &mut sink)?;
    progress(total, total);
    Ok(told)
}

/// Rows that wait for their batch to be full.
#[derive(Default)]
struct Waiting {
    lines: Vec<(u64, Option<String>)>,
    examples: Vec<Example>,
}

impl Waiting {
    fn add(&mut self, line: u64, row: RawRow, model: &dyn Predictor) {
        let id = Some(row.id.clone()).filter(|id| !id.is_empty());
        let review = Review {
            id: row.id,
            business: row.business,
            user: row.user,
            text: row.text,
            stars: row.stars.unwrap_or(0),
            date: row.date,
            useful: row.useful,
            funny: row.funny,
            cool: row.cool,
            place: row.place,
            ..Review::default()
        };
        let meta = model.features().meta(&review);
        self.lines.push((line, id));
        self.examples.push(Example { row: line, text: review.text, meta, ..Example::default() });
    }

    fn answer<E: From<SentimentError>>(
        &mut self,
        model: &dyn Predictor,
        sink: &mut impl FnMut(&PredictedRow) -> Result<(), E>,
    ) -> Result<u64, E> {
        if self.examples.is_empty() {
            return Ok(0);
        }
        let answers = model.predict(&self.examples)?;
        let (stars, positive) = (answers.star_labels(), answers.positive_labels());
        let Predictions { stars: probabilities, positive: probability, sentiment } = answers;
        let unit = model.features().sentiment;
        for (place, (line, id)) in self.lines.drain(..).enumerate() {
            let raw = |all: &Vec<f32>| all.get(place).map(|&z| unit.unscale(f64::from(z)) as f32);
            sink(&PredictedRow {
                line,
                id,
                stars: stars.as_ref().and_then(|all| all.get(place).copied()),
                star_probabilities: probabilities.as_ref().and_then(|all| all.get(place).copied()),
                positive: positive.as_ref().and_then(|all| all.get(place).copied()),
                positive_probability: probability.as_ref().and_then(|all| all.get(place).copied()),
                sentiment: sentiment.as_ref().and_then(raw),
            })?;
        }
        let rows = self.examples.len() as u64;
        self.examples.clear();
        Ok(rows)
    }
}
