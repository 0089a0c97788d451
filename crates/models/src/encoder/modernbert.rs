//! ModernBERT: its tensors and its computation.
//!
//! A row's rotary positions count from 0; masked tokens count, too.
#![expect(non_snake_case, reason = "a field's name is part of the tensor's name")]

use std::sync::Arc;

use bestof_kernels::{AttentionBlock, AttentionShape, Dropout, attention, host_tensor, softmax};
use bestof_positional::hf::{FULL_ATTENTION, SLIDING_ATTENTION};
use bestof_positional::{Rope, RotaryLayout};
use burn::module::Module;
use burn::tensor::Tensor;

use super::config::EncoderConfig;
use super::loader::{Fill, Loader};
use super::parts::{Linear, Norm, Table};
use super::pass::Pass;
use super::windows;
use crate::error::ModelError;
use crate::rotary::{Rotary, Rotation};

/// The embeddings of words.
#[derive(Module, Debug)]
pub(super) struct Input {
    pub(super) tok_embeddings: Table,
    norm: Norm,
}

/// Queries, keys and values in one linear layer, and the output projection.
#[derive(Module, Debug)]
struct Attention {
    Wqkv: Linear,
    Wo: Linear,
}

/// The gated feed-forward block; the first half of `Wi`'s outputs goes through the activation.
#[derive(Module, Debug)]
struct FeedForward {
    Wi: Linear,
    Wo: Linear,
}

#[derive(Module, Debug)]
struct Layer {
    /// `None` in the first layer, whose input is normalised already.
    attn_norm: Option<Norm>,
    attn: Attention,
    mlp_norm: Norm,
    mlp: FeedForward,
}

/// What layers of one kind share: the turns of the tokens, and who sees whom.
struct Plan {
    rotation: Rotation,
    blocks: Vec<AttentionBlock>,
}

/// Slots of the dropouts of a layer.
const WEIGHTS: u64 = 0;
const ATTENDED: u64 = 1;
const INNER: u64 = 2;

impl Layer {
    fn load(
        loader: &mut Loader<'_>,
        number: usize,
        prefix: &str,
        config: &EncoderConfig,
    ) -> Result<Self, ModelError> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let options = &config.modernbert;
        let mut norm =
            |name: &str| Norm::load(loader, &format!("{prefix}{name}"), width, options.norm_bias);
        let attn_norm = if number == 0 { None } else { Some(norm("attn_norm")?) };
        let mlp_norm = norm("mlp_norm")?;
        let mut linear =
            |name: &str, sizes, bias| Linear::load(loader, &format!("{prefix}{name}"), sizes, bias);
        let attn = Attention {
            Wqkv: linear("attn.Wqkv", [width, 3 * width], options.attention_bias)?,
            Wo: linear("attn.Wo", [width, width], options.attention_bias)?,
        };
        let mlp = FeedForward {
            Wi: linear("mlp.Wi", [width, 2 * inner], options.mlp_bias)?,
            Wo: linear("mlp.Wo", [inner, width], options.mlp_bias)?,
        };
        Ok(Self { attn_norm, attn, mlp_norm, mlp })
    }

    /// ```text
    /// y = x + attention(norm(x)) W_o^T      y + (activation(a) b) W_o'^T,   [a; b] = W_i norm(y)
    /// ```
    fn forward(&self, x: Tensor<2>, plan: &Plan, pass: Pass<'_>) -> Tensor<2> {
        let config = pass.config;
        let eps = config.layer_norm_eps;
        let normed = match &self.attn_norm {
            Some(norm) => norm.forward(x.clone(), eps),
            None => x.clone(),
        };
        let attended = self.attn.Wo.forward(self.attn.attend(normed, plan, pass));
        let x = x.add(pass.drop(attended, config.attention_dropout, ATTENDED));
        let inner = self.mlp.Wi.forward(self.mlp_norm.forward(x.clone(), eps));
        let inner = config.activation.gate(inner);
        let inner = pass.drop(inner, config.modernbert.mlp_dropout, INNER);
        x.add(self.mlp.Wo.forward(inner))
    }
}

impl Attention {
    /// What each token takes from those it sees, `[tokens, hidden]`.
    fn attend(&self, x: Tensor<2>, plan: &Plan, pass: Pass<'_>) -> Tensor<2> {
        let config = pass.config;
        let (heads, dim, width) = (config.num_heads, config.head_dim(), config.hidden_size);
        let [tokens, _] = x.dims();
        let all = self.Wqkv.forward(x);
        let part = |number: usize| {
            let part = all.clone().slice_dim(1, number * width..(number + 1) * width);
            part.reshape([tokens * heads, dim])
        };
        let (q, k) = (plan.rotation.turn_queries(part(0)), plan.rotation.turn_keys(part(1)));
        let v = part(2).reshape([tokens, heads, dim]);
        if let Some(dropout) = pass.dropout(config.attention_dropout, WEIGHTS) {
            return attend_dropping(&[q, k, v], &plan.blocks, &dropout);
        }
        let shape = AttentionShape { kv_heads: heads, group: 1, head_dim: dim, softcap: None };
        attention(q, k, v, &plan.blocks, shape)
    }
}

