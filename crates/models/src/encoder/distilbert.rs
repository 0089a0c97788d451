//! DistilBERT's tensors.
#![expect(non_snake_case, reason = "a field's name is part of the tensor's name")]

use burn::module::Module;
use burn::tensor::Tensor;

use super::config::EncoderConfig;
use super::loader::{Fill, Loader};
use super::parts::{Dense, Norm, Table};
use super::pass::Pass;
use super::post_norm::{PostNorm, Sum};
use crate::error::ModelError;

/// The embeddings of words and positions.
#[derive(Module, Debug)]
pub(super) struct Input {
    pub(super) word_embeddings: Table,
    position_embeddings: Table,
    LayerNorm: Norm,
}

/// Queries, keys, values and the output projection.
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "a field's name is part of the tensor's name")]
struct Attention {
    q_lin: Dense,
    k_lin: Dense,
    v_lin: Dense,
    out_lin: Dense,
}

/// The feed-forward block.
#[derive(Module, Debug)]
struct FeedForward {
    lin1: Dense,
    lin2: Dense,
}

#[derive(Module, Debug)]
struct Layer {
    attention: Attention,
    sa_layer_norm: Norm,
    ffn: FeedForward,
    output_layer_norm: Norm,
}

impl Layer {
    fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &EncoderConfig,
    ) -> Result<Self, ModelError> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let mut dense = |name, sizes| Dense::load(loader, &format!("{prefix}{name}"), sizes);
        let attention = Attention {
            q_lin: dense("attention.q_lin", [width, width])?,
            k_lin: dense("attention.k_lin", [width, width])?,
            v_lin: dense("attention.v_lin", [width, width])?,
            out_lin: dense("attention.out_lin", [width, width])?,
        };
        let ffn = FeedForward {
            lin1: dense("ffn.lin1", [width, inner])?,
            lin2: dense("ffn.lin2", [inner, width])?,
        };
        let mut norm = |name| Norm::load(loader, &format!("{prefix}{name}"), width, true);
        Ok(Self {
            attention,
            sa_layer_norm: norm("sa_layer_norm")?,
            ffn,
            output_layer_norm: norm("output_layer_norm")?,
        })
    }

    fn parts(&self) -> PostNorm<'_> {
        let Attention { q_lin, k_lin, v_lin, out_lin } = &self.attention;
        PostNorm {
            projections: [q_lin, k_lin, v_lin],
            attended: (out_lin, &self.sa_layer_norm),
            inner: &self.ffn.lin1,
            outer: (&self.ffn.lin2, &self.output_layer_norm),
        }
    }
}

/// The layers, from input to output.
#[derive(Module, Debug)]
struct Layers {
    layer: Vec<Layer>,
}

/// The encoder of DistilBERT.
#[derive(Module, Debug)]
pub struct DistilBert {
    pub(super) embeddings: Input,
    transformer: Layers,
    #[module(skip)]
    pub(super) config: EncoderConfig,
}

impl DistilBert {
    /// The tensor of the word embeddings.
    pub(super) const WORDS: &str = "embeddings.word_embeddings.weight";
    /// What the names of its tensors begin with.
    pub(super) const ROOTS: &[&str] = &["embeddings.", "transformer."];

    /// The encoder with parameters from `loader`.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &EncoderConfig,
    ) -> Result<Self, ModelError> {
        let width = config.hidden_size;
        let mut table = |name, rows, fill| {
            Table::load(loader, &format!("{prefix}embeddings.{name}"), [rows, width], fill)
        };
        let positions = if config.sinusoidal_positions { Fill::Sinusoids } else { Fill::Normal };
        let embeddings = Input {
            word_embeddings: table("word_embeddings", config.vocab_size, Fill::Normal)?,
            position_embeddings: table("position_embeddings", config.max_positions, positions)?,
            LayerNorm: Norm::load(loader, &format!("{prefix}embeddings.LayerNorm"), width, true)?,
        };
        let layer = |number| format!("{prefix}transformer.layer.{number}.");
        let layers = (0..config.num_layers)
            .map(|number| Layer::load(loader, &layer(number), config))
            .collect::<Result<_, _>>()?;
        // Older checkpoints store this constant buffer.
        loader.mark_used(&format!("{prefix}embeddings.position_ids"));
        Ok(Self { embeddings, transformer: Layers { layer: layers }, config: config.clone() })
    }

    /// The hidden states, `[tokens, hidden]`, from word embeddings of the same shape.
    pub(super) fn forward(&self, words: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let input = Sum {
            positions: &self.embeddings.position_embeddings,
            types: None,
            norm: &self.embeddings.LayerNorm,
        };
        let x = input.forward(words, pass);
        self.transformer
            .layer
            .iter()
            .zip(1..)
            .fold(x, |x, (layer, number)| layer.parts().forward(x, Pass { layer: number, ..pass }))
    }
}
