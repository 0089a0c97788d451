//! The encoder with a head: classes of rows, and words for masked tokens.
#![expect(non_snake_case, reason = "a field's name is part of the tensor's name")]

use std::path::Path;

use bestof_checkpoints::{ModelFolder, StoredType, Weights};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::batch::BertBatch;
use super::config::BertConfig;
use super::encoder::Bert;
use super::error::BertError;
use super::loader::{Fill, LoadReport, Loader};
use super::parts::{Dense, Norm, Table, dropout};
use super::save::save;
use crate::error::ModelError;

/// Tells the classifier's dropout from those of the layers.
const CLASSIFIER: u64 = u64::MAX;

/// Opens a folder for [`Loader`].
fn open(dir: &Path) -> Result<(BertConfig, Weights), BertError> {
    let folder = ModelFolder::open(dir)?;
    Ok((BertConfig::from_hf(&folder.config)?, folder.weights()?))
}

impl Bert {
    /// The encoder in a model folder, whatever head the folder has.
    ///
    /// # Errors
    /// No such folder, another model, tensors that are missing or of another shape.
    pub fn open(dir: &Path, device: &Device) -> Result<(Self, LoadReport), BertError> {
        let (config, weights) = open(dir)?;
        let mut loader = Loader::reading(&weights, device);
        Ok((Self::load(&mut loader, &config)?, loader.finish()))
    }

    /// An encoder of this shape with weights drawn from `seed`.
    ///
    /// # Errors
    /// [`ModelError::InvalidField`] for a shape that does not fit together.
    pub fn fresh(config: &BertConfig, seed: u64, device: &Device) -> Result<Self, BertError> {
        Self::load(&mut Loader::drawing(seed, config.initializer_range, device), config)
    }

    /// Writes `config.json` and the weights into `dir`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, dir: &Path, dtype: StoredType) -> Result<(), BertError> {
        save(self, &self.config().to_hf("BertModel"), dir, dtype)
    }
}

/// BERT that tells classes of rows apart.
///
/// ```text
/// logits = W dropout(pooler_output) + b
/// ```
///
/// Source: Devlin et al. 2019, arXiv:1810.04805v2, section 4.1.
#[derive(Module, Debug)]
pub struct BertForSequenceClassification {
    pub(crate) bert: Bert,
    pub(crate) classifier: Dense,
}

impl BertForSequenceClassification {
    /// The model in a folder that has this head.
    ///
    /// # Errors
    /// As [`Bert::open`]; [`BertError::NoPooler`].
    pub fn open(dir: &Path, device: &Device) -> Result<(Self, LoadReport), BertError> {
        let (config, weights) = open(dir)?;
        let mut loader = Loader::reading(&weights, device);
        let bert = Bert::load(&mut loader, &config)?;
        if bert.pooler.is_none() {
            return Err(BertError::NoPooler);
        }
        let sizes = [config.hidden_size, config.labels.len()];
        let classifier = Dense::load(&mut loader, "classifier", sizes)?;
        Ok((Self { bert, classifier }, loader.finish()))
    }

    /// An encoder with a new classifier for `labels`, and a new pooler if it has none, both drawn
    /// from `seed`: the start of fine-tuning.
    ///
    /// # Errors
    /// [`ModelError::InvalidField`] for no labels.
    pub fn fresh(bert: Bert, labels: Vec<String>, seed: u64) -> Result<Self, BertError> {
        if labels.is_empty() {
            let (field, found) = ("id2label".to_owned(), "empty".to_owned());
            let expected = "at least one label".to_owned();
            return Err(ModelError::InvalidField { field, found, expected }.into());
        }
        let bert = bert.with_fresh_pooler(seed)?.with_labels(labels);
        let config = bert.config();
        let device = bert.words().device();
        let mut loader = Loader::drawing(seed, config.initializer_range, &device);
        let sizes = [config.hidden_size, config.labels.len()];
        let classifier = Dense::load(&mut loader, "classifier", sizes)?;
        Ok(Self { bert, classifier })
    }

    /// The encoder.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }

    /// The names of the classes.
    pub fn labels(&self) -> &[String] {
        &self.bert.config().labels
    }

    /// The logits of each row's classes, `[batch, labels]`. With a seed, values are dropped as in
    /// training.
    ///
    /// # Errors
    /// As [`Bert::forward`].
    pub fn forward(
        &self,
        batch: &BertBatch,
        dropout_seed: Option<u64>,
    ) -> Result<Tensor<2>, BertError> {
        let output = self.bert.forward(batch, dropout_seed)?;
        let mut pooled = output.pooler_output.ok_or(BertError::NoPooler)?;
        if let Some(seed) = dropout_seed {
            let config = self.bert.config();
            let share = config.classifier_dropout.unwrap_or(config.hidden_dropout);
            pooled = dropout(pooled, share, &[seed, CLASSIFIER]);
        }
        Ok(self.classifier.forward(pooled))
    }

