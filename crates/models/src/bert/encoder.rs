//! The encoder: embeddings, layers of attention and feed-forward, pooler.
//!
//! Fields bear the names of the tensors in checkpoints; the one name that Rust reserves, `self`, is
//! spelled `self_`.
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

/// What every part of a forward pass needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a> {
    config: &'a BertConfig,
    packed: &'a Packed,
    seed: Option<u64>,
    /// 0 for the embeddings, then the layers from 1.
    layer: u64,
}

impl Pass<'_> {
    /// In training, drops values; `slot` tells the places of a layer apart.
    fn drop<const D: usize>(self, x: Tensor<D>, probability: f64, slot: u64) -> Tensor<D> {
        match self.seed {
            Some(seed) => dropout(x, probability, &[seed, self.layer, slot]),
            None => x,
        }
    }
}

/// What a token, its place and its type mean, added and normalised.
#[derive(Module, Debug)]
pub(crate) struct Input {
    pub(crate) word_embeddings: Table,
    pub(crate) position_embeddings: Table,
    pub(crate) token_type_embeddings: Table,
    pub(crate) LayerNorm: Norm,
}

impl Input {
    fn load(loader: &mut Loader<'_>, at: &str, config: &BertConfig) -> Result<Self, ModelError> {
        let width = config.hidden_size;
        let mut table = |name, rows| Table::load(loader, &format!("{at}{name}"), [rows, width]);
        Ok(Self {
            word_embeddings: table("word_embeddings", config.vocab_size)?,
            position_embeddings: table("position_embeddings", config.max_positions)?,
            token_type_embeddings: table("token_type_embeddings", config.type_vocab_size)?,
            LayerNorm: Norm::load(loader, &format!("{at}LayerNorm"), width)?,
        })
    }

    /// The word embeddings of the tokens, `[tokens, hidden]`.
    fn words(&self, packed: &Packed) -> Tensor<2> {
        let words = self.word_embeddings.weight.val();
        let device = words.device();
        words.select(0, indices(&packed.ids, &device))
    }

