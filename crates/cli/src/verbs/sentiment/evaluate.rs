//! `sentiment evaluate`: compares models on a part of a prepared folder.

use std::path::PathBuf;

use anyhow::Result;
use bestof_sentiment::dataset::{Part, Prepared};
use bestof_sentiment::evaluation::{EvaluateOptions, ModelEvaluation, evaluate, page};
use bestof_sentiment::metrics::ClassScores;
use bestof_sentiment::model::open;
use serde_json::json;

use crate::bounds::{ITEMS, at_most};
use crate::console;
use crate::device::DeviceArg;

/// Evaluate models on held-out rows, all of them in one table
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask sentiment evaluate --data data/prepared --model runs/logistic --model runs/bert --report models.html"
)]
pub(super) struct Evaluate {
    /// The folder of `sentiment prepare` that the models were trained on
    #[arg(long)]
    data: PathBuf,
    /// A folder of `sentiment train`; may be repeated
    #[arg(long, required = true)]
    model: Vec<PathBuf>,
    /// The part to evaluate on; use validation for choices
    #[arg(long, value_enum, default_value_t = PartArg::Test)]
    part: PartArg,
    /// Write a page with confusion, calibration, restaurants and training counts
    #[arg(long)]
    report: Option<PathBuf>,
    /// Resamples of the bootstrap intervals
    #[arg(long, value_parser = at_most::<ITEMS>, default_value_t = 1000)]
    resamples: usize,
    /// Width of a bin of restaurants, in training reviews
    #[arg(long, default_value_t = 60)]
    bin_width: u64,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Reviews on the page whose words are coloured by their contribution, for each neural model
    #[arg(long, value_parser = at_most::<ITEMS>, default_value_t = 5)]
    explain: usize,
    #[command(flatten)]
    device: DeviceArg,
    /// Print one JSON object per model
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum PartArg {
    Train,
    Validation,
    Test,
}

impl Evaluate {
    pub(super) fn run(self) -> Result<()> {
        let part = match self.part {
            PartArg::Train => Part::Train,
            PartArg::Validation => Part::Validation,
            PartArg::Test => Part::Test,
        };
        let data = Prepared::open(&self.data)?.part(part)?;
        let mut options = EvaluateOptions::default();
        options.resamples = self.resamples;
        options.seed = self.seed;
        options.bin_width = self.bin_width;
        options.explain = if self.report.is_some() { self.explain } else { 0 };
        let mut evaluations = Vec::new();
        for folder in &self.model {
            let model = open(folder, &self.device.device)?;
            let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
            let template = format!("{name} {{wide_bar}} {{pos}} of {{len}} rows {{eta}}");
            let bar = console::bar(data.len() as u64, &template);
            let found = evaluate(name, &*model, &data, &options, &mut |rows| {
                bar.set_position(rows as u64);
            });
            bar.finish_and_clear();
            evaluations.push(found?);
        }
        if let Some(path) = &self.report {
            page(&evaluations, part.as_str()).write(path)?;
            console::note(&format!("see {}", path.display()));
        }
        if self.json {
            return evaluations.iter().try_for_each(|model| {
                console::json(&json!({"part": part.as_str(), "n": data.len(), "model": model}))
            });
        }
        console::line(&format!("{} rows of the {} part", data.len(), part.as_str()))?;
        table("two labels", &evaluations, |model| model.scores.positive.as_ref())?;
        table("five stars", &evaluations, |model| model.scores.stars.as_ref())
    }
}

fn table(
    title: &str,
    evaluations: &[ModelEvaluation],
    head: impl Fn(&ModelEvaluation) -> Option<&ClassScores>,
) -> Result<()> {
    let rows: Vec<(&ModelEvaluation, &ClassScores)> =
        evaluations.iter().filter_map(|model| Some((model, head(model)?))).collect();
    let Some((_, first)) = rows.first() else { return Ok(()) };
    console::line(&format!(
        "\n{title} (majority {:.1} %)\n  {:<24} {:<17} {:<6} {:>22} {:>9} {:>9} {:>9} {:>6} {:>6}",
        first.majority * 100.0,
        "model",
        "kind",
        "inputs",
        "accuracy %",
        "balanced",
        "macro F1",
        "weighted",
        "MAE",
        "ECE"
    ))?;
    for (model, scores) in rows {
        let accuracy = scores.accuracy;
        let interval = format!(
            "{:.1} ({:.1} to {:.1})",
            accuracy.value * 100.0,
            accuracy.low * 100.0,
            accuracy.high * 100.0
        );
        console::line(&format!(
            "  {:<24} {:<17} {:<6} {interval:>22} {:>9.3} {:>9.3} {:>9.3} {:>6.3} {:>6.3}",
            model.name,
            model.kind.as_str(),
            model.inputs,
            scores.balanced_accuracy.value,
            scores.macro_f1.value,
            scores.weighted_f1.value,
            scores.mean_absolute_error.value,
            scores.calibration.ece
        ))?;
    }
    Ok(())
}
