//! `sentiment predict`: predictions for reviews, row by row.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bestof_files::Output;
use bestof_sentiment::model::open;
use bestof_sentiment::predict::{PredictOptions, predict_file};

use crate::bounds::{BATCH, TOKENS, at_most};
use crate::device::DeviceArg;
use crate::{console, input};

/// Predict reviews: labels, probabilities and sentiment score, one JSON object per row
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  echo '{\"text\": \"Superb noodles, kind staff.\"}' > reviews.jsonl\n  \
    cargo xtask sentiment predict --model runs/bert --input reviews.jsonl"
)]
pub(super) struct Predict {
    /// A folder of `sentiment train`
    #[arg(long)]
    model: PathBuf,
    /// JSON lines with `text`, CSV with a column `text` when the name ends in .csv or .tsv, or Parquet
    #[arg(long)]
    input: PathBuf,
    /// The file to write instead of stdout
    #[arg(long)]
    out: Option<PathBuf>,
    /// Rows of one call of the model
    #[arg(long, value_parser = at_most::<BATCH>, default_value_t = 128)]
    batch: usize,
    /// Leave out longer reviews
    #[arg(long, value_parser = at_most::<TOKENS>, default_value_t = 20_000)]
    max_characters: usize,
    #[command(flatten)]
    device: DeviceArg,
    /// Accepted for consistency: the output is JSON lines in any case
    #[arg(long)]
    json: bool,
}

impl Predict {
    pub(super) fn run(self) -> Result<()> {
        let model = open(&self.model, &self.device.device)?;
        let mut options = PredictOptions::default();
        options.batch = self.batch;
        options.max_characters = self.max_characters;
        let mut file = match &self.out {
            None => None,
            Some(path) => {
                input::keep_apart(path, [self.input.as_path()])?;
                Some(Output::create(path)?)
            }
        };
        let bar = console::Bytes::new("predicting");
        let told = predict_file::<anyhow::Error>(
            &*model,
            &self.input,
            &options,
            &mut |done, total| bar.at(done, total),
            |row| match &mut file {
                None => console::json(row),
                Some(file) => {
                    serde_json::to_writer(&mut *file, row)?;
                    file.write_all(b"\n").context("could not write the predictions")
                }
            },
        );
        bar.done();
        let told = told?;
        if !told.left_out.is_empty() {
            console::note(&format!("{}: {}", self.input.display(), told.left_out));
        }
        if let Some(note) = told.unread_dates.note(told.rows) {
            console::note(&note);
        }
        if told.rows == 0 {
            bail!("no row of {} could be used", self.input.display());
        }
        if let Some(file) = file {
            file.finish()?;
        }
        Ok(())
    }
}
