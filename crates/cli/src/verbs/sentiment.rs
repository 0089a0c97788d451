//! `sentiment`: the Yelp system, one file an action.

mod evaluate;
mod features;
mod generate;
mod predict;
mod prepare;
mod train;

use anyhow::Result;

/// Learn what reviews say from their text and what is known beside it
#[derive(Debug, clap::Args)]
#[command(after_help = "Example, from made-up reviews to answers:\n  \
    cargo xtask sentiment generate --reviews 4000 --out data/made-up\n  \
    cargo xtask sentiment prepare --data data/made-up --out data/prepared\n  \
    cargo xtask sentiment train --model logistic --data data/prepared --out runs/logistic\n  \
    cargo xtask sentiment train --model bert-mt-joint --data data/prepared --out runs/bert\n  \
    cargo xtask sentiment evaluate --data data/prepared --model runs/logistic --model runs/bert\n  \
    cargo xtask sentiment predict --model runs/bert --input reviews.jsonl")]
pub(crate) struct Sentiment {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Generate(generate::Generate),
    Prepare(prepare::Prepare),
    Train(train::Train),
    Evaluate(evaluate::Evaluate),
    Features(features::Features),
    Predict(predict::Predict),
}

impl Sentiment {
    /// As `Verb::alone`.
    pub(super) fn alone(&self) -> Option<&'static str> {
        match &self.action {
            Action::Train(action) => action.alone(),
            Action::Generate(_) => Some("sentiment generate"),
            Action::Prepare(_) => Some("sentiment prepare"),
            Action::Features(_) => Some("sentiment features"),
            Action::Evaluate(_) => Some("sentiment evaluate"),
            Action::Predict(_) => Some("sentiment predict"),
        }
    }

    pub(crate) fn run(self) -> Result<()> {
        match self.action {
            Action::Generate(action) => action.run(),
            Action::Prepare(action) => action.run(),
            Action::Train(action) => action.run(),
            Action::Evaluate(action) => action.run(),
            Action::Features(action) => action.run(),
            Action::Predict(action) => action.run(),
        }
    }
}
