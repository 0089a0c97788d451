//! From the hidden states of a row to the vector that a classifier of its family reads.
#![expect(non_camel_case_types, reason = "a variant's name is part of the tensor's name")]

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::bert::Single;
use super::config::EncoderConfig;
use super::error::EncoderError;
use super::family::EncoderFamily;
use super::loader::Loader;
use super::model::Encoder;
use super::parts::{Dense, Linear, Norm, dropout};
use super::tokens::EncoderTokens;
use crate::error::ModelError;

/// The dropout key of a pooler; layers use small numbers.
const POOLER: u64 = u64::MAX - 1;

/// A linear layer, an activation and a norm: before ModernBERT's classifier, and in its
/// masked-language head.
#[derive(Module, Debug)]
pub struct PredictionHead {
    dense: Linear,
    norm: Norm,
}

impl PredictionHead {
    /// The head with the parameters `head.dense.weight` and so on.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        config: &EncoderConfig,
    ) -> Result<Self, ModelError> {
        let (width, options) = (config.hidden_size, &config.modernbert);
        let sizes = [width, width];
        Ok(Self {
            dense: Linear::load(loader, "head.dense", sizes, options.classifier_bias)?,
            norm: Norm::load(loader, "head.norm", width, options.norm_bias)?,
        })
    }

    /// `norm(activation(x W^T + b))`, `[rows, hidden]`.
    pub(super) fn forward(&self, x: Tensor<2>, config: &EncoderConfig) -> Tensor<2> {
        let x = self.dense.activated(x, config.modernbert.classifier_activation);
        self.norm.forward(x, config.layer_norm_eps)
    }
}

/// What stands between the encoder and the last layer of a classifier, in the families whose encoder has
/// no pooler of its own. A variant is called what the names of its tensors begin with.
#[derive(Module, Debug)]
pub enum RowPooler {
    /// RoBERTa: `tanh(W dropout(h) + b)` of the first token.
    classifier(Single),
    /// DistilBERT: `relu(W h + b)` of the first token.
    pre_classifier(Dense),
    /// ModernBERT: `norm(gelu(W h + b))` of the first token, or of the mean.
    head(PredictionHead),
}

impl Encoder {
    /// The encoder with its pooler, made by `loader`, for [`Encoder::pool_rows`]: in BERT the
    /// encoder's own, in another family a [`RowPooler`].
    ///
    /// # Errors
    /// As [`Loader::parameter`].
    pub fn with_row_pooler(
        self,
        loader: &mut Loader<'_>,
    ) -> Result<(Self, Option<RowPooler>), EncoderError> {
        let width = self.config().hidden_size;
        let pooler = match self.config().family {
            EncoderFamily::Bert => return Ok((self.with_pooler(loader)?, None)),
            EncoderFamily::Roberta | EncoderFamily::XlmRoberta => {
                RowPooler::classifier(Single::load(loader, "classifier", width)?)
            }
            EncoderFamily::DistilBert => {
                RowPooler::pre_classifier(Dense::load(loader, "pre_classifier", [width, width])?)
            }
            EncoderFamily::ModernBert => {
                RowPooler::head(PredictionHead::load(loader, self.config())?)
            }
        };
        Ok((self.without_pooler(), Some(pooler)))
    }

    /// One vector per row, `[rows, hidden]`, as a classifier of the family reads it. With a seed,
    /// values are dropped as in training.
    ///
    /// # Errors
    /// [`EncoderError::NoPooler`] if `pooler` is `None` and the encoder has none of its own.
    pub fn pool_rows(
        &self,
        pooler: Option<&RowPooler>,
        tokens: &EncoderTokens,
        dropout_seed: Option<u64>,
    ) -> Result<Tensor<2>, EncoderError> {
        let config = self.config();
        Ok(match pooler {
            None => self.pool(tokens).ok_or(EncoderError::NoPooler)?,
            Some(RowPooler::classifier(layer)) => {
                let x = tokens.first();
                let x = match dropout_seed {
                    Some(seed) => {
                        dropout(x, &tokens.row_dropout(config.classifier_dropout(), seed, POOLER))
                    }
                    None => x,
                };
                layer.dense.forward(x).tanh()
            }
            Some(RowPooler::pre_classifier(dense)) => relu(dense.forward(tokens.first())),
            Some(RowPooler::head(head)) => {
                let mean = config.modernbert.mean_pooling;
                head.forward(if mean { tokens.mean() } else { tokens.first() }, config)
            }
        })
    }
}
