//! The encoder: embeddings, layers of attention and feed-forward, pooler.
//!
//! Fields are named after the tensors in checkpoints; `self`, which Rust reserves, is spelled
//! `self_`.
#![expect(non_snake_case, reason = "a field's name is part of the tensor's name")]

use burn::module::Module;
use burn::tensor::Tensor;

use super::batch::{BertBatch, Packed};
use super::config::BertConfig;
use super::error::BertError;
use super::loader::Loader;
use super::parts::{Dense, Norm, Table, dropout};
use super::tokens::BertTokens;
use crate::error::ModelError;
use bestof_kernels::indices;
use bestof_kernels::{AddNormLayer, Projections, RowAttention, affine_add_norm, self_attention};

/// The context that every part of a forward pass needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a> {
    config: &'a BertConfig,
    packed: &'a Packed,
    /// Of dropout; `None` outside training.
    seed: Option<u64>,
    /// 0 for the embeddings; layers count from 1.
    layer: u64,
}

impl Pass<'_> {
    /// Dropout, in training; `slot` distinguishes the dropouts of one layer.
    fn drop<const D: usize>(self, x: Tensor<D>, probability: f64, slot: u64) -> Tensor<D> {
        match self.seed {
            Some(seed) => dropout(x, probability, &[seed, self.layer, slot]),
            None => x,
        }
    }
}

/// The sum of word, position and token type embeddings, normalised.
#[derive(Module, Debug)]
pub(crate) struct Input {
    pub(crate) word_embeddings: Table,
    pub(crate) position_embeddings: Table,
    pub(crate) token_type_embeddings: Table,
    pub(crate) LayerNorm: Norm,
}

impl Input {
    fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &BertConfig,
    ) -> Result<Self, ModelError> {
        let width = config.hidden_size;
        let mut table = |name, rows| Table::load(loader, &format!("{prefix}{name}"), [rows, width]);
        Ok(Self {
            word_embeddings: table("word_embeddings", config.vocab_size)?,
            position_embeddings: table("position_embeddings", config.max_positions)?,
            token_type_embeddings: table("token_type_embeddings", config.type_vocab_size)?,
            LayerNorm: Norm::load(loader, &format!("{prefix}LayerNorm"), width)?,
        })
    }

    /// The word embeddings of the tokens, `[tokens, hidden]`.
    fn words(&self, packed: &Packed) -> Tensor<2> {
        let words = self.word_embeddings.weight.val();
        let device = words.device();
        words.select(0, indices(&packed.ids, &device))
    }

    /// The input of the first layer, `[tokens, hidden]`, from word embeddings of the same shape.
    fn forward(&self, words: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let device = words.device();
        let types = self.token_type_embeddings.weight.val();
        let types = types.select(0, indices(&pass.packed.types, &device));
        let positions = self.position_embeddings.weight.val();
        let positions = positions.select(0, indices(&pass.packed.positions, &device));
        let eps = pass.config.layer_norm_eps;
        let x = self.LayerNorm.of_sum(words.add(types), positions, eps);
        pass.drop(x, pass.config.hidden_dropout, 0)
    }
}

/// The projections to queries, keys and values.
#[derive(Module, Debug)]
pub(crate) struct SelfAttention {
    pub(crate) query: Dense,
    pub(crate) key: Dense,
    pub(crate) value: Dense,
}

impl SelfAttention {
    /// Attention of each token over the unmasked tokens of its row, `[tokens, hidden]`, before the
    /// output projection.
    ///
    /// Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1.
    fn forward(&self, x: &Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let probability = pass.config.attention_dropout;
        let seed = pass.seed.filter(|_| probability > 0.0);
        let shape = RowAttention {
            heads: pass.config.num_heads,
            runs: &pass.packed.runs,
            dropout: seed.map(|seed| (probability, [seed, pass.layer, 0])),
        };
        let parts = [&self.query, &self.key, &self.value];
        let projections = Projections {
            weights: parts.map(|part| part.weight.val()),
            biases: parts.map(|part| part.bias.val()),
        };
        self_attention(x.clone(), projections, &shape)
    }
}

/// A linear layer whose output is added to the residual stream and normalised.
#[derive(Module, Debug)]
pub(crate) struct AddNorm {
    pub(crate) dense: Dense,
    pub(crate) LayerNorm: Norm,
}

impl AddNorm {
    fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Self, ModelError> {
        Ok(Self {
            dense: Dense::load(loader, &format!("{prefix}dense"), [inputs, outputs])?,
            LayerNorm: Norm::load(loader, &format!("{prefix}LayerNorm"), outputs)?,
        })
    }

