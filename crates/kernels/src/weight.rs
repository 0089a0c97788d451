//! A weight matrix as the products of a model see it.

use bestof_blocks::{BlockError, GgmlType, dequantize_blocks};
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::block_weight::BlockWeight;
use crate::custom::Inputs;
use crate::decoder;
use crate::host::is_host;
use crate::plain::in_type;

/// A weight matrix `[out, in]`: a tensor, which may be trained, or blocks of few bits, which are not.
///
/// ```
/// use bestof_blocks::{GgmlType, quantize_blocks};
/// use bestof_kernels::Weight;
/// use burn::tensor::{Device, Tensor};
///
/// let mut blocks = Vec::new();
/// quantize_blocks(GgmlType::Q8_0, &[0.5; 3 * 32], &mut blocks)?;
/// let weight = Weight::from_blocks(GgmlType::Q8_0, blocks, [3, 32], &Device::flex())?;
///
/// let x = Tensor::<2>::ones([4, 32], &Device::flex().autodiff()).require_grad();
/// let y = weight.linear(x.clone());
/// assert_eq!(y.dims(), [4, 3]);
/// let gradients = y.sum().backward();
/// assert_eq!(x.grad(&gradients).unwrap().dims(), [4, 32]);
/// # Ok::<(), bestof_blocks::BlockError>(())
/// ```
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "tensors are larger with other devices; weights are few"
)]
pub enum Weight {
    /// A tensor of any float type.
    Tensor(Tensor<2>),
    /// Blocks, or numbers of 16 bits on the CPU, which computes in f32.
    Blocks(BlockWeight),
}

impl From<Tensor<2>> for Weight {
    fn from(weight: Tensor<2>) -> Self {
        Self::Tensor(weight)
    }
}

impl Weight {
    /// A weight from the blocks of its rows. F32 becomes a tensor; F16 and BF16 do so on devices that
    /// compute in them.
    ///
    /// # Errors
    /// [`BlockError::Sizes`] if a row is not a whole number of blocks, or `bytes` not as long as the
    /// shape says.
    pub fn from_blocks(
        ggml_type: GgmlType,
        bytes: Vec<u8>,
        shape: [usize; 2],
        device: &Device,
    ) -> Result<Self, BlockError> {
        let stays = ggml_type.block_values() > 1 || is_host(device);
        if ggml_type != GgmlType::F32 && stays {
            return Ok(Self::Blocks(BlockWeight::new(ggml_type, bytes, shape, device)?));
        }
        let mut values = vec![0.0; shape[0] * shape[1]];
        dequantize_blocks(ggml_type, &bytes, &mut values)?;
        let dtype = match ggml_type {
            GgmlType::F16 => DType::F16,
            GgmlType::BF16 => DType::BF16,
            _ => DType::F32,
        };
        let data = TensorData::new(values, shape).convert_dtype(dtype);
        Ok(Self::Tensor(Tensor::from_data(data, (device, dtype))))
    }

    /// Rows and columns, `[out, in]`.
    pub fn dims(&self) -> [usize; 2] {
        match self {
            Self::Tensor(weight) => weight.dims(),
            Self::Blocks(weight) => weight.dims(),
        }
    }

    /// Where the weight lies.
    pub fn device(&self) -> Device {
        match self {
            Self::Tensor(weight) => weight.device(),
            Self::Blocks(weight) => weight.device().clone(),
        }
    }

    /// The same weight without automatic differentiation.
    #[must_use]
    pub fn inner(self) -> Self {
        match self {
            Self::Tensor(weight) => Self::Tensor(weight.inner()),
            blocks @ Self::Blocks(_) => blocks,
        }
    }

    /// All values, `[out, in]`; those of blocks in f32 and without automatic differentiation.
    pub fn values(&self) -> Tensor<2> {
        match self {
            Self::Tensor(weight) => weight.clone(),
            Self::Blocks(weight) => weight.widened(),
        }
    }

    /// Some rows, `[ids, in]`; those of blocks in f32 and without automatic differentiation.
    pub fn rows(&self, ids: &[u32]) -> Tensor<2> {
        match self {
            Self::Tensor(weight) => decoder::rows(weight.clone(), ids),
            Self::Blocks(weight) => weight.rows(ids),
        }
    }

    /// `x w^T`, `[rows, out]`, of `x`, `[rows, in]`, in the type of `x`. The gradient flows to `x`, and
    /// to the weight if it is a tensor that has one.
    pub fn linear(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Tensor(weight) => {
                // Trained values are f32 beside products in fewer bits.
                let weight = in_type(weight.clone(), x.dtype());
                decoder::linear(x, weight)
            }
            Self::Blocks(weight) => {
                let mut inputs = Inputs::new();
                inputs.add(&x);
                let y = weight.linear(x.inner());
                let weight = weight.clone();
                inputs.differentiable(y, move |dy: Tensor<2>| vec![Some(weight.times(dy).into())])
            }
        }
    }

    /// `x w`, `[rows, in]`, of `x`, `[rows, out]`, in the type of `x` and without automatic
    /// differentiation.
    pub(crate) fn times(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Tensor(weight) => {
                let weight = in_type(weight.clone().inner(), x.dtype());
                decoder::product_of(x, weight)
            }
            Self::Blocks(weight) => weight.times(x),
        }
    }

    /// `x w^T` for few rows `x`, `[rows, in]`, without automatic differentiation. On the CPU the result
    /// for a row does not depend on the others.
    pub fn few_rows(&self, x: Tensor<2>) -> Tensor<2> {
        let found = match self {
            Self::Tensor(weight) => decoder::few_rows_product(&x, weight),
            Self::Blocks(weight) => weight.few_rows(&x),
        };
        found.unwrap_or_else(|| self.linear(x))
    }
}
