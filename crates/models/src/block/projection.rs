//! Linear layers, with room for a LoRA adapter.
#![allow(
    non_snake_case,
    reason = "`lora_A` and `lora_B` are parts of tensor names in PEFT's files"
)]

use bestof_kernels::{Dropout, Weight, host_tensor, widened};
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Pass;
use super::weight::WeightParam;

/// One factor of a low-rank adapter.
#[derive(Module, Debug)]
pub(crate) struct LoraFactor {
    /// A: `[r, in]`, B: `[out, r]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// `[out]`, of B alone.
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

/// A linear layer with its weight as checkpoints store it, and perhaps a LoRA adapter.
///
/// ```text
/// y = x W^T + b + s (dropout(x) A^T B^T + b_B)
/// ```
///
/// Source: Hu et al. 2021, arXiv:2106.09685, equation 3. With a magnitude vector `m` the rows of the
/// adapted weight have these norms; the norm that they are divided by is a constant of the gradient:
///
/// ```text
/// g = m / |W + s B A|      y = x W^T + b + (g - 1) dropout(x) W^T + g s dropout(x) A^T B^T
/// ```
///
/// Source: Liu et al. 2024, arXiv:2402.09353, equations 5 and 11.
#[derive(Module, Debug)]
pub(crate) struct Projection {
    /// `[out, in]`
    pub(crate) weight: WeightParam,
    /// `[out]`
    pub(crate) bias: Option<Param<Tensor<1>>>,
    /// `[r, in]`
    pub(crate) lora_A: Option<LoraFactor>,
    /// `[out, r]`
    pub(crate) lora_B: Option<LoraFactor>,
    /// `[out]`
    pub(crate) lora_magnitude_vector: Option<Param<Tensor<1>>>,
    /// `s`: `alpha / r`, or `alpha / sqrt(r)`
    pub(crate) lora_scale: f64,
    /// The share of inputs the adapter does not see in training.
    pub(crate) lora_dropout: f64,
    /// `g`, where the weights do not change any more: it is not computed in every pass.
    #[module(skip)]
    pub(crate) lora_gain: Option<Tensor<1>>,
}

impl Projection {
    /// A linear layer without adapter.
    pub(crate) fn new(weight: WeightParam, bias: Option<Param<Tensor<1>>>) -> Self {
        Self {
            weight,
            bias,
            lora_A: None,
            lora_B: None,
            lora_magnitude_vector: None,
            lora_scale: 0.0,
            lora_dropout: 0.0,
            lora_gain: None,
        }
    }

    /// The outputs `[rows, out]` of the rows of `x`, `[rows, in]`. `slot` tells the projections of
    /// a layer apart.
    pub(crate) fn forward(&self, x: Tensor<2>, pass: &Pass<'_>, slot: u64) -> Tensor<2> {
        if let Some(y) = self.forward_at_once(&x, pass) {
            return self.with_bias(y);
        }
        let delta = pass.options.adapters.then(|| self.adapted(&x, pass, slot)).flatten();
        let plain = product(x, &self.weight.val(), pass);
        let y = match (delta, &self.lora_magnitude_vector) {
            (None, _) => plain,
            (Some((delta, _)), None) => plain.add(delta),
            (Some((delta, dropped)), Some(magnitude)) => {
                let gain = match &self.lora_gain {
                    Some(gain) => gain.clone(),
                    None => magnitude.val().div(self.row_norms(&plain)),
                };
                let gain = like(gain, &plain).unsqueeze::<2>();
                let seen = match dropped {
                    Some(x) => product(x, &self.weight.val(), pass),
                    None => plain.clone(),
                };
                plain.add(seen.mul(gain.clone().sub_scalar(1.0))).add(delta.mul(gain))
            }
        };
        self.with_bias(y)
    }

    fn with_bias(&self, y: Tensor<2>) -> Tensor<2> {
        match &self.bias {
            Some(bias) => {
                let bias = like(bias.val(), &y).unsqueeze();
                y.add(bias)
            }
            None => y,
        }
    }

    /// The outputs without bias, of a plain adapter that sees what the weight sees.
    fn forward_at_once(&self, x: &Tensor<2>, pass: &Pass<'_>) -> Option<Tensor<2>> {
        let (a, b) = (self.lora_A.as_ref()?, self.lora_B.as_ref()?);
        let drops = pass.options.dropout_seed.is_some() && self.lora_dropout > 0.0;
        let plain = b.bias.is_none() && self.lora_magnitude_vector.is_none() && !drops;
        let (a, b) = (a.weight.val(), b.weight.val());
        (plain && pass.options.adapters && !pass.decoding)
            .then(|| self.weight.val().linear_with_low_rank(x.clone(), &a, &b, self.lora_scale))
    }