    fn forward(&self, x: Tensor<2>, residual: Tensor<2>, pass: Pass<'_>, slot: u64) -> Tensor<2> {
        let probability = pass.config.hidden_dropout;
        let seed = pass.seed.filter(|_| probability > 0.0);
        let layer = AddNormLayer {
            weight: self.dense.weight.val(),
            bias: self.dense.bias.val(),
            norm_weight: self.LayerNorm.weight.val(),
            norm_bias: self.LayerNorm.bias.val(),
            eps: pass.config.layer_norm_eps,
            dropout: seed.map(|seed| (probability, [seed, pass.layer, slot])),
        };
        affine_add_norm(x, residual, layer)
    }
}

/// Self-attention and its output projection.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    pub(crate) self_: SelfAttention,
    pub(crate) output: AddNorm,
}

/// The first half of the feed-forward block, or the pooler: one linear layer.
#[derive(Module, Debug)]
pub(crate) struct Intermediate {
    pub(crate) dense: Dense,
}

/// An encoder layer.
#[derive(Module, Debug)]
pub(crate) struct Layer {
    pub(crate) attention: Attention,
    pub(crate) intermediate: Intermediate,
    pub(crate) output: AddNorm,
}

impl Layer {
    fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &BertConfig,
    ) -> Result<Self, ModelError> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let mut dense = |name, sizes| Dense::load(loader, &format!("{prefix}{name}"), sizes);
        let self_ = SelfAttention {
            query: dense("attention.self.query", [width, width])?,
            key: dense("attention.self.key", [width, width])?,
            value: dense("attention.self.value", [width, width])?,
        };
        let intermediate = Intermediate { dense: dense("intermediate.dense", [width, inner])? };
        let projection =
            AddNorm::load(loader, &format!("{prefix}attention.output."), [width, width])?;
        let output = AddNorm::load(loader, &format!("{prefix}output."), [inner, width])?;
        Ok(Self { attention: Attention { self_, output: projection }, intermediate, output })
    }

    fn forward(&self, x: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let attended = self.attention.self_.forward(&x, pass);
        let x = self.attention.output.forward(attended, x, pass, 1);
        let inner = self.intermediate.dense.activated(x.clone(), pass.config.activation);
        self.output.forward(inner, x, pass, 2)
    }
}

/// The layers, from input to output.
#[derive(Module, Debug)]
pub(crate) struct Layers {
    pub(crate) layer: Vec<Layer>,
}

/// The outputs of the encoder for one batch.
#[derive(Debug, Clone)]
pub struct BertOutput {
    /// One vector per token, `[batch, seq, hidden]`; 0 for the padding at the end of a row.
    pub last_hidden_state: Tensor<3>,
    /// One vector per row, from its first token, `[batch, hidden]`; `None` without a pooler.
    pub pooler_output: Option<Tensor<2>>,
}

/// The BERT encoder: from tokens to one vector per token and one per row.
///
/// Source: Devlin et al. 2019, arXiv:1810.04805v2, section 3.
///
/// Custom heads take [`BertOutput`]. If the encoder is the field `bert` of another `Module`,
/// [`crate::parameters`] names all parameters as transformers does.
#[derive(Module, Debug)]
pub struct Bert {
    pub(crate) embeddings: Input,
    pub(crate) encoder: Layers,
    pub(crate) pooler: Option<Intermediate>,
    #[module(skip)]
    config: BertConfig,
}

impl Bert {
    /// The encoder with parameters from `loader`. A checkpoint of a model with a head stores them
    /// with the prefix `bert.`, one of an encoder alone without. There is a pooler if the
    /// checkpoint has one.
    ///
    /// # Errors
    /// [`BertError::Model`] for a tensor that is missing or has another shape than `config` says.
    pub fn load(loader: &mut Loader<'_>, config: &BertConfig) -> Result<Self, BertError> {
        config.validate()?;
        let nested = loader.has(&format!("bert.{WORDS}"));
        let prefix = if nested { "bert." } else { "" };
        let layer = |number| format!("{prefix}encoder.layer.{number}.");
        let embeddings = Input::load(loader, &format!("{prefix}embeddings."), config)?;
        let layers = (0..config.num_layers)
            .map(|number| Layer::load(loader, &layer(number), config))
            .collect::<Result<_, _>>()?;
        let pooler = if loader.has(&format!("{prefix}pooler.dense.weight")) {
            Some(Self::load_pooler(loader, prefix, config)?)
        } else {
            None
        };
        // Older checkpoints store these constant buffers.
        loader.mark_used(&format!("{prefix}embeddings.position_ids"));
        loader.mark_used(&format!("{prefix}embeddings.token_type_ids"));
        let (encoder, config) = (Layers { layer: layers }, config.clone());
        Ok(Self { embeddings, encoder, pooler, config })
    }

