//! `sentiment train`: a model of a prepared folder.

use std::path::PathBuf;

use anyhow::Result;
use bestof_sentiment::classical::{
    ClassicalModel, FitOptions, Heads, Inputs, TfIdfOptions, TrainOptions,
};
use bestof_sentiment::dataset::{Part, Prepared};
use bestof_sentiment::evaluation::{EvaluateOptions, evaluate};
use bestof_sentiment::model::{ModelKind, Predictor};
use serde_json::json;

use crate::console::{self, Usage};

/// Train a model on a prepared folder
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask sentiment train --model gradient-boosting --inputs joint --data data/prepared --out runs/boosting"
)]
pub(super) struct Train {
    /// decision-tree, random-forest, knn, svm, gradient-boosting, mlp or logistic
    #[arg(long)]
    model: String,
    /// The folder of `sentiment prepare`
    #[arg(long)]
    data: PathBuf,
    /// The folder to write the model to
    #[arg(long)]
    out: PathBuf,
    /// What the model sees
    #[arg(long, value_enum, default_value_t = Sees::Joint)]
    inputs: Sees,
    /// What it learns to answer
    #[arg(long, value_enum, default_value_t = Answers::Both)]
    heads: Answers,
    /// Most terms of the vocabulary, the most frequent ones
    #[arg(long, default_value_t = 1000)]
    terms: usize,
    /// Pairs of neighbouring words are terms too
    #[arg(long)]
    pairs: bool,
    /// Most training rows; more are sampled. Unless given: 20000 for decision-tree and knn, 10000
    /// for svm, 8000 for random-forest, 5000 for gradient-boosting, no limit for the others
    #[arg(long)]
    max_rows: Option<usize>,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print one JSON object about the model
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sees {
    Meta,
    Text,
    Joint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Answers {
    Stars,
    Positive,
    Both,
}

impl Train {
    pub(super) fn run(self) -> Result<()> {
        let kind = ModelKind::parse(&self.model).map_err(|error| Usage(error.to_string()))?;
        let prepared = Prepared::open(&self.data)?;
        let train = prepared.part(Part::Train)?;
        let model = ClassicalModel::fit(&train, &self.options(kind))?;
        model.save(&self.out)?;
        let card = model.card();
        if card.trained_on < card.available {
            console::note(&format!(
                "{kind} was fitted on {} of {} training rows, sampled; --max-rows sets the limit",
                card.trained_on, card.available
            ));
        }
        let validation = prepared.part(Part::Validation)?;
        let options = EvaluateOptions { resamples: 200, ..EvaluateOptions::default() };
        let judged = evaluate(kind.as_str(), &model, &validation, &options, &mut |_| {})?;
        let accuracy = |scores: &bestof_sentiment::metrics::ClassScores| scores.accuracy.value;
        let (positive, stars) = (&judged.scores.positive, &judged.scores.stars);
        if self.json {
            return console::json(&json!({
                "out": self.out,
                "model": kind,
                "inputs": card.inputs,
                "width": model.width(),
                "trained_on": card.trained_on,
                "available": card.available,
                "validation": {
                    "positive_accuracy": positive.as_ref().map(accuracy),
                    "stars_accuracy": stars.as_ref().map(accuracy),
                },
            }));
        }
        let mut told = vec![format!("{}: {kind} on {} columns", self.out.display(), model.width())];
        for (name, scores) in [("two labels", positive), ("five stars", stars)] {
            if let Some(scores) = scores {
                told.push(format!(
                    "{name}: {:.1} % of the validation rows right, majority {:.1} %",
                    scores.accuracy.value * 100.0,
                    scores.majority * 100.0
                ));
            }
        }
        console::line(&told.join("\n  "))
    }

    fn options(&self, kind: ModelKind) -> TrainOptions {
        TrainOptions {
            kind,
            inputs: match self.inputs {
                Sees::Meta => Inputs::Meta,
                Sees::Text => Inputs::Text,
                Sees::Joint => Inputs::Joint,
            },
            heads: match self.heads {
                Answers::Stars => Heads::Stars,
                Answers::Positive => Heads::Positive,
                Answers::Both => Heads::Both,
            },
            terms: TfIdfOptions {
                max_terms: self.terms,
                pairs: self.pairs,
                ..TfIdfOptions::default()
            },
            fit: FitOptions { seed: self.seed, max_rows: self.max_rows },
        }
    }
}
