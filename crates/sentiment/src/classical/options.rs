//! How a classical model is fitted.

use serde::{Deserialize, Serialize};

use super::tfidf::TfIdfOptions;
use crate::model::{Labels, ModelKind};

/// The inputs of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inputs {
    /// Meta features alone.
    Meta,
    /// TF-IDF weights of the text alone.
    Text,
    /// Meta features, then TF-IDF weights.
    Joint,
}

impl Inputs {
    /// The name on a command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Text => "text",
            Self::Joint => "joint",
        }
    }
}

/// Seed and size of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FitOptions {
    /// Seed of everything random. Default 0.
    pub seed: u64,
    /// Most rows to fit on; if there are more, a sample is taken. The default, `None`, is the limit of
    /// the kind: 200,000 for a tree, 100,000 for nearest neighbours, 50,000 for a forest, 20,000 for
    /// boosting, 10,000 for support vectors, and none for the others.
    pub max_rows: Option<usize>,
}

/// How a classical model is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassicalOptions {
    /// Which model.
    pub kind: ModelKind,
    /// Its inputs.
    pub inputs: Inputs,
    /// Its labels, each learned by a classifier of its own. Default [`Labels::Both`].
    pub labels: Labels,
    /// The vocabulary of the text.
    pub terms: TfIdfOptions,
    /// Seed and size of the fit.
    pub fit: FitOptions,
}

impl ClassicalOptions {
    /// The defaults for a model of this kind with these inputs.
    pub fn new(kind: ModelKind, inputs: Inputs) -> Self {
        let (terms, fit) = (TfIdfOptions::default(), FitOptions::default());
        Self { kind, inputs, labels: Labels::Both, terms, fit }
    }
}
