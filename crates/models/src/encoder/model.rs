//! An encoder of any family.

use std::path::Path;

use bestof_checkpoints::{ModelFolder, StoredType, Weights};
use bestof_kernels::on_pool;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::batch::EncoderBatch;
use super::bert::{Bert, Single};
use super::config::EncoderConfig;
use super::distilbert::DistilBert;
use super::error::EncoderError;
use super::family::{EncoderFamily, EncoderTask};
use super::loader::{LoadReport, Loader};
use super::modernbert::ModernBert;
use super::parts::Table;
use super::pass::Pass;
use super::save::save;
use super::tokens::EncoderTokens;
use crate::error::ModelError;

/// The outputs of an encoder for one batch.
#[derive(Debug, Clone)]
pub struct EncoderOutput {
    /// One vector per token, `[batch, seq, hidden]`; 0 for the padding at the end of a row.
    pub last_hidden_state: Tensor<3>,
    /// One vector per row, from its first token, `[batch, hidden]`; `None` without a pooler.
    pub pooler_output: Option<Tensor<2>>,
}

/// An encoder: from tokens to one vector per token.
///
/// Custom heads take [`EncoderOutput`] or [`EncoderTokens`]. If the encoder is a field of another
/// `Module`, [`crate::parameters`] names all parameters as transformers does: a variant is called what
/// the names of its tensors begin with.
#[derive(Module, Debug)]
pub enum Encoder {
    /// BERT. Source: Devlin et al. 2019, arXiv:1810.04805v2, section 3.
    Bert(Bert),
    /// RoBERTa, also that of many languages. Source: Liu et al. 2019, arXiv:1907.11692.
    Roberta(Bert),
    /// DistilBERT. Source: Sanh et al. 2019, arXiv:1910.01108.
    DistilBert(DistilBert),
    /// ModernBERT. Source: Warner et al. 2024, arXiv:2412.13663, section 2.
    Model(ModernBert),
}

/// The configuration and the weights in a model folder.
pub(super) fn open(dir: &Path) -> Result<(EncoderConfig, Weights), EncoderError> {
    let folder = ModelFolder::open(dir)?;
    Ok((EncoderConfig::from_hf(&folder.config)?, folder.weights()?))
}

impl Encoder {
    /// The encoder in a model folder; a head is ignored.
    ///
    /// # Errors
    /// There is no such folder, it holds another model, or tensors are missing, of another shape or
    /// not the model's.
    pub fn open(dir: &Path, device: &Device) -> Result<(Self, LoadReport), EncoderError> {
        let (config, weights) = open(dir)?;
        let mut loader = Loader::reading(&weights, device);
        let encoder = Self::load(&mut loader, &config)?;
        Ok((encoder, loader.finish()))
    }

    /// An encoder with random weights, which depend on `seed`.
    ///
    /// # Errors
    /// [`ModelError::InvalidField`]; see [`EncoderConfig::validate`].
    pub fn fresh(config: &EncoderConfig, seed: u64, device: &Device) -> Result<Self, EncoderError> {
        Self::load(&mut Loader::drawing(seed, config.initializer_range, device), config)
    }

    /// The encoder with parameters from `loader`. A checkpoint of a model with a head stores them
    /// with the prefix of the family, such as `bert.`, one of an encoder alone without. BERT and
    /// RoBERTa have a pooler if the checkpoint has one.
    ///
    /// # Errors
    /// [`EncoderError::Model`] for a tensor that is missing, has another shape than `config` says, or
    /// has the prefix and is not part of this encoder.
    pub fn load(loader: &mut Loader<'_>, config: &EncoderConfig) -> Result<Self, EncoderError> {
        config.validate()?;
        let (words, roots) = match config.family {
            EncoderFamily::Bert | EncoderFamily::Roberta | EncoderFamily::XlmRoberta => {
                (Bert::WORDS, Bert::ROOTS)
            }
            EncoderFamily::DistilBert => (DistilBert::WORDS, DistilBert::ROOTS),
            EncoderFamily::ModernBert => (ModernBert::WORDS, ModernBert::ROOTS),
        };
        let prefix = config.family.prefix();
        let nested = loader.has(&format!("{prefix}{words}"));
        let at = if nested { prefix } else { "" };
        let encoder = match config.family {
            EncoderFamily::Bert => Self::Bert(Bert::load(loader, at, config)?),
            EncoderFamily::Roberta | EncoderFamily::XlmRoberta => {
                Self::Roberta(Bert::load(loader, at, config)?)
            }
            EncoderFamily::DistilBert => Self::DistilBert(DistilBert::load(loader, at, config)?),
            EncoderFamily::ModernBert => Self::Model(ModernBert::load(loader, at, config)?),
        };
        let own = |name: &str| {
            let rest = name.strip_prefix(at);
            rest.is_some_and(|rest| nested || roots.iter().any(|root| rest.starts_with(root)))
        };
        let mut unused = loader.unused().filter(|name| own(name));
        match unused.next() {
            Some(name) => {
                let (name, others) = (name.to_owned(), unused.count());
                Err(ModelError::UnusedTensor { name, others }.into())
            }
            None => Ok(encoder),
        }
    }

