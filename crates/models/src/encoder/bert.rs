//! BERT's and RoBERTa's tensors: embeddings, layers, pooler.
//!
//! Fields are named after the tensors in checkpoints; `self`, which Rust reserves, is spelled
//! `self_`.
#![expect(non_snake_case, reason = "a field's name is part of the tensor's name")]

use burn::module::Module;
use burn::tensor::Tensor;

use super::config::EncoderConfig;
use super::loader::{Fill, Loader};
use super::parts::{Dense, Norm, Table};
use super::pass::Pass;
use super::post_norm::{PostNorm, Sum};
use crate::error::ModelError;

/// The embeddings of words, positions and token types.
#[derive(Module, Debug)]
pub(super) struct Input {
    pub(super) word_embeddings: Table,
    position_embeddings: Table,
    token_type_embeddings: Table,
    LayerNorm: Norm,
}

impl Input {
    fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &EncoderConfig,
    ) -> Result<Self, ModelError> {
        let width = config.hidden_size;
        let mut table = |name, rows| {
            Table::load(loader, &format!("{prefix}{name}"), [rows, width], Fill::Normal)
        };
        Ok(Self {
            word_embeddings: table("word_embeddings", config.vocab_size)?,
            position_embeddings: table("position_embeddings", config.max_positions)?,
            token_type_embeddings: table("token_type_embeddings", config.type_vocab_size)?,
            LayerNorm: Norm::load(loader, &format!("{prefix}LayerNorm"), width, true)?,
        })
    }
}

/// The projections to queries, keys and values.
#[derive(Module, Debug)]
struct SelfAttention {
    query: Dense,
    key: Dense,
    value: Dense,
}

/// A linear layer with the norm behind it.
#[derive(Module, Debug)]
struct AddNorm {
    dense: Dense,
    LayerNorm: Norm,
}

impl AddNorm {
    fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Self, ModelError> {
        Ok(Self {
            dense: Dense::load(loader, &format!("{prefix}dense"), [inputs, outputs])?,
            LayerNorm: Norm::load(loader, &format!("{prefix}LayerNorm"), outputs, true)?,
        })
    }
}

/// Self-attention and its output projection.
#[derive(Module, Debug)]
struct Attention {
    self_: SelfAttention,
    output: AddNorm,
}

/// One linear layer.
#[derive(Module, Debug)]
pub struct Single {
    pub(super) dense: Dense,
}

impl Single {
    /// The layer with the parameters `NAME.dense.weight`, `[width, width]`, and `NAME.dense.bias`.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        name: &str,
        width: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self { dense: Dense::load(loader, &format!("{name}.dense"), [width, width])? })
    }
}

/// An encoder layer.
#[derive(Module, Debug)]
struct Layer {
    attention: Attention,
    intermediate: Single,
    output: AddNorm,
}

impl Layer {
    fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &EncoderConfig,
    ) -> Result<Self, ModelError> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let mut dense = |name, sizes| Dense::load(loader, &format!("{prefix}{name}"), sizes);
        let self_ = SelfAttention {
            query: dense("attention.self.query", [width, width])?,
            key: dense("attention.self.key", [width, width])?,
            value: dense("attention.self.value", [width, width])?,
        };
        let intermediate = Single { dense: dense("intermediate.dense", [width, inner])? };
        let projection =
            AddNorm::load(loader, &format!("{prefix}attention.output."), [width, width])?;
        let output = AddNorm::load(loader, &format!("{prefix}output."), [inner, width])?;
        Ok(Self { attention: Attention { self_, output: projection }, intermediate, output })
    }

    fn parts(&self) -> PostNorm<'_> {
        let SelfAttention { query, key, value } = &self.attention.self_;
        let attended = &self.attention.output;
        PostNorm {
            projections: [query, key, value],
            attended: (&attended.dense, &attended.LayerNorm),
            inner: &self.intermediate.dense,
            outer: (&self.output.dense, &self.output.LayerNorm),
        }
    }
}

/// The layers, from input to output.
#[derive(Module, Debug)]
struct Layers {
    layer: Vec<Layer>,
}

/// The encoder of BERT and RoBERTa.
#[derive(Module, Debug)]
pub struct Bert {
    pub(super) embeddings: Input,
    encoder: Layers,
    pub(super) pooler: Option<Single>,
    #[module(skip)]
    pub(super) config: EncoderConfig,
}

impl Bert {
    /// The tensor of the word embeddings, which every checkpoint has.
    pub(super) const WORDS: &str = "embeddings.word_embeddings.weight";
    /// What the names of its tensors begin with.
    pub(super) const ROOTS: &[&str] = &["embeddings.", "encoder.", "pooler."];

    /// The encoder with parameters from `loader`, with a pooler if that has one.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &EncoderConfig,
    ) -> Result<Self, ModelError> {
        let layer = |number| format!("{prefix}encoder.layer.{number}.");
        let embeddings = Input::load(loader, &format!("{prefix}embeddings."), config)?;
        let layers = (0..config.num_layers)
            .map(|number| Layer::load(loader, &layer(number), config))
            .collect::<Result<_, _>>()?;
        let pooler = if loader.has(&format!("{prefix}pooler.dense.weight")) {
            Some(Single::load(loader, &format!("{prefix}pooler"), config.hidden_size)?)
        } else {
            None
        };
        // Older checkpoints store these constant buffers.
        loader.mark_used(&format!("{prefix}embeddings.position_ids"));
        loader.mark_used(&format!("{prefix}embeddings.token_type_ids"));
        let (encoder, config) = (Layers { layer: layers }, config.clone());
        Ok(Self { embeddings, encoder, pooler, config })
    }

    /// The hidden states, `[tokens, hidden]`, from word embeddings of the same shape.
    pub(super) fn forward(&self, words: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let input = Sum {
            positions: &self.embeddings.position_embeddings,
            types: Some(&self.embeddings.token_type_embeddings),
            norm: &self.embeddings.LayerNorm,
        };
        let x = input.forward(words, pass);
        self.encoder
            .layer
            .iter()
            .zip(1..)
            .fold(x, |x, (layer, number)| layer.parts().forward(x, Pass { layer: number, ..pass }))
    }
}
