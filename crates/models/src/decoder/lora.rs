//! Low-rank adapters on the linear layers of a decoder.

use std::collections::BTreeMap;

use bestof_kernels::Random;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::build::parameter;
use super::lora_config::{LoraConfig, ModuleNames, PROJECTIONS};
use super::lora_modules::LoraModules;
use super::model::Decoder;
use super::names::TensorNames;
use super::trained_whole::{EMBEDDINGS, HEAD};
use crate::block::layer::Layer;
use crate::block::projection::{LoraFactor, Projection};
use crate::error::ModelError;
use crate::parameters;

impl Decoder {
    /// Attaches adapters, and freezes everything else but the modules to save. The first factor is
    /// drawn as PEFT draws it, `A ~ U(-1/sqrt(in), 1/sqrt(in))` (Kaiming with slope `sqrt(5)`), the
    /// second is zero, magnitudes are the norms of the weight's rows: the model computes what it did
    /// before.
    ///
    /// # Errors
    /// A setting out of range or without effect, or adapters that are there already.
    pub fn attach_lora(&mut self, config: &LoraConfig) -> Result<(), ModelError> {
        config.validate()?;
        let modules = LoraModules::new(config)?;
        modules.check_used(&self.module_names(self.names))?;
        self.attach(&modules, self.names)
    }

    /// The same with valid settings, for modules that may go by other names than in the model's
    /// checkpoint; not every name of the settings need mean one.
    pub(super) fn attach(
        &mut self,
        modules: &LoraModules<'_>,
        names: TensorNames,
    ) -> Result<(), ModelError> {
        if self.lora.is_some() {
            return Err(ModelError::Adapters {
                found: "adapters are attached already",
                fix: "detach them first",
            });
        }
        let config = modules.config();
        let trains = |parameter: &str| modules.saves(&names.in_checkpoint(parameter));
        let mut fresh = self.clone();
        if fresh.config().tied_embeddings && (trains(EMBEDDINGS) || trains(HEAD)) {
            fresh.untie();
        }
        fresh.widen(&trains);
        let whole: Vec<String> = parameters::all(&fresh)
            .into_iter()
            .map(|info| info.name)
            .filter(|name| trains(name))
            .collect();
        let device = fresh.device();
        fresh.keep_base(whole.iter().cloned())?;
        fresh = parameters::train_only(fresh, &|name| whole.iter().any(|whole| whole == name));
        for (index, layer) in fresh.model.layers.iter_mut().enumerate() {
            for (slot, path, projection) in projections_mut(layer) {
                let name = names.in_checkpoint(&format!("model.layers.{index}.{path}"));
                if modules.targets(&name)? {
                    let rank_and_alpha = modules.rank_and_alpha(&name)?;
                    check_rank(rank_and_alpha.0, projection, &name)?;
                    let keys = [config.seed, index as u64, slot as u64];
                    adapt(projection, config, rank_and_alpha, &keys, &device);
                }
            }
        }
        fresh.adapter_names = names;
        fresh.lora = Some(config.clone());
        *self = fresh;
        Ok(())
    }

    /// The adapters' settings, if any are attached.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.lora.as_ref()
    }

    /// Puts the adapters into the weights: the same numbers without their cost. They stay
    /// attached, and the weights without them in memory, so that [`Decoder::unmerge_lora`] can take
    /// them out.
    ///
    /// # Errors
    /// No adapters, or merged ones.
    pub fn merge_lora(&mut self) -> Result<(), ModelError> {
        self.check_merged(false, "the adapters are merged already")?;
        let (mut unmerged, device) = (BTreeMap::new(), self.device());
        for (index, layer) in self.model.layers.iter_mut().enumerate() {
            for (_, path, projection) in projections_mut(layer) {
                if projection.lora_A.is_none() {
                    continue;
                }
                let path = format!("model.layers.{index}.{path}");
                let (weight, bias) = (projection.merged_weight(), projection.merged_bias());
                unmerged.insert(path, (projection.weight.clone(), projection.bias.clone()));
                projection.weight.set(weight, &device);
                match (&mut projection.bias, bias) {
                    (Some(old), Some(bias)) => put(old, bias),
                    (old, bias) => *old = bias.map(|bias| placed(bias, &device)),
                }
            }
        }
        (self.unmerged, self.merged) = (unmerged, true);
        Ok(())
    }

    /// Takes the adapters out of the weights again: they are what they were, to the last bit.
    ///
    /// # Errors
    /// No merged adapters.
    pub fn unmerge_lora(&mut self) -> Result<(), ModelError> {
        self.check_merged(true, "the adapters are not merged")?;
        let mut unmerged = std::mem::take(&mut self.unmerged);
        let traced = self.device().is_autodiff();
        for (index, layer) in self.model.layers.iter_mut().enumerate() {
            for (_, path, projection) in projections_mut(layer) {
                let old = unmerged.remove(&format!("model.layers.{index}.{path}"));
                if let Some((weight, bias)) = old {
                    // The model may have been made one without automatic differentiation meanwhile.
                    (projection.weight, projection.bias) =
                        if traced { (weight, bias) } else { (weight.valid(), bias.valid()) };
                }
            }
        }
        self.merged = false;
        Ok(())
    }

    /// Drops the adapters. Merged ones stay in the weights, with the modules that were trained
    /// whole; otherwise the model is its base again. Everything is trained from now on.
    pub fn detach_lora(&mut self) {
        for layer in &mut self.model.layers {
            for (_, _, projection) in projections_mut(layer) {
                projection.drop_adapter();
            }
        }
        if self.merged {
            self.base.clear();
        } else {
            self.restore_base();
        }
        self.unmerged.clear();
        (self.lora, self.merged) = (None, false);
        *self = self.clone().set_require_grad(true);
    }

    fn check_merged(&self, wanted: bool, otherwise: &'static str) -> Result<(), ModelError> {
        let found = match &self.lora {
            None => "no adapters are attached",
            Some(_) if self.merged != wanted => otherwise,
            Some(_) => return Ok(()),
        };
        Err(ModelError::Adapters { found, fix: "check the order of the calls" })
    }

    /// The linear layer at a path such as `model.layers.3.mlp.up_proj`.
    pub(super) fn projection(&self, path: &str) -> Option<&Projection> {
        let (layer, path) = path.strip_prefix("model.layers.")?.split_once('.')?;
        let layer = self.model.layers.get(layer.parse::<usize>().ok()?)?;
        projections(layer).find(|(p, _)| *p == path).map(|(_, projection)| projection)
    }

    /// The targets of adapters, those of `all-linear` by the names that the model has for them.
    pub(super) fn spelled_targets(&self, targets: &ModuleNames) -> ModuleNames {
        match self.model.layers.first() {
            Some(layer) if targets.are_all_linear() => {
                let ends = projections(layer).filter_map(|(path, _)| path.rsplit('.').next());
                ends.map(str::to_owned).collect::<Vec<_>>().into()
            }
            _ => targets.clone(),
        }
    }

    /// The modules that hold parameters, and those around them, as a checkpoint names them.
    pub(super) fn module_names(&self, names: TensorNames) -> Vec<String> {
        let mut modules: Vec<String> = vec![names.in_checkpoint("lm_head.")];
        modules[0].pop();
        for info in self.tensors() {
            let mut name = names.in_checkpoint(&info.name);
            while let Some(at) = name.rfind('.') {
                name.truncate(at);
                modules.push(name.clone());
            }
        }
        modules.sort();
        modules.dedup();
        modules
    }
}

