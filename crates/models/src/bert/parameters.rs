//! Parameters of a module by their checkpoint names: listed, read, updated, differentiated, saved.
//!
//! The functions take any burn `Module` whose field names are the checkpoint's, so that a model
//! with heads of its own around a [`Bert`](super::Bert) needs no more than its fields.

use std::collections::BTreeMap;
use std::path::Path;

use bestof_checkpoints::{CheckpointError, StoredType, TensorInfo, WeightsWriter};
use bestof_files::write_file;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use serde_json::Value;

use super::encoder::Bert;
use super::error::BertError;
use super::heads::{BertForMaskedLm, BertForSequenceClassification};
use crate::causal_lm::{ParameterInfo, Trainable};
use crate::error::ModelError;
use crate::gradients::Gradients;
use crate::vocabulary::floats;

/// Where a walk through a module is.
#[derive(Debug, Default)]
struct Place(Vec<String>);

impl Place {
    fn enter(&mut self, field: &str) {
        // `self` cannot be a field's name.
        self.0.push(if field == "self_" { "self" } else { field }.to_owned());
    }

    fn leave(&mut self) {
        self.0.pop();
    }

    fn name(&self) -> String {
        self.0.join(".")
    }
}

/// The parameters of `module` that gradients are computed for, sorted by name.
pub fn trainable<M: Module>(module: &M) -> Vec<ParameterInfo> {
    let mut listing = Listing { trainable_only: true, ..Listing::default() };
    module.visit(&mut listing);
    listing.sorted()
}

/// All parameters of `module`, sorted by name.
pub fn all<M: Module>(module: &M) -> Vec<ParameterInfo> {
    let mut listing = Listing::default();
    module.visit(&mut listing);
    listing.sorted()
}

#[derive(Default)]
struct Listing {
    place: Place,
    trainable_only: bool,
    found: Vec<ParameterInfo>,
}

impl Listing {
    fn sorted(mut self) -> Vec<ParameterInfo> {
        self.found.sort_by(|a, b| a.name.cmp(&b.name));
        self.found
    }
}

impl ModuleVisitor for Listing {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.place.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.trainable_only || param.val().is_require_grad() {
            let shape = param.val().dims().to_vec();
            self.found.push(ParameterInfo { name: self.place.name(), shape });
        }
    }
}

/// The values of one parameter, flat and without automatic differentiation.
///
/// # Errors
/// [`ModelError::UnknownParameter`] with the nearest name.
pub fn values<M: Module>(module: &M, name: &str) -> Result<Tensor<1>, ModelError> {
    let mut reading = Reading { place: Place::default(), wanted: name, found: None };
    module.visit(&mut reading);
    reading.found.ok_or_else(|| {
        let suggestion = nearest(name, all(module).into_iter().map(|info| info.name));
        ModelError::UnknownParameter { name: name.to_owned(), suggestion }
    })
}

/// The name with the most words at the same places.
fn nearest(wanted: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let shared =
        |name: &str| wanted.split('.').zip(name.split('.')).filter(|(a, b)| a == b).count();
    names.max_by_key(|name| shared(name)).filter(|name| shared(name) > 0)
}

struct Reading<'a> {
    place: Place,
    wanted: &'a str,
    found: Option<Tensor<1>>,
}

impl ModuleVisitor for Reading<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.place.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.found.is_none() && self.place.name() == self.wanted {
            self.found = Some(param.val().without_autodiff().reshape([-1]));
        }
    }
}

/// The gradients of the parameters of `module`, taken out of what `loss.backward()` returned. A
/// parameter that the loss does not depend on has none.
pub fn gradients<M: Module>(module: &M, found: &mut burn::tensor::Gradients) -> Gradients {
    let mut taking = Taking { place: Place::default(), from: found, taken: Gradients::new() };
    module.visit(&mut taking);
    taking.taken
}

struct Taking<'a> {
    place: Place,
    from: &'a mut burn::tensor::Gradients,
    taken: Gradients,
}

impl ModuleVisitor for Taking<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.place.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.from) {
            self.taken.add_to(self.place.name(), gradient.reshape([-1]));
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
    let mut putting = PuttingBack { place: Place::default(), values, shapes: taking.shapes };
    *module = module.clone().map(&mut putting);
}

/// Leaves a single value in the place of each trainable parameter.
#[derive(Default)]
struct TakingOut {
    place: Place,
    taken: BTreeMap<String, Tensor<1>>,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl ModuleMapper for TakingOut {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.place.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let (id, tensor, mapper) = param.consume();
        let name = self.place.name();
        self.shapes.insert(name.clone(), tensor.dims().to_vec());
        let left = Tensor::zeros([1; D], &tensor.device().without_autodiff());
        self.taken.insert(name, tensor.without_autodiff().reshape([-1]));
        Param::from_mapped_value(id, left, mapper)
    }
}

struct PuttingBack {
    place: Place,
    values: BTreeMap<String, Tensor<1>>,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl ModuleMapper for PuttingBack {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.place.enter(name);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.leave();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.place.name();
        let (Some(flat), Some(shape)) = (self.values.remove(&name), self.shapes.get(&name)) else {
            return param;
        };
        let (id, _, mapper) = param.consume();
        let shape: [usize; D] = std::array::from_fn(|axis| shape[axis]);
        let tensor = flat.reshape(shape).autodiff().require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// Lets an optimiser reach the parameters of a module whose field names are the checkpoint's.
macro_rules! trainable_by_path {
    ($($model:ty),*) => {
        $(impl Trainable for $model {
            fn trainable_parameters(&self) -> Vec<ParameterInfo> {
                trainable(self)
            }

            fn update_parameters(&mut self, apply: &mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>) {
                update(self, apply);
            }

            fn parameter(&self, name: &str) -> Result<Tensor<1>, ModelError> {
                values(self, name)
            }
        })*
    };
}

trainable_by_path!(Bert, BertForSequenceClassification, BertForMaskedLm);

/// Writes the parameters of `module`, sorted by name, one in memory at a time, and `config` as
/// `config.json` into `dir`, which is created.
///
/// # Errors
/// A file cannot be written.
pub fn save<M: Module>(
    module: &M,
    config: &Value,
    dir: &Path,
    dtype: StoredType,
) -> Result<(), BertError> {
    let infos = all(module)
        .into_iter()
        .map(|ParameterInfo { name, shape }| TensorInfo { name, dtype, shape })
        .collect::<Vec<_>>();
    let mut writer = WeightsWriter::create(dir, infos.clone(), None)?;
    for TensorInfo { name, .. } in &infos {
        writer.push(name, &floats(values(module, name)?))?;
    }
    writer.finish()?;
    let mut config = config.clone();
    if let (Some(fields), Some(dtype)) = (config.as_object_mut(), dtype.torch_name()) {
        fields.remove("torch_dtype");
        fields.insert("dtype".into(), dtype.into());
    }
    let text = format!("{config:#}\n");
    write_file(&dir.join("config.json"), text.as_bytes()).map_err(CheckpointError::from)?;
    Ok(())
}
