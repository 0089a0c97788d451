//! Linear layers, with room for a LoRA adapter.
#![allow(
    non_snake_case,
    reason = "`lora_A` and `lora_B` are parts of tensor names in PEFT's files"
)]

use bestof_kernels::{Random, few_rows_product, host_tensor, linear};
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Pass;

/// One factor of a low-rank adapter.
#[derive(Module, Debug)]
pub(crate) struct LoraFactor {
    /// A: `[r, in]`, B: `[out, r]`.
    pub(crate) weight: Param<Tensor<2>>,
}

/// A linear layer with its weight as checkpoints store it, and perhaps a LoRA adapter.
///
/// ```text
/// y = x W^T + b + (alpha / r) dropout(x) A^T B^T
/// ```
///
/// Source: Hu et al. 2021, arXiv:2106.09685, equation 3.
#[derive(Module, Debug)]
pub(crate) struct Projection {
    /// `[out, in]`
    pub(crate) weight: Param<Tensor<2>>,
    /// `[out]`
    pub(crate) bias: Option<Param<Tensor<1>>>,
    /// `[r, in]`
    pub(crate) lora_A: Option<LoraFactor>,
    /// `[out, r]`
    pub(crate) lora_B: Option<LoraFactor>,
    /// `alpha / r`
    pub(crate) lora_scale: f64,
    /// The share of inputs the adapter does not see in training.
    pub(crate) lora_dropout: f64,
}

impl Projection {
    /// A linear layer without adapter.
    pub(crate) fn new(weight: Param<Tensor<2>>, bias: Option<Param<Tensor<1>>>) -> Self {
        Self { weight, bias, lora_A: None, lora_B: None, lora_scale: 0.0, lora_dropout: 0.0 }
    }

    /// The outputs `[rows, out]` of the rows of `x`, `[rows, in]`. `slot` tells the projections of
    /// a layer apart.
    pub(crate) fn forward(&self, x: Tensor<2>, pass: &Pass<'_>, slot: u64) -> Tensor<2> {
        let adapter = match (&self.lora_A, &self.lora_B) {
            (Some(a), Some(b)) if pass.options.adapters => Some((a, b)),
            _ => None,
        };
        let delta = adapter.map(|(a, b)| {
            let x = match pass.options.dropout_seed {
                Some(seed) if self.lora_dropout > 0.0 => {
                    let mask = self.dropout_mask(&x, &[seed, pass.layer as u64, slot]);
                    x.clone().mul(mask)
                }
                _ => x.clone(),
            };
            let down = product(x, a.weight.val(), pass).mul_scalar(self.lora_scale);
            product(down, b.weight.val(), pass)
        });
        let mut y = product(x, self.weight.val(), pass);
        if let Some(bias) = &self.bias {
            y = y.add(bias.val().unsqueeze());
        }
        match delta {
            Some(delta) => y.add(delta),
            None => y,
        }
    }

    /// 0 with the dropout's probability, else what keeps the mean.
    fn dropout_mask(&self, x: &Tensor<2>, keys: &[u64]) -> Tensor<2> {
        let mut random = Random::keyed(keys);
        let keep = (1.0 / (1.0 - self.lora_dropout)) as f32;
        let shape = x.dims();
        let mask: Vec<f32> = (0..shape[0] * shape[1])
            .map(|_| if random.uniform() < self.lora_dropout { 0.0 } else { keep })
            .collect();
        host_tensor(mask, shape, x)
    }

    /// `(alpha / r) B A`: what the adapter adds to the weight, `[out, in]`.
    pub(crate) fn lora_delta(&self) -> Option<Tensor<2>> {
        let (a, b) = (self.lora_A.as_ref()?, self.lora_B.as_ref()?);
        let (a, b) = (a.weight.val().inner(), b.weight.val().inner());
        Some(b.mul_scalar(self.lora_scale).matmul(a))
    }

    /// The weight with the adapter in it, without automatic differentiation.
    pub(crate) fn merged_weight(&self) -> Tensor<2> {
        let weight = self.weight.val().inner();
        match self.lora_delta() {
            Some(delta) => weight.add(delta),
            None => weight,
        }
    }
}

/// `x w^T`.
fn product(x: Tensor<2>, weight: Tensor<2>, pass: &Pass<'_>) -> Tensor<2> {
    let few = if pass.decoding { few_rows_product(&x, &weight) } else { None };
    few.unwrap_or_else(|| linear(x, weight))
}
