//! `score`: log-probabilities of given completions.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use bestof_models::{CausalLm, ForwardOptions};
use bestof_trainer::data::{EncodeOptions, EncodedCompletion, EncodedPair, EncodedRow, load_rows};
use bestof_trainer::score::{
    PairScore, ScoreSettings, check_finite, score_completions, score_pairs,
};
use serde_json::{Value, json};

use crate::bounds::{BATCH, at_most};
use crate::console;
use crate::input::read_options;
use crate::model::ModelArg;
use crate::progress::Bars;
use crate::ranks;

/// Score completions: summed log-probability and token count, given the prompt
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Rows are {\"prompt\", \"chosen\", \"rejected\"}, {\"prompt\", \"completion\"} or {\"text\"}, \
    as text or as chat messages.\n\n\
    Example:\n  cargo xtask score --model models/smollm2-135m-instruct --data pairs.jsonl --json"
)]
pub(crate) struct Score {
    #[command(flatten)]
    model: ModelArg,
    /// Rows: JSON lines, a JSON array, CSV or Parquet, compressed or not, a folder or a quoted pattern
    #[arg(long)]
    data: PathBuf,
    /// Rows in one forward pass
    #[arg(long, value_parser = at_most::<BATCH>, default_value_t = 8)]
    batch: usize,
    /// Leave out rows that cannot be scored, and list them, instead of failing
    #[arg(long)]
    skip_bad_rows: bool,
    /// Print one JSON object a row
    #[arg(long)]
    json: bool,
}

impl Score {
    pub(crate) fn run(self) -> Result<()> {
        let opened = self.model.open()?;
        let encoder = opened.encoder(EncodeOptions::scoring())?;
        let options = read_options(self.skip_bad_rows);
        let loaded = load_rows(&self.data, &encoder, &options)?;
        if loaded.report.dropped() > 0 && !self.skip_bad_rows {
            bail!(
                "some rows of {} cannot be scored; --skip-bad-rows leaves them out\n{}",
                self.data.display(),
                loaded.report
            );
        }
        console::left_out(&loaded.report);
        let mut bars = Bars::new();
        // A few batches at a time, so that answers come as they are known.
        let batch = self.batch.max(1) * 4 * ranks::ranks().size();
        let several = loaded.files.iter().any(|file| **file != *self.data);
        let rows: Vec<(usize, EncodedRow)> =
            loaded.lines.iter().map(|line| line - 1).zip(loaded.items).collect();
        for (part, files) in rows.chunks(batch).zip(loaded.files.chunks(batch)) {
            let name = |at: usize| format!("{}:{}", files[at].display(), part[at].0 + 1);
            let answers = self.score_part(&opened.decoder, part, name, &mut bars)?;
            for (mut answer, file) in answers.into_iter().zip(files) {
                if several {
                    answer["file"] = json!(file.display().to_string());
                }
                self.show(&answer)?;
            }
        }
        Ok(())
    }

    fn score_part(
        &self,
        model: &impl CausalLm,
        rows: &[(usize, EncodedRow)],
        name: impl Fn(usize) -> String,
        bars: &mut Bars,
    ) -> Result<Vec<Value>> {
        let settings = ScoreSettings { batch: self.batch.max(1), ..ScoreSettings::default() };
        let settings = settings.with_ranks(ranks::ranks());
        let options = ForwardOptions::default();
        let (mut pairs, mut pair_rows) = (Vec::<EncodedPair>::new(), Vec::new());
        let (mut texts, mut text_rows) = (Vec::<EncodedCompletion>::new(), Vec::new());
        for (place, (row, item)) in rows.iter().enumerate() {
            match item {
                EncodedRow::Pair(pair) => {
                    pairs.push(pair.clone());
                    pair_rows.push((place, *row));
                }
                EncodedRow::Completion(text) => {
                    texts.push(text.clone());
                    text_rows.push((place, *row));
                }
            }
        }
        let mut answers = Vec::with_capacity(rows.len());
        let scores = score_pairs(model, &pairs, &options, settings, "score", bars)?;
        check_finite(scores.iter().map(PairScore::sum), |at| name(pair_rows[at].0))?;
        for ((place, row), score) in pair_rows.iter().zip(&scores) {
            let side = |logprob: f64, tokens: usize| json!({"logprob": logprob, "tokens": tokens});
            let answer = json!({
                "row": row,
                "chosen": side(score.chosen, score.chosen_len),
                "rejected": side(score.rejected, score.rejected_len),
            });
            answers.push((*place, answer));
        }
        let scores = score_completions(model, &texts, &options, settings, "score", bars)?;
        let sum = |tokens: &Vec<f32>| tokens.iter().map(|p| f64::from(*p)).sum::<f64>();
        check_finite(scores.iter().map(sum), |at| name(text_rows[at].0))?;
        for ((place, row), tokens) in text_rows.iter().zip(&scores) {
            let completion = json!({"logprob": sum(tokens), "tokens": tokens.len()});
            answers.push((*place, json!({"row": row, "completion": completion})));
        }
        answers.sort_by_key(|(place, _)| *place);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }

    fn show(&self, answer: &Value) -> Result<()> {
        if self.json {
            return console::json(answer);
        }
        let file = answer["file"].as_str().map(|file| format!("{file} ")).unwrap_or_default();
        let mut text = format!("{file}row {}", answer["row"]);
        for side in ["chosen", "rejected", "completion"] {
            if let Some(score) = answer.get(side) {
                let logprob = score["logprob"].as_f64().unwrap_or(f64::NAN);
                // Writing to a text cannot fail.
                let _ = write!(text, "  {side} {logprob:.4} over {} tokens", score["tokens"]);
            }
        }
        console::line(&text)
    }
}
