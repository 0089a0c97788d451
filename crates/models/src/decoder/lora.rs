//! Low-rank adapters on the linear layers of a decoder.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;

use super::Decoder;
use super::build::parameter;
use crate::block::layer::Layer;
use crate::block::projection::{LoraFactor, Projection};
use crate::error::ModelError;
use crate::random::Random;

/// Which linear layers get an adapter, and of what kind.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// The adapter's rank.
    pub r: usize,
    /// The adapter's output is multiplied by `alpha / r`.
    pub alpha: f64,
    /// The share of inputs an adapter does not see in training.
    pub dropout: f64,
    /// Ends of module names, such as `q_proj`, or `all-linear`.
    pub targets: Vec<String>,
    /// Seed of the first factors.
    pub seed: u64,
}

impl Default for LoraConfig {
    /// Rank 16, alpha 32, no dropout, all linear layers.
    fn default() -> Self {
        let targets = vec![ALL_LINEAR.to_owned()];
        Self { r: 16, alpha: 32.0, dropout: 0.0, targets, seed: 0 }
    }
}

/// Every linear layer but the vocabulary projection.
const ALL_LINEAR: &str = "all-linear";

/// The linear layers of a decoder layer, in its order.
const PROJECTIONS: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

impl LoraConfig {
    fn validate(&self) -> Result<(), ModelError> {
        let refuse =
            |setting, found, expected| Err(ModelError::InvalidLora { setting, found, expected });
        if self.r == 0 {
            return refuse("r", 0.0, "at least 1");
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return refuse("alpha", self.alpha, "a number above 0");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse("dropout", self.dropout, "at least 0, below 1");
        }
        let known = || PROJECTIONS.iter().map(|p| short(p).to_owned()).collect();
        match self.targets.iter().find(|t| !PROJECTIONS.iter().any(|path| fits(t, path))) {
            Some(target) => {
                Err(ModelError::UnknownTarget { target: target.clone(), known: known() })
            }
            None => Ok(()),
        }
    }

    /// The last part of the name of each kind of layer that gets an adapter.
    pub(super) fn target_names(&self) -> Vec<&'static str> {
        PROJECTIONS.iter().filter(|path| self.targets(path)).map(|path| short(path)).collect()
    }

    fn targets(&self, path: &str) -> bool {
        self.targets.iter().any(|target| fits(target, path))
    }
}

/// Whether a target means the linear layer at a path, as PEFT sees it: a whole end of the path.
fn fits(target: &str, path: &str) -> bool {
    target == ALL_LINEAR
        || path.strip_suffix(target).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn short(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

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
                mend: "detach them first",
            });
        }
        self.set_base_trainable(false);
        let device = self.device.clone();
        for (index, layer) in self.weights.model.layers.iter_mut().enumerate() {
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
        for layer in &mut self.weights.model.layers {
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
            return Err(ModelError::Adapters { found, mend: "check the order of the calls" });
        }
        for layer in &mut self.weights.model.layers {
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
        let layer = self.weights.model.layers.get(layer.parse::<usize>().ok()?)?;
        projections(layer).into_iter().find(|(p, _)| *p == path).map(|(_, projection)| projection)
    }

    fn set_base_trainable(&mut self, trainable: bool) {
        let weights = self.weights.clone();
        self.weights = weights.map(&mut SetTrainable { trainable });
    }
}

struct SetTrainable {
    trainable: bool,
}

impl ModuleMapper for SetTrainable {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.set_require_grad(self.trainable)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_whole_ends_of_names() {
        assert!(fits("q_proj", "self_attn.q_proj"));
        assert!(fits("self_attn.q_proj", "self_attn.q_proj"));
        assert!(fits("all-linear", "mlp.up_proj"));
        assert!(!fits("proj", "self_attn.q_proj"));
        assert!(!fits("q_proj", "mlp.up_proj"));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        let check = |config: LoraConfig| config.validate().unwrap_err().to_string();
        assert!(check(LoraConfig { r: 0, ..LoraConfig::default() }).contains("`r`"));
        assert!(check(LoraConfig { dropout: 1.0, ..LoraConfig::default() }).contains("`dropout`"));
        let targets = vec!["query".to_owned()];
        let message = check(LoraConfig { targets, ..LoraConfig::default() });
        assert!(message.contains("`query`") && message.contains("q_proj"), "{message}");
    }
}