/// Refuses a rank beyond what a layer's weight can have, and so factors larger than the weight.
fn check_rank(r: usize, projection: &Projection, name: &str) -> Result<(), ModelError> {
    let [out, inputs] = projection.weight.dims();
    if r <= out.max(inputs) {
        return Ok(());
    }
    Err(ModelError::InvalidLora {
        setting: "r".to_owned(),
        found: format!("{r} for `{name}`, which has {inputs} inputs and {out} outputs"),
        expected: "at most the larger of the two",
    })
}

/// Gives a linear layer a fresh adapter.
fn adapt(
    projection: &mut Projection,
    config: &LoraConfig,
    (r, alpha): (usize, f64),
    keys: &[u64],
    device: &Device,
) {
    let [out, inputs] = projection.weight.dims();
    let a = parameter(first_factor(r, inputs, keys), [r, inputs], device);
    let b = parameter(vec![0.0; out * r], [out, r], device);
    let bias = config.bias.then(|| parameter(vec![0.0; out], [out], device));
    if config.dora {
        let magnitudes = placed(projection.adapted_norms(), device);
        projection.lora_magnitude_vector = Some(magnitudes);
    }
    projection.lora_A = Some(LoraFactor { weight: a, bias: None });
    projection.lora_B = Some(LoraFactor { weight: b, bias });
    projection.lora_scale = config.scale(r, alpha);
    projection.lora_dropout = config.dropout;
}

/// A parameter of its own, on a device that says whether there is automatic differentiation.
fn placed<const D: usize>(values: Tensor<D>, device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(if device.is_autodiff() { values.autodiff() } else { values })
}

/// Puts values into a parameter that stays as it is otherwise.
fn put<const D: usize>(parameter: &mut Param<Tensor<D>>, values: Tensor<D>) {
    *parameter =
        parameter.clone().map(|old| if old.is_autodiff() { values.autodiff() } else { values });
}

/// `U(-1/sqrt(in), 1/sqrt(in))`, `[r, in]`.
fn first_factor(r: usize, inputs: usize, keys: &[u64]) -> Vec<f32> {
    let mut random = Random::keyed(keys);
    let bound = (inputs as f64).sqrt().recip();
    (0..r * inputs).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect()
}

/// The linear layers that a decoder layer has, with their paths.
pub(super) fn projections(layer: &Layer) -> impl Iterator<Item = (&'static str, &Projection)> {
    let (attn, mlp) = (&layer.self_attn, &layer.mlp);
    let all = [
        attn.q_proj.as_ref(),
        attn.k_proj.as_ref(),
        attn.v_proj.as_ref(),
        Some(&attn.o_proj),
        mlp.gate_proj.as_ref(),
        mlp.up_proj.as_ref(),
        Some(&mlp.down_proj),
        attn.qkv_proj.as_ref(),
        mlp.gate_up_proj.as_ref(),
    ];
    PROJECTIONS.into_iter().zip(all).filter_map(|(path, layer)| Some((path, layer?)))
}

pub(super) fn projections_mut(
    layer: &mut Layer,
) -> impl Iterator<Item = (usize, &'static str, &mut Projection)> {
    let (attn, mlp) = (&mut layer.self_attn, &mut layer.mlp);
    let all = [
        attn.q_proj.as_mut(),
        attn.k_proj.as_mut(),
        attn.v_proj.as_mut(),
        Some(&mut attn.o_proj),
        mlp.gate_proj.as_mut(),
        mlp.up_proj.as_mut(),
        Some(&mut mlp.down_proj),
        attn.qkv_proj.as_mut(),
        mlp.gate_up_proj.as_mut(),
    ];
    let named = PROJECTIONS.into_iter().zip(all).enumerate();
    named.filter_map(|(slot, (path, layer))| Some((slot, path, layer?)))
}
