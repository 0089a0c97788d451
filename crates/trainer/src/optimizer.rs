//! `AdamW` with its state by parameter name, so that a checkpoint can hold and restore it exactly.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bestof_models::{Gradients, Trainable};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::config::TrainSection;
use crate::error::TrainError;

/// Elements handled by one task of the fused host loop; every element is computed alone, so neither this
/// nor the number of threads changes a result.
const CHUNK: usize = 16_384;

/// Hyper-parameters of [`AdamW`]; the learning rate comes with every step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the gradient's mean.
    pub beta1: f64,
    /// Decay of the gradient's square.
    pub beta2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Decoupled decay of weights of rank 2 and more; norms and biases are left alone.
    pub weight_decay: f64,
}

impl From<&TrainSection> for AdamWConfig {
    fn from(train: &TrainSection) -> Self {
        Self {
            beta1: train.adam_beta1,
            beta2: train.adam_beta2,
            epsilon: train.adam_epsilon,
            weight_decay: train.weight_decay,
        }
    }
}

/// `AdamW` (Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2), with the bias corrections of `torch.optim.AdamW`.
///
/// For each parameter `p` with gradient `g`, at its step `t` counted from 1:
/// ```text
/// p ← p (1 - lr · decay)                        (rank 2 and more only)
/// m ← β1 m + (1 - β1) g        v ← β2 v + (1 - β2) g²
/// p ← p - lr / (1 - β1^t) · m / (√v / √(1 - β2^t) + ε)
/// ```
///
/// # Numerics
/// On the CPU one fused pass reads and writes each array once, in f32; the scalars are computed in f64.
/// On other devices the same formula runs as tensor operations.
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    step: u64,
    moments: BTreeMap<String, Moments>,
}

/// The two running means of one parameter.
#[derive(Debug, Clone)]
enum Moments {
    Host { mean: Vec<f32>, square: Vec<f32> },
    Device(Box<DeviceMoments>),
}

#[derive(Debug, Clone)]
struct DeviceMoments {
    mean: Tensor<1>,
    square: Tensor<1>,
}

impl Moments {
    fn zeros(len: usize, device: &Device) -> Self {
        if is_host(device) {
            Self::Host { mean: vec![0.0; len], square: vec![0.0; len] }
        } else {
            let zeros = || Tensor::zeros([len], device);
            Self::Device(Box::new(DeviceMoments { mean: zeros(), square: zeros() }))
        }
    }

    fn from_host(mean: Vec<f32>, square: Vec<f32>, device: &Device) -> Self {
        if is_host(device) {
            Self::Host { mean, square }
        } else {
            let upload = |values: Vec<f32>| {
                let len = values.len();
                Tensor::from_data(TensorData::new(values, [len]), device)
            };
            Self::Device(Box::new(DeviceMoments { mean: upload(mean), square: upload(square) }))
        }
    }
}

/// Whether tensors of this device live in memory the host can work on directly.
fn is_host(device: &Device) -> bool {
    #[cfg(feature = "cpu")]
    return device.clone().inner() == Device::flex();
    #[cfg(not(feature = "cpu"))]
    return false;
}

/// The scalars of one update, ready for the inner loop.
#[derive(Debug, Clone, Copy)]
struct Update {
    gradient_scale: f32,
    keep: f32,
    beta1: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    step_size: f32,
    root_correction: f32,
    epsilon: f32,
}

impl AdamW {
    /// An optimiser that has made no step.
    pub fn new(config: AdamWConfig) -> Self {
        Self { config, step: 0, moments: BTreeMap::new() }
    }

    /// Number of steps made.
    pub fn step_count(&self) -> u64 {
        self.step
    }

    /// One step on every parameter that has a gradient, each multiplied by `gradient_scale` first.
    ///
    /// The scale is where clipping happens: it costs no pass of its own.
    pub fn step<M: Trainable + ?Sized>(
        &mut self,
        model: &mut M,
        gradients: Gradients,
        learning_rate: f64,
        gradient_scale: f64,
    ) {
        self.step_by_name(model, gradients, &|_| learning_rate, gradient_scale);
    }

    /// The same with a learning rate for each parameter, by its name.
    pub fn step_by_name<M: Trainable + ?Sized>(
        &mut self,
        model: &mut M,
        mut gradients: Gradients,
        learning_rate: &dyn Fn(&str) -> f64,
        gradient_scale: f64,
    ) {
        self.step += 1;
        let decayed: BTreeMap<String, bool> = model
            .trainable_parameters()
            .into_iter()
            .map(|info| (info.name, info.shape.len() >= 2))
            .collect();
        model.update_parameters(&mut |name, parameter| {
            let Some(gradient) = gradients.remove(name) else { return parameter };
            let decay = decayed.get(name).copied().unwrap_or(false);
            let update = self.update(learning_rate(name), gradient_scale, decay);
            let device = parameter.device();
            let len = parameter.dims()[0];
            let moments =
                self.moments.entry(name.to_owned()).or_insert_with(|| Moments::zeros(len, &device));
            apply(parameter, gradient, moments, update, &device)
        });
    }

