//! The gated feed-forward block.

use burn::module::Module;
use burn::tensor::{Tensor, activation::sigmoid};

use super::Pass;
use super::projection::Projection;
use crate::config::Activation;

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
        let inner = pass.config.activation.forward(gate).mul(up);
        self.down_proj.forward(inner, pass, 6)
    }
}

impl Activation {
    /// The activation of each entry.
    pub(crate) fn forward(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Silu => sigmoid(x.clone()).mul(x),
            // 0.5 x (1 + tanh(z)) = x sigmoid(2 z), z = sqrt(2/pi) (x + 0.044715 x^3)
            Self::GeluTanh => {
                let slope =
                    2.0 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
                let z = x.clone().square().mul_scalar(0.044_715 * slope).add_scalar(slope);
                sigmoid(z.mul(x.clone())).mul(x)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn activations_match_their_formulas() {
        let values = [-6.0_f32, -1.5, -0.1, 0.0, 0.3, 2.0, 8.0];
        let x = Tensor::<2>::from_data([values], &Device::flex());
        let silu: Vec<f32> = Activation::Silu.forward(x.clone()).into_data().iter().collect();
        let gelu: Vec<f32> = Activation::GeluTanh.forward(x).into_data().iter().collect();
        for (i, x) in values.map(f64::from).into_iter().enumerate() {
            let expected = x / (1.0 + (-x).exp());
            assert!((f64::from(silu[i]) - expected).abs() < 1e-6);
            let z = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            let expected = 0.5 * x * (1.0 + z.tanh());
            assert!((f64::from(gelu[i]) - expected).abs() < 2e-6, "{x}");
        }
    }
}
