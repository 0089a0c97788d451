//! The gated feed-forward block.

use bestof_kernels::gated_activation;
use burn::module::Module;
use burn::tensor::Tensor;

use super::Pass;
use super::projection::Projection;

/// `down(activation(gate(x)) * up(x))`.
///
/// Source: Shazeer 2020, arXiv:2002.05202, equation 6.
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "the names are parts of tensor names")]
pub(crate) struct Mlp {
    pub(crate) gate_proj: Projection,
    pub(crate) up_proj: Projection,
    pub(crate) down_proj: Projection,
}

impl Mlp {
    /// The outputs of the rows of `x`, `[rows, width]`.
    pub(crate) fn forward(&self, x: Tensor<2>, pass: &Pass<'_>) -> Tensor<2> {
        let gate = self.gate_proj.forward(x.clone(), pass, 4);
        let up = self.up_proj.forward(x, pass, 5);
        let inner = gated_activation(gate, up, pass.config.activation);
        self.down_proj.forward(inner, pass, 6)
    }
}