    /// What the adapter adds to the outputs, and the rows it saw if some of their values were
    /// dropped.
    fn adapted(
        &self,
        x: &Tensor<2>,
        pass: &Pass<'_>,
        slot: u64,
    ) -> Option<(Tensor<2>, Option<Tensor<2>>)> {
        let (a, b) = (self.lora_A.as_ref()?, self.lora_B.as_ref()?);
        let dropped = match pass.options.dropout_seed {
            Some(seed) if self.lora_dropout > 0.0 => {
                let dropout = Dropout {
                    probability: self.lora_dropout,
                    keys: [seed, pass.layer as u64, slot],
                    rows: pass.rows.cloned().unwrap_or_default(),
                };
                let shape = x.dims();
                Some(x.clone().mul(host_tensor(dropout.mask(shape[1]), shape, x)))
            }
            _ => None,
        };
        let seen = dropped.clone().unwrap_or_else(|| x.clone());
        let down = product(seen, &a.weight.val().into(), pass).mul_scalar(self.lora_scale);
        let up = product(down, &b.weight.val().into(), pass);
        let up = match &b.bias {
            Some(bias) => {
                let bias = like(bias.val().mul_scalar(self.lora_scale), &up).unsqueeze();
                up.add(bias)
            }
            None => up,
        };
        Some((up, dropped))
    }

    /// The norms of the rows of the adapted weight, `[out]`, as constants beside `like`.
    fn row_norms(&self, like: &Tensor<2>) -> Tensor<1> {
        let norms = self.adapted_norms();
        if like.is_autodiff() { norms.autodiff() } else { norms }
    }

    /// `W + s B A`, `[out, in]`, without automatic differentiation.
    fn adapted_weight(&self) -> Tensor<2> {
        self.adapted_rows(self.weight.values(), 0)
    }

    /// Rows of the weight from `first` on, with their part of `s B A`; in f32 where they are narrower.
    fn adapted_rows(&self, weight: Tensor<2>, first: usize) -> Tensor<2> {
        let weight = widened(weight);
        match (&self.lora_A, &self.lora_B) {
            (Some(a), Some(b)) => {
                let (a, b) = (a.weight.val().inner(), b.weight.val().inner());
                let b = b.slice_dim(0, first..first + weight.dims()[0]);
                weight.add(b.mul_scalar(self.lora_scale).matmul(a))
            }
            _ => weight,
        }
    }

    /// The norms of the rows of `W + s B A`, `[out]`; blocks are widened some rows at a time.
    pub(crate) fn adapted_norms(&self) -> Tensor<1> {
        let Weight::Blocks(blocks) = self.weight.val() else { return norms(self.adapted_weight()) };
        let [out, width] = blocks.dims();
        let rows = (WIDENED / width).max(1);
        let parts = (0..out).step_by(rows).map(|first| {
            let ids: Vec<u32> = (first as u32..(first + rows).min(out) as u32).collect();
            norms(self.adapted_rows(blocks.rows(&ids), first))
        });
        Tensor::cat(parts.collect(), 0)
    }

    /// Computes once what the rows of the product are multiplied by, for weights that stay as they are.
    pub(crate) fn keep_gain(&mut self) {
        if let Some(magnitude) = &self.lora_magnitude_vector {
            self.lora_gain = Some(magnitude.val().inner().div(self.adapted_norms()));
        }
    }

    /// The weight with the adapter in it, without automatic differentiation.
    pub(crate) fn merged_weight(&self) -> Tensor<2> {
        let weight = self.adapted_weight();
        match &self.lora_magnitude_vector {
            Some(magnitude) => {
                let gain = magnitude.val().inner().div(norms(weight.clone()));
                weight.mul(gain.unsqueeze_dim(1))
            }
            None => weight,
        }
    }

    /// The bias with that of the adapter in it, without automatic differentiation; `None` if there
    /// is neither.
    pub(crate) fn merged_bias(&self) -> Option<Tensor<1>> {
        let plain = self.bias.as_ref().map(|bias| bias.val().inner());
        let added = self.lora_B.as_ref().and_then(|b| b.bias.as_ref());
        let added = added.map(|bias| bias.val().inner().mul_scalar(self.lora_scale));
        match (plain, added) {
            (Some(plain), Some(added)) => Some(plain.add(added)),
            (plain, added) => plain.or(added),
        }
    }

    /// Whether the layer and its adapter have a bias in one of them.
    pub(crate) fn has_merged_bias(&self) -> bool {
        self.bias.is_some() || self.lora_B.as_ref().is_some_and(|b| b.bias.is_some())
    }

    /// Takes the adapter away.
    pub(crate) fn drop_adapter(&mut self) {
        (self.lora_A, self.lora_B, self.lora_magnitude_vector) = (None, None, None);
    }
}

/// The norms of the rows of a matrix.
fn norms(weight: Tensor<2>) -> Tensor<1> {
    weight.powi_scalar(2).sum_dim(1).sqrt().squeeze_dim(1)
}

/// Values of blocks that are widened at a time.
const WIDENED: usize = 1 << 20;

/// In the float type of `other`.
fn like(x: Tensor<1>, other: &Tensor<2>) -> Tensor<1> {
    if x.dtype() == other.dtype() { x } else { x.cast(other.dtype()) }
}

/// `x w^T`.
fn product(x: Tensor<2>, weight: &Weight, pass: &Pass<'_>) -> Tensor<2> {
    if pass.decoding { weight.few_rows(x) } else { weight.linear(x) }
}
