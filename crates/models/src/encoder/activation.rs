//! The activation between two linear layers.

use burn::tensor::Tensor;
use burn::tensor::activation::{gelu_approximate, relu, silu};
use serde_json::{Map, Value};

use bestof_kernels::gelu_gate;

/// An activation function of encoders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncoderActivation {
    /// `x Phi(x)`, with the exact normal distribution function `Phi`.
    Gelu,
    /// The tanh approximation of GELU.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x sigmoid(x)`.
    Silu,
}

/// The names that are read, for messages.
pub(super) const KNOWN: &str = "gelu, gelu_new, gelu_pytorch_tanh, relu, silu or swish";

impl EncoderActivation {
    pub(super) fn read(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            "relu" => Some(Self::Relu),
            "silu" | "swish" => Some(Self::Silu),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_pytorch_tanh",
            Self::Relu => "relu",
            Self::Silu => "silu",
        }
    }

    /// Writes its name to a field, unless another name of the same function stands there.
    pub(super) fn write(self, json: &mut Map<String, Value>, field: &str) {
        let kept = json.get(field).and_then(Value::as_str).and_then(Self::read);
        if kept != Some(self) {
            json.insert(field.into(), self.name().into());
        }
    }

    /// The activation of each value; `None` for GELU, which is fused with what stands before it.
    pub(super) fn by_value(self) -> Option<fn(Tensor<2>) -> Tensor<2>> {
        match self {
            Self::Gelu => None,
            Self::GeluTanh => Some(gelu_approximate),
            Self::Relu => Some(relu),
            Self::Silu => Some(silu),
        }
    }

    /// `activation(a) b`, `[rows, width]`, for rows of `a` and then `b`, `[rows, 2 * width]`.
    pub(super) fn gate(self, x: Tensor<2>) -> Tensor<2> {
        let Some(activation) = self.by_value() else { return gelu_gate(x) };
        let [_, both] = x.dims();
        activation(x.clone().slice_dim(1, 0..both / 2)).mul(x.slice_dim(1, both / 2..both))
    }
}
