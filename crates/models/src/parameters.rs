//! Parameters of any burn module by name: listed, read, updated.
//!
//! A parameter's name is the path of its fields, `model.layers.0.mlp.up_proj.weight`, which in the
//! models of this crate is its name in the checkpoint. An underscore at the end of a field's name
//! is left out: `self_` stands for `self`, which Rust reserves. A variant of an enum, in lower case,
//! replaces the field that holds the enum.

use std::collections::BTreeMap;

use bestof_suggest::nearest;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::error::ModelError;

/// Name and shape of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterInfo {
    /// The path of its fields, joined by dots.
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

/// The path of the fields that a visitor has entered.
#[derive(Debug, Default)]
struct FieldPath(Vec<Segment>);

#[derive(Debug)]
struct Segment {
    name: String,
    /// Whether it is a variant of an enum, whose name replaces that of the enum's field.
    is_variant: bool,
}

impl FieldPath {
    fn enter(&mut self, name: &str, container: &str) {
        let is_variant = container.starts_with("Enum:");
        let name = name.trim_end_matches('_');
        let name = if is_variant { name.to_lowercase() } else { name.to_owned() };
        self.0.push(Segment { name, is_variant });
    }

    fn leave(&mut self) {
        self.0.pop();
    }

    fn name(&self) -> String {
        let next_is_variant = |index: usize| self.0.get(index + 1).is_some_and(|s| s.is_variant);
        let kept = self.0.iter().enumerate().filter(|(index, _)| !next_is_variant(*index));
        kept.map(|(_, segment)| segment.name.as_str()).collect::<Vec<_>>().join(".")
    }
}

/// The parameters of `module` that gradients are computed for, sorted by name.
pub fn trainable<M: Module>(module: &M) -> Vec<ParameterInfo> {
    let mut listing = Listing { trainable_only: true, ..Listing::default() };
    module.visit(&mut listing);
    listing.sorted()
}

/// The names of the parameters of `module` that gradients are computed for, by burn's ids.
pub fn trainable_ids<M: Module>(module: &M) -> BTreeMap<ParamId, String> {
    let mut listing = Listing { trainable_only: true, ..Listing::default() };
    module.visit(&mut listing);
    listing.ids
}

/// All parameters of `module`, sorted by name.
pub fn all<M: Module>(module: &M) -> Vec<ParameterInfo> {
    let mut listing = Listing::default();
    module.visit(&mut listing);
    listing.sorted()
}

#[derive(Default)]
struct Listing {
    path: FieldPath,
    trainable_only: bool,
    found: Vec<ParameterInfo>,
    ids: BTreeMap<ParamId, String>,
}

impl Listing {
    fn sorted(mut self) -> Vec<ParameterInfo> {
        self.found.sort_by(|a, b| a.name.cmp(&b.name));
        self.found
    }
}

impl ModuleVisitor for Listing {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.trainable_only || param.is_require_grad() {
            let shape = param.lazy_shape().to_vec();
            self.ids.insert(param.id, self.path.name());
            self.found.push(ParameterInfo { name: self.path.name(), shape });
        }
    }
}

/// The values of one parameter, flat and without automatic differentiation.
///
/// # Errors
/// [`ModelError::UnknownParameter`] with the nearest name.
pub fn values<M: Module>(module: &M, name: &str) -> Result<Tensor<1>, ModelError> {
    let mut reading = Reading { path: FieldPath::default(), name, found: None };
    module.visit(&mut reading);
    reading.found.ok_or_else(|| {
        let known = all(module);
        let suggestion = nearest(name, known.iter().map(|info| info.name.as_str()));
        let suggestion = suggestion.map(str::to_owned);
        ModelError::UnknownParameter { name: name.to_owned(), suggestion }
    })
}

/// The gradients of the trainable parameters of `module`, taken out of `gradients`, by name and
/// flat. A parameter that the loss does not depend on has none.
pub fn named_gradients<M: Module>(
    module: &M,
    gradients: GradientsParams,
) -> BTreeMap<String, Tensor<1>> {
    let mut taking = Taking { path: FieldPath::default(), from: gradients, taken: BTreeMap::new() };
    module.visit(&mut taking);
    taking.taken
}

struct Taking {
    path: FieldPath,
    from: GradientsParams,
    taken: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Taking {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            self.taken.insert(self.path.name(), gradient.inner().reshape([-1]));
        }
    }
}

struct Reading<'a> {
    path: FieldPath,
    name: &'a str,
    found: Option<Tensor<1>>,
}

impl ModuleVisitor for Reading<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.found.is_none() && self.path.name() == self.name {
            self.found = Some(param.val().without_autodiff().reshape([-1]));
        }
    }
}

