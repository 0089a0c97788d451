//! `AdamW` in one pass over memory: as an optimiser of burn's, and with its state by parameter name, so
//! that a checkpoint can hold and restore it exactly.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bestof_kernels::{host_values, is_host};
use bestof_models::parameters;
use burn::module::Module;
use burn::optim::{Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{DType, Device, Tensor, TensorData};
use rayon::prelude::*;
use serde::Serialize;

use crate::gradients::NamedGradients;

/// Elements handled by one task of the fused host loop; every element is computed alone, so neither this
/// nor the number of threads changes a result.
const CHUNK: usize = 16_384;

/// Hyper-parameters of [`AdamW`]; the learning rate comes with every step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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

impl Default for AdamWConfig {
    /// Betas 0.9 and 0.999, epsilon 1e-8, no decay.
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

impl AdamWConfig {
    /// The scalars of the step number `step`, counted from 1.
    fn update(&self, step: u64, learning_rate: f64, gradient_scale: f64, decay: bool) -> Update {
        let &Self { beta1, beta2, epsilon, weight_decay } = self;
        let steps = i32::try_from(step).unwrap_or(i32::MAX);
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
///
/// It is an [`Optimizer`] of burn's, for any module:
///
/// ```
/// use bestof_trainer::optimizer::{AdamW, AdamWConfig};
/// use burn::nn::LinearConfig;
/// use burn::optim::{GradientsParams, ModuleOptimizer};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex().autodiff();
/// let model = LinearConfig::new(4, 1).init(&device);
/// let mut optimizer = ModuleOptimizer::from(AdamW::new(AdamWConfig::default()));
/// let loss = model.forward(Tensor::<2>::ones([3, 4], &device)).sum();
/// let gradients = GradientsParams::from_grads(loss.backward(), &model);
/// let model = optimizer.step(1e-3, model, gradients);
/// ```
#[derive(Debug, Clone)]
pub struct AdamW {
    config: AdamWConfig,
}

/// What [`AdamW`] keeps of a parameter of rank `D`.
#[derive(Debug, Clone)]
pub struct AdamWState<const D: usize> {
    /// Steps made.
    pub time: usize,
    /// Running mean of the gradient.
    pub mean: Tensor<D>,
    /// Running mean of its square.
    pub square: Tensor<D>,
}

impl<const D: usize> RecordState for AdamWState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "time", TensorData::new(vec![self.time as i64], [1]));
        out.push_tensor(prefix, "mean", self.mean.to_data());
        out.push_tensor(prefix, "square", self.square.to_data());
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        let time = source.take_tensor(prefix, "time")?.iter::<i64>().next()?;
        let mut moment = |name: &str| {
            source.take_tensor(prefix, name).map(|data| Tensor::from_data(data, device))
        };
        let (mean, square) = (moment("mean")?, moment("square")?);
        Some(Self { time: usize::try_from(time).ok()?, mean, square })
    }
}

impl AdamW {
    /// The optimiser of these settings.
    pub fn new(config: AdamWConfig) -> Self {
        Self { config }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        let state = state.unwrap_or_else(|| AdamWState {
            time: 0,
            mean: tensor.zeros_like(),
            square: tensor.zeros_like(),
        });
        let time = state.time + 1;
        let update = self.config.update(time as u64, lr, 1.0, D >= 2);
        let shape = tensor.shape();
        let device = tensor.device();
        let flat = |x: Tensor<D>| -> Tensor<1> { x.reshape([-1]) };
        let (tensor, mean, square) =
            update.run_on(flat(tensor), flat(grad), flat(state.mean), flat(state.square), &device);
        let whole = |x: Tensor<1>| x.reshape(shape.clone());
        let state = AdamWState { time, mean: whole(mean), square: whole(square) };
        (whole(tensor), Some(state))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamWState {
            time: state.time,
            mean: state.mean.to_device(device),
            square: state.square.to_device(device),
        }
    }
}

/// [`AdamW`] over the parameters of a module, with its state by their names.
#[derive(Debug)]
pub(crate) struct NamedAdamW {
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

impl NamedAdamW {
    /// An optimiser that has made no step.
    pub(crate) fn new(config: AdamWConfig) -> Self {
        Self { config, step: 0, moments: BTreeMap::new() }
    }

    /// Number of steps made.
    pub(crate) fn step_count(&self) -> u64 {
        self.step
    }

    /// One step on every parameter that has a gradient, each multiplied by `gradient_scale` first,
    /// with a learning rate for each parameter, by its name.
    ///
    /// The scale is where clipping happens: it costs no pass of its own.
    pub(crate) fn step<M: Module>(
        &mut self,
        model: &mut M,
        mut gradients: NamedGradients,
        learning_rate: &dyn Fn(&str) -> f64,
        gradient_scale: f64,
    ) {
        self.step += 1;
        let decayed: BTreeMap<String, bool> = parameters::trainable(model)
            .into_iter()
            .map(|info| (info.name, info.shape.len() >= 2))
            .collect();
        parameters::update(model, &mut |name, parameter| {
            let Some(gradient) = gradients.remove(name) else { return parameter };
            let decay = decayed.get(name).copied().unwrap_or(false);
            let update = self.config.update(self.step, learning_rate(name), gradient_scale, decay);
            let device = parameter.device();
            let len = parameter.dims()[0];
            let moments =
                self.moments.entry(name.to_owned()).or_insert_with(|| Moments::zeros(len, &device));
            apply(parameter, gradient, moments, update, &device)
        });
    }

    /// Begins a step that [`step_part`](Self::step_part) makes for some values at a time.
    pub(crate) fn begin_step(&mut self) {
        self.step += 1;
    }

    /// The step that was begun, for those values of a parameter that this optimiser keeps the moments of: always
    /// the same ones, in host memory.
    pub(crate) fn step_part(
        &mut self,
        name: &str,
        values: &mut [f32],
        gradient: &[f32],
        learning_rate: f64,
        gradient_scale: f64,
        decay: bool,
    ) {
        let zeros =
            || Moments::Host { mean: vec![0.0; values.len()], square: vec![0.0; values.len()] };
        let update = self.config.update(self.step, learning_rate, gradient_scale, decay);
        let moments = self.moments.entry(name.to_owned()).or_insert_with(zeros);
        let Moments::Host { mean, square } = moments else {
            unreachable!("the moments of parts are in host memory")
        };
        update.run(values, gradient, mean, square);
    }

    /// Names, sorted, with the two running means: what a checkpoint stores.
    pub(crate) fn state(&self) -> impl Iterator<Item = OptimizerState<'_>> {
        self.moments.iter().map(|(name, moments)| match moments {
            Moments::Host { mean, square } => OptimizerState {
                name,
                mean: Cow::Borrowed(mean.as_slice()),
                square: Cow::Borrowed(square.as_slice()),
            },
            Moments::Device(moments) => OptimizerState {
                name,
                mean: Cow::Owned(host_values(moments.mean.clone())),
                square: Cow::Owned(host_values(moments.square.clone())),
            },
        })
    }

    /// Puts back states of parts, as [`step_part`](Self::step_part) keeps them, at their number of steps.
    pub(crate) fn restore_parts(
        &mut self,
        step: u64,
        state: impl IntoIterator<Item = (String, Vec<f32>, Vec<f32>)>,
    ) {
        self.step = step;
        let host = |(name, mean, square)| (name, Moments::Host { mean, square });
        self.moments = state.into_iter().map(host).collect();
    }

    /// Puts back a state that [`NamedAdamW::state`] gave, at its number of steps.
    pub(crate) fn restore(
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
pub(crate) struct OptimizerState<'a> {
    /// Parameter name.
    pub(crate) name: &'a str,
    /// Running mean of the gradient.
    pub(crate) mean: Cow<'a, [f32]>,
    /// Running mean of its square.
    pub(crate) square: Cow<'a, [f32]>,
}

fn floats(data: &TensorData) -> &[f32] {
    data.as_slice().expect("parameters, gradients and moments are f32")
}

fn floats_mut(data: &mut TensorData) -> &mut [f32] {
    data.as_mut_slice().expect("parameters, gradients and moments are f32")
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
            update.run(floats_mut(&mut values), floats(&gradient), mean, square);
            Tensor::from_data(values, device)
        }
        Moments::Device(moments) => update.run_on_device(parameter, gradient, moments),
    }
}

