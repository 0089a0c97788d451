//! Forward passes with a graph, and the gradients they give.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients as GraphGradients, Tensor};

use super::{Decoder, select_rows};
use crate::causal_lm::{ForwardOptions, ForwardPass};
use crate::error::ModelError;
use crate::forest::TokenForest;
use crate::gradients::Gradients;
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
        let plan = self.plan(forest)?;
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
                let y = self.layer(&self.weights, index, input.clone(), &plan, &options);
                differentiate(&y, seed, |graph| {
                    let layer = &self.weights.model.layers[index];
                    collect(layer, &format!("model.layers.{index}"), graph, &mut gradients);
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
