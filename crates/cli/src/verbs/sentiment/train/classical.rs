//! Classical models: their flags, and the fit.

use std::time::Instant;

use anyhow::Result;
use bestof_sentiment::classical::{ClassicalOptions, Inputs, TrainingRows};
use bestof_sentiment::dataset::Dataset;
use bestof_sentiment::model::{Labels, ModelKind, Predictor};
use serde_json::json;

use super::request::{Request, TrainedModel};
use crate::bounds::{ITEMS, TOKENS, at_most};
use crate::console;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Classical models")]
pub(super) struct Flags {
    /// Inputs of the model [default: joint]
    #[arg(long, value_enum)]
    inputs: Option<InputsArg>,
    /// Size of the vocabulary, the most frequent terms [default: 1000]
    #[arg(long, value_parser = at_most::<ITEMS>)]
    terms: Option<usize>,
    /// Use pairs of neighbouring words as terms too
    #[arg(long)]
    pairs: bool,
    /// Most training rows; of more rows a sample is taken. Default: 200000 for decision-tree,
    /// 100000 for knn, 50000 for random-forest, 20000 for gradient-boosting, 10000 for svm, no limit for the others
    #[arg(long, value_parser = at_most::<TOKENS>)]
    max_rows: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum InputsArg {
    Meta,
    Text,
    Joint,
}

impl Flags {
    /// One of these flags, if any was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--inputs", self.inputs.is_some()),
            ("--terms", self.terms.is_some()),
            ("--pairs", self.pairs),
            ("--max-rows", self.max_rows.is_some()),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    pub(super) fn fit(
        &self,
        request: &Request,
        kind: ModelKind,
        train: &Dataset,
    ) -> Result<TrainedModel> {
        let started = Instant::now();
        let rows = TrainingRows::new(train, &self.options(request, kind))?;
        let features_seconds = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let model = rows.fit()?;
        let fit_seconds = started.elapsed().as_secs_f64();
        model.save(&request.out)?;
        let card = model.card();
        if card.trained_on < card.available {
            console::note(&format!(
                "{kind} was fitted on a sample of {} of {} training rows; --max-rows sets the limit",
                card.trained_on, card.available
            ));
        }
        Ok(TrainedModel {
            json: json!({
                "width": model.width(),
                "features_seconds": features_seconds,
                "fit_seconds": fit_seconds,
            }),
            lines: vec![format!("{} columns", model.width())],
            model: Box::new(model),
        })
    }

    fn options(&self, request: &Request, kind: ModelKind) -> ClassicalOptions {
        let inputs = match self.inputs.unwrap_or(InputsArg::Joint) {
            InputsArg::Meta => Inputs::Meta,
            InputsArg::Text => Inputs::Text,
            InputsArg::Joint => Inputs::Joint,
        };
        let mut options = ClassicalOptions::new(kind, inputs);
        options.labels = request.labels.map_or(options.labels, Labels::from);
        options.terms.max_terms = self.terms.unwrap_or(options.terms.max_terms);
        options.terms.pairs = self.pairs;
        options.fit.seed = request.seed.unwrap_or(options.fit.seed);
        options.fit.max_rows = self.max_rows;
        options
    }
}
