//! Layers whose insides are computed again in the backward pass instead of being kept.

use std::sync::Arc;

use bestof_kernels::{AnyTensor, GradientListener, Inputs, heard};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

use crate::block::Pass;
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
        let config = &*self.config;
        let kind = &config.layers[self.index];
        let (rows, options) = (Some(&self.plan.rows), self.options);
        let pass = Pass { config, options, rows, layer: self.index, decoding: false };
        layer.forward(x, self.plan.rotation(kind), &pass, |heads| {
            self.plan.attend(heads, kind.window, config)
        })
    }

    /// The derivatives by `x` and by the layer's parameters, in the order of visits, given that by
    /// the layer's output. `layer` and `x` are leaves of a graph of their own.
    fn gradients(
        &self,
        layer: &Layer,
        x: &Tensor<2>,
        by_output: Tensor<2>,
    ) -> Vec<Option<AnyTensor>> {
        let mut graph = self.forward(layer, x.clone()).mul(by_output).sum().backward();
        let found = vec![x.grad_remove(&mut graph).map(AnyTensor::from)];
        let mut reader = ReadParameters { graph: &mut graph, found };
        layer.visit(&mut reader);
        reader.found
    }
}

/// The layer that begins with the rows `x`, of whose gradients `listener` hears.
pub(super) fn listened(
    layer: &Layer,
    x: &Tensor<2>,
    listener: &Arc<dyn GradientListener>,
) -> Layer {
    layer.clone().map(&mut Heard { x, listener })
}

/// The rows `x` after a layer, of which only `x` is kept for the backward pass. `listener` hears of the layer's
/// gradients.
pub(super) fn recomputed(
    layer: &Layer,
    x: Tensor<2>,
    pass: LayerPass,
    listener: Option<Arc<dyn GradientListener>>,
) -> Tensor<2> {
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
        let gradients = pass.gradients(&layer, &x, by_output);
        if let Some(listener) = listener {
            let of_parameters = gradients[1..].iter();
            layer.visit(&mut Tell { gradients: of_parameters, listener: &*listener });
        }
        gradients
    })
}

struct AddParameters<'a>(&'a mut Inputs);

impl ModuleVisitor for AddParameters<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.add(&param.val());
    }
}

struct Heard<'a> {
    x: &'a Tensor<2>,
    listener: &'a Arc<dyn GradientListener>,
}

impl ModuleMapper for Heard<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let tensor = heard(id, tensor, self.x, self.listener);
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Tells of the gradients of a layer's parameters, which are in the order of visits.
struct Tell<'a> {
    gradients: std::slice::Iter<'a, Option<AnyTensor>>,
    listener: &'a dyn GradientListener,
}

impl ModuleVisitor for Tell<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(Some(gradient)) = self.gradients.next() {
            let gradient = Tensor::<D>::from(gradient.clone());
            self.listener.heard(param.id, gradient.reshape([-1]));
        }
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

struct ReadParameters<'a> {
    graph: &'a mut Gradients,
    found: Vec<Option<AnyTensor>>,
}

impl ModuleVisitor for ReadParameters<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push(param.val().grad_remove(self.graph).map(AnyTensor::from));
    }
}

/// The start of a new graph.
fn leaf(x: Tensor<2>) -> Tensor<2> {
    x.inner().autodiff().require_grad()
}
