//! Layers whose insides are computed again in the backward pass instead of being kept.

use std::ops::Range;
use std::sync::Arc;

use bestof_kernels::{
    AnyTensor, AttentionBlock, AttentionShape, Inputs, attention, attention_recomputes,
};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

use crate::block::Pass;
use crate::block::attention::Heads;
use crate::block::layer::Layer;
use crate::causal_lm::ForwardOptions;
use crate::config::DecoderConfig;
use crate::plan::ForestPlan;

/// One layer's part of a forward pass.
#[derive(Debug, Clone)]
pub(super) struct LayerPass {
    pub(super) config: Arc<DecoderConfig>,
    pub(super) plan: Arc<ForestPlan>,
    pub(super) options: ForwardOptions,
    /// The layer's number.
    pub(super) index: usize,
}

impl LayerPass {
    /// The rows `x`, `[nodes, width]`, after the layer.
    pub(super) fn forward(&self, layer: &Layer, x: Tensor<2>) -> Tensor<2> {
        let window = self.window();
        self.run(layer, x, |heads| self.plan.attend(heads, window, &self.config))
    }

    fn run(
        &self,
        layer: &Layer,
        x: Tensor<2>,
        attend: impl FnOnce(Heads) -> Tensor<2>,
    ) -> Tensor<2> {
        let config = &*self.config;
        let pass = Pass { config, options: self.options, layer: self.index, decoding: false };
        layer.forward(x, self.plan.rotation(&config.layers[self.index]), &pass, attend)
    }

    fn window(&self) -> Option<usize> {
        self.config.layers[self.index].window
    }

    /// The derivatives by `x` and by the layer's parameters, given that by the layer's output.
    /// `layer` and `x` are leaves of a graph of their own.
    fn gradients(&self, layer: &Layer, x: &Tensor<2>, by_output: Tensor<2>) -> Collected {
        let mut collected = Collected::default();
        if attention_recomputes(x) {
            let y = self.forward(layer, x.clone());
            differentiate(&y, by_output, |graph| collected.read(layer, x, graph));
        } else {
            self.by_blocks(layer, x, by_output, &mut collected);
        }
        collected
    }

    /// Where the backward pass of attention is burn's, it would keep the weights of all blocks.
    /// So the layer is cut at its attention: above it a graph that begins at the attention's
    /// output, below it one that ends at queries, keys and values, between them a graph per block.
    fn by_blocks(
        &self,
        layer: &Layer,
        x: &Tensor<2>,
        by_output: Tensor<2>,
        collected: &mut Collected,
    ) {
        let (config, window) = (&*self.config, self.window());
        let mut cut = None;
        let y = self.run(layer, x.clone(), |heads| {
            let output = leaf(self.plan.attend(heads.plain(), window, config));
            cut = Some((heads, output.clone()));
            output
        });
        let Some((heads, output)) = cut else { return };
        let mut by_attention = None;
        differentiate(&y, by_output, |graph| {
            collected.read(layer, x, graph);
            by_attention = output.grad_remove(graph);
        });
        drop(y);
        let Some(by_attention) = by_attention else { return };
        let blocks = self.plan.blocks(window);
        let [dq, dk, dv] =
            attention_gradients(heads.plain(), &by_attention, blocks, config.attention());
        let weighted = |x: Tensor<3>, dx: Tensor<3>| x.mul(dx).sum();
        let sum = weighted(heads.q, dq).add(weighted(heads.k, dk)).add(weighted(heads.v, dv));
        if sum.is_tracked() {
            let mut graph = sum.backward();
            collected.read(layer, x, &mut graph);
        }
    }
}

/// The rows `x` after a layer, of which only `x` is kept for the backward pass.
pub(super) fn recomputed(layer: &Layer, x: Tensor<2>, pass: LayerPass) -> Tensor<2> {
    let mut inputs = Inputs::new();
    let with_x = inputs.add(&x);
    layer.visit(&mut AddParameters(&mut inputs));
    let x = x.inner();
    let output = pass.forward(&layer.valid(), x.clone());
    let layer = layer.clone();
    inputs.differentiable(output, move |by_output: Tensor<2>| {
        // Leaves of a graph of their own: the one being differentiated is in use.
        let layer = layer.map(&mut FreshLeaves);
        let x = if with_x { leaf(x) } else { x.autodiff() };
        let collected = pass.gradients(&layer, &x, by_output);
        let mut found = vec![collected.by_x.map(AnyTensor::from)];
        found.extend(collected.by_parameter);
        found
    })
}

struct AddParameters<'a>(&'a mut Inputs);

impl ModuleVisitor for AddParameters<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.add(&param.val());
    }
}

struct FreshLeaves;

impl ModuleMapper for FreshLeaves {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = param.is_require_grad();
        let (id, tensor, mapper) = param.consume();
        let leaf = tensor.inner().autodiff().set_require_grad(trained);
        Param::from_mapped_value(id, leaf, mapper)
    }
}

/// Derivatives by a layer's input and by its parameters, in the order of visits.
#[derive(Debug, Default)]
struct Collected {
    by_x: Option<Tensor<2>>,
    by_parameter: Vec<Option<AnyTensor>>,
}

