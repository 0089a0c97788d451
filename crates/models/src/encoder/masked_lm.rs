//! Masked-language modelling.
#![expect(non_snake_case, reason = "a field's name is part of the tensor's name")]

use std::path::Path;

use bestof_checkpoints::StoredType;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::activation::EncoderActivation;
use super::batch::EncoderBatch;
use super::config::EncoderConfig;
use super::error::EncoderError;
use super::family::{EncoderFamily, EncoderTask};
use super::loader::{Fill, LoadReport, Loader};
use super::model::{Encoder, open};
use super::parts::{Dense, Norm, Table};
use super::pooler::PredictionHead;
use super::save::save;
use crate::error::ModelError;

/// BERT's layer between the hidden states and the output matrix.
#[derive(Module, Debug)]
struct Transform {
    dense: Dense,
    LayerNorm: Norm,
}

#[derive(Module, Debug)]
struct Predictions {
    transform: Transform,
    /// The output matrix, if it is not tied to the word embeddings.
    decoder: Option<Table>,
    bias: Param<Tensor<1>>,
}

/// BERT's pre-training heads, of which only masked-language modelling is used.
#[derive(Module, Debug)]
struct TrainingHeads {
    predictions: Predictions,
}

/// RoBERTa's head.
#[derive(Module, Debug)]
struct LmHead {
    dense: Dense,
    layer_norm: Norm,
    decoder: Option<Table>,
    bias: Param<Tensor<1>>,
}

/// The output matrix of DistilBERT and ModernBERT, if it is not tied, and its bias, if there is one.
#[derive(Module, Debug)]
struct Projector {
    weight: Option<Param<Tensor<2>>>,
    bias: Option<Param<Tensor<1>>>,
}

/// An encoder with its masked-language head, which predicts masked tokens.
///
/// ```text
/// logits = E norm(gelu(W h + b)) + c,   E the output matrix, by default the word embeddings
/// ```
///
/// Source: Devlin et al. 2019, arXiv:1810.04805v2, section 3.1, task 1.
#[derive(Module, Debug)]
pub struct EncoderForMaskedLm {
    encoder: Encoder,
    cls: Option<TrainingHeads>,
    lm_head: Option<LmHead>,
    vocab_transform: Option<Dense>,
    vocab_layer_norm: Option<Norm>,
    vocab_projector: Option<Projector>,
    head: Option<PredictionHead>,
    decoder: Option<Projector>,
}

/// Makes the parts of a head.
struct Parts<'l, 'w, 'c> {
    loader: &'l mut Loader<'w>,
    config: &'c EncoderConfig,
}

impl Parts<'_, '_, '_> {
    fn dense(&mut self, name: &str) -> Result<Dense, ModelError> {
        let width = self.config.hidden_size;
        Dense::load(self.loader, name, [width, width])
    }

    fn norm(&mut self, name: &str) -> Result<Norm, ModelError> {
        Norm::load(self.loader, name, self.config.hidden_size, true)
    }

    fn bias(&mut self, name: &str) -> Result<Param<Tensor<1>>, ModelError> {
        self.loader.parameter(name, [self.config.vocab_size], Fill::Zeros)
    }

    /// The output matrix, unless it is tied: older checkpoints store a copy then.
    fn matrix(&mut self, name: &str) -> Result<Option<Param<Tensor<2>>>, ModelError> {
        let name = format!("{name}.weight");
        if self.config.tied_embeddings {
            self.loader.mark_used(&name);
            return Ok(None);
        }
        let sizes = [self.config.vocab_size, self.config.hidden_size];
        self.loader.parameter(&name, sizes, Fill::Normal).map(Some)
    }

    /// The output matrix of BERT and RoBERTa, whose bias is stored twice in older checkpoints.
    fn table(&mut self, name: &str) -> Result<Option<Table>, ModelError> {
        self.loader.mark_used(&format!("{name}.bias"));
        Ok(self.matrix(name)?.map(|weight| Table { weight }))
    }

    fn projector(&mut self, name: &str, bias: bool) -> Result<Projector, ModelError> {
        let weight = self.matrix(name)?;
        let bias = bias.then(|| self.bias(&format!("{name}.bias"))).transpose()?;
        Ok(Projector { weight, bias })
    }
}

impl EncoderForMaskedLm {
    /// The model in a folder with this head. A pooler is not loaded.
    ///
    /// # Errors
    /// As [`Encoder::open`].
    pub fn open(dir: &Path, device: &Device) -> Result<(Self, LoadReport), EncoderError> {
        let (config, weights) = open(dir)?;
        let mut loader = Loader::reading(&weights, device);
        let encoder = Encoder::load(&mut loader, &config)?.without_pooler();
        let mut model = Self {
            encoder,
            cls: None,
            lm_head: None,
            vocab_transform: None,
            vocab_layer_norm: None,
            vocab_projector: None,
            head: None,
            decoder: None,
        };
        model.load_head(&mut Parts { loader: &mut loader, config: &config })?;
        Ok((model, loader.finish()))
    }