    /// `[tokens, hidden]`.
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
    /// What each token takes from the tokens of its row that are seen, `[tokens, hidden]`.
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
        at: &str,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Self, ModelError> {
        Ok(Self {
            dense: Dense::load(loader, &format!("{at}dense"), [inputs, outputs])?,
            LayerNorm: Norm::load(loader, &format!("{at}LayerNorm"), outputs)?,
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

/// Attention and what follows it.
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
    fn load(loader: &mut Loader<'_>, at: &str, config: &BertConfig) -> Result<Self, ModelError> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let mut dense = |name, sizes| Dense::load(loader, &format!("{at}{name}"), sizes);
        let self_ = SelfAttention {
            query: dense("attention.self.query", [width, width])?,
            key: dense("attention.self.key", [width, width])?,
            value: dense("attention.self.value", [width, width])?,
        };
        let intermediate = Intermediate { dense: dense("intermediate.dense", [width, inner])? };
        let mixed = AddNorm::load(loader, &format!("{at}attention.output."), [width, width])?;
        let output = AddNorm::load(loader, &format!("{at}output."), [inner, width])?;
        Ok(Self { attention: Attention { self_, output: mixed }, intermediate, output })
    }

    fn forward(&self, x: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let mixed = self.attention.self_.forward(&x, pass);
        let x = self.attention.output.forward(mixed, x, pass, 1);
        let inner = self.intermediate.dense.activated(x.clone(), pass.config.activation);
        self.output.forward(inner, x, pass, 2)
    }
}

/// The layers, from the embeddings up.
#[derive(Module, Debug)]
pub(crate) struct Layers {
    pub(crate) layer: Vec<Layer>,
}

/// What the encoder makes of a batch.
#[derive(Debug, Clone)]
pub struct BertOutput {
    /// Of each token, `[batch, seq, hidden]`; 0 for padding behind a row.
    pub last_hidden_state: Tensor<3>,
    /// Of each row, from its first token, `[batch, hidden]`; `None` without a pooler.
    pub pooler_output: Option<Tensor<2>>,
}

/// The BERT encoder: tokens in, a vector for each token and one for each row out.
///
/// Source: Devlin et al. 2019, arXiv:1810.04805v2, section 3.
///
/// Heads of one's own go on top of [`BertOutput`]. Put the encoder in a field called `bert` of
/// another `Module`, and [`crate::parameters`] gives all parameters the names that
/// transformers would.
#[derive(Module, Debug)]
pub struct Bert {
    pub(crate) embeddings: Input,
    pub(crate) encoder: Layers,
    pub(crate) pooler: Option<Intermediate>,
    #[module(skip)]
    config: BertConfig,
}

impl Bert {
    /// The encoder made by `loader`, whose tensors lie under `bert.` in the checkpoint of a model
    /// with a head, and under no prefix in that of an encoder alone. Without pooler tensors it has
    /// no pooler.
    ///
    /// # Errors
    /// [`BertError::Model`] for a tensor that is missing or has another shape than `config` says.
    pub fn load(loader: &mut Loader<'_>, config: &BertConfig) -> Result<Self, BertError> {
        config.validate()?;
        let within = "bert.";
        let nested = loader.has(&format!("{within}{WORDS}"));
        let at = if nested { within } else { "" };
        let layer = |number| format!("{at}encoder.layer.{number}.");
        let embeddings = Input::load(loader, &format!("{at}embeddings."), config)?;
        let layers = (0..config.num_layers)
            .map(|number| Layer::load(loader, &layer(number), config))
            .collect::<Result<_, _>>()?;
        let pooler = if loader.has(&format!("{at}pooler.dense.weight")) {
            Some(Self::load_pooler(loader, at, config)?)
        } else {
            None
        };
        // Older checkpoints hold these buffers, which only count.
        loader.mark_used(&format!("{at}embeddings.position_ids"));
        loader.mark_used(&format!("{at}embeddings.token_type_ids"));
        let (encoder, config) = (Layers { layer: layers }, config.clone());
        Ok(Self { embeddings, encoder, pooler, config })
    }

    /// The encoder with a pooler; one it has already is kept.
    ///
    /// # Errors
    /// None in practice: drawing does not fail.
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
        at: &str,
        config: &BertConfig,
    ) -> Result<Intermediate, ModelError> {
        let width = config.hidden_size;
        let dense = Dense::load(loader, &format!("{at}pooler.dense"), [width, width])?;
        Ok(Intermediate { dense })
    }

    /// The encoder with these classes in its configuration.
    pub(crate) fn with_labels(mut self, labels: Vec<String>) -> Self {
        self.config.labels = labels;
        self
    }

    /// The shape of the encoder.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// What the encoder makes of `batch`. With a seed, values are dropped as in training; each seed
    /// drops others.
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

    /// The hidden states of the tokens of `batch`, without a place for padding: what heads that
    /// read rows or single tokens need.
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

    /// The word embeddings of the tokens of `batch`, `[tokens, hidden]`, row by row without padding.
    ///
    /// # Errors
    /// As [`Bert::forward`].
    pub fn word_vectors(&self, batch: &BertBatch) -> Result<Tensor<2>, BertError> {
        batch.check(&self.config)?;
        Ok(self.embeddings.words(&batch.packed()))
    }

    /// The hidden states of tokens that have `words` for word embeddings, whatever `batch` says they
    /// are: for derivatives by the words.
    ///
    /// # Errors
    /// As [`Bert::forward`].
    ///
    /// # Panics
    /// If `words` is not of the shape that [`Bert::word_vectors`] gives for the batch.
    pub fn encode_words(
        &self,
        words: Tensor<2>,
        batch: &BertBatch,
        dropout_seed: Option<u64>,
    ) -> Result<BertTokens, BertError> {
        batch.check(&self.config)?;
        let packed = batch.packed();
        let shape = [packed.ids.len(), self.config.hidden_size];
        assert_eq!(words.dims(), shape, "word embeddings of another batch");
        let pass = Pass { config: &self.config, packed: &packed, seed: dropout_seed, layer: 0 };
        let mut x = self.embeddings.forward(words, pass);
        for (layer, number) in self.encoder.layer.iter().zip(1..) {
            x = layer.forward(x, Pass { layer: number, ..pass });
        }
        let seen = batch.mask().chunks(batch.length()).zip(&packed.counts);
        let seen = seen.flat_map(|(row, count)| row[..*count].iter().copied()).collect();
        Ok(BertTokens { states: x, counts: packed.counts, seen })
    }

    /// What the pooler makes of each row's first token, `[rows, hidden]`; `None` without a pooler.
    pub fn pool(&self, tokens: &BertTokens) -> Option<Tensor<2>> {
        self.pooler.as_ref().map(|pooler| pooler.dense.forward(tokens.first()).tanh())
    }

    /// The table of word embeddings, `[vocab, hidden]`.
    pub(crate) fn words(&self) -> Tensor<2> {
        self.embeddings.word_embeddings.weight.val()
    }
}

/// A tensor that every checkpoint has.
const WORDS: &str = "embeddings.word_embeddings.weight";