    /// The encoder with a pooler: its own, or one that is initialised from `seed`.
    ///
    /// # Errors
    /// None in practice: random initialisation does not fail.
    pub fn with_fresh_pooler(mut self, seed: u64) -> Result<Self, BertError> {
        if self.pooler.is_none() {
            let device = self.embeddings.word_embeddings.weight.val().device();
            let mut loader = Loader::drawing(seed, self.config.initializer_range, &device);
            self.pooler = Some(Self::load_pooler(&mut loader, "bert.", &self.config)?);
        }
        Ok(self)
    }

    /// The encoder without a pooler.
    #[must_use]
    pub fn without_pooler(self) -> Self {
        Self { pooler: None, ..self }
    }

    fn load_pooler(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &BertConfig,
    ) -> Result<Intermediate, ModelError> {
        let width = config.hidden_size;
        let dense = Dense::load(loader, &format!("{prefix}pooler.dense"), [width, width])?;
        Ok(Intermediate { dense })
    }

    /// The encoder with these class names in its configuration.
    pub(crate) fn with_labels(mut self, labels: Vec<String>) -> Self {
        self.config.labels = labels;
        self
    }

    /// Sizes and options.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// The outputs for `batch`. With a seed, dropout is applied as in training; the seed determines
    /// which values are dropped.
    ///
    /// # Errors
    /// [`BertError::TooLong`], [`BertError::TokenOutOfRange`] or [`BertError::TypeOutOfRange`].
    pub fn forward(
        &self,
        batch: &BertBatch,
        dropout_seed: Option<u64>,
    ) -> Result<BertOutput, BertError> {
        let tokens = self.encode(batch, dropout_seed)?;
        let pooler_output = self.pool(&tokens);
        Ok(BertOutput { last_hidden_state: tokens.padded(batch.length()), pooler_output })
    }

    /// The hidden states of the tokens of `batch` without padding, for heads that read rows or
    /// single tokens.
    ///
    /// # Errors
    /// As [`Bert::forward`].
    pub fn encode(
        &self,
        batch: &BertBatch,
        dropout_seed: Option<u64>,
    ) -> Result<BertTokens, BertError> {
        let words = self.word_vectors(batch)?;
        self.encode_words(words, batch, dropout_seed)
    }

    /// The word embeddings of the tokens of `batch`, `[tokens, hidden]`, row by row without
    /// padding.
    ///
    /// # Errors
    /// As [`Bert::forward`].
    pub fn word_vectors(&self, batch: &BertBatch) -> Result<Tensor<2>, BertError> {
        batch.check(&self.config)?;
        Ok(self.embeddings.words(&batch.packed()))
    }

    /// As [`Bert::encode`], with `words` in place of the word embeddings of the token ids: for
    /// derivatives with respect to word embeddings.
    ///
    /// # Errors
    /// As [`Bert::forward`].
    ///
    /// # Panics
    /// If the shape of `words` is not that of [`Bert::word_vectors`] for the batch.
    pub fn encode_words(
        &self,
        words: Tensor<2>,
        batch: &BertBatch,
        dropout_seed: Option<u64>,
    ) -> Result<BertTokens, BertError> {
        batch.check(&self.config)?;
        let packed = batch.packed();
        let shape = [packed.ids.len(), self.config.hidden_size];
        assert_eq!(words.dims(), shape, "word embeddings do not have the shape of the batch");
        let pass = Pass { config: &self.config, packed: &packed, seed: dropout_seed, layer: 0 };
        let mut x = self.embeddings.forward(words, pass);
        for (layer, number) in self.encoder.layer.iter().zip(1..) {
            x = layer.forward(x, Pass { layer: number, ..pass });
        }
        let rows = batch.mask().chunks(batch.length()).zip(&packed.counts);
        let mask = rows.flat_map(|(row, count)| row[..*count].iter().copied()).collect();
        Ok(BertTokens { states: x, counts: packed.counts, mask })
    }

    /// The pooler's output for each row's first token, `[rows, hidden]`; `None` without a pooler.
    pub fn pool(&self, tokens: &BertTokens) -> Option<Tensor<2>> {
        self.pooler.as_ref().map(|pooler| pooler.dense.forward(tokens.first()).tanh())
    }

    /// The table of word embeddings, `[vocab, hidden]`.
    pub(crate) fn words(&self) -> Tensor<2> {
        self.embeddings.word_embeddings.weight.val()
    }
}

/// A tensor that every checkpoint has; its name tells whether there is a prefix.
const WORDS: &str = "embeddings.word_embeddings.weight";