    /// Sizes and options.
    pub fn config(&self) -> &EncoderConfig {
        match self {
            Self::Bert(network) | Self::Roberta(network) => &network.config,
            Self::DistilBert(network) => &network.config,
            Self::Model(network) => &network.config,
        }
    }

    /// Writes `config.json` and the weights into `dir`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, dir: &Path, dtype: StoredType) -> Result<(), EncoderError> {
        let config = self.config().to_hf(EncoderTask::Encoder);
        match self {
            Self::Bert(network) | Self::Roberta(network) => save(network, &config, dir, dtype),
            Self::DistilBert(network) => save(network, &config, dir, dtype),
            Self::Model(network) => save(network, &config, dir, dtype),
        }
    }

    /// BERT or RoBERTa with the pooler that `loader` makes, unless it has one; another family is
    /// returned as it is.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`] if the checkpoint has none and nothing is drawn.
    pub fn with_pooler(mut self, loader: &mut Loader<'_>) -> Result<Self, EncoderError> {
        if let Self::Bert(network) | Self::Roberta(network) = &mut self
            && network.pooler.is_none()
        {
            let name = format!("{}pooler", network.config.family.prefix());
            network.pooler = Some(Single::load(loader, &name, network.config.hidden_size)?);
        }
        Ok(self)
    }

    /// The encoder without a pooler.
    #[must_use]
    pub fn without_pooler(mut self) -> Self {
        if let Self::Bert(network) | Self::Roberta(network) = &mut self {
            network.pooler = None;
        }
        self
    }

    /// The outputs for `batch`. With a seed, dropout is applied as in training; the seed determines
    /// which values are dropped.
    ///
    /// # Errors
    /// [`EncoderError::TooLong`], [`EncoderError::TokenOutOfRange`] or
    /// [`EncoderError::TypeOutOfRange`].
    pub fn forward(
        &self,
        batch: &EncoderBatch,
        dropout_seed: Option<u64>,
    ) -> Result<EncoderOutput, EncoderError> {
        let tokens = self.encode(batch, dropout_seed)?;
        let pooler_output = self.pool(&tokens);
        Ok(EncoderOutput { last_hidden_state: tokens.padded(batch.length()), pooler_output })
    }

    /// The hidden states of the tokens of `batch` without padding, for heads that read rows or
    /// single tokens.
    ///
    /// # Errors
    /// As [`Encoder::forward`].
    pub fn encode(
        &self,
        batch: &EncoderBatch,
        dropout_seed: Option<u64>,
    ) -> Result<EncoderTokens, EncoderError> {
        let words = self.word_vectors(batch)?;
        self.encode_words(words, batch, dropout_seed)
    }

    /// The word embeddings of the tokens of `batch`, `[tokens, hidden]`, row by row without
    /// padding.
    ///
    /// # Errors
    /// As [`Encoder::forward`].
    pub fn word_vectors(&self, batch: &EncoderBatch) -> Result<Tensor<2>, EncoderError> {
        batch.check(self.config())?;
        Ok(self.word_table().rows(&batch.packed(self.config()).ids))
    }

    /// As [`Encoder::encode`], with `words` in place of the word embeddings of the token ids: for
    /// derivatives with respect to word embeddings.
    ///
    /// # Errors
    /// As [`Encoder::forward`].
    ///
    /// # Panics
    /// If the shape of `words` is not that of [`Encoder::word_vectors`] for the batch.
    pub fn encode_words(
        &self,
        words: Tensor<2>,
        batch: &EncoderBatch,
        dropout_seed: Option<u64>,
    ) -> Result<EncoderTokens, EncoderError> {
        let config = self.config();
        batch.check(config)?;
        let packed = batch.packed(config);
        let shape = [packed.ids.len(), config.hidden_size];
        assert_eq!(words.dims(), shape, "word embeddings do not have the shape of the batch");
        let pass = Pass { config, packed: &packed, seed: dropout_seed, layer: 0 };
        let states = on_pool(|| match self {
            Self::Bert(network) | Self::Roberta(network) => network.forward(words, pass),
            Self::DistilBert(network) => network.forward(words, pass),
            Self::Model(network) => network.forward(words, pass),
        });
        Ok(EncoderTokens { states, counts: packed.counts, mask: packed.mask, rows: packed.rows })
    }

    /// The pooler's output for each row's first token, `[rows, hidden]`; `None` without a pooler.
    pub fn pool(&self, tokens: &EncoderTokens) -> Option<Tensor<2>> {
        let (Self::Bert(network) | Self::Roberta(network)) = self else { return None };
        network.pooler.as_ref().map(|pooler| pooler.dense.forward(tokens.first()).tanh())
    }

    /// The word embeddings, `[vocab, hidden]`.
    pub(super) fn word_table(&self) -> &Table {
        match self {
            Self::Bert(network) | Self::Roberta(network) => &network.embeddings.word_embeddings,
            Self::DistilBert(network) => &network.embeddings.word_embeddings,
            Self::Model(network) => &network.embeddings.tok_embeddings,
        }
    }
}
