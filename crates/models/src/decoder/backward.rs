//! Forward passes with a graph, and the gradients they give.

use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients as GraphGradients, Tensor};

use super::{Decoder, select_rows};
use crate::block::Pass;
use crate::block::attention::Heads;
use crate::causal_lm::{ForwardOptions, ForwardPass};
use crate::error::ModelError;
use crate::forest::TokenForest;
use crate::fused::{self, AttentionShape};
use crate::gradients::Gradients;
use crate::mask::Block;
use crate::plan::ForestPlan;
use crate::vocabulary::{Extras, Scores, Slopes, Vocabulary};

/// Everything above the layers: the wanted rows after the final norm, and their scores.
struct Top {
    /// `[rows, width]`, with its graph
    hidden: Tensor<2>,
    vocabulary: Vocabulary,
    scores: Scores,
}

impl Decoder {
    pub(super) fn forward_pass(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<ForwardPass<'_>, ModelError> {
        if self.merged {
            return Err(ModelError::Adapters {
                found: "the adapters are merged into the weights",
                mend: "unmerge them before training",
            });
        }
        let options = &self.resolve(options)?;
        if !self.device.is_autodiff() {
            return Err(ModelError::NotTrainable);
        }
        let plan = self.plan(forest, options)?;
        if plan.rows.is_empty() {
            let nothing = |_: &[f32], _: &[f32]| Ok(Gradients::new());
            return Ok(ForwardPass::new(Vec::new(), Vec::new(), Box::new(nothing)));
        }
        if options.checkpoint_layers {
            Ok(self.checkpointed(plan, *options))
        } else {
            Ok(self.recorded(plan, *options))
        }
    }

