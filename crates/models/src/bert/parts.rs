//! The smallest parts: linear layers, norms, activations, dropout.

use burn::module::{Module, Param};
use burn::tensor::activation::{gelu, gelu_approximate, relu};
use burn::tensor::module::layer_norm;
use burn::tensor::{Device, Tensor};

use super::config::BertActivation;
use super::loader::{Fill, Loader};
use crate::block::projection::host_tensor;
use crate::error::ModelError;
use crate::random::Random;

/// A linear layer with its weight as checkpoints store it.
///
/// ```text
/// y = x W^T + b
/// ```
#[derive(Module, Debug)]
pub struct Dense {
    /// `[out, in]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Param<Tensor<1>>,
}

impl Dense {
    /// The layer with the parameters `NAME.weight` and `NAME.bias`.
    ///
    /// # Errors
    /// As [`Loader::parameter`].
    pub fn load(
        loader: &mut Loader<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: loader.parameter(&format!("{name}.weight"), [outputs, inputs], Fill::Normal)?,
            bias: loader.parameter(&format!("{name}.bias"), [outputs], Fill::Zeros)?,
        })
    }

    /// The outputs `[rows, out]` of the rows of `x`, `[rows, in]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.weight.val().transpose()).add(self.bias.val().unsqueeze())
    }
}

/// A table of vectors.
#[derive(Module, Debug)]
pub(crate) struct Table {
    /// `[entries, width]`
    pub(crate) weight: Param<Tensor<2>>,
}

impl Table {
    /// The table with the parameter `NAME.weight`.
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        name: &str,
        shape: [usize; 2],
    ) -> Result<Self, ModelError> {
        Ok(Self { weight: loader.parameter(&format!("{name}.weight"), shape, Fill::Normal)? })
    }
}

/// Brings rows to mean 0 and variance 1, then scales and shifts them.
///
/// ```text
/// y = (x - mean(x)) / sqrt(var(x) + eps) * w + b
/// ```
///
/// Source: Ba, Kiros & Hinton 2016, arXiv:1607.06450, equation 4.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    /// `[width]`
    pub(crate) weight: Param<Tensor<1>>,
    /// `[width]`
    pub(crate) bias: Param<Tensor<1>>,
}

impl Norm {
    /// The norm with the parameters `NAME.weight` and `NAME.bias`.
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        name: &str,
        width: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: loader.parameter(&format!("{name}.weight"), [width], Fill::Ones)?,
            bias: loader.parameter(&format!("{name}.bias"), [width], Fill::Zeros)?,
        })
    }

    /// The normalised rows of `x`, `[rows, width]`.
    pub(crate) fn forward(&self, x: Tensor<2>, eps: f64) -> Tensor<2> {
        layer_norm(x, self.weight.val(), Some(self.bias.val()), eps)
    }
}

/// Applies the activation to each value.
pub(crate) fn activate(x: Tensor<2>, activation: BertActivation) -> Tensor<2> {
    match activation {
        BertActivation::Gelu => exact_gelu(x),
        BertActivation::GeluTanh => gelu_approximate(x),
        BertActivation::Relu => relu(x),
    }
}

/// `x Phi(x)`, with its exact derivative on every device.
///
/// burn's own operation is one pass, but off the CPU its derivative is that of the tanh
/// approximation (burn 0.22), so there it serves inference only.
fn exact_gelu(x: Tensor<2>) -> Tensor<2> {
    if x.is_autodiff() && !is_cpu(&x.device()) { composed_gelu(x) } else { gelu(x) }
}

fn composed_gelu(x: Tensor<2>) -> Tensor<2> {
    let cdf = x.clone().mul_scalar(std::f64::consts::FRAC_1_SQRT_2).erf().add_scalar(1.0);
    x.mul(cdf.mul_scalar(0.5))
}

#[cfg(feature = "cpu")]
fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

#[cfg(not(feature = "cpu"))]
fn is_cpu(_: &Device) -> bool {
    false
}

/// `x` with a share of its values set to 0 and the others scaled up, so that the mean stays.
///
/// Which values are dropped depends on `keys` only: give the seed first, then numbers that tell the
/// places apart.
///
/// Source: Srivastava et al. 2014, JMLR 15:1929, section 10 (scaled in training, not after).
pub fn dropout<const D: usize>(x: Tensor<D>, probability: f64, keys: &[u64]) -> Tensor<D> {
    if probability <= 0.0 {
        return x;
    }
    let shape = x.dims();
    let count: usize = shape.iter().product();
    let mut random = Random::keyed(keys);
    let threshold = (probability * (1u64 << 32) as f64) as u64;
    let keep = (1.0 / (1.0 - probability)) as f32;
    let value = |bits: u64| if bits < threshold { 0.0 } else { keep };
    // 32 bits decide about a value, so a draw of 64 decides about two.
    let mut mask = Vec::with_capacity(count + 1);
    while mask.len() < count {
        let bits = random.next_u64();
        mask.extend([value(bits >> 32), value(bits & 0xffff_ffff)]);
    }
    mask.truncate(count);
    let mask = host_tensor(mask, shape, &x);
    x.mul(mask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::floats;

    #[test]
    fn both_forms_of_gelu_agree_in_value_and_derivative() {
        let at: Vec<f32> = (-60..=60).map(|i| i as f32 / 10.0).collect();
        let run = |f: fn(Tensor<2>) -> Tensor<2>| {
            let x = Tensor::<1>::from_floats(&at[..], &Device::flex().autodiff());
            let x = x.reshape([1, -1]).require_grad();
            let y = f(x.clone());
            let slopes = x.grad(&y.clone().sum().backward()).unwrap();
            (floats(y), floats(slopes))
        };
        let (fused, composed) = (run(exact_gelu), run(composed_gelu));
        for (i, x) in at.iter().enumerate() {
            assert!((fused.0[i] - composed.0[i]).abs() < 1e-6, "value at {x}");
            assert!((fused.1[i] - composed.1[i]).abs() < 1e-6, "slope at {x}");
        }
        // x Phi(x) with Phi(1) = 0.8413447460685429 and Phi(-2) = 0.022750131948179195.
        assert!((fused.0[70] - 0.841_344_8).abs() < 1e-6);
        assert!((fused.0[40] + 0.045_500_26).abs() < 1e-6);
    }

    #[test]
    fn dropout_drops_its_share_and_keeps_the_mean() {
        let ones = Tensor::<2>::ones([200, 101], &Device::flex());
        let dropped = floats(dropout(ones.clone(), 0.25, &[3, 1]));
        let zeros = dropped.iter().filter(|v| **v == 0.0).count() as f64 / 20_200.0;
        // Five standard errors: 5 * sqrt(0.25 * 0.75 / 20200).
        assert!((zeros - 0.25).abs() < 0.0153, "{zeros}");
        assert!(dropped.iter().all(|v| *v == 0.0 || (*v - 4.0 / 3.0).abs() < 1e-6));
        assert_eq!(dropped, floats(dropout(ones.clone(), 0.25, &[3, 1])));
        assert_ne!(dropped, floats(dropout(ones.clone(), 0.25, &[3, 2])));
        assert_eq!(floats(dropout(ones.clone(), 0.0, &[3])), floats(ones));
    }
}
