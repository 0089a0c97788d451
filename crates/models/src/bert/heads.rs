//! The encoder with a head: sequence classification and masked-language modelling.
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

/// The dropout key of the classifier; layers use small numbers.
const CLASSIFIER: u64 = u64::MAX;

/// The configuration and the weights in a model folder.
fn open(dir: &Path) -> Result<(BertConfig, Weights), BertError> {
    let folder = ModelFolder::open(dir)?;
    Ok((BertConfig::from_hf(&folder.config)?, folder.weights()?))
}

impl Bert {
    /// The encoder in a model folder; a head is ignored.
    ///
    /// # Errors
    /// There is no such folder, it holds another model, or tensors are missing or of another shape.
    pub fn open(dir: &Path, device: &Device) -> Result<(Self, LoadReport), BertError> {
        let (config, weights) = open(dir)?;
        let mut loader = Loader::reading(&weights, device);
        Ok((Self::load(&mut loader, &config)?, loader.finish()))
    }

    /// An encoder with random weights, which depend on `seed`.
    ///
    /// # Errors
    /// [`ModelError::InvalidField`]; see [`BertConfig::validate`].
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

/// BERT with a classifier on the pooled rows.
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
    /// The model in a folder with this head.
    ///
    /// # Errors
    /// As [`Bert::open`], and [`BertError::NoPooler`].
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

    /// The encoder with a new classifier for `labels`, and a new pooler if it has none, both
    /// randomly initialised from `seed`: the start of fine-tuning.
    ///
    /// # Errors
    /// [`ModelError::InvalidField`] if `labels` is empty.
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

    /// The class names, by class index.
    pub fn labels(&self) -> &[String] {
        &self.bert.config().labels
    }

    /// The class logits of each row, `[batch, labels]`. With a seed, dropout is applied as in
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
            let probability = config.classifier_dropout.unwrap_or(config.hidden_dropout);
            pooled = dropout(pooled, probability, &[seed, CLASSIFIER]);
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

/// The layer between the hidden states and the output matrix.
#[derive(Module, Debug)]
pub(crate) struct Transform {
    pub(crate) dense: Dense,
    pub(crate) LayerNorm: Norm,
}

/// The masked-language head's parameters.
#[derive(Module, Debug)]
pub(crate) struct Predictions {
    pub(crate) transform: Transform,
    /// The output matrix, if it is not tied to the word embeddings.
    pub(crate) decoder: Option<Table>,
    pub(crate) bias: Param<Tensor<1>>,
}

/// The pre-training heads, of which only masked-language modelling is used.
#[derive(Module, Debug)]
pub(crate) struct TrainingHeads {
    pub(crate) predictions: Predictions,
}

/// BERT with the masked-language head, which predicts masked tokens.
///
/// ```text
/// logits = E norm(gelu(W h + b)) + c,   E the output matrix, by default the word embeddings
/// ```
///
/// Source: Devlin et al. 2019, arXiv:1810.04805v2, section 3.1, task 1.
#[derive(Module, Debug)]
pub struct BertForMaskedLm {
    pub(crate) bert: Bert,
    pub(crate) cls: TrainingHeads,
}

impl BertForMaskedLm {
    /// The model in a folder with this head. A pooler is not loaded.
    ///
    /// # Errors
    /// As [`Bert::open`].
    pub fn open(dir: &Path, device: &Device) -> Result<(Self, LoadReport), BertError> {
        let (config, weights) = open(dir)?;
        let mut loader = Loader::reading(&weights, device);
        let bert = Bert::load(&mut loader, &config)?.without_pooler();
        let (width, words) = (config.hidden_size, config.vocab_size);
        let prefix = "cls.predictions";
        let transform = Transform {
            dense: Dense::load(&mut loader, &format!("{prefix}.transform.dense"), [width, width])?,
            LayerNorm: Norm::load(&mut loader, &format!("{prefix}.transform.LayerNorm"), width)?,
        };
        let bias = loader.parameter(&format!("{prefix}.bias"), [words], Fill::Zeros)?;
        let decoder = if config.tied_embeddings {
            None
        } else {
            Some(Table::load(&mut loader, &format!("{prefix}.decoder"), [words, width])?)
        };
        // Older checkpoints store copies of the tied embeddings and of the bias.
        loader.mark_used(&format!("{prefix}.decoder.weight"));
        loader.mark_used(&format!("{prefix}.decoder.bias"));
        let cls = TrainingHeads { predictions: Predictions { transform, decoder, bias } };
        Ok((Self { bert, cls }, loader.finish()))
    }

    /// The encoder.
    pub fn bert(&self) -> &Bert {
        &self.bert
    }

    /// Logits over the vocabulary for every token, `[batch, seq, vocab]`. With a seed, dropout is
    /// applied as in training.
    ///
    /// For the masked tokens only, [`BertForMaskedLm::words`] on their hidden states takes less
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

    /// Logits over the vocabulary, `[rows, vocab]`, for hidden states `[rows, hidden]`.
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