    /// Writes `config.json` and the weights into `dir`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, dir: &Path, dtype: StoredType) -> Result<(), BertError> {
        let config = self.bert.config().to_hf("BertForSequenceClassification");
        save(self, &config, dir, dtype)
    }
}

/// What comes between the hidden states and the words.
#[derive(Module, Debug)]
pub(crate) struct Transform {
    pub(crate) dense: Dense,
    pub(crate) LayerNorm: Norm,
}

/// The masked-language head's parameters.
#[derive(Module, Debug)]
pub(crate) struct Predictions {
    pub(crate) transform: Transform,
    /// Words, if they are not the encoder's.
    pub(crate) decoder: Option<Table>,
    pub(crate) bias: Param<Tensor<1>>,
}

/// The heads of BERT's own training.
#[derive(Module, Debug)]
pub(crate) struct TrainingHeads {
    pub(crate) predictions: Predictions,
}

/// BERT that names the words behind masked tokens.
///
/// ```text
/// logits = E norm(gelu(W h + b)) + c,   E the word embeddings
/// ```
///
/// Source: Devlin et al. 2019, arXiv:1810.04805v2, section 3.1, task 1.
#[derive(Module, Debug)]
pub struct BertForMaskedLm {
    pub(crate) bert: Bert,
    pub(crate) cls: TrainingHeads,
}

impl BertForMaskedLm {
    /// The model in a folder that has this head. A pooler, which it does not use, is left out.
    ///
    /// # Errors
    /// As [`Bert::open`].
    pub fn open(dir: &Path, device: &Device) -> Result<(Self, LoadReport), BertError> {
        let (config, weights) = open(dir)?;
        let mut loader = Loader::reading(&weights, device);
        let bert = Bert::load(&mut loader, &config)?.without_pooler();
        let (width, words) = (config.hidden_size, config.vocab_size);
        let at = "cls.predictions";
        let transform = Transform {
            dense: Dense::load(&mut loader, &format!("{at}.transform.dense"), [width, width])?,
            LayerNorm: Norm::load(&mut loader, &format!("{at}.transform.LayerNorm"), width)?,
        };
        let bias = loader.parameter(&format!("{at}.bias"), [words], Fill::Zeros)?;
        let decoder = if config.tied_embeddings {
            None
        } else {
            Some(Table::load(&mut loader, &format!("{at}.decoder"), [words, width])?)
        };
        // Copies of the tied embeddings and of the bias, in older checkpoints.
        loader.mark_used(&format!("{at}.decoder.weight"));
        loader.mark_used(&format!("{at}.decoder.bias"));
        let cls = TrainingHeads { predictions: Predictions { transform, decoder, bias } };
        Ok((Self { bert, cls }, loader.finish()))
    }

    /// The encoder.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }

    /// The logits of every token's word, `[batch, seq, vocab]`. With a seed, values are dropped as
    /// in training.
    ///
    /// For the masked tokens alone, [`BertForMaskedLm::words`] of their hidden states takes less
    /// memory.
    ///
    /// # Errors
    /// As [`Bert::forward`].
    pub fn forward(
        &self,
        batch: &BertBatch,
        dropout_seed: Option<u64>,
    ) -> Result<Tensor<3>, BertError> {
        let hidden = self.bert.forward(batch, dropout_seed)?.last_hidden_state;
        let [rows, length, width] = hidden.dims();
        let logits = self.words(hidden.reshape([rows * length, width]));
        let [_, words] = logits.dims();
        Ok(logits.reshape([rows, length, words]))
    }

    /// The logits of the words, `[rows, vocab]`, of hidden states `[rows, hidden]`.
    pub fn words(&self, hidden: Tensor<2>) -> Tensor<2> {
        let config = self.bert.config();
        let head = &self.cls.predictions;
        let x = head.transform.dense.activated(hidden, config.activation);
        let x = head.transform.LayerNorm.forward(x, config.layer_norm_eps);
        let words = match &head.decoder {
            Some(decoder) => decoder.weight.val(),
            None => self.bert.words(),
        };
        x.matmul(words.transpose()).add(head.bias.val().unsqueeze())
    }

    /// Writes `config.json` and the weights into `dir`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, dir: &Path, dtype: StoredType) -> Result<(), BertError> {
        save(self, &self.bert.config().to_hf("BertForMaskedLM"), dir, dtype)
    }
}
