//! Linear layers, embedding tables, layer normalisation and dropout.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::activation::EncoderActivation;
use super::loader::{Fill, Loader};
use crate::error::ModelError;
use bestof_kernels::Dropout;
use bestof_kernels::host_tensor;
use bestof_kernels::{Weight, add_layer_norm, affine, affine_gelu, layer_norm, linear};

/// A linear layer, with its weight in the layout of checkpoints.
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
    /// The layer with the parameters `NAME.weight`, `[outputs, inputs]`, and `NAME.bias`.
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

    /// `x W^T + b`, `[rows, out]`, for `x` of shape `[rows, in]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        affine(x, self.weight.val(), self.bias.val())
    }

    /// `activation(x W^T + b)`, `[rows, out]`.
    pub(crate) fn activated(&self, x: Tensor<2>, activation: EncoderActivation) -> Tensor<2> {
        match activation.by_value() {
            Some(activation) => activation(self.forward(x)),
            None => affine_gelu(x, self.weight.val(), self.bias.val()),
        }
    }
}

/// A linear layer that may have no bias.
#[derive(Module, Debug)]
pub(crate) struct Linear {
    /// `[out, in]`
    pub(crate) weight: Param<Tensor<2>>,
    /// `[out]`
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// The layer with the parameters `NAME.weight`, `[outputs, inputs]`, and, if asked for, `NAME.bias`.
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        bias: bool,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: loader.parameter(&format!("{name}.weight"), [outputs, inputs], Fill::Normal)?,
            bias: load_bias(loader, name, outputs, bias)?,
        })
    }

    /// `x W^T + b`, `[rows, out]`, for `x` of shape `[rows, in]`.
    pub(crate) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.bias {
            Some(bias) => affine(x, self.weight.val(), bias.val()),
            None => linear(x, self.weight.val()),
        }
    }

    /// `activation(x W^T + b)`, `[rows, out]`.
    pub(crate) fn activated(&self, x: Tensor<2>, activation: EncoderActivation) -> Tensor<2> {
        if let Some(activation) = activation.by_value() {
            return activation(self.forward(x));
        }
        let weight = self.weight.val();
        let bias = or_zeros(self.bias.as_ref(), weight.dims()[0], &x);
        affine_gelu(x, weight, bias)
    }
}

/// The parameter `NAME.bias`, `[width]`, if there is one.
fn load_bias(
    loader: &mut Loader<'_>,
    name: &str,
    width: usize,
    bias: bool,
) -> Result<Option<Param<Tensor<1>>>, ModelError> {
    bias.then(|| loader.parameter(&format!("{name}.bias"), [width], Fill::Zeros)).transpose()
}

/// A bias, or zeros, `[width]`, where there is none.
fn or_zeros<const D: usize>(
    bias: Option<&Param<Tensor<1>>>,
    width: usize,
    like: &Tensor<D>,
) -> Tensor<1> {
    bias.map_or_else(|| host_tensor(vec![0.0; width], [width], like), Param::val)
}

/// A table of embeddings.
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
        fill: Fill,
    ) -> Result<Self, ModelError> {
        Ok(Self { weight: loader.parameter(&format!("{name}.weight"), shape, fill)? })
    }

    /// The entries of these numbers, `[ids, width]`.
    pub(crate) fn rows(&self, ids: &[u32]) -> Tensor<2> {
        Weight::from(self.weight.val()).rows(ids)
    }
}

/// Layer normalisation.
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
    pub(crate) bias: Option<Param<Tensor<1>>>,
}

impl Norm {
    /// The norm with the parameters `NAME.weight` and, if asked for, `NAME.bias`.
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        name: &str,
        width: usize,
        bias: bool,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: loader.parameter(&format!("{name}.weight"), [width], Fill::Ones)?,
            bias: load_bias(loader, name, width, bias)?,
        })
    }

    /// The bias, or zeros, `[width]`.
    pub(crate) fn bias(&self) -> Tensor<1> {
        let weight = self.weight.val();
        or_zeros(self.bias.as_ref(), weight.dims()[0], &weight)
    }

    /// Layer normalisation of `x + residual`, `[rows, width]`.
    pub(crate) fn of_sum(&self, x: Tensor<2>, residual: Tensor<2>, eps: f64) -> Tensor<2> {
        add_layer_norm(x, residual, self.weight.val(), self.bias(), eps)
    }

    /// Layer normalisation of `x`, `[rows, width]`.
    pub(crate) fn forward(&self, x: Tensor<2>, eps: f64) -> Tensor<2> {
        layer_norm(x, self.weight.val(), self.bias(), eps)
    }
}

/// The rows `x`, `[tokens, width]`, without the values that are dropped; `x` itself at a probability of 0.
///
/// # Panics
/// If there are not as many tokens in the rows of `dropout`.
pub fn dropout(x: Tensor<2>, dropout: &Dropout) -> Tensor<2> {
    if dropout.probability <= 0.0 {
        return x;
    }
    let shape = x.dims();
    let mask = host_tensor(dropout.mask(shape[1]), shape, &x);
    x.mul(mask)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use bestof_kernels::{KeyedRow, host_values};
    use burn::tensor::Device;

    #[test]
    fn dropout_drops_with_its_probability_and_preserves_the_mean() {
        let ones = Tensor::<2>::ones([200, 101], &Device::flex());
        let rows: Arc<[KeyedRow]> =
            [(1, 150), (2, 50)].map(|(key, tokens)| KeyedRow { key, tokens }).into();
        let of = |probability, slot| {
            let which = Dropout { probability, keys: [3, 1, slot], rows: rows.clone() };
            host_values(dropout(ones.clone(), &which))
        };
        let dropped = of(0.25, 1);
        let zeros = dropped.iter().filter(|v| **v == 0.0).count() as f64 / 20_200.0;
        // Five standard errors: 5 * sqrt(0.25 * 0.75 / 20200).
        assert!((zeros - 0.25).abs() < 0.0153, "{zeros}");
        assert!(dropped.iter().all(|v| *v == 0.0 || (*v - 4.0 / 3.0).abs() < 1e-6));
        assert_eq!(dropped, of(0.25, 1));
        assert_ne!(dropped, of(0.25, 2));
        assert_eq!(of(0.0, 1), host_values(ones.clone()));
    }
}
