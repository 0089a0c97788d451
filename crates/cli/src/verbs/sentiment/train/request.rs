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
    /// What it learns to answer [default: both for classical models, stars for neural ones, which
    /// take four and five together]
    #[arg(long, value_enum)]
    pub(super) labels: Option<Learned>,
    /// Seed of everything random [default: 0 for classical models, train.seed for neural ones]
    #[arg(long)]
    pub(super) seed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Learned {
    Stars,
    Binary,
    Both,
}

impl From<Learned> for Labels {
    fn from(learned: Learned) -> Self {
        match learned {
            Learned::Stars => Self::Stars,
            Learned::Binary => Self::Binary,
            Learned::Both => Self::Both,
        }
    }
}

/// A trained model, and what is reported of its kind only.
pub(super) struct Made {
    pub(super) model: Box<dyn Predictor>,
    pub(super) json: Value,
    pub(super) lines: Vec<String>,
}
