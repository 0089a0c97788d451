//! A saved model of any kind: what its folder says, and what it answers.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::classical::ClassicalModel;
use crate::dataset::Example;
use crate::error::SentimentError;
use crate::features::FeatureSpec;
use crate::predictions::Predictions;

/// Name of the file that says what a model folder holds.
pub const MODEL_FILE: &str = "sentiment.json";

/// Version of the file's form.
const VERSION: u32 = 1;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// Every kind of model, by the name it has on the command line and in its folder.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ModelKind {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl ModelKind {
            /// Every kind, classical ones first.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The kind's name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// Gini impurity, no limit on depth.
    DecisionTree => "decision-tree",
    /// 100 such trees.
    RandomForest => "random-forest",
    /// Ten nearest neighbours.
    Knn => "knn",
    /// Radial kernel, cost 1.
    Svm => "svm",
    /// 100 trees of depth 5 at a rate of 0.1.
    GradientBoosting => "gradient-boosting",
    /// Hidden layers of 256 and 128.
    Mlp => "mlp",
    /// Logistic regression.
    Logistic => "logistic",
    /// Convolutions over words.
    Cnn => "cnn",
    /// The same with the sentiment head.
    CnnMt => "cnn-mt",
    /// Hierarchical attention over words and sentences.
    Han => "han",
    /// The same with the sentiment head.
    HanMt => "han-mt",
    /// BERT on the text.
    Bert => "bert",
    /// The same with the sentiment head.
    BertMt => "bert-mt",
    /// BERT on text and meta features.
    BertJoint => "bert-joint",
    /// The same with the sentiment head.
    BertMtJoint => "bert-mt-joint",
}

impl ModelKind {
    /// Whether [`crate::classical`] has it; the others need tensors.
    pub fn is_classical(self) -> bool {
        matches!(
            self,
            Self::DecisionTree
                | Self::RandomForest
                | Self::Knn
                | Self::Svm
                | Self::GradientBoosting
                | Self::Mlp
                | Self::Logistic
        )
    }

    /// The kind of this name.
    pub fn parse(name: &str) -> Result<Self, SentimentError> {
        let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == name);
        let names = || Self::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| SentimentError::UnknownModel { name: name.to_owned(), known: names() })
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a model folder says of itself. Files of the kind's own stand beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Version of this form.
    pub version: u32,
    /// The kind.
    pub kind: ModelKind,
    /// What it sees: `meta`, `text` or `joint`.
    pub inputs: String,
    /// Rows it was fitted on.
    pub trained_on: u64,
    /// Rows of the training part; more than `trained_on` when a limit sampled them.
    pub available: u64,
    /// Seed of the fit.
    pub seed: u64,
    /// Training rows of each restaurant, by its number in the prepared folder.
    pub restaurants: Vec<u64>,
}

impl ModelCard {
    /// A card of the present version.
    pub fn new(kind: ModelKind, inputs: impl Into<String>, seed: u64) -> Self {
        let inputs = inputs.into();
        Self {
            version: VERSION,
            kind,
            inputs,
            trained_on: 0,
            available: 0,
            seed,
            restaurants: Vec::new(),
        }
    }

    /// Reads [`MODEL_FILE`] of `folder`.
    pub fn load(folder: &Path) -> Result<Self, SentimentError> {
        let path = folder.join(MODEL_FILE);
        if !path.is_file() {
            return Err(SentimentError::NotAModel { path: folder.to_owned() });
        }
        let text = std::fs::read_to_string(&path).map_err(SentimentError::io("read", &path))?;
        let card: Self = serde_json::from_str(&text)
            .map_err(|source| SentimentError::BadJson { path: path.clone(), source })?;
        if card.version != VERSION {
            return Err(SentimentError::Version { path, found: card.version, expected: VERSION });
        }
        Ok(card)
    }

    /// Writes [`MODEL_FILE`] into `folder`.
    pub fn save(&self, folder: &Path) -> Result<(), SentimentError> {
        let path = folder.join(MODEL_FILE);
        let text = serde_json::to_string_pretty(self)
            .map_err(|source| SentimentError::BadJson { path: path.clone(), source })?;
        std::fs::write(&path, text + "\n").map_err(SentimentError::io("write", &path))
    }
}

/// What every saved model can do.
pub trait Predictor {
    /// What the folder says of it.
    fn card(&self) -> &ModelCard;

    /// What its meta inputs are.
    fn features(&self) -> &FeatureSpec;

    /// The answers to `examples`, of which text and meta features are read.
    fn predict(&self, examples: &[Example]) -> Result<Predictions, SentimentError>;
}

/// Opens a model folder of a classical kind.
///
/// # Errors
/// [`SentimentError::NotClassical`] for a kind that needs tensors, or what is wrong with a file.
pub fn open_classical(folder: &Path) -> Result<Box<dyn Predictor>, SentimentError> {
    let card = ModelCard::load(folder)?;
    if card.kind.is_classical() {
        Ok(Box::new(ClassicalModel::load(folder)?))
    } else {
        Err(SentimentError::NotClassical { kind: card.kind.as_str() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_kinds_and_back() {
        for &kind in ModelKind::ALL {
            assert_eq!(ModelKind::parse(kind.as_str()).unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        let error = ModelKind::parse("bert-large").unwrap_err().to_string();
        assert!(error.contains("bert-mt-joint") && error.contains("logistic"), "{error}");
    }

    #[test]
    fn folders_that_are_no_models_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = ModelCard::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("sentiment.json"), "{error}");
        let card = ModelCard::new(ModelKind::Bert, "text", 1);
        card.save(folder.path()).unwrap();
        assert_eq!(ModelCard::load(folder.path()).unwrap(), card);
        let error = open_classical(folder.path()).err().unwrap().to_string();
        assert!(error.contains("bert"), "{error}");
    }
}
