//! The kinds of models: the classical ones, and each text encoder with its tasks and inputs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::error::SentimentError;

/// The text encoder of a neural model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// A pretrained encoder: BERT, RoBERTa, DistilBERT or ModernBERT, as its folder says.
    Bert,
    /// One layer of convolutions over words (Kim 2014, arXiv:1408.5882).
    Cnn,
    /// A hierarchical attention network over words and sentences (Yang et al. 2016, NAACL).
    Han,
}

/// Which labels a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// One to five stars; a neural model's probability of a positive review is then that of four and
    /// five stars.
    #[default]
    Stars,
    /// One to three against four and five, or the two classes of a table without stars.
    Binary,
    /// Both, with a head each.
    Both,
}

impl Labels {
    /// The name on a command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stars => "stars",
            Self::Binary => "binary",
            Self::Both => "both",
        }
    }

    /// Refuses to learn stars from rows that have none.
    pub(crate) fn expect_in(self, data: &Dataset) -> Result<(), SentimentError> {
        let lacking = self != Self::Binary && !data.is_empty() && !data.has_stars();
        if lacking { Err(SentimentError::NoStars { labels: self.as_str() }) } else { Ok(()) }
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)*) => {
        /// A kind of model, by its name on the command line and in its folder.
        ///
        /// ```
        /// use bestof_sentiment::model::{Architecture, ModelKind};
        ///
        /// let kind: ModelKind = "bert-mt-joint".parse()?;
        /// assert_eq!(kind.architecture(), Some(Architecture::Bert));
        /// assert!(kind.is_multi_task() && kind.is_joint() && !kind.is_classical());
        /// assert_eq!(kind.to_string(), "bert-mt-joint");
        /// # Ok::<(), bestof_sentiment::SentimentError>(())
        /// ```
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
    /// The same, with the lexicon score as second target.
    CnnMt => "cnn-mt",
    /// Convolutions over words, with meta features.
    CnnJoint => "cnn-joint",
    /// The same, with the lexicon score as second target.
    CnnMtJoint => "cnn-mt-joint",
    /// Hierarchical attention over words and sentences.
    Han => "han",
    /// The same, with the lexicon score as second target.
    HanMt => "han-mt",
    /// Hierarchical attention, with meta features.
    HanJoint => "han-joint",
    /// The same, with the lexicon score as second target.
    HanMtJoint => "han-mt-joint",
    /// A pretrained encoder on the text.
    Bert => "bert",
    /// The same, with the lexicon score as second target.
    BertMt => "bert-mt",
    /// A pretrained encoder on text and meta features.
    BertJoint => "bert-joint",
    /// The same, with the lexicon score as second target.
    BertMtJoint => "bert-mt-joint",
}

impl ModelKind {
    /// The text encoder; `None` for classical models.
    pub fn architecture(self) -> Option<Architecture> {
        match self {
            Self::Cnn | Self::CnnMt | Self::CnnJoint | Self::CnnMtJoint => Some(Architecture::Cnn),
            Self::Han | Self::HanMt | Self::HanJoint | Self::HanMtJoint => Some(Architecture::Han),
            Self::Bert | Self::BertMt | Self::BertJoint | Self::BertMtJoint => {
                Some(Architecture::Bert)
            }
            Self::DecisionTree
            | Self::RandomForest
            | Self::Knn
            | Self::Svm
            | Self::GradientBoosting
            | Self::Mlp
            | Self::Logistic => None,
        }
    }

    /// Whether it is in [`crate::classical`]; the others are in [`crate::neural`].
    pub fn is_classical(self) -> bool {
        self.architecture().is_none()
    }

    /// Whether the lexicon score is its second target.
    pub fn is_multi_task(self) -> bool {
        matches!(
            self,
            Self::CnnMt
                | Self::CnnMtJoint
                | Self::HanMt
                | Self::HanMtJoint
                | Self::BertMt
                | Self::BertMtJoint
        )
    }

    /// Whether it is a neural model with meta features. The inputs of a classical model are a setting,
    /// not part of its kind.
    pub fn is_joint(self) -> bool {
        matches!(
            self,
            Self::CnnJoint
                | Self::CnnMtJoint
                | Self::HanJoint
                | Self::HanMtJoint
                | Self::BertJoint
                | Self::BertMtJoint
        )
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ModelKind {
    type Err = SentimentError;

    fn from_str(name: &str) -> Result<Self, SentimentError> {
        let found = Self::ALL.iter().copied().find(|kind| kind.as_str() == name);
        let names = || Self::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| SentimentError::UnknownModel { name: name.to_owned(), known: names() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_kinds_and_back() {
        for &kind in ModelKind::ALL {
            assert_eq!(kind.as_str().parse::<ModelKind>().unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        let error = "bert-large".parse::<ModelKind>().unwrap_err().to_string();
        assert!(error.contains("bert-mt-joint") && error.contains("logistic"), "{error}");
    }

    #[test]
    fn names_tell_tasks_inputs_and_architecture() {
        let named =
            |part: &'static str| ModelKind::ALL.iter().filter(move |k| k.as_str().contains(part));
        assert!(named("-mt").all(|kind| kind.is_multi_task()) && named("-mt").count() == 6);
        assert!(named("-joint").all(|kind| kind.is_joint()) && named("-joint").count() == 6);
        for (name, architecture) in
            [("bert", Architecture::Bert), ("cnn", Architecture::Cnn), ("han", Architecture::Han)]
        {
            assert!(named(name).all(|kind| kind.architecture() == Some(architecture)));
            assert_eq!(named(name).count(), 4);
        }
        assert_eq!(ModelKind::ALL.iter().filter(|kind| kind.is_classical()).count(), 7);
    }
}
