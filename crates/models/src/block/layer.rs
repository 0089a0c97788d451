//! A decoder layer: attention and feed-forward, each added to the residual stream.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Pass;
use super::attention::{Attention, Heads};
use super::mlp::Mlp;
use super::norm::RmsNorm;
use crate::rotary::Rotation;

/// A decoder layer.
///
/// The norms bear their checkpoint names, which do not mean the same in all families: LLaMA's
/// `post_attention_layernorm` comes before the feed-forward block, Gemma's after attention.
#[derive(Module, Debug)]
pub(crate) struct Layer {
    pub(crate) self_attn: Attention,
    pub(crate) mlp: Mlp,
    pub(crate) input_layernorm: RmsNorm,
    pub(crate) post_attention_layernorm: RmsNorm,
    pub(crate) pre_feedforward_layernorm: Option<RmsNorm>,
    pub(crate) post_feedforward_layernorm: Option<RmsNorm>,
}

impl Layer {
    /// The rows `x`, `[rows, width]`, after this layer; `attend` turns queries, keys and values
    /// into what each row takes from the rows it sees.
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        rotation: Option<&Rotation>,
        pass: &Pass<'_>,
        attend: impl FnOnce(Heads) -> Tensor<2>,
    ) -> Tensor<2> {
        let norm =
            |norm: &RmsNorm, x| norm.forward(x, pass.config.rms_norm_eps, pass.config.norm_offset);
        let heads = self.self_attn.heads(&norm(&self.input_layernorm, x.clone()), rotation, pass);
        let h = self.self_attn.o_proj.forward(attend(heads), pass, 3);
        if let (Some(before), Some(after)) =
            (&self.pre_feedforward_layernorm, &self.post_feedforward_layernorm)
        {
            let x = x.add(norm(&self.post_attention_layernorm, h));
            let h = self.mlp.forward(&norm(before, x.clone()), pass);
            x.add(norm(after, h))
        } else {
            let x = x.add(h);
            let h = self.mlp.forward(&norm(&self.post_attention_layernorm, x.clone()), pass);
            x.add(h)
        }
    }
}
