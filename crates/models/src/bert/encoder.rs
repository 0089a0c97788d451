//! The encoder: embeddings, layers of attention and feed-forward, pooler.
//!
//! Fields bear the names of the tensors in checkpoints; the one name that Rust reserves, `self`, is
//! spelled `self_`.
#![expect(non_snake_case, reason = "a field's name is part of the tensor's name")]

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

use super::batch::BertBatch;
use super::config::BertConfig;
use super::error::BertError;
use super::loader::Loader;
use super::parts::{Dense, Norm, Table, activate, dropout};
use crate::error::ModelError;
use crate::plan::indices;

/// What every part of a forward pass needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<'a> {
    config: &'a BertConfig,
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

    /// `[batch * seq, hidden]`.
    fn forward(&self, batch: &BertBatch, pass: Pass<'_>) -> Tensor<2> {
        let (rows, length, width) = (batch.rows(), batch.length(), pass.config.hidden_size);
        let words = self.word_embeddings.weight.val();
        let device = words.device();
        let words = words.select(0, indices(batch.ids(), &device));
        let types = self.token_type_embeddings.weight.val();
        let types = types.select(0, indices(batch.types(), &device));
        let positions = self.position_embeddings.weight.val().slice_dim(0, 0..length);
        let sum: Tensor<3> = words.add(types).reshape([rows, length, width]);
        let sum = sum.add(positions.unsqueeze()).reshape([rows * length, width]);
        let x = self.LayerNorm.forward(sum, pass.config.layer_norm_eps);
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
    /// What each token takes from the tokens that are seen, `[batch * seq, hidden]`.
    ///
    /// ```text
    /// softmax(Q K^T / sqrt(d) + mask) V
    /// ```
    ///
    /// Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1.
    fn forward(
        &self,
        x: &Tensor<2>,
        mask: Option<&Tensor<4>>,
        batch: usize,
        pass: Pass<'_>,
    ) -> Tensor<2> {
        let [tokens, width] = x.dims();
        let (heads, head_dim) = (pass.config.num_heads, pass.config.head_dim());
        let split =
            |y: Tensor<2>| y.reshape([batch, tokens / batch, heads, head_dim]).swap_dims(1, 2);
        let scale = (head_dim as f64).sqrt().recip();
        let q = split(self.query.forward(x.clone()).mul_scalar(scale));
        let k = split(self.key.forward(x.clone()));
        let v = split(self.value.forward(x.clone()));
        let mut scores = q.matmul(k.transpose());
        if let Some(mask) = mask {
            scores = scores.add(mask.clone());
        }
        let shares = pass.drop(softmax(scores, 3), pass.config.attention_dropout, 0);
        shares.matmul(v).swap_dims(1, 2).reshape([tokens, width])
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
        let y = pass.drop(self.dense.forward(x), pass.config.hidden_dropout, slot);
        self.LayerNorm.forward(y.add(residual), pass.config.layer_norm_eps)
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

    fn forward(
        &self,
        x: Tensor<2>,
        mask: Option<&Tensor<4>>,
        batch: usize,
        pass: Pass<'_>,
    ) -> Tensor<2> {
        let mixed = self.attention.self_.forward(&x, mask, batch, pass);
        let x = self.attention.output.forward(mixed, x, pass, 1);
        let inner = activate(self.intermediate.dense.forward(x.clone()), pass.config.activation);
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
    /// Of each token, `[batch, seq, hidden]`. Rows of padding mean nothing.
    pub last_hidden_state: Tensor<3>,
    /// Of each row, from its first token, `[batch, hidden]`; `None` without a pooler.
    pub pooler_output: Option<Tensor<2>>,
}

/// The BERT encoder: tokens in, a vector for each token and one for each row out.
///
/// Source: Devlin et al. 2019, arXiv:1810.04805v2, section 3.
///
/// Heads of one's own go on top of [`BertOutput`]. Put the encoder in a field called `bert` of
/// another `Module`, and [`crate::bert::parameters`] gives all parameters the names that
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
        batch.check(&self.config)?;
        let pass = Pass { config: &self.config, seed: dropout_seed, layer: 0 };
        let mut x = self.embeddings.forward(batch, pass);
        let mask = batch.key_mask(&x);
        let (rows, length, width) = (batch.rows(), batch.length(), self.config.hidden_size);
        for (layer, number) in self.encoder.layer.iter().zip(1..) {
            x = layer.forward(x, mask.as_ref(), rows, Pass { layer: number, ..pass });
        }
        let hidden: Tensor<3> = x.reshape([rows, length, width]);
        let pooler_output = self.pooler.as_ref().map(|pooler| {
            let first = hidden.clone().slice_dim(1, 0..1).reshape([rows, width]);
            pooler.dense.forward(first).tanh()
        });
        Ok(BertOutput { last_hidden_state: hidden, pooler_output })
    }

    /// The table of word embeddings, `[vocab, hidden]`.
    pub(crate) fn words(&self) -> Tensor<2> {
        self.embeddings.word_embeddings.weight.val()
    }
}

/// A tensor that every checkpoint has.
const WORDS: &str = "embeddings.word_embeddings.weight";
