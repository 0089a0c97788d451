//! What training, scoring and sampling ask of a language model.

use std::fmt;
use std::ops::ControlFlow;

use burn::tensor::Tensor;

use crate::error::ModelError;
use crate::forest::TokenForest;
use crate::gradients::Gradients;
use crate::sampling::{Generation, NewToken, Request, SamplingConfig};

/// How a forward pass is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardOptions {
    /// Whether attached LoRA adapters take part. Without them the model is the one before
    /// training: the reference of a preference loss needs no second copy.
    pub adapters: bool,
    /// Seed of the LoRA dropout masks; `None` is evaluation, without dropout.
    pub dropout_seed: Option<u64>,
    /// Whether the backward pass computes each layer again instead of keeping what is inside it:
    /// the same gradients from a fraction of the memory, for about a third more time.
    pub checkpoint_layers: bool,
    /// Whether the entropy of each wanted token's distribution is computed too.
    pub entropies: bool,
}

impl Default for ForwardOptions {
    /// Adapters on, no dropout, nothing computed twice, no entropies.
    fn default() -> Self {
        Self { adapters: true, dropout_seed: None, checkpoint_layers: false, entropies: false }
    }
}

impl ForwardOptions {
    /// The model without its adapters: the reference under LoRA.
    pub fn reference() -> Self {
        Self { adapters: false, ..Self::default() }
    }
}

/// What runs the backward pass: derivatives by each wanted log-probability and by each entropy
/// (an empty list for none) in, gradients out.
pub type BackwardFn<'m> = Box<dyn FnOnce(&[f32], &[f32]) -> Result<Gradients, ModelError> + 'm>;

/// Log-probabilities of a forest, and the graph that made them.
pub struct ForwardPass<'m> {
    logprobs: Vec<f32>,
    entropies: Vec<f32>,
    backward: BackwardFn<'m>,
}

impl<'m> ForwardPass<'m> {
    /// A pass from its results and the function that differentiates it.
    pub fn new(logprobs: Vec<f32>, entropies: Vec<f32>, backward: BackwardFn<'m>) -> Self {
        Self { logprobs, entropies, backward }
    }

    /// The log-probability of each wanted token.
    pub fn logprobs(&self) -> &[f32] {
        &self.logprobs
    }

    /// The entropy in nats of the distribution each wanted token was drawn from; empty unless
    /// [`ForwardOptions::entropies`] asked for it.
    pub fn entropies(&self) -> &[f32] {
        &self.entropies
    }

    /// Gradients of `sum_i weights[i] * logprobs[i]` by the trainable parameters. With
    /// `weights[i] = dLoss / dlogprobs[i]` they are those of the loss.
    ///
    /// # Errors
    /// [`ModelError::WeightCount`] unless there is one weight a wanted token.
    pub fn backward(self, weights: &[f32]) -> Result<Gradients, ModelError> {
        let expected = self.logprobs.len();
        check_count(weights, expected)?;
        (self.backward)(weights, &[])
    }

    /// Gradients of `sum_i weights[i] * logprobs[i] + entropy_weights[i] * entropies[i]`.
    ///
    /// # Errors
    /// [`ModelError::WeightCount`] unless both lists have one weight a wanted token.
    pub fn backward_with_entropies(
        self,
        weights: &[f32],
        entropy_weights: &[f32],
    ) -> Result<Gradients, ModelError> {
        let expected = self.logprobs.len();
        check_count(weights, expected)?;
        check_count(entropy_weights, expected)?;
        (self.backward)(weights, entropy_weights)
    }
}

fn check_count(weights: &[f32], expected: usize) -> Result<(), ModelError> {
    let found = weights.len();
    if found == expected { Ok(()) } else { Err(ModelError::WeightCount { found, expected }) }
}

impl fmt::Debug for ForwardPass<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardPass").field("logprobs", &self.logprobs).finish_non_exhaustive()
    }
}

/// A causal language model: token trees in, log-probabilities of wanted tokens out; prompts in,
/// samples out.
pub trait CausalLm {
    /// The number of tokens the model knows.
    fn vocab_size(&self) -> usize;

    /// The longest sequence the model was made for.
    fn max_positions(&self) -> usize;

    /// The log-probability of each wanted token. Keeps no graph.
    fn logprobs(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<Vec<f32>, ModelError>;

    /// The log-probability of each wanted token, with the graph for the backward pass.
    ///
    /// # Errors
    /// [`ModelError::NotTrainable`] for a model on a device without automatic differentiation.
    fn forward(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<ForwardPass<'_>, ModelError>;

    /// Continuations of the requests' prompts, in the order of requests and samples.
    ///
    /// What is sampled for a request depends on its prompt, its seed, the sample's number and
    /// `config` only, not on the other requests. `on_token` hears of every token as it is
    /// sampled; when it breaks, sampling stops and what there is comes back.
    fn generate(
        &self,
        requests: &[Request],
        config: &SamplingConfig,
        on_token: &mut dyn FnMut(NewToken) -> ControlFlow<()>,
    ) -> Result<Vec<Generation>, ModelError>;
}

/// Name and shape of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterInfo {
    /// The name, as in the checkpoint.
    pub name: String,
    /// The shape.
    pub shape: Vec<usize>,
}

impl ParameterInfo {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the parameter has no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A model whose parameters an optimiser can read and replace by name.
pub trait Trainable {
    /// The parameters that gradients are computed for, sorted by name. With adapters attached
    /// these are the adapters.
    fn trainable_parameters(&self) -> Vec<ParameterInfo>;

    /// Replaces each trainable parameter by what `update` makes of it, in the order of
    /// [`Trainable::trainable_parameters`].
    ///
    /// A parameter is handed over flat, without automatic differentiation and with no other
    /// reference to it, so that in-place operations stay in place. `update` must return a tensor
    /// of the same length.
    fn update_parameters(&mut self, update: &mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>);

    /// The values of a parameter, trainable or not, flat.
    ///
    /// # Errors
    /// [`ModelError::UnknownParameter`] with the nearest name.
    fn parameter(&self, name: &str) -> Result<Tensor<1>, ModelError>;
}