/// Replaces each trainable parameter by what `update` makes of it, sorted by name.
///
/// A parameter is handed over flat, without automatic differentiation and with no other reference
/// to it, so that in-place operations stay in place. `update` must return a tensor of the same
/// length.
pub fn update<M: Module>(module: &mut M, update: &mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>) {
    let mut taking = TakingOut::default();
    // The assignment drops what the module held, so that the values taken are the only ones left.
    *module = module.clone().map(&mut taking);
    let mut values = BTreeMap::new();
    for (name, flat) in taking.taken {
        let updated = update(&name, flat);
        values.insert(name, updated);
    }
    let mut putting = PuttingBack { path: FieldPath::default(), values, shapes: taking.shapes };
    *module = module.clone().map(&mut putting);
}

/// Leaves a single value in place of each trainable parameter.
#[derive(Default)]
struct TakingOut {
    path: FieldPath,
    taken: BTreeMap<String, Tensor<1>>,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl ModuleMapper for TakingOut {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let name = self.path.name();
        self.shapes.insert(name.clone(), tensor.dims().to_vec());
        let left = Tensor::zeros([1; D], &tensor.device().without_autodiff());
        self.taken.insert(name, tensor.without_autodiff().reshape([-1]));
        Param::from_mapped_value(id, left, mapper)
    }
}

struct PuttingBack {
    path: FieldPath,
    values: BTreeMap<String, Tensor<1>>,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl ModuleMapper for PuttingBack {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let (Some(flat), Some(shape)) = (self.values.remove(&name), self.shapes.get(&name)) else {
            return param;
        };
        let (id, _, mapper) = param.consume();
        let shape: [usize; D] = std::array::from_fn(|axis| shape[axis]);
        let tensor = flat.reshape(shape).autodiff().require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Replaces each parameter for which `value` gives values, flat and in row-major order; whether a
/// gradient is computed for it stays as it is.
///
/// # Panics
/// If the number of values is not that of the parameter.
pub fn replace<M: Module>(
    module: M,
    value: &mut dyn FnMut(&str, &[usize]) -> Option<Tensor<1>>,
) -> M {
    module.map(&mut Replacing { path: FieldPath::default(), value })
}

struct Replacing<'a> {
    path: FieldPath,
    value: &'a mut dyn FnMut(&str, &[usize]) -> Option<Tensor<1>>,
}

impl ModuleMapper for Replacing<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape();
        let Some(new) = (self.value)(&self.path.name(), &shape.to_vec()) else { return param };
        let trained = param.is_require_grad();
        let (id, old, mapper) = param.consume();
        let new = new.inner().reshape(old.shape());
        let new = if old.is_autodiff() { new.autodiff().set_require_grad(trained) } else { new };
        Param::from_mapped_value(id, new, mapper)
    }
}

/// Computes gradients for the parameters whose names `trained` says, and for no others.
pub(crate) fn train_only<M: Module>(module: M, trained: &dyn Fn(&str) -> bool) -> M {
    module.map(&mut TrainOnly { path: FieldPath::default(), trained })
}

struct TrainOnly<'a> {
    path: FieldPath,
    trained: &'a dyn Fn(&str) -> bool,
}

impl ModuleMapper for TrainOnly<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let trained = (self.trained)(&self.path.name());
        param.set_require_grad(trained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bestof_kernels::host_values;
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Leaf {
        weight: Param<Tensor<1>>,
    }

    #[derive(Module, Debug)]
    enum Kind {
        First(Leaf),
        Second(Leaf),
    }

    #[derive(Module, Debug)]
    struct Model {
        inner: Kind,
        self_: Leaf,
    }

    #[test]
    fn a_variant_names_the_field_that_holds_it() {
        let device = Device::flex().autodiff();
        let leaf = || Leaf { weight: Param::from_tensor(Tensor::ones([2], &device)) };
        for (inner, expected) in
            [(Kind::First(leaf()), "first.weight"), (Kind::Second(leaf()), "second.weight")]
        {
            let mut model = Model { inner, self_: leaf() };
            let names: Vec<String> = all(&model).into_iter().map(|info| info.name).collect();
            assert_eq!(names, [expected, "self.weight"]);
            update(&mut model, &mut |name, old| {
                if name == expected { old.mul_scalar(3) } else { old }
            });
            assert_eq!(host_values(values(&model, expected).unwrap()), [3.0, 3.0]);
            assert_eq!(host_values(values(&model, "self.weight").unwrap()), [1.0, 1.0]);
        }
    }
}
