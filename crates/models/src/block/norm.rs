//! Root mean square normalisation.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// Divides rows by their root mean square and multiplies them by a weight.
///
/// ```text
/// y = x / sqrt(mean(x^2) + eps) * (offset + w)
/// ```
///
/// Source: Zhang & Sennrich 2019, arXiv:1910.07467, equation 4; the offset of 1 is Gemma's.
#[derive(Module, Debug)]
pub(crate) struct RmsNorm {
    /// `[width]`
    pub(crate) weight: Param<Tensor<1>>,
}

impl RmsNorm {
    /// The normalised rows of `x`, `[rows, width]`.
    pub(crate) fn forward(&self, x: Tensor<2>, eps: f64, offset: f64) -> Tensor<2> {
        let scale = x.clone().square().mean_dim(1).add_scalar(eps).sqrt().recip();
        let weight = self.weight.val();
        let weight = if offset == 0.0 { weight } else { weight.add_scalar(offset) };
        x.mul(scale).mul(weight.unsqueeze())
    }
}
