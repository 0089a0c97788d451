//! `sentiment train`: a model of a prepared folder.

mod classical;
mod neural;
mod request;

use anyhow::Result;
use bestof_sentiment::dataset::{Part, Prepared};
use bestof_sentiment::evaluation::{EvaluateOptions, evaluate};
use bestof_sentiment::metrics::ClassScores;
use bestof_sentiment::model::ModelKind;
use request::Request;
use serde_json::{Value, json};

use crate::console::{self, Usage};

/// Train a model on a prepared folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask sentiment train --model gradient-boosting --inputs joint --data data/prepared --out runs/boosting\n  \
    cargo xtask sentiment train --model bert-mt-joint --epochs 2 --data data/prepared --out runs/bert")]
pub(super) struct Train {
    /// decision-tree, random-forest, knn, svm, gradient-boosting, mlp or logistic; or bert (any
    /// pretrained encoder), cnn or han, each also with -mt, -joint and -mt-joint
    #[arg(long)]
    model: String,
    #[command(flatten)]
    request: Request,
    #[command(flatten)]
    classical: classical::Flags,
    #[command(flatten)]
    neural: neural::Flags,
    /// Print one JSON object about the model
    #[arg(long)]
    json: bool,
}

impl Train {
    /// As `Verb::alone`.
    pub(super) fn alone(&self) -> Option<&'static str> {
        let kind = self.model.parse::<ModelKind>();
        kind.is_ok_and(ModelKind::is_classical).then_some("sentiment train of a classical model")
    }

    pub(super) fn run(self) -> Result<()> {
        let kind: ModelKind =
            self.model.parse().map_err(|error| Usage(format!("--model: {error}")))?;
        let misplaced =
            if kind.is_classical() { self.neural.given() } else { self.classical.given() };
        if let Some(flag) = misplaced {
            let of = if kind.is_classical() { "neural" } else { "classical" };
            return Err(Usage(format!("{flag} is for {of} models, and {kind} is not one")).into());
        }
        let prepared = Prepared::open(&self.request.data)?;
        let train = prepared.part(Part::Train)?;
        let validation = prepared.part(Part::Validation)?;
        let trained = if kind.is_classical() {
            self.classical.fit(&self.request, kind, &train)?
        } else {
            self.neural.learn(&self.request, kind, &train, &validation)?
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
                "out": self.request.out,
                "model": kind,
                "inputs": card.inputs,
                "trained_on": card.trained_on,
                "available": card.available,
                "predict_seconds": validation.len() as f64 / evaluation.rows_per_second,
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
            vec![format!("{}: {kind} of {} reviews", self.request.out.display(), card.trained_on)];
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
