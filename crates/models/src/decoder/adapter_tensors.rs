//! The tensors of `adapter_model.safetensors`: each is taken once, and none may be left.

use std::collections::{BTreeMap, BTreeSet};

use bestof_checkpoints::Weights;

use super::names::TensorNames;
use crate::error::ModelError;

/// PEFT wraps the model twice.
pub(super) const PREFIX: &str = "base_model.model.";

/// The tensors of a file that nothing has taken yet.
pub(super) struct AdapterTensors<'a> {
    weights: &'a Weights,
    left: BTreeSet<String>,
}

impl<'a> AdapterTensors<'a> {
    pub(super) fn new(weights: &'a Weights) -> Self {
        let left = weights.infos().iter().map(|info| info.name.clone()).collect();
        Self { weights, left }
    }

    /// The names by which most tensors of the file belong to modules of the model: an adapter may
    /// have been trained on the model as another version of transformers names its modules.
    pub(super) fn names(
        &self,
        own: TensorNames,
        modules: impl Fn(TensorNames) -> Vec<String>,
    ) -> TensorNames {
        let (mut best, mut most) = (own, 0);
        for names in own.and_others() {
            let modules: BTreeSet<String> = modules(names).into_iter().collect();
            let fits = self.left.iter().filter(|tensor| {
                let mut module = tensor.strip_prefix(PREFIX).unwrap_or_default();
                while let Some((outer, _)) = module.rsplit_once('.') {
                    // A layer's own name is not enough: it may stand in another half of the model.
                    let telling = outer.contains("_proj") || !outer.contains("layers");
                    if telling && modules.contains(outer) {
                        return true;
                    }
                    module = outer;
                }
                false
            });
            let count = fits.count();
            if count > most {
                (best, most) = (names, count);
            }
        }
        best
    }

    /// The values of the first of these tensors that the file has; the names lack PEFT's prefix.
    ///
    /// # Errors
    /// Another shape, or a value that is not finite.
    pub(super) fn take(
        &mut self,
        names: &[String],
        shape: &[usize],
    ) -> Result<Option<Vec<f32>>, ModelError> {
        let mut stored = names.iter().map(|name| format!("{PREFIX}{name}"));
        let Some(name) = stored.find(|name| self.left.contains(name)) else { return Ok(None) };
        let found = self.shape(&name);
        if found != shape {
            let hint = if name.contains(".lora_") {
                "its rank is `r`, or that of the first entry of `rank_pattern` that matches the module"
            } else {
                "if the vocabulary was resized in training, resize the base's first"
            };
            let problem = format!(
                "has shape {found:?}; the model and adapter_config.json call for {shape:?} ({hint})"
            );
            return Err(ModelError::AdapterTensor { name, problem });
        }
        let values = self.weights.read_f32(&name, shape)?;
        self.left.remove(&name);
        Ok(Some(values))
    }

    /// The same of a tensor that must be there.
    pub(super) fn need(
        &mut self,
        names: &[String],
        shape: &[usize],
    ) -> Result<Vec<f32>, ModelError> {
        self.take(names, shape)?.ok_or_else(|| ModelError::AdapterTensor {
            name: format!("{PREFIX}{}", names.first().map(String::as_str).unwrap_or_default()),
            problem: format!("is missing; adapter_config.json calls for it with shape {shape:?}"),
        })
    }

    /// The shape of a tensor; empty if there is none.
    pub(super) fn shape(&self, stored: &str) -> Vec<usize> {
        self.weights.info(stored).map(|info| info.shape.clone()).unwrap_or_default()
    }

    /// The largest rank of a factor in the file: the smaller of its sides.
    pub(super) fn largest_rank(&self) -> usize {
        let factors = self.weights.infos().iter().filter(|info| info.name.contains(".lora_"));
        factors.filter_map(|info| info.shape.iter().min().copied()).max().unwrap_or(0)
    }

    /// Takes the tensors that are parameters of the model itself, by the parameter's name.
    pub(super) fn take_whole(
        &mut self,
        parameters: &[(String, Vec<usize>)],
        stored: impl Fn(&str) -> Vec<String>,
    ) -> Result<BTreeMap<String, Vec<f32>>, ModelError> {
        let mut taken = BTreeMap::new();
        for (name, shape) in parameters {
            if let Some(values) = self.take(&stored(name), shape)? {
                taken.insert(name.clone(), values);
            }
        }
        Ok(taken)
    }

    /// # Errors
    /// The first tensor that nothing has taken.
    pub(super) fn finish(self) -> Result<(), ModelError> {
        let more = self.left.len().saturating_sub(1);
        let Some(name) = self.left.into_iter().next() else { return Ok(()) };
        let why = if !name.starts_with(PREFIX) {
            format!("does not begin with `{PREFIX}`, as those of PEFT's files do")
        } else if name.ends_with(".lora_B.bias") {
            "is a bias of an adapter, and `lora_bias` is not true".to_owned()
        } else if name.contains(".lora_magnitude_vector") {
            "is a magnitude of DoRA, and `use_dora` is not true".to_owned()
        } else if name.contains(".lora_") {
            "belongs to no module that target_modules, exclude_modules and layers_to_transform leave".to_owned()
        } else {
            "is no parameter of the model, and no part of an adapter on one".to_owned()
        };
        let others = if more > 0 { format!(" ({more} more like it)") } else { String::new() };
        Err(ModelError::AdapterTensor {
            name,
            problem: format!("{why}; it would not be used{others}"),
        })
    }
}