impl Collected {
    /// Adds what a graph says. A parameter has its gradient in one graph only.
    fn read(&mut self, layer: &Layer, x: &Tensor<2>, graph: &mut Gradients) {
        self.by_x = match (self.by_x.take(), x.grad_remove(graph)) {
            (Some(a), Some(b)) => Some(a.add(b)),
            (a, b) => a.or(b),
        };
        let mut reader = ReadParameters { graph, found: Vec::new() };
        layer.visit(&mut reader);
        let found = reader.found;
        if self.by_parameter.is_empty() {
            self.by_parameter = found;
        } else {
            for (kept, new) in self.by_parameter.iter_mut().zip(found) {
                *kept = kept.take().or(new);
            }
        }
    }
}

struct ReadParameters<'a> {
    graph: &'a mut Gradients,
    found: Vec<Option<AnyTensor>>,
}

impl ModuleVisitor for ReadParameters<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push(param.val().grad_remove(self.graph).map(AnyTensor::from));
    }
}

/// The derivatives by queries, keys and values, given that by what attention made of them,
/// `[rows, heads * head_dim]`; one block's graph at a time.
fn attention_gradients(
    heads: Heads,
    dy: &Tensor<2>,
    blocks: &[AttentionBlock],
    shape: AttentionShape,
) -> [Tensor<3>; 3] {
    let Heads { q, k, v } = heads;
    let (mut dk, mut dv) = (k.zeros_like(), v.zeros_like());
    let mut dq = Vec::with_capacity(blocks.len());
    for block in blocks {
        let part = |x: &Tensor<3>, rows: &Range<usize>| {
            x.clone().slice_dim(0, rows.clone()).autodiff().require_grad()
        };
        let (q, k, v) = (part(&q, &block.rows), part(&k, &block.keys), part(&v, &block.keys));
        let alone = AttentionBlock {
            rows: 0..block.rows.len(),
            keys: 0..block.keys.len(),
            mask: block.mask.clone(),
        };
        let y = attention(q.clone(), k.clone(), v.clone(), &[alone], shape);
        let by_output = dy.clone().slice_dim(0, block.rows.clone());
        differentiate(&y, by_output, |graph| {
            dq.extend(q.grad_remove(graph));
            for (total, x) in [(&mut dk, &k), (&mut dv, &v)] {
                if let Some(gradient) = x.grad_remove(graph) {
                    let [_, heads, dim] = total.dims();
                    let range = [block.keys.clone(), 0..heads, 0..dim];
                    total.inplace(|total| {
                        let sum = total.clone().slice(range.clone()).add(gradient);
                        total.slice_assign(range, sum)
                    });
                }
            }
        });
    }
    [Tensor::cat(dq, 0), dk, dv]
}

/// Sends `by_output = dLoss / dy` down the graph of `y`, if it has one.
fn differentiate(y: &Tensor<2>, by_output: Tensor<2>, read: impl FnOnce(&mut Gradients)) {
    if y.is_tracked() {
        let mut graph = y.clone().mul(by_output).sum().backward();
        read(&mut graph);
    }
}

/// The start of a new graph.
fn leaf(x: Tensor<2>) -> Tensor<2> {
    x.inner().autodiff().require_grad()
}

#[cfg(test)]
mod tests {
    use bestof_kernels::{BLOCK, host_values};
    use burn::tensor::{Device, TensorData};
    use serde_json::json;

    use super::*;
    use crate::decoder::Decoder;
    use crate::forest::TokenForest;

    /// What layers get on devices whose attention has no backward pass of ours.
    #[test]
    fn a_layer_differentiated_by_blocks_has_the_gradients_of_the_whole_layer() {
        let config = json!({
            "model_type": "gemma2", "vocab_size": 32, "hidden_size": 16, "head_dim": 4,
            "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "sliding_window": 40, "query_pre_attn_scalar": 4,
        });
        let config = DecoderConfig::from_hf(&config).unwrap();
        let model = Decoder::random(config, 5, &Device::flex().autodiff()).unwrap();
        let tokens: Vec<u32> = (0..BLOCK as u32 + 30).map(|i| i * i % 32).collect();
        let options = ForwardOptions::default();
        let plan = Arc::new(model.plan(&TokenForest::text(&tokens), &options).unwrap());
        let wave = |scale: f32| -> Tensor<2> {
            let values = (0..tokens.len() * 16).map(|i| (i as f32 * scale).sin()).collect();
            let data = TensorData::new::<f32, _>(values, [tokens.len(), 16]);
            Tensor::from_data(data, &Device::flex())
        };
        for index in 0..2 {
            let config = Arc::clone(model.shared_config());
            let pass = LayerPass { config, plan: Arc::clone(&plan), options, index };
            let layer = model.layers()[index].clone();
            let whole = pass.gradients(&layer, &leaf(wave(0.37)), wave(0.11));
            let mut split = Collected::default();
            pass.by_blocks(&layer, &leaf(wave(0.37)), wave(0.11), &mut split);
            let same = |a: Vec<f32>, b: Vec<f32>| {
                let largest = a.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
                assert!(largest > 0.0 && a.len() == b.len());
                a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5 * largest)
            };
            let values = |x: Option<Tensor<2>>| host_values(x.unwrap());
            assert!(same(values(whole.by_x), values(split.by_x)));
            assert_eq!(whole.by_parameter.len(), 11, "norms and projections");
            for (a, b) in whole.by_parameter.into_iter().zip(split.by_parameter) {
                let flat = |x: Option<AnyTensor>| host_values(Tensor::<1>::from(x.unwrap()));
                assert!(same(flat(a), flat(b)));
            }
        }
    }
}
