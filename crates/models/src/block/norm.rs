//! Root mean square normalisation.

use bestof_kernels::rms_norm;
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
        rms_norm(x, self.weight.val(), eps, offset)
    }
}
