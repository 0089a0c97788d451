//! Parameters of a module by their checkpoint names: listed, read, updated, differentiated, saved.
//!
//! The functions take any burn `Module` whose field names are the checkpoint's, so that a model with
//! heads of its own around a [`Bert`](super::Bert) needs no more than its fields. Of a field that holds
//! an enum, the name is the variant's in lower case.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use bestof_checkpoints::{CheckpointError, StoredType, TensorInfo, WeightsWriter};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use serde_json::Value;

use super::error::BertError;
use crate::causal_lm::ParameterInfo;
use crate::error::ModelError;
use crate::gradients::Gradients;
use crate::vocabulary::floats;

/// The path of a walk through a module.
#[derive(Debug, Default)]
struct ModulePath(Vec<Segment>);

#[derive(Debug)]
struct Segment {
    name: String,
    is_variant: bool,
}

impl ModulePath {
    /// Enters a field of a struct, or a variant of an enum.
    fn enter(&mut self, name: &str, container: &str) {
        let is_variant = container.starts_with("Enum:");
        // A field cannot be called `self`.
        let name = if name == "self_" { "self" } else { name };
        let name = if is_variant { name.to_lowercase() } else { name.to_owned() };
        self.0.push(Segment { name, is_variant });
    }

    fn leave(&mut self) {
        self.0.pop();
    }

    /// The checkpoint's name: fields joined by dots, in which a variant replaces the field of its enum.
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

/// All parameters of `module`, sorted by name.
pub fn all<M: Module>(module: &M) -> Vec<ParameterInfo> {
    let mut listing = Listing::default();
    module.visit(&mut listing);
    listing.sorted()
}

#[derive(Default)]
struct Listing {
    path: ModulePath,
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
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.trainable_only || param.val().is_require_grad() {
            let shape = param.val().dims().to_vec();
            self.found.push(ParameterInfo { name: self.path.name(), shape });
        }
    }
}

/// The values of one parameter, flat and without automatic differentiation.
///
/// # Errors
/// [`ModelError::UnknownParameter`] with the nearest name.
pub fn values<M: Module>(module: &M, name: &str) -> Result<Tensor<1>, ModelError> {
    let mut reading = Reading { path: ModulePath::default(), wanted: name, found: None };
    module.visit(&mut reading);
    reading.found.ok_or_else(|| {
        let suggestion = nearest(name, all(module).into_iter().map(|info| info.name));
        ModelError::UnknownParameter { name: name.to_owned(), suggestion }
    })
}

/// The name with the most segments in common; `None` if no name has any.
fn nearest(wanted: &str, names: impl Iterator<Item = String>) -> Option<String> {
    let shared =
        |name: &str| wanted.split('.').zip(name.split('.')).filter(|(a, b)| a == b).count();
    names.max_by_key(|name| shared(name)).filter(|name| shared(name) > 0)
}

struct Reading<'a> {
    path: ModulePath,
    wanted: &'a str,
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
        if self.found.is_none() && self.path.name() == self.wanted {
            self.found = Some(param.val().without_autodiff().reshape([-1]));
        }
    }
}

/// Takes the gradients of the parameters of `module` out of the result of `loss.backward()`. A parameter
/// that the loss does not depend on has none.
pub fn gradients<M: Module>(module: &M, found: &mut burn::tensor::Gradients) -> Gradients {
    let mut taking = Taking { path: ModulePath::default(), from: found, taken: Gradients::new() };
    module.visit(&mut taking);
    taking.taken
}

struct Taking<'a> {
    path: ModulePath,
    from: &'a mut burn::tensor::Gradients,
    taken: Gradients,
}

impl ModuleVisitor for Taking<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.leave();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.from) {
            self.taken.add_to(self.path.name(), gradient.reshape([-1]));
        }
    }
}

/// Replaces each trainable parameter by the result of `update`, in the order of the names.
///
/// A parameter is passed flat, without automatic differentiation and as the only reference to its values,
/// so that operations can be done in place. `update` must return a tensor of the same length.
pub fn update<M: Module>(module: &mut M, update: &mut dyn FnMut(&str, Tensor<1>) -> Tensor<1>) {
    let mut taking = TakingOut::default();
    // The assignment drops the module's references, so that those taken out are the only ones.
    *module = module.clone().map(&mut taking);
    let mut values = BTreeMap::new();
    for (name, flat) in taking.taken {
        let updated = update(&name, flat);
        values.insert(name, updated);
    }
    let mut putting = PuttingBack { path: ModulePath::default(), values, shapes: taking.shapes };
    *module = module.clone().map(&mut putting);
}

/// Takes out the values of each trainable parameter and leaves a single one.
#[derive(Default)]
struct TakingOut {
    path: ModulePath,
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
    path: ModulePath,
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
    write_config(dir, &config)?;
    Ok(())
}

/// Replaces `config.json` atomically.
fn write_config(dir: &Path, config: &Value) -> Result<(), CheckpointError> {
    let path = dir.join("config.json");
    let beside = dir.join(format!(".config.json.partial-{}", std::process::id()));
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(format!("{config:#}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&beside);
        CheckpointError::Io { action: "write", path: path.clone(), source }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
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
            assert_eq!(floats(values(&model, expected).unwrap()), [3.0, 3.0]);
            assert_eq!(floats(values(&model, "self.weight").unwrap()), [1.0, 1.0]);
        }
    }
}