    /// One graph from the embeddings to the final norm.
    fn recorded(&self, plan: ForestPlan, options: ForwardOptions) -> ForwardPass<'_> {
        let mut x = self.embed(&self.weights, &plan.ids);
        for layer in 0..self.config.layers.len() {
            x = self.layer(&self.weights, layer, x, &plan, &options);
        }
        let top = self.top(x, &plan, &options);
        pass(top, plan, move |top, plan, weights| {
            let mut gradients = self.head_gradient(&top, &plan, weights);
            differentiate(&top.hidden, top.hidden_gradient(&plan, weights), |graph| {
                collect(&self.weights, "", graph, &mut gradients);
            });
            gradients
        })
    }

    /// A graph a layer, made in the backward pass from the layer's input.
    fn checkpointed(&self, plan: ForestPlan, options: ForwardOptions) -> ForwardPass<'_> {
        let plain = self.weights.valid();
        let mut inputs = Vec::with_capacity(self.config.layers.len());
        let mut x = self.embed(&plain, &plan.ids);
        for layer in 0..self.config.layers.len() {
            inputs.push(x.clone());
            x = self.layer(&plain, layer, x, &plan, &options);
        }
        drop(plain);
        let output = leaf(x);
        let top = self.top(output.clone(), &plan, &options);
        pass(top, plan, move |top, plan, weights| {
            let mut gradients = self.head_gradient(&top, &plan, weights);
            let seed = top.hidden_gradient(&plan, weights);
            let mut upstream = None;
            differentiate(&top.hidden, seed, |graph| {
                let model = &self.weights.model;
                collect(&model.norm, "model.norm", graph, &mut gradients);
                upstream = output.grad_remove(graph);
            });
            drop((top, output));
            for (index, input) in inputs.into_iter().enumerate().rev() {
                let Some(seed) = upstream.take() else { break };
                let input = leaf(input);
                if !fused::attention_recomputes(&input) {
                    upstream =
                        self.layer_by_blocks(index, &input, seed, &plan, &options, |graph| {
                            self.collect_layer(index, graph, &mut gradients);
                        });
                    continue;
                }
                let y = self.layer(&self.weights, index, input.clone(), &plan, &options);
                differentiate(&y, seed, |graph| {
                    self.collect_layer(index, graph, &mut gradients);
                    upstream = input.grad_remove(graph);
                });
            }
            let embedded = self.embed(&self.weights, &plan.ids);
            if let (Some(seed), true) = (upstream, embedded.is_tracked()) {
                differentiate(&embedded, seed, |graph| {
                    let table = &self.weights.model.embed_tokens;
                    collect(table, "model.embed_tokens", graph, &mut gradients);
                });
            }
            gradients
        })
    }

    /// Sends `seed` down a layer whose attention is differentiated a block at a time, so that the
    /// weights of one block are in memory. Returns the derivative by the layer's input.
    ///
    /// The layer is cut at its attention: above it a graph that begins at the attention's output,
    /// below it one that ends at queries, keys and values, between them a graph a block.
    fn layer_by_blocks(
        &self,
        index: usize,
        input: &Tensor<2>,
        seed: Tensor<2>,
        plan: &ForestPlan,
        options: &ForwardOptions,
        mut read: impl FnMut(&mut GraphGradients),
    ) -> Option<Tensor<2>> {
        let config = &*self.config;
        let kind = &config.layers[index];
        let pass = Pass { config, options: *options, layer: index, decoding: false };
        let mut cut = None;
        let y = self.weights.model.layers[index].forward(
            input.clone(),
            plan.rotation(kind),
            &pass,
            |heads| {
                let output = leaf(plan.attend(heads.plain(), kind.window, config));
                cut = Some((heads, output.clone()));
                output
            },
        );
        let (heads, output) = cut?;
        let (mut upstream, mut below) = (None, None);
        differentiate(&y, seed, |graph| {
            read(graph);
            upstream = input.grad_remove(graph);
            below = output.grad_remove(graph);
        });
        drop(y);
        let [dq, dk, dv] = attention_gradients(
            heads.plain(),
            &below?,
            plan.blocks(kind.window),
            config.attention(),
        );
        let weighted = |x: Tensor<3>, dx: Tensor<3>| x.mul(dx).sum();
        let sum = weighted(heads.q, dq).add(weighted(heads.k, dk)).add(weighted(heads.v, dv));
        let mut graph = sum.backward();
        read(&mut graph);
        match (upstream, input.grad_remove(&mut graph)) {
            (Some(a), Some(b)) => Some(a.add(b)),
            (a, b) => a.or(b),
        }
    }

    fn collect_layer(&self, index: usize, graph: &mut GraphGradients, gradients: &mut Gradients) {
        let layer = &self.weights.model.layers[index];
        collect(layer, &format!("model.layers.{index}"), graph, gradients);
    }

    fn top(&self, x: Tensor<2>, plan: &ForestPlan, options: &ForwardOptions) -> Top {
        let hidden = self.final_norm(&self.weights, select_rows(x, &plan.rows));
        let vocabulary = self.vocabulary(&self.weights);
        let extras = Extras { entropies: options.entropies, backward: true };
        let scores = vocabulary.score(&hidden.clone().inner(), &plan.targets, extras);
        Top { hidden, vocabulary, scores }
    }

    /// The gradient of the vocabulary projection, if that is trained.
    fn head_gradient(&self, top: &Top, plan: &ForestPlan, weights: Slopes<'_>) -> Gradients {
        let mut gradients = Gradients::new();
        let (matrix, name) = match &self.weights.lm_head {
            Some(head) => (head, "lm_head.weight"),
            None => (&self.weights.model.embed_tokens, "model.embed_tokens.weight"),
        };
        if matrix.weight.is_require_grad() {
            let hidden = top.hidden.clone().inner();
            let gradient =
                top.vocabulary.weight_gradient(&hidden, &top.scores, &plan.targets, weights);
            gradients.add_to(name, flat(gradient));
        }
        gradients
    }
}

impl Top {
    fn hidden_gradient(&self, plan: &ForestPlan, weights: Slopes<'_>) -> Tensor<2> {
        let hidden = self.hidden.clone().inner();
        self.vocabulary.hidden_gradient(&hidden, &self.scores, &plan.targets, weights)
    }
}

/// A pass whose backward function owns the top of the graph and the plan.
fn pass<'m>(
    mut top: Top,
    plan: ForestPlan,
    backward: impl FnOnce(Top, ForestPlan, Slopes<'_>) -> Gradients + 'm,
) -> ForwardPass<'m> {
    let logprobs = std::mem::take(&mut top.scores.logprobs);
    let entropies = std::mem::take(&mut top.scores.entropies);
    let backward = move |logprobs: &[f32], entropies: &[f32]| {
        Ok(backward(top, plan, Slopes { logprobs, entropies }))
    };
    ForwardPass::new(logprobs, entropies, Box::new(backward))
}

