//! Grouped-query attention: projections to heads, and a block of queries against its keys.

use burn::module::Module;
use burn::tensor::Tensor;

use super::Pass;
use super::fused::outputs;
use super::norm::RmsNorm;
use super::projection::Projection;
use crate::rotary::Rotation;

/// Queries, keys and values by head, rotated; queries are scaled already.
#[derive(Debug)]
pub(crate) struct Heads {
    /// `[rows, heads, head_dim]`
    pub(crate) q: Tensor<3>,
    /// `[rows, kv_heads, head_dim]`
    pub(crate) k: Tensor<3>,
    /// `[rows, kv_heads, head_dim]`
    pub(crate) v: Tensor<3>,
}

/// The projections of attention, and the norms of queries and keys of families that have them.
///
/// `qkv_proj` takes the place of the three projections above it.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    pub(crate) q_proj: Option<Projection>,
    pub(crate) k_proj: Option<Projection>,
    pub(crate) v_proj: Option<Projection>,
    pub(crate) qkv_proj: Option<Projection>,
    pub(crate) o_proj: Projection,
    pub(crate) q_norm: Option<RmsNorm>,
    pub(crate) k_norm: Option<RmsNorm>,
}

impl Attention {
    /// Queries, keys and values of the rows `x`, `[rows, width]`.
    pub(crate) fn heads(
        &self,
        x: &Tensor<2>,
        rotation: Option<&Rotation>,
        pass: &Pass<'_>,
    ) -> Heads {
        let config = pass.config;
        let [rows, _] = x.dims();
        let split = |y: Tensor<2>, heads: usize| y.reshape([rows * heads, config.head_dim]);
        let norm = |norm: &Option<RmsNorm>, y: Tensor<2>| match norm {
            Some(norm) => norm.forward(y, config.rms_norm_eps, config.norm_offset),
            None => y,
        };
        let layers = [(&self.q_proj, 0), (&self.k_proj, 1), (&self.v_proj, 2), (&self.qkv_proj, 7)];
        let [queries, keys] = [config.num_heads, config.num_kv_heads].map(|n| n * config.head_dim);
        let [q, k, v] = outputs(x, pass, &layers, [queries, keys, keys]);
        let (q, k) = (split(q, config.num_heads), split(k, config.num_kv_heads));
        let (q, k) = (norm(&self.q_norm, q), norm(&self.k_norm, k));
        let whole = |y: Tensor<2>, heads: usize| y.reshape([rows, heads, config.head_dim]);
        let v = v.reshape([rows, config.num_kv_heads, config.head_dim]);
        match rotation {
            Some(rotation) => Heads { q: rotation.turn_queries(q), k: rotation.turn_keys(k), v },
            None => Heads {
                q: whole(q.mul_scalar(config.attention_scale), config.num_heads),
                k: whole(k, config.num_kv_heads),
                v,
            },
        }
    }
}