impl Update {
    /// Parameter, mean and square after the step, on whatever device they lie.
    fn run_on(
        self,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        mean: Tensor<1>,
        square: Tensor<1>,
        device: &Device,
    ) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
        if is_host(device) && [parameter.dtype(), gradient.dtype()] == [DType::F32; 2] {
            let [mut p, g, mut m, mut v] =
                [parameter, gradient, mean, square].map(Tensor::into_data);
            self.run(floats_mut(&mut p), floats(&g), floats_mut(&mut m), floats_mut(&mut v));
            let device = &device.clone().without_autodiff();
            let upload = |data| Tensor::from_data(data, device);
            (upload(p), upload(m), upload(v))
        } else {
            let mut moments = DeviceMoments { mean, square };
            let parameter = self.run_on_device(parameter, gradient, &mut moments);
            (parameter, moments.mean, moments.square)
        }
    }

    /// The fused loop over host memory.
    fn run(self, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        let u = self;
        assert_eq!(p.len(), g.len(), "a gradient has the length of its parameter");
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

    /// The same formula as tensor operations, which the device makes without being waited for; the
    /// moments stay where they are in its memory.
    fn run_on_device(self, p: Tensor<1>, g: Tensor<1>, moments: &mut DeviceMoments) -> Tensor<1> {
        let g = g * self.gradient_scale;
        let by_mean = g.clone() * self.one_minus_beta1;
        let by_square = (g.clone() * g) * self.one_minus_beta2;
        moments.mean.inplace(|m| m * self.beta1 + by_mean);
        moments.square.inplace(|v| v * self.beta2 + by_square);
        let denominator = moments.square.clone().sqrt() / self.root_correction + self.epsilon;
        p * self.keep - (moments.mean.clone() / denominator) * self.step_size
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

#[cfg(test)]
mod tests;