/// The derivatives by queries, keys and values, given that by what attention made of them,
/// `[rows, heads * head_dim]`; one block's graph at a time.
fn attention_gradients(
    heads: Heads,
    dy: &Tensor<2>,
    blocks: &[Block],
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
        let alone = Block {
            rows: 0..block.rows.len(),
            keys: 0..block.keys.len(),
            mask: block.mask.clone(),
        };
        let y = fused::attention(q.clone(), k.clone(), v.clone(), &[alone], shape);
        let seed = dy.clone().slice_dim(0, block.rows.clone());
        differentiate(&y, seed, |graph| {
            dq.extend(q.grad_remove(graph));
            for (total, x) in [(&mut dk, &k), (&mut dv, &v)] {
                if let Some(gradient) = x.grad_remove(graph) {
                    let [_, heads, dim] = total.dims();
                    let place = [block.keys.clone(), 0..heads, 0..dim];
                    total.inplace(|total| {
                        let sum = total.clone().slice(place.clone()).add(gradient);
                        total.slice_assign(place, sum)
                    });
                }
            }
        });
    }
    [Tensor::cat(dq, 0), dk, dv]
}

/// Sends `seed = dLoss / dy` down the graph of `y`, if it has one.
fn differentiate(y: &Tensor<2>, seed: Tensor<2>, read: impl FnOnce(&mut GraphGradients)) {
    if y.is_tracked() {
        let mut graph = y.clone().mul(seed).sum().backward();
        read(&mut graph);
    }
}

/// The start of a new graph.
fn leaf(x: Tensor<2>) -> Tensor<2> {
    x.inner().autodiff().require_grad()
}

/// Moves the gradients of a module's parameters under `path` from the graph's to ours.
fn collect<M: Module>(
    module: &M,
    path: &str,
    graph: &mut GraphGradients,
    gradients: &mut Gradients,
) {
    let path = if path.is_empty() { Vec::new() } else { vec![path.to_owned()] };
    module.visit(&mut Collector { path, graph, gradients });
}

struct Collector<'a> {
    path: Vec<String>,
    graph: &'a mut GraphGradients,
    gradients: &'a mut Gradients,
}

impl ModuleVisitor for Collector<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.graph) {
            self.gradients.add_to(self.path.join("."), flat(gradient));
        }
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let length = x.shape().num_elements();
    x.reshape([length])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use serde_json::json;

    use super::*;
    use crate::config::DecoderConfig;
    use crate::mask::BLOCK;
    use crate::vocabulary::floats;

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
        let plan = model.plan(&TokenForest::text(&tokens), &options).unwrap();
        let wave = |scale: f32| -> Tensor<2> {
            let values = (0..tokens.len() * 16).map(|i| (i as f32 * scale).sin()).collect();
            let data = TensorData::new::<f32, _>(values, [tokens.len(), 16]);
            Tensor::from_data(data, &Device::flex())
        };
        for index in 0..2 {
            let (mut whole, mut split) = (Gradients::new(), Gradients::new());
            let input = leaf(wave(0.37));
            let y = model.layer(&model.weights, index, input.clone(), &plan, &options);
            let mut expected = None;
            differentiate(&y, wave(0.11), |graph| {
                model.collect_layer(index, graph, &mut whole);
                expected = input.grad_remove(graph);
            });
            let found = model
                .layer_by_blocks(index, &leaf(wave(0.37)), wave(0.11), &plan, &options, |graph| {
                    model.collect_layer(index, graph, &mut split);
                })
                .unwrap();
            let same = |a: Vec<f32>, b: Vec<f32>| {
                let largest = a.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
                assert!(largest > 0.0 && a.len() == b.len());
                a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5 * largest)
            };
            assert!(same(floats(expected.unwrap()), floats(found)));
            assert_eq!(whole.iter().count(), 11, "norms and projections");
            for (name, gradient) in whole.iter() {
                let other = split.get(name).unwrap_or_else(|| panic!("{name} has no gradient"));
                assert!(same(floats(gradient.clone()), floats(other.clone())), "{name}");
            }
        }
    }
}
