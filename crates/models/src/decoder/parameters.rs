//! Reading and replacing parameters by name.

use bestof_suggest::nearest;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::build::parameter;
use super::{Body, Decoder, DecoderWeights, Matrix};
use crate::block::norm::RmsNorm;
use crate::causal_lm::{ParameterInfo, Trainable};
use crate::error::ModelError;

impl Trainable for Decoder {
    fn trainable_parameters(&self) -> Vec<ParameterInfo> {
        let mut infos = Vec::new();
        self.visit_parameters(|parameter| {
            if parameter.trained {
                infos.push(ParameterInfo {
                    name: parameter.name.to_owned(),
                    shape: parameter.shape.to_vec(),
                });
            }
        });
        infos
    }

    fn update_parameters(&mut self, update: &mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>) {
        self.map_parameters(&mut |name, trained, tensor| {
            if trained { Some(update(name, tensor())) } else { None }
        });
    }

    fn parameter(&self, name: &str) -> Result<Tensor<1>, ModelError> {
        let mut found = None;
        let mut known = Vec::new();
        self.visit_parameters(|parameter| {
            if parameter.name == name {
                found = Some((parameter.value)());
            }
            known.push(parameter.name.to_owned());
        });
        found.ok_or_else(|| ModelError::UnknownParameter {
            name: name.to_owned(),
            suggestion: nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
        })
    }
}

/// A parameter, its value flat and without automatic differentiation.
pub(super) struct Visited<'a> {
    pub(super) name: &'a str,
    pub(super) shape: &'a [usize],
    /// Whether gradients are computed for it.
    pub(super) trained: bool,
    pub(super) value: &'a dyn Fn() -> Tensor<1>,
}

impl Decoder {
    /// Shows every parameter, embeddings first.
    pub(super) fn visit_parameters(&self, visit: impl FnMut(Visited<'_>)) {
        self.weights.visit(&mut Visitor { path: Vec::new(), visit });
    }

    /// Replaces parameters by what `map` gives for name, trained and value, flat; `None` leaves a
    /// parameter alone.
    pub(super) fn map_parameters(&mut self, map: &mut Map<'_>) {
        // The mapper takes parameters by value, so that tensors it hands on have one owner.
        let hollow = self.hollow();
        let weights = std::mem::replace(&mut self.weights, hollow);
        self.weights = weights.map(&mut Mapper { path: Vec::new(), map });
    }

    /// No layers, and matrices of a single value.
    fn hollow(&self) -> DecoderWeights {
        let device = &self.device;
        DecoderWeights {
            model: Body {
                embed_tokens: Matrix { weight: parameter(vec![0.0], [1, 1], device) },
                layers: Vec::new(),
                norm: RmsNorm { weight: parameter(vec![0.0], [1], device) },
            },
            lm_head: None,
        }
    }
}

type Map<'a> = dyn FnMut(&str, bool, &mut dyn FnMut() -> Tensor<1>) -> Option<Tensor<1>> + 'a;

struct Visitor<F> {
    path: Vec<String>,
    visit: F,
}

impl<F: FnMut(Visited<'_>)> ModuleVisitor for Visitor<F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = param.lazy_shape();
        let length = shape.num_elements();
        (self.visit)(Visited {
            name: &self.path.join("."),
            shape: &shape.to_vec(),
            trained: param.is_require_grad(),
            value: &|| param.val().inner().reshape([length]),
        });
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}

struct Mapper<'a, 'b> {
    path: Vec<String>,
    map: &'a mut Map<'b>,
}

impl ModuleMapper for Mapper<'_, '_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = param.is_require_grad();
        let name = self.path.join(".");
        let (id, tensor, mapper) = param.consume();
        let shape: [usize; D] = tensor.dims();
        let autodiff = tensor.is_autodiff();
        let length = tensor.shape().num_elements();
        let mut tensor = Some(tensor);
        let mut take = || -> Tensor<1> {
            tensor.take().map_or_else(
                || unreachable!("the value of a parameter is taken once"),
                |tensor| tensor.inner().reshape([length]),
            )
        };
        let new = (self.map)(&name, trained, &mut take);
        let value = match (new, tensor) {
            (Some(new), _) => {
                let new = new.inner().reshape(shape);
                if autodiff { new.autodiff().set_require_grad(trained) } else { new }
            }
            (None, Some(tensor)) => tensor,
            (None, None) => unreachable!("a parameter that was taken is given back"),
        };
        Param::from_mapped_value(id, value, mapper)
    }

    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
}
