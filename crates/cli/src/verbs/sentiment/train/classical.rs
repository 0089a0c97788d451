//! Classical models: their flags, and the fit.

use anyhow::Result;
use bestof_sentiment::classical::{ClassicalModel, FitOptions, Inputs, TfIdfOptions, TrainOptions};
use bestof_sentiment::dataset::Dataset;
use bestof_sentiment::model::{Labels, ModelKind, Predictor};
use serde_json::json;

use super::request::{Made, Request};
use crate::console;

/// Terms of the vocabulary unless said.
const TERMS: usize = 1000;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Classical models")]
pub(super) struct Flags {
    /// What the model sees [default: joint]
    #[arg(long, value_enum)]
    inputs: Option<Sees>,
    /// Most terms of the vocabulary, the most frequent ones [default: 1000]
    #[arg(long)]
    terms: Option<usize>,
    /// Pairs of neighbouring words are terms too
    #[arg(long)]
    pairs: bool,
    /// Most training rows; more are sampled. Unless given: 20000 for decision-tree and knn,
    /// 10000 for svm, 8000 for random-forest, 5000 for gradient-boosting, no limit for the others
    #[arg(long)]
    max_rows: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sees {
    Meta,
    Text,
    Joint,
}

impl Flags {
    /// One of these flags that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--inputs", self.inputs.is_some()),
            ("--terms", self.terms.is_some()),
            ("--pairs", self.pairs),
            ("--max-rows", self.max_rows.is_some()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    pub(super) fn fit(&self, request: &Request, kind: ModelKind, train: &Dataset) -> Result<Made> {
        let model = ClassicalModel::fit(train, &self.options(request, kind))?;
        model.save(&request.out)?;
        let card = model.card();
        if card.trained_on < card.available {
            console::note(&format!(
                "{kind} was fitted on {} of {} training rows, sampled; --max-rows sets the limit",
                card.trained_on, card.available
            ));
        }
        Ok(Made {
            json: json!({"width": model.width()}),
            lines: vec![format!("{} columns", model.width())],
            model: Box::new(model),
        })
    }

    fn options(&self, request: &Request, kind: ModelKind) -> TrainOptions {
        TrainOptions {
            kind,
            inputs: match self.inputs.unwrap_or(Sees::Joint) {
                Sees::Meta => Inputs::Meta,
                Sees::Text => Inputs::Text,
                Sees::Joint => Inputs::Joint,
            },
            labels: request.labels.map_or(Labels::Both, Labels::from),
            terms: TfIdfOptions {
                max_terms: self.terms.unwrap_or(TERMS),
                pairs: self.pairs,
                ..TfIdfOptions::default()
            },
            fit: FitOptions { seed: request.seed.unwrap_or(0), max_rows: self.max_rows },
        }
    }
}
