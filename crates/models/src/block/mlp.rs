//! The gated feed-forward block.

use bestof_kernels::gated_activation;
use burn::module::Module;
use burn::tensor::Tensor;

use super::Pass;
use super::fused::outputs;
use super::projection::Projection;

/// `down(activation(gate(x)) * up(x))`. `gate_up_proj` takes the place of the two projections above it.
///
/// Source: Shazeer 2020, arXiv:2002.05202, equation 6.
#[derive(Module, Debug)]
#[expect(clippy::struct_field_names, reason = "the names are parts of tensor names")]
pub(crate) struct Mlp {
    pub(crate) gate_proj: Option<Projection>,
    pub(crate) up_proj: Option<Projection>,
    pub(crate) gate_up_proj: Option<Projection>,
    pub(crate) down_proj: Projection,
}

impl Mlp {
    /// The outputs of the rows of `x`, `[rows, width]`.
    pub(crate) fn forward(&self, x: &Tensor<2>, pass: &Pass<'_>) -> Tensor<2> {
        let layers = [(&self.gate_proj, 4), (&self.up_proj, 5), (&self.gate_up_proj, 8)];
        let [gate, up] = outputs(x, pass, &layers, [pass.config.intermediate_size; 2]);
        let inner = gated_activation(gate, up, pass.config.activation);
        self.down_proj.forward(inner, pass, 6)
    }
}
