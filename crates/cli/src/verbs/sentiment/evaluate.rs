//! `sentiment evaluate`: models side by side on a part of a prepared folder.

use std::path::PathBuf;

use anyhow::Result;
use bestof_sentiment::dataset::{Part, Prepared};
use bestof_sentiment::evaluation::{EvaluateOptions, Evaluated, evaluate, page};
use bestof_sentiment::metrics::ClassScores;
use bestof_sentiment::model::open;
use serde_json::json;

use crate::console;
use crate::device::DeviceArg;

/// Judge models on rows they have not seen: all of them in one table
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask sentiment evaluate --data data/prepared --model runs/logistic --model runs/bert --report models.html"
)]
pub(super) struct Evaluate {
    /// The folder of `sentiment prepare` that the models were trained on
    #[arg(long)]
    data: PathBuf,
    /// A folder of `sentiment train`; may be given several times
    #[arg(long, required = true)]
    model: Vec<PathBuf>,
    /// Which part to judge on; choices belong on validation
    #[arg(long, value_enum, default_value_t = On::Test)]
    part: On,
    /// Write a page with confusion, calibration, restaurants and training counts
    #[arg(long)]
    report: Option<PathBuf>,
    /// Resamples of the bootstrap intervals
    #[arg(long, default_value_t = 1000)]
    resamples: usize,
    /// Training reviews that one bin of restaurants spans
    #[arg(long, default_value_t = 60)]
    bin_width: u64,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Reviews on the page whose words are coloured by what they add, of each neural model
    #[arg(long, default_value_t = 5)]
    explain: usize,
    #[command(flatten)]
    device: DeviceArg,
    /// Print one JSON object a model
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum On {
    Train,
    Validation,
    Test,
}

impl Evaluate {
    pub(super) fn run(self) -> Result<()> {
        let part = match self.part {
            On::Train => Part::Train,
            On::Validation => Part::Validation,
            On::Test => Part::Test,
        };
        let data = Prepared::open(&self.data)?.part(part)?;
        let options = EvaluateOptions {
            resamples: self.resamples,
            seed: self.seed,
            bin_width: self.bin_width,
            explain: if self.report.is_some() { self.explain } else { 0 },
        };
        let mut judged = Vec::new();
        for folder in &self.model {
            let model = open(folder, &self.device.device)?;
            let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
            let template = format!("{name} {{wide_bar}} {{pos}} of {{len}} rows {{eta}}");
            let bar = console::bar(data.len() as u64, &template);
            let found = evaluate(name, &*model, &data, &options, &mut |rows| {
                bar.set_position(rows as u64);
            });
            bar.finish_and_clear();
            judged.push(found?);
        }
        if let Some(path) = &self.report {
            page(&judged, part.as_str()).write(path)?;
            console::note(&format!("look at {}", path.display()));
        }
        if self.json {
            return judged.iter().try_for_each(|model| {
                console::json(&json!({"part": part.as_str(), "n": data.len(), "model": model}))
            });
        }
        console::line(&format!("{} rows of the {} part", data.len(), part.as_str()))?;
        table("two labels", &judged, |model| model.scores.positive.as_ref())?;
        table("five stars", &judged, |model| model.scores.stars.as_ref())
    }
}

fn table(
    title: &str,
    judged: &[Evaluated],
    head: impl Fn(&Evaluated) -> Option<&ClassScores>,
) -> Result<()> {
    let rows: Vec<(&Evaluated, &ClassScores)> =
        judged.iter().filter_map(|model| Some((model, head(model)?))).collect();
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
