//! Sequence classification.
#![expect(non_camel_case_types, reason = "a variant's name is part of the tensor's name")]

use std::path::Path;

use bestof_checkpoints::StoredType;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::batch::EncoderBatch;
use super::config::EncoderConfig;
use super::error::EncoderError;
use super::family::{EncoderFamily, EncoderTask};
use super::loader::{LoadReport, Loader};
use super::model::{Encoder, open};
use super::parts::{Dense, dropout};
use super::pooler::RowPooler;
use super::save::save;
use crate::error::ModelError;

/// The dropout key of the classifier; layers use small numbers.
const CLASSIFIER: u64 = u64::MAX;

/// RoBERTa's last layer, which is a part of its classifier.
#[derive(Module, Debug)]
struct Projection {
    out_proj: Dense,
}

/// The last layer. An underscore at the end is not part of a tensor's name.
#[derive(Module, Debug)]
enum LastLayer {
    classifier(Dense),
    classifier_(Projection),
}

impl LastLayer {
    fn load(loader: &mut Loader<'_>, config: &EncoderConfig) -> Result<Self, ModelError> {
        let sizes = [config.hidden_size, config.labels.len()];
        Ok(match config.family {
            EncoderFamily::Roberta | EncoderFamily::XlmRoberta => Self::classifier_(Projection {
                out_proj: Dense::load(loader, "classifier.out_proj", sizes)?,
            }),
            _ => Self::classifier(Dense::load(loader, "classifier", sizes)?),
        })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::classifier(dense) => dense.forward(x),
            Self::classifier_(Projection { out_proj }) => out_proj.forward(x),
        }
    }
}

/// An encoder with a classifier on one vector per row.
///
/// ```text
/// logits = W dropout(pooled) + b
/// ```
///
/// `pooled` is what [`Encoder::pool_rows`] gives. Source: Devlin et al. 2019, arXiv:1810.04805v2,
/// section 4.1.
#[derive(Module, Debug)]
pub struct EncoderForSequenceClassification {
    encoder: Encoder,
    pooler: Option<RowPooler>,
    last: LastLayer,
    #[module(skip)]
    labels: Vec<String>,
}

impl EncoderForSequenceClassification {
    /// The model in a folder with this head.
    ///
    /// # Errors
    /// As [`Encoder::open`].
    pub fn open(dir: &Path, device: &Device) -> Result<(Self, LoadReport), EncoderError> {
        let (config, weights) = open(dir)?;
        let mut loader = Loader::reading(&weights, device);
        let encoder = Encoder::load(&mut loader, &config)?;
        let model = Self::around(encoder, &mut loader, &config)?;
        Ok((model, loader.finish()))
    }

    /// The encoder with a new classifier for `labels`, and a new pooler if it has none, both
    /// randomly initialised from `seed`: the start of fine-tuning.
    ///
    /// # Errors
    /// [`ModelError::InvalidField`] if `labels` is empty.
    pub fn fresh(encoder: Encoder, labels: Vec<String>, seed: u64) -> Result<Self, EncoderError> {
        if labels.is_empty() {
            let (field, found) = ("id2label".to_owned(), "empty".to_owned());
            let expected = "at least one label".to_owned();
            return Err(ModelError::InvalidField { field, found, expected }.into());
        }
        let config = EncoderConfig { labels, ..encoder.config().clone() };
        let device = encoder.word_table().weight.val().device();
        let mut loader = Loader::drawing(seed, config.initializer_range, &device);
        Self::around(encoder, &mut loader, &config)
    }

    fn around(
        encoder: Encoder,
        loader: &mut Loader<'_>,
        config: &EncoderConfig,
    ) -> Result<Self, EncoderError> {
        let (encoder, pooler) = encoder.with_row_pooler(loader)?;
        let last = LastLayer::load(loader, config)?;
        Ok(Self { encoder, pooler, last, labels: config.labels.clone() })
    }

    /// The encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The class names, by class index.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The class logits of each row, `[batch, labels]`. With a seed, dropout is applied as in
    /// training.
    ///
    /// # Errors
    /// As [`Encoder::forward`].
    pub fn forward(
        &self,
        batch: &EncoderBatch,
        dropout_seed: Option<u64>,
    ) -> Result<Tensor<2>, EncoderError> {
        let tokens = self.encoder.encode(batch, dropout_seed)?;
        let mut pooled = self.encoder.pool_rows(self.pooler.as_ref(), &tokens, dropout_seed)?;
        if let Some(seed) = dropout_seed {
            let probability = self.encoder.config().classifier_dropout();
            pooled = dropout(pooled, &tokens.row_dropout(probability, seed, CLASSIFIER));
        }
        Ok(self.last.forward(pooled))
    }

    /// Writes `config.json` and the weights into `dir`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, dir: &Path, dtype: StoredType) -> Result<(), EncoderError> {
        let config = EncoderConfig { labels: self.labels.clone(), ..self.encoder.config().clone() };
        save(self, &config.to_hf(EncoderTask::SequenceClassification), dir, dtype)
    }
}
