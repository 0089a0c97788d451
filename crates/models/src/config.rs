//! The shape of a decoder: what tells the families apart, as data.

use bestof_kernels::{Activation, AttentionShape};
use bestof_positional::hf::{FULL_ATTENTION, LayerRopes, SLIDING_ATTENTION};
use bestof_positional::{Rope, RopeError};

use crate::error::ModelError;

/// What is particular to one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerConfig {
    /// How many tokens attention looks at, the current one included; `None` is all.
    pub window: Option<usize>,
    /// Index into [`DecoderConfig::ropes`] of the basis that rotates queries and keys; `None` for none.
    pub rope: Option<usize>,
    /// Whether the layer is one of those that take a basis; some families leave it out in some layers.
    pub rotates: bool,
}

/// The shape of a decoder. Comes from a Hugging Face `config.json` through
/// [`DecoderConfig::from_hf`].
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "families differ in independent yes and no")]
pub struct DecoderConfig {
    /// The `model_type` it was read from.
    pub model_type: &'static str,
    /// The number of tokens.
    pub vocab_size: usize,
    /// The width of the residual stream.
    pub hidden_size: usize,
    /// The width inside the feed-forward block.
    pub intermediate_size: usize,
    /// The number of query heads.
    pub num_heads: usize,
    /// The number of key and value heads.
    pub num_kv_heads: usize,
    /// The width of a head.
    pub head_dim: usize,
    /// The longest sequence the model was made for.
    pub max_positions: usize,
    /// Added to the mean square before the root.
    pub rms_norm_eps: f64,
    /// Added to the norms' weights: 1 in Gemma, 0 elsewhere.
    pub norm_offset: f64,
    /// Whether the outputs of attention and feed-forward are normalised too (Gemma).
    pub sandwich_norms: bool,
    /// Whether queries and keys are normalised by head (Gemma 3, Qwen3).
    pub qk_norms: bool,
    /// Whether `qkv_proj` gives queries, keys and values, and `gate_up_proj` both halves of the gated
    /// feed-forward block (Phi-3).
    pub fused_projections: bool,
    /// Whether sampling computes keys and values again once a sequence has a length from which on its
    /// RoPE basis is another one (Phi-3); otherwise those of earlier tokens stay as they were.
    pub renews_cache: bool,
    /// The feed-forward activation.
    pub activation: Activation,
    /// Whether the query, key and value projections have a bias.
    pub qkv_bias: bool,
    /// Whether the output projection of attention has a bias.
    pub output_bias: bool,
    /// Whether the feed-forward projections have a bias.
    pub mlp_bias: bool,
    /// Multiplies attention scores: `head_dim^-1/2` unless the family says otherwise.
    pub attention_scale: f64,
    /// Attention scores become `c tanh(score / c)`.
    pub attention_softcap: Option<f64>,
    /// Logits become `c tanh(logit / c)`.
    pub final_softcap: Option<f64>,
    /// Multiplies the embeddings: `sqrt(hidden_size)` in Gemma.
    pub embedding_scale: Option<f64>,
    /// Standard deviation of the weights of a model that starts from nothing.
    pub initializer_range: f64,
    /// Whether the vocabulary projection is the embedding matrix.
    pub tied_embeddings: bool,
    /// The layers, from the embeddings up.
    pub layers: Vec<LayerConfig>,
    /// The rotary bases the layers refer to.
    pub ropes: Vec<Rope>,
}

impl DecoderConfig {
    /// The configuration with other RoPE settings, including those that no `config.json` can hold,
    /// and with their length as the longest sequence.
    ///
    /// # Errors
    /// [`ModelError::Rope`] for settings that make no basis.
    pub fn with_ropes(mut self, settings: &LayerRopes) -> Result<Self, ModelError> {
        self.set_ropes(settings)?;
        let length = settings.iter().filter_map(|rope| rope.max_position_embeddings).max();
        self.max_positions = length.unwrap_or(self.max_positions);
        Ok(self)
    }

    /// Builds the RoPE bases and assigns them to the layers.
    pub(crate) fn set_ropes(&mut self, settings: &LayerRopes) -> Result<(), ModelError> {
        self.ropes.clear();
        match settings {
            LayerRopes::Uniform(rope) => {
                self.ropes = vec![rope.build()?];
                for layer in &mut self.layers {
                    layer.rope = layer.rotates.then_some(0);
                }
            }
            LayerRopes::PerLayerType(by_type) => {
                let mut add = |layer_type: &str| -> Result<Option<usize>, ModelError> {
                    let Some(rope) = by_type.get(layer_type) else { return Ok(None) };
                    self.ropes.push(rope.build()?);
                    Ok(Some(self.ropes.len() - 1))
                };
                let full = add(FULL_ATTENTION)?;
                let sliding = add(SLIDING_ATTENTION)?;
                for layer in &mut self.layers {
                    let rope = if layer.window.is_some() { sliding } else { full };
                    layer.rope = rope.filter(|_| layer.rotates);
                }
            }
        }
        Ok(())
    }

    /// Has layers, from 0, go without RoPE, whatever the settings.
    pub(crate) fn drop_ropes(&mut self, no_rope: &[usize]) -> Result<(), ModelError> {
        for &layer in no_rope {
            let layers = self.layers.len();
            let entry = self.layers.get_mut(layer);
            let entry = entry.ok_or(RopeError::LayerCount { found: layer + 1, layers })?;
            (entry.rope, entry.rotates) = (None, false);
        }
        Ok(())
    }

    /// The number of query heads that share a key head.
    pub fn group_size(&self) -> usize {
        self.num_heads / self.num_kv_heads
    }

    /// The windows that layers have, each once.
    pub fn windows(&self) -> Vec<Option<usize>> {
        let mut windows: Vec<_> = self.layers.iter().map(|layer| layer.window).collect();
        windows.sort_unstable();
        windows.dedup();
        windows
    }

    /// The sizes of attention.
    pub(crate) fn attention(&self) -> AttentionShape {
        AttentionShape {
            kv_heads: self.num_kv_heads,
            group: self.group_size(),
            head_dim: self.head_dim,
            softcap: self.attention_softcap,
        }
    }

    /// Checks that the sizes fit each other.
    ///
    /// # Errors
    /// [`ModelError::InvalidField`] names the field.
    pub fn validate(&self) -> Result<(), ModelError> {
        let refuse = |field: &str, found: usize, expected: String| {
            let (field, found) = (field.to_owned(), found.to_string());
            Err(ModelError::InvalidField { field, found, expected })
        };
        if self.num_kv_heads == 0 || !self.num_heads.is_multiple_of(self.num_kv_heads) {
            let expected = format!("a divisor of num_attention_heads, {}", self.num_heads);
            return refuse("num_key_value_heads", self.num_kv_heads, expected);
        }
        if self.head_dim == 0 || !self.head_dim.is_multiple_of(2) {
            return refuse("head_dim", self.head_dim, "an even number".to_owned());
        }
        Ok(())
    }
}