    fn update(&self, learning_rate: f64, gradient_scale: f64, decay: bool) -> Update {
        let AdamWConfig { beta1, beta2, epsilon, weight_decay } = self.config;
        let steps = i32::try_from(self.step).unwrap_or(i32::MAX);
        let decay = if decay { weight_decay } else { 0.0 };
        Update {
            gradient_scale: gradient_scale as f32,
            keep: (1.0 - learning_rate * decay) as f32,
            beta1: beta1 as f32,
            one_minus_beta1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
            step_size: (learning_rate / (1.0 - beta1.powi(steps))) as f32,
            root_correction: (1.0 - beta2.powi(steps)).sqrt() as f32,
            epsilon: epsilon as f32,
        }
    }

    /// Names, sorted, with the two running means: what a checkpoint stores.
    pub fn state(&self) -> impl Iterator<Item = OptimizerState<'_>> {
        self.moments.iter().map(|(name, moments)| match moments {
            Moments::Host { mean, square } => OptimizerState {
                name,
                mean: Cow::Borrowed(mean.as_slice()),
                square: Cow::Borrowed(square.as_slice()),
            },
            Moments::Device(moments) => OptimizerState {
                name,
                mean: Cow::Owned(download(&moments.mean)),
                square: Cow::Owned(download(&moments.square)),
            },
        })
    }

    /// Puts back a state that [`AdamW::state`] gave, at its number of steps.
    pub fn restore(
        &mut self,
        step: u64,
        state: impl IntoIterator<Item = (String, Vec<f32>, Vec<f32>)>,
        device: &Device,
    ) {
        self.step = step;
        self.moments = state
            .into_iter()
            .map(|(name, mean, square)| (name, Moments::from_host(mean, square, device)))
            .collect();
    }
}

/// The running means of one parameter.
#[derive(Debug, Clone)]
pub struct OptimizerState<'a> {
    /// Parameter name.
    pub name: &'a str,
    /// Running mean of the gradient.
    pub mean: Cow<'a, [f32]>,
    /// Running mean of its square.
    pub square: Cow<'a, [f32]>,
}

fn download(tensor: &Tensor<1>) -> Vec<f32> {
    tensor.to_data().iter::<f32>().collect()
}

fn apply(
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    moments: &mut Moments,
    update: Update,
    device: &Device,
) -> Tensor<1> {
    match moments {
        Moments::Host { mean, square } => {
            let mut values = parameter.into_data();
            let gradient = gradient.into_data();
            let p = values.as_mut_slice::<f32>().expect("parameters are f32");
            let g = gradient.as_slice::<f32>().expect("gradients have their parameter's type");
            assert_eq!(p.len(), g.len(), "a gradient has the length of its parameter");
            update.run(p, g, mean, square);
            Tensor::from_data(values, device)
        }
        Moments::Device(moments) => update.run_on_device(parameter, gradient, moments),
    }
}

impl Update {
    /// The fused loop over host memory.
    fn run(self, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        let u = self;
        p.par_chunks_mut(CHUNK)
            .zip(g.par_chunks(CHUNK))
            .zip(m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK)))
            .for_each(|((p, g), (m, v))| {
                for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
                    let g = g * u.gradient_scale;
                    *m = u.beta1 * *m + u.one_minus_beta1 * g;
                    *v = u.beta2 * *v + u.one_minus_beta2 * (g * g);
                    let denominator = v.sqrt() / u.root_correction + u.epsilon;
                    *p = *p * u.keep - u.step_size * (*m / denominator);
                }
            });
    }

    /// The same formula as tensor operations.
    fn run_on_device(self, p: Tensor<1>, g: Tensor<1>, moments: &mut DeviceMoments) -> Tensor<1> {
        let g = g * self.gradient_scale;
        let m = moments.mean.clone() * self.beta1 + g.clone() * self.one_minus_beta1;
        let v = moments.square.clone() * self.beta2 + (g.clone() * g) * self.one_minus_beta2;
        moments.mean = m.clone();
        moments.square = v.clone();
        let denominator = v.sqrt() / self.root_correction + self.epsilon;
        p * self.keep - (m / denominator) * self.step_size
    }
}

/// What global-norm clipping multiplies all gradients by: `min(1, max / (norm + 1e-6))`, as torch's
/// `clip_grad_norm_`. A `max_norm` of 0 switches clipping off.
///
/// ```
/// use bestof_trainer::optimizer::clip_factor;
///
/// assert_eq!(clip_factor(0.5, 1.0), 1.0);
/// assert_eq!(clip_factor(3.0, 0.0), 1.0);
/// assert!((clip_factor(4.0, 1.0) - 0.25).abs() < 1e-6);
/// ```
pub fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    if max_norm <= 0.0 { 1.0 } else { (max_norm / (norm + 1e-6)).min(1.0) }
}

/// The Euclidean norm of all gradients together, summed in f64 in the order of the names.
///
/// # Errors
/// [`TrainError::GradientNotFinite`] naming the first parameter whose gradient is NaN or infinite.
pub fn gradient_norm(gradients: &Gradients) -> Result<f64, TrainError> {
    let mut total = 0.0;
    for (name, gradient) in gradients.iter() {
        let mut square = gradient.clone().dot(gradient.clone()).into_scalar::<f64>();
        if !square.is_finite() {
            // Squares beyond f32 are no reason to stop.
            square = gradient.to_data().iter::<f32>().map(|x| f64::from(x).powi(2)).sum();
        }
        if !square.is_finite() {
            return Err(TrainError::GradientNotFinite { parameter: name.to_owned() });
        }
        total += square;
    }
    Ok(total.sqrt())
}

#[cfg(test)]
mod tests;
