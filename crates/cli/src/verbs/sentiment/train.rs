//! `sentiment train`: trains a model on a prepared folder.

mod classical;
mod neural;

use std::path::PathBuf;

use anyhow::Result;
use bestof_sentiment::dataset::{Part, Prepared};
use bestof_sentiment::evaluation::{EvaluateOptions, evaluate};
use bestof_sentiment::metrics::ClassScores;
use bestof_sentiment::model::{Labels, ModelKind, Predictor};
use serde_json::{Value, json};

use crate::console::{self, Usage};

/// Train a model on a prepared folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask sentiment train --model gradient-boosting --inputs joint --data data/prepared --out runs/boosting\n  \
    cargo xtask sentiment train --model bert-mt-joint --epochs 2 --data data/prepared --out runs/bert")]
pub(super) struct Train {
    /// decision-tree, random-forest, knn, svm, gradient-boosting, mlp or logistic; or bert, cnn or
    /// han, each also with -mt, -joint and -mt-joint
    #[arg(long)]
    model: String,
    /// The folder of `sentiment prepare`
    #[arg(long)]
    data: PathBuf,
    /// The folder to write the model to
    #[arg(long)]
    out: PathBuf,
    /// The labels to predict [default: both for classical models, stars for neural ones, whose
    /// probability of a positive review is that of four and five stars]
    #[arg(long, value_enum)]
    labels: Option<LabelsArg>,
    /// Seed of everything random [default: 0 for classical models, train.seed for neural ones]
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    classical: classical::Flags,
    #[command(flatten)]
    neural: neural::Flags,
    /// Print one JSON object about the model
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LabelsArg {
    Stars,
    Binary,
    Both,
}

impl From<LabelsArg> for Labels {
    fn from(labels: LabelsArg) -> Self {
        match labels {
            LabelsArg::Stars => Self::Stars,
            LabelsArg::Binary => Self::Binary,
            LabelsArg::Both => Self::Both,
        }
    }
}

/// A trained model, with the output specific to its kind.
struct TrainedModel {
    model: Box<dyn Predictor>,
    json: Value,
    lines: Vec<String>,
}

impl Train {
    pub(super) fn run(self) -> Result<()> {
        let kind: ModelKind =
            self.model.parse().map_err(|error| Usage(format!("--model: {error}")))?;
        let misplaced =
            if kind.is_classical() { self.neural.given() } else { self.classical.given() };
        if let Some(flag) = misplaced {
            let of = if kind.is_classical() { "neural" } else { "classical" };
            return Err(Usage(format!("{flag} is for {of} models, and {kind} is not one")).into());
        }
        let prepared = Prepared::open(&self.data)?;
        let train = prepared.part(Part::Train)?;
        let validation = prepared.part(Part::Validation)?;
        let trained = if kind.is_classical() {
            self.fit(kind, &train)?
        } else {
            self.learn(kind, &train, &validation)?
        };
        let mut options = EvaluateOptions::default();
        options.resamples = 200;
        let evaluation =
            evaluate(kind.as_str(), &*trained.model, &validation, &options, &mut |_| {})?;
        let accuracy = |scores: &ClassScores| scores.accuracy.value;
        let (positive, stars) = (&evaluation.scores.positive, &evaluation.scores.stars);
        let card = trained.model.card();
        if self.json {
            let mut output = json!({
                "out": self.out,
                "model": kind,
                "inputs": card.inputs,
                "trained_on": card.trained_on,
                "available": card.available,
                "validation": {
                    "positive_accuracy": positive.as_ref().map(accuracy),
                    "stars_accuracy": stars.as_ref().map(accuracy),
                },
            });
            if let (Value::Object(fields), Value::Object(more)) = (&mut output, trained.json) {
                fields.extend(more);
            }
            return console::json(&output);
        }
        let mut lines =
            vec![format!("{}: {kind} of {} reviews", self.out.display(), card.trained_on)];
        lines.extend(trained.lines);
        for (name, scores) in [("two labels", positive), ("five stars", stars)] {
            if let Some(scores) = scores {
                lines.push(format!(
                    "{name}: {:.1} % accuracy on the validation rows, majority {:.1} %",
                    scores.accuracy.value * 100.0,
                    scores.majority * 100.0
                ));
            }
        }
        console::line(&lines.join("\n  "))
    }
}
