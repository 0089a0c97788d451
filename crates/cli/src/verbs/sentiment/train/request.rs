//! What classical and neural models have in common: the flags, and the trained model.

use std::path::PathBuf;

use bestof_sentiment::model::{Labels, Predictor};
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub(super) struct Request {
    /// The folder of `sentiment prepare`
    #[arg(long)]
    pub(super) data: PathBuf,
    /// The folder to write the model to
    #[arg(long)]
    pub(super) out: PathBuf,
    /// The labels to predict [default: both for classical models, stars for neural ones, whose
    /// probability of a positive review is that of four and five stars]
    #[arg(long, value_enum)]
    pub(super) labels: Option<LabelsArg>,
    /// Seed of everything random [default: 0 for classical models, train.seed for neural ones]
    #[arg(long)]
    pub(super) seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LabelsArg {
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
pub(super) struct TrainedModel {
    pub(super) model: Box<dyn Predictor>,
    pub(super) json: Value,
    pub(super) lines: Vec<String>,
}