/// Attention with dropout of its weights, from `[tokens, heads, head_dim]` each. No published model is
/// trained so; it is made of plain operations, which keep the weights.
fn attend_dropping(
    [q, k, v]: &[Tensor<3>; 3],
    blocks: &[AttentionBlock],
    dropout: &Dropout,
) -> Tensor<2> {
    let [_, heads, dim] = q.dims();
    let starts: Vec<usize> = dropout
        .rows
        .iter()
        .scan(0, |next, row| Some(std::mem::replace(next, *next + row.tokens)))
        .collect();
    let parts = blocks.iter().map(|block| {
        let of = |x: &Tensor<3>, rows| x.clone().slice_dim(0, rows).swap_dims(0, 1);
        let rows = || block.rows.clone();
        let mut scores = of(q, rows()).matmul(of(k, block.keys.clone()).transpose());
        if let Some(mask) = &block.mask {
            scores = scores.add(mask.clone().unsqueeze());
        }
        // A block is of one row; where it begins in it tells it from the row's others.
        let row = starts.partition_point(|start| *start <= block.rows.start) - 1;
        let part = (block.rows.start - starts[row]) as u64;
        let weights = softmax(scores);
        let shape = weights.dims();
        let mask = dropout.row_mask(&dropout.rows[row], part, shape.iter().product());
        let weights = weights.clone().mul(host_tensor(mask, shape, &weights));
        let taken = weights.matmul(of(v, block.keys.clone()));
        taken.swap_dims(0, 1).reshape([block.rows.len(), heads * dim])
    });
    Tensor::cat(parts.collect(), 0)
}

/// The encoder of ModernBERT.
#[derive(Module, Debug)]
pub struct ModernBert {
    pub(super) embeddings: Input,
    layers: Vec<Layer>,
    final_norm: Norm,
    #[module(skip)]
    pub(super) config: EncoderConfig,
    /// Of layers without a window and with one.
    #[module(skip)]
    rotary: Arc<Rotary>,
}

impl ModernBert {
    /// The tensor of the word embeddings.
    pub(super) const WORDS: &str = "embeddings.tok_embeddings.weight";
    /// What the names of its tensors begin with.
    pub(super) const ROOTS: &[&str] = &["embeddings.", "final_norm.", "layers."];

    /// The encoder with parameters from `loader`.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        config: &EncoderConfig,
    ) -> Result<Self, ModelError> {
        let (width, options) = (config.hidden_size, &config.modernbert);
        if options.sliding.len() != config.num_layers {
            let (field, found) = ("layer_types".to_owned(), options.sliding.len().to_string());
            let expected = format!("one entry for each of {} layers", config.num_layers);
            return Err(ModelError::InvalidField { field, found, expected });
        }
        let words = format!("{prefix}embeddings.tok_embeddings");
        let norm = format!("{prefix}embeddings.norm");
        let embeddings = Input {
            tok_embeddings: Table::load(loader, &words, [config.vocab_size, width], Fill::Normal)?,
            norm: Norm::load(loader, &norm, width, options.norm_bias)?,
        };
        let layer = |number| format!("{prefix}layers.{number}.");
        let layers = (0..config.num_layers)
            .map(|number| Layer::load(loader, number, &layer(number), config))
            .collect::<Result<_, _>>()?;
        let norm = format!("{prefix}final_norm");
        let final_norm = Norm::load(loader, &norm, width, options.norm_bias)?;
        let scale = (config.head_dim() as f64).sqrt().recip();
        let ropes = ropes(config)?;
        let rotary = Rotary::new(ropes, RotaryLayout::HalfSplit, config.head_dim(), scale);
        let rotary = Arc::new(rotary);
        Ok(Self { embeddings, layers, final_norm, config: config.clone(), rotary })
    }

    /// The hidden states, `[tokens, hidden]`, from word embeddings of the same shape.
    pub(super) fn forward(&self, words: Tensor<2>, pass: Pass<'_>) -> Tensor<2> {
        let options = &pass.config.modernbert;
        let eps = pass.config.layer_norm_eps;
        let rows: Vec<(usize, usize)> = pass
            .packed
            .counts
            .iter()
            .flat_map(|&count| (0..count).map(move |position| (position, count)))
            .collect();
        let reaches = [None, Some(options.local_attention / 2)];
        let plans: Vec<Plan> = self
            .rotary
            .rotations(&rows, None, &words)
            .into_iter()
            .zip(reaches)
            .map(|(rotation, reach)| Plan {
                rotation,
                blocks: windows::blocks(pass.packed, reach, &words),
            })
            .collect();
        let x = self.embeddings.norm.forward(words, eps);
        let mut x = pass.drop(x, pass.config.hidden_dropout, 0);
        for ((layer, sliding), number) in self.layers.iter().zip(&options.sliding).zip(1..) {
            let plan = &plans[usize::from(*sliding)];
            x = layer.forward(x, plan, Pass { layer: number, ..pass });
        }
        self.final_norm.forward(x, eps)
    }
}

/// The bases of layers without a window and with one.
fn ropes(config: &EncoderConfig) -> Result<Vec<Rope>, ModelError> {
    let of = |layer_type: &str| {
        let missing = || ModelError::InvalidField {
            field: "rope_parameters".to_owned(),
            found: "nothing".to_owned(),
            expected: format!("an entry {layer_type}"),
        };
        Ok(config.modernbert.ropes.get(layer_type).ok_or_else(missing)?.build()?)
    };
    [FULL_ATTENTION, SLIDING_ATTENTION].into_iter().map(of).collect()
}