    fn load_head(&mut self, parts: &mut Parts<'_, '_, '_>) -> Result<(), ModelError> {
        match parts.config.family {
            EncoderFamily::Bert => {
                let transform = Transform {
                    dense: parts.dense("cls.predictions.transform.dense")?,
                    LayerNorm: parts.norm("cls.predictions.transform.LayerNorm")?,
                };
                let bias = parts.bias("cls.predictions.bias")?;
                let decoder = parts.table("cls.predictions.decoder")?;
                let predictions = Predictions { transform, decoder, bias };
                self.cls = Some(TrainingHeads { predictions });
            }
            EncoderFamily::Roberta | EncoderFamily::XlmRoberta => {
                self.lm_head = Some(LmHead {
                    dense: parts.dense("lm_head.dense")?,
                    layer_norm: parts.norm("lm_head.layer_norm")?,
                    bias: parts.bias("lm_head.bias")?,
                    decoder: parts.table("lm_head.decoder")?,
                });
            }
            EncoderFamily::DistilBert => {
                self.vocab_transform = Some(parts.dense("vocab_transform")?);
                self.vocab_layer_norm = Some(parts.norm("vocab_layer_norm")?);
                self.vocab_projector = Some(parts.projector("vocab_projector", true)?);
            }
            EncoderFamily::ModernBert => {
                self.head = Some(PredictionHead::load(parts.loader, parts.config)?);
                let bias = parts.config.modernbert.decoder_bias;
                self.decoder = Some(parts.projector("decoder", bias)?);
            }
        }
        Ok(())
    }

    /// The encoder.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Logits over the vocabulary for every token, `[batch, seq, vocab]`. With a seed, dropout is
    /// applied as in training.
    ///
    /// For the masked tokens only, [`EncoderForMaskedLm::words`] on their hidden states takes less
    /// memory.
    ///
    /// # Errors
    /// As [`Encoder::forward`].
    pub fn forward(
        &self,
        batch: &EncoderBatch,
        dropout_seed: Option<u64>,
    ) -> Result<Tensor<3>, EncoderError> {
        let hidden = self.encoder.forward(batch, dropout_seed)?.last_hidden_state;
        let [rows, length, width] = hidden.dims();
        let logits = self.words(hidden.reshape([rows * length, width]));
        let [_, words] = logits.dims();
        Ok(logits.reshape([rows, length, words]))
    }

    /// Logits over the vocabulary, `[rows, vocab]`, for hidden states `[rows, hidden]`.
    pub fn words(&self, hidden: Tensor<2>) -> Tensor<2> {
        let config = self.encoder.config();
        let eps = config.layer_norm_eps;
        let transformed = |dense: &Dense, norm: &Norm, x, activation| {
            norm.forward(dense.activated(x, activation), eps)
        };
        let (x, matrix, bias) = if let Some(heads) = &self.cls {
            let Predictions { transform, decoder, bias } = &heads.predictions;
            let x = transformed(&transform.dense, &transform.LayerNorm, hidden, config.activation);
            (x, decoder.as_ref().map(|table| &table.weight), Some(bias))
        } else if let Some(head) = &self.lm_head {
            let gelu = EncoderActivation::Gelu;
            let x = transformed(&head.dense, &head.layer_norm, hidden, gelu);
            (x, head.decoder.as_ref().map(|table| &table.weight), Some(&head.bias))
        } else {
            let x = match (&self.vocab_transform, &self.vocab_layer_norm, &self.head) {
                (Some(dense), Some(norm), _) => transformed(dense, norm, hidden, config.activation),
                (_, _, Some(head)) => head.forward(hidden, config),
                _ => hidden,
            };
            let projector = self.vocab_projector.as_ref().or(self.decoder.as_ref());
            let parts = projector.map(|p| (p.weight.as_ref(), p.bias.as_ref()));
            let (matrix, bias) = parts.unwrap_or_default();
            (x, matrix, bias)
        };
        let words = matrix.unwrap_or(&self.encoder.word_table().weight).val();
        let logits = x.matmul(words.transpose());
        match bias {
            Some(bias) => logits.add(bias.val().unsqueeze()),
            None => logits,
        }
    }

    /// Writes `config.json` and the weights into `dir`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, dir: &Path, dtype: StoredType) -> Result<(), EncoderError> {
        save(self, &self.encoder.config().to_hf(EncoderTask::MaskedLm), dir, dtype)
    }
}
