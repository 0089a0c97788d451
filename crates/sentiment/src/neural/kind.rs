//! Which model: its text encoder, its tasks, its inputs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::error::NeuralError;

/// What reads the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// A pretrained BERT encoder.
    Bert,
    /// One layer of convolutions over words (Kim 2014, arXiv:1408.5882).
    Cnn,
    /// A hierarchical attention network over words and sentences (Yang et al. 2016, NAACL).
    Han,
}

/// A neural model by its name: `bert`, `bert-mt`, `bert-joint`, `bert-mt-joint`, and the same of
/// `cnn` and `han`.
///
/// ```
/// use bestof_sentiment::neural::{Architecture, ModelKind};
///
/// let kind: ModelKind = "bert-mt-joint".parse()?;
/// assert!(kind.architecture == Architecture::Bert && kind.multi_task && kind.joint);
/// assert_eq!(kind.to_string(), "bert-mt-joint");
/// assert_eq!(ModelKind::all().len(), 12);
/// # Ok::<(), bestof_sentiment::neural::NeuralError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelKind {
    /// What reads the text.
    pub architecture: Architecture,
    /// Whether the lexicon's score is learned beside the labels.
    pub multi_task: bool,
    /// Whether meta features are an input beside the text.
    pub joint: bool,
}

impl ModelKind {
    /// Every kind, the simplest of each architecture first.
    pub fn all() -> Vec<Self> {
        [Architecture::Bert, Architecture::Cnn, Architecture::Han]
            .into_iter()
            .flat_map(|architecture| {
                [(false, false), (true, false), (false, true), (true, true)]
                    .map(|(multi_task, joint)| Self { architecture, multi_task, joint })
            })
            .collect()
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.architecture {
            Architecture::Bert => "bert",
            Architecture::Cnn => "cnn",
            Architecture::Han => "han",
        })?;
        f.write_str(if self.multi_task { "-mt" } else { "" })?;
        f.write_str(if self.joint { "-joint" } else { "" })
    }
}

impl FromStr for ModelKind {
    type Err = NeuralError;

    fn from_str(name: &str) -> Result<Self, NeuralError> {
        Self::all().into_iter().find(|kind| kind.to_string() == name).ok_or_else(|| {
            NeuralError::UnknownKind {
                found: name.to_owned(),
                known: Self::all().iter().map(ToString::to_string).collect(),
            }
        })
    }
}

impl TryFrom<String> for ModelKind {
    type Error = NeuralError;

    fn try_from(name: String) -> Result<Self, NeuralError> {
        name.parse()
    }
}

impl From<ModelKind> for String {
    fn from(kind: ModelKind) -> Self {
        kind.to_string()
    }
}
