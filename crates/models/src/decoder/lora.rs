//! Low-rank adapters on the linear layers of a decoder.

use bestof_kernels::Random;
use burn::module::Module;

use super::build::parameter;
use super::lora_config::{LoraConfig, PROJECTIONS};
use super::model::Decoder;
use crate::block::layer::Layer;
use crate::block::projection::{LoraFactor, Projection};
use crate::error::ModelError;

impl Decoder {
    /// Attaches adapters and freezes everything else. The first factor is drawn as PEFT draws it,
    /// `A ~ U(-1/sqrt(in), 1/sqrt(in))` (Kaiming with slope `sqrt(5)`), the second is zero: the
    /// model computes what it did before.
    ///
    /// # Errors
    /// A setting out of range, a target that fits no layer, or adapters that are there already.
    pub fn attach_lora(&mut self, config: LoraConfig) -> Result<(), ModelError> {
        config.validate()?;
        if self.lora.is_some() {
            return Err(ModelError::Adapters {
                found: "adapters are attached already",
                fix: "detach them first",
            });
        }
        self.set_base_trainable(false);
        let device = self.device();
        for (index, layer) in self.model.layers.iter_mut().enumerate() {
            for (slot, path, projection) in projections_mut(layer) {
                if config.targets(path) {
                    let keys = [config.seed, index as u64, slot as u64];
                    let [out, inputs] = projection.weight.dims();
                    let first = first_factor(config.r, inputs, &keys);
                    let a = parameter(first, [config.r, inputs], &device);
                    let b = parameter(vec![0.0; out * config.r], [out, config.r], &device);
                    projection.lora_A = Some(LoraFactor { weight: a });
                    projection.lora_B = Some(LoraFactor { weight: b });
                    projection.lora_scale = config.alpha / config.r as f64;
                    projection.lora_dropout = config.dropout;
                }
            }
        }
        self.lora = Some(config);
        Ok(())
    }

    /// The adapters' settings, if any are attached.
    pub fn lora(&self) -> Option<&LoraConfig> {
        self.lora.as_ref()
    }

    /// Whether the adapters are in the weights.
    pub fn is_merged(&self) -> bool {
        self.merged
    }

    /// Adds the adapters into the weights: the same numbers without their cost. They stay
    /// attached, so that [`Decoder::unmerge_lora`] can take them out.
    ///
    /// # Errors
    /// No adapters, or merged ones.
    pub fn merge_lora(&mut self) -> Result<(), ModelError> {
        self.shift_weights(true)
    }

    /// Takes the adapters out of the weights again.
    ///
    /// # Errors
    /// No merged adapters.
    pub fn unmerge_lora(&mut self) -> Result<(), ModelError> {
        self.shift_weights(false)
    }

    /// Drops the adapters. Merged ones stay in the weights. Everything is trained from now on.
    pub fn detach_lora(&mut self) {
        for layer in &mut self.model.layers {
            for (_, _, projection) in projections_mut(layer) {
                projection.lora_A = None;
                projection.lora_B = None;
            }
        }
        self.lora = None;
        self.merged = false;
        self.set_base_trainable(true);
    }

    fn shift_weights(&mut self, merge: bool) -> Result<(), ModelError> {
        if self.lora.is_none() || self.merged == merge {
            let found = match (&self.lora, merge) {
                (None, _) => "no adapters are attached",
                (Some(_), true) => "the adapters are merged already",
                (Some(_), false) => "the adapters are not merged",
            };
            return Err(ModelError::Adapters { found, fix: "check the order of the calls" });
        }
        for layer in &mut self.model.layers {
            for (_, _, projection) in projections_mut(layer) {
                if let Some(delta) = projection.lora_delta() {
                    let delta = if merge { delta } else { delta.neg() };
                    projection.weight = projection.weight.clone().map(|weight| {
                        let autodiff = weight.is_autodiff();
                        let new = weight.inner().add(delta);
                        if autodiff { new.autodiff() } else { new }
                    });
                }
            }
        }
        self.merged = merge;
        Ok(())
    }

    /// The linear layer at a path such as `model.layers.3.mlp.up_proj`.
    pub(super) fn projection(&self, path: &str) -> Option<&Projection> {
        let (layer, path) = path.strip_prefix("model.layers.")?.split_once('.')?;
        let layer = self.model.layers.get(layer.parse::<usize>().ok()?)?;
        projections(layer).into_iter().find(|(p, _)| *p == path).map(|(_, projection)| projection)
    }

    fn set_base_trainable(&mut self, trainable: bool) {
        self.model = self.model.clone().set_require_grad(trainable);
        self.lm_head = self.lm_head.clone().set_require_grad(trainable);
    }
}

/// `U(-1/sqrt(in), 1/sqrt(in))`, `[r, in]`.
fn first_factor(r: usize, inputs: usize, keys: &[u64]) -> Vec<f32> {
    let mut random = Random::keyed(keys);
    let bound = (inputs as f64).sqrt().recip();
    (0..r * inputs).map(|_| ((2.0 * random.uniform() - 1.0) * bound) as f32).collect()
}

fn projections(layer: &Layer) -> [(&'static str, &Projection); 7] {
    let (attn, mlp) = (&layer.self_attn, &layer.mlp);
    let all = [
        &attn.q_proj,
        &attn.k_proj,
        &attn.v_proj,
        &attn.o_proj,
        &mlp.gate_proj,
        &mlp.up_proj,
        &mlp.down_proj,
    ];
    std::array::from_fn(|slot| (PROJECTIONS[slot], all[slot]))
}

fn projections_mut(
    layer: &mut Layer,
) -> impl Iterator<Item = (usize, &'static str, &mut Projection)> {
    let (attn, mlp) = (&mut layer.self_attn, &mut layer.mlp);
    let all = [
        &mut attn.q_proj,
        &mut attn.k_proj,
        &mut attn.v_proj,
        &mut attn.o_proj,
        &mut mlp.gate_proj,
        &mut mlp.up_proj,
        &mut mlp.down_proj,
    ];
    all.into_iter().enumerate().map(|(slot, projection)| (slot, PROJECTIONS[slot], projection))
}
