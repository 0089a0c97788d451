//! `[sentiment]`: the settings of a model and its tasks.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::error::SentimentError;
use crate::model::{Architecture, Labels, ModelKind};

/// How the token vectors of a pretrained encoder are pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// As a classifier of the encoder's family reads them; for BERT the pooler's output on the first token,
    /// as in the paper.
    #[default]
    Pooler,
    /// The mean over all tokens, as in sentence-transformers.
    Mean,
}

/// How the losses of several tasks are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// `sum_t exp(-u_t) L_t / 2 + u_t / 2` with learned log-variances `u_t`, 0 at the start
    /// (Kendall, Gal & Cipolla 2018, arXiv:1705.07115, equation 7, with `u = log sigma^2`).
    #[default]
    Learned,
    /// `star_weight` for the labels, `1 - star_weight` for the sentiment score.
    Fixed,
}

/// The weight of a row in the loss of the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// 1 for every row.
    #[default]
    None,
    /// `rows / (classes * rows of the class)` over the training rows, whose mean over them is 1.
    Balanced,
}

/// `[sentiment]`: the model and its tasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SentimentSection {
    /// Which model. Default `bert-mt-joint`.
    pub kind: ModelKind,
    /// Which labels: `stars`, `binary` or `both`. Default `stars`.
    pub labels: Labels,
    /// Longest text: pieces, special tokens included (pretrained encoders), or words (CNN). Default
    /// 128.
    pub max_length: usize,
    /// HAN: most sentences of a review. Default 20.
    pub max_sentences: usize,
    /// HAN: most words of a sentence. Default 50.
    pub max_words: usize,
    /// CNN and HAN: size of the vocabulary, the most frequent words of the training rows.
    /// Default 20000.
    pub vocabulary: usize,
    /// CNN and HAN: training rows that contain a word of the vocabulary, at least. Default 2.
    pub min_rows: u64,
    /// Pretrained encoders: `pooler` or `mean`. Default `pooler`.
    pub pooling: Pooling,
    /// CNN and HAN: width of the word vectors. Default 100.
    pub word_width: usize,
    /// CNN: number of filters. Default 256.
    pub filters: usize,
    /// CNN: words under a filter. Default 3.
    pub filter_width: usize,
    /// HAN: width of each direction's hidden state. Default 50.
    pub hidden_width: usize,
    /// Width of the meta encoder. Default 512.
    pub meta_width: usize,
    /// Width of the joint layer, and of the CNN's dense layer. Default 256.
    pub joint_width: usize,
    /// Dropout before each head, after the meta encoder and in the CNN, in `[0, 1)`; the dropout
    /// inside a pretrained encoder is part of its own configuration. Default 0.1.
    pub dropout: f64,
    /// `learned` or `fixed`, for models of several tasks. Default `learned`.
    pub weighting: Weighting,
    /// With fixed weights, the weight of the labels' loss, in `[0, 1]`; that of the score's loss is the
    /// rest. Default 0.9.
    pub star_weight: f64,
    /// `none` or `balanced`. Default `none`.
    pub class_weights: ClassWeights,
    /// Factor of `train.learning_rate` for everything outside a pretrained encoder, which starts from
    /// random weights. Default 10 with an encoder, otherwise 1.
    pub head_learning_rate_factor: f64,
}

impl Default for SentimentSection {
    fn default() -> Self {
        Self {
            kind: ModelKind::BertMtJoint,
            labels: Labels::default(),
            max_length: 128,
            max_sentences: 20,
            max_words: 50,
            vocabulary: 20_000,
            min_rows: 2,
            pooling: Pooling::default(),
            word_width: 100,
            filters: 256,
            filter_width: 3,
            hidden_width: 50,
            meta_width: 512,
            joint_width: 256,
            dropout: 0.1,
            weighting: Weighting::default(),
            star_weight: 0.9,
            class_weights: ClassWeights::default(),
            head_learning_rate_factor: 10.0,
        }
    }
}

impl SentimentSection {
    /// The architecture, once every range has been checked.
    ///
    /// # Errors
    /// [`SentimentError::Setting`] for the first value outside its range.
    pub(super) fn validate(&self) -> Result<Architecture, SentimentError> {
        let architecture = self.architecture()?;
        let sizes = [
            ("max_sentences", self.max_sentences),
            ("max_words", self.max_words),
            ("vocabulary", self.vocabulary),
            ("word_width", self.word_width),
            ("filters", self.filters),
            ("filter_width", self.filter_width),
            ("hidden_width", self.hidden_width),
            ("meta_width", self.meta_width),
            ("joint_width", self.joint_width),
        ];
        for (key, size) in sizes {
            need((1..=MAX_SIZE).contains(&size), key, &size, "a number from 1 to 10000000")?;
        }
        let length = self.max_length;
        need((3..=MAX_SIZE).contains(&length), "max_length", &length, "at least 3")?;
        let share = "a share in [0, 1)";
        need((0.0..1.0).contains(&self.dropout), "dropout", &self.dropout, share)?;
        let weight = self.star_weight;
        need((0.0..=1.0).contains(&weight), "star_weight", &weight, "a weight in [0, 1]")?;
        let factor = self.head_learning_rate_factor;
        let fits = factor.is_finite() && factor >= 0.0;
        need(fits, "head_learning_rate_factor", &factor, "a finite number, at least 0")?;
        Ok(architecture)
    }

    /// # Errors
    /// [`SentimentError::Setting`] for a classical model.
    pub(super) fn architecture(&self) -> Result<Architecture, SentimentError> {
        self.kind.architecture().ok_or_else(|| SentimentError::Setting {
            key: "kind",
            found: self.kind.to_string(),
            expected: "bert, cnn or han, alone or with -mt, -joint or -mt-joint",
        })
    }
}

/// Largest size accepted: larger than in any model, so that a wrong file cannot ask for all memory.
const MAX_SIZE: usize = 10_000_000;

fn need(
    holds: bool,
    key: &'static str,
    found: &dyn Display,
    expected: &'static str,
) -> Result<(), SentimentError> {
    if holds {
        Ok(())
    } else {
        Err(SentimentError::Setting { key, found: found.to_string(), expected })
    }
}
