//! Parameters from a checkpoint, from random initialisation, or from both.

use std::collections::BTreeSet;
use std::f64::consts::TAU;

use bestof_checkpoints::Weights;
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

use crate::error::ModelError;
use bestof_kernels::Random;

/// The initial values of a parameter that is not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Normal with mean 0 and the loader's standard deviation.
    Normal,
    /// Zeros, for biases.
    Zeros,
    /// Ones, for the weights of norms.
    Ones,
    /// Row m holds sin(m / 10000^(2j/width)) and the cosine in its columns 2j and 2j + 1, for tables of
    /// positions. Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
    Sinusoids,
}

/// Parameters that were not in the checkpoint, and tensors of the checkpoint that were not used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Names of parameters that were initialised at random: train them before use.
    pub fresh: Vec<String>,
    /// Names of tensors that the model does not have, such as those of another head.
    pub unused: Vec<String>,
}

/// Random initialisation; each parameter depends on the seed and its own name only.
#[derive(Debug, Clone, Copy)]
struct RandomInit {
    seed: u64,
    deviation: f64,
}

/// Creates parameters by their names in a checkpoint, one tensor at a time in host memory.
#[derive(Debug)]
pub struct Loader<'w> {
    weights: Option<&'w Weights>,
    init: Option<RandomInit>,
    device: Device,
    used: BTreeSet<String>,
    fresh: Vec<String>,
}

impl<'w> Loader<'w> {
    /// A loader that reads every parameter from `weights`.
    pub fn reading(weights: &'w Weights, device: &Device) -> Self {
        let device = device.clone();
        Self {
            weights: Some(weights),
            init: None,
            device,
            used: BTreeSet::new(),
            fresh: Vec::new(),
        }
    }

    /// A loader that initialises every parameter at random: weights are normal with standard
    /// deviation `deviation`.
    pub fn drawing(seed: u64, deviation: f64, device: &Device) -> Self {
        let init = Some(RandomInit { seed, deviation });
        let device = device.clone();
        Self { weights: None, init, device, used: BTreeSet::new(), fresh: Vec::new() }
    }

    /// From now on, parameters that the checkpoint lacks are initialised at random.
    pub fn draw_missing(&mut self, seed: u64, deviation: f64) {
        self.init = Some(RandomInit { seed, deviation });
    }

    /// Whether the checkpoint has this tensor; true for every name without a checkpoint.
    pub fn has(&self, name: &str) -> bool {
        self.weights.is_none_or(|weights| stored_name(weights, name).is_some())
    }

    /// Marks a tensor as used, so that [`LoadReport::unused`] does not name it.
    pub fn mark_used(&mut self, name: &str) {
        self.used.insert(name.to_owned());
    }

    /// The parameter called `name`.
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`], [`ModelError::ShapeMismatch`], or a read that fails.
    pub fn parameter<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        fill: Fill,
    ) -> Result<Param<Tensor<D>>, ModelError> {
        let stored = self.weights.and_then(|weights| Some((weights, stored_name(weights, name)?)));
        let values = match (stored, self.init) {
            (Some((weights, stored)), _) => {
                let found = weights.info(&stored).map_or(&[][..], |info| &info.shape);
                if found != shape {
                    let (found, expected) = (found.to_vec(), shape.to_vec());
                    return Err(ModelError::ShapeMismatch { name: stored, found, expected });
                }
                let values = weights.read_f32(&stored, &shape)?;
                self.used.insert(stored);
                values
            }
            (None, Some(init)) => {
                self.fresh.push(name.to_owned());
                init.values(name, &shape, fill)
            }
            (None, None) => {
                let (name, shape) = (name.to_owned(), shape.to_vec());
                return Err(ModelError::MissingTensor { name, shape });
            }
        };
        let tensor = Tensor::from_data(TensorData::new(values, shape), &self.device);
        Ok(Param::from_tensor(tensor))
    }

    /// The names of the parameters that have been initialised at random so far.
    pub fn fresh(&self) -> &[String] {
        &self.fresh
    }

    /// The tensors of the checkpoint that nothing has read so far, in order of their names; none without
    /// a checkpoint.
    pub fn unused(&self) -> impl Iterator<Item = &str> {
        let infos = self.weights.map_or(&[][..], Weights::infos);
        infos.iter().map(|info| info.name.as_str()).filter(|name| !self.used.contains(*name))
    }

    /// The names of randomly initialised parameters and of unused tensors; both empty without a
    /// checkpoint.
    pub fn finish(self) -> LoadReport {
        if self.weights.is_none() {
            return LoadReport::default();
        }
        let unused = self.unused().map(str::to_owned).collect();
        LoadReport { fresh: self.fresh, unused }
    }
}

impl RandomInit {
    fn values(self, name: &str, shape: &[usize], fill: Fill) -> Vec<f32> {
        let count = shape.iter().product();
        match fill {
            Fill::Zeros => vec![0.0; count],
            Fill::Ones => vec![1.0; count],
            Fill::Sinusoids => {
                let width = shape.last().copied().unwrap_or(1);
                let angle = |at: usize| {
                    let (row, pair) = (at / width, at % width / 2);
                    row as f64 / 10_000_f64.powf(2.0 * pair as f64 / width as f64)
                };
                let even = |at: usize| (at % width).is_multiple_of(2);
                let wave = |at: usize| if even(at) { f64::sin } else { f64::cos };
                (0..count).map(|at| wave(at)(angle(at)) as f32).collect()
            }
            Fill::Normal => {
                let mut keys = vec![self.seed];
                keys.extend(name.bytes().map(u64::from));
                let mut random = Random::keyed(&keys);
                (0..count).map(|_| (self.deviation * normal(&mut random)) as f32).collect()
            }
        }
    }
}

/// A number from the standard normal distribution (Box & Muller 1958).
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * (1.0 - random.uniform()).ln()).sqrt();
    radius * (TAU * random.uniform()).cos()
}

/// The name under which a checkpoint stores a parameter: the same, or for norms `gamma` and `beta`,
/// as in checkpoints converted from TensorFlow.
fn stored_name(weights: &Weights, name: &str) -> Option<String> {
    if weights.contains(name) {
        return Some(name.to_owned());
    }
    let norm = name.strip_suffix("LayerNorm.weight").map(|stem| format!("{stem}LayerNorm.gamma"));
    let old = norm.or_else(|| {
        name.strip_suffix("LayerNorm.bias").map(|stem| format!("{stem}LayerNorm.beta"))
    })?;
    weights.contains(&old).then_some(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_weights_depend_on_seed_and_name_and_have_the_deviation() {
        let values_of = |seed, name: &str| {
            RandomInit { seed, deviation: 0.5 }.values(name, &[20_000], Fill::Normal)
        };
        let values = values_of(1, "a.weight");
        assert_eq!(values, values_of(1, "a.weight"));
        assert_ne!(values, values_of(2, "a.weight"));
        assert_ne!(values, values_of(1, "b.weight"));
        let moment = |power| {
            values.iter().map(|v| f64::from(*v).powi(power)).sum::<f64>() / values.len() as f64
        };
        // Five standard errors of the mean, the variance and the fourth moment, 3 sigma^4.
        assert!(moment(1).abs() < 5.0 * 0.5 / 20_000_f64.sqrt(), "{}", moment(1));
        assert!((moment(2) - 0.25).abs() < 5.0 * 0.25 * (2.0 / 20_000_f64).sqrt(), "{}", moment(2));
        assert!((moment(4) - 0.1875).abs() < 5.0 * 0.0625 * (96.0 / 20_000_f64).sqrt());
    }
}
