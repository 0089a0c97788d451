//! Weights that rest in blocks of few bits and are widened into the products they are needed for.

use std::sync::Arc;

use bestof_blocks::{BlockError, GgmlType, affine, dequantize_blocks};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

#[cfg(feature = "cpu")]
use crate::cpu;
use crate::host::{constant, is_host};
use crate::plain::in_type;

/// A weight matrix `[out, in]` in blocks of a GGUF type, each row a whole number of blocks.
///
/// Nothing is trained here: a product has a gradient by its inputs only. On the CPU the blocks stay as they
/// are in a file, and some rows at a time are widened to `f32`; on other devices they lie as integers,
/// scales and offsets, and the matrix is widened for the moment of a product.
#[derive(Debug, Clone)]
pub struct BlockWeight {
    ggml_type: GgmlType,
    shape: [usize; 2],
    device: Device,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Host(Arc<[u8]>),
    Device(Arc<Integers>),
}

/// `scale q`, or `scale q + offset`.
#[derive(Debug, Clone)]
struct Integers {
    /// Integers of `bits` bits in words of 32, the first in the lowest bits: `[out, in * bits / 32]`.
    words: Tensor<2, Int>,
    bits: usize,
    /// `[out, in / group]`
    scales: Tensor<2>,
    /// `[out, in / group]`
    offsets: Option<Tensor<2>>,
}

impl BlockWeight {
    /// A weight from its blocks, row by row.
    ///
    /// # Errors
    /// [`BlockError::Sizes`] if a row is not a whole number of blocks, or `bytes` not as long as the
    /// shape says.
    pub(crate) fn new(
        ggml_type: GgmlType,
        bytes: Vec<u8>,
        shape: [usize; 2],
        device: &Device,
    ) -> Result<Self, BlockError> {
        let [out, width] = shape;
        let row = ggml_type.bytes_of(width);
        if !width.is_multiple_of(ggml_type.block_values()) || bytes.len() != out * row {
            let (bytes, values) = (bytes.len(), out * width);
            return Err(BlockError::Sizes { ggml_type, bytes, values });
        }
        let device = device.clone().without_autodiff();
        let place = if is_host(&device) {
            Place::Host(bytes.into())
        } else {
            Place::Device(Arc::new(Integers::new(ggml_type, &bytes, shape, &device)?))
        };
        Ok(Self { ggml_type, shape, device, place })
    }

    /// The type of the blocks.
    pub fn ggml_type(&self) -> GgmlType {
        self.ggml_type
    }

    /// Rows and columns, `[out, in]`.
    pub fn dims(&self) -> [usize; 2] {
        self.shape
    }

    /// Where the blocks lie, without automatic differentiation.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All values, `[out, in]`, in f32 and without automatic differentiation.
    pub fn widened(&self) -> Tensor<2> {
        match &self.place {
            Place::Host(bytes) => constant(self.decoded(bytes), self.shape, &self.device),
            Place::Device(integers) => integers.widened(self.shape),
        }
    }

    /// Some rows, `[ids, in]`, in f32 and without automatic differentiation.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn rows(&self, ids: &[u32]) -> Tensor<2> {
        let shape = [ids.len(), self.shape[1]];
        match &self.place {
            Place::Host(bytes) => {
                let row = bytes.len() / self.shape[0].max(1);
                let rows = ids.iter().flat_map(|&id| &bytes[id as usize * row..][..row]);
                constant(self.decoded(&rows.copied().collect::<Vec<u8>>()), shape, &self.device)
            }
            Place::Device(integers) => integers.rows(ids, &self.device).widened(shape),
        }
    }

    /// `x w^T`, `[rows, out]`, of `x`, `[rows, in]`, without automatic differentiation.
    pub(crate) fn linear(&self, x: Tensor<2>) -> Tensor<2> {
        #[cfg(feature = "cpu")]
        if let (Place::Host(bytes), Some(cpu::Route::Plain)) = (&self.place, cpu::Route::of(&x)) {
            return cpu::linear_of_blocks(x, self.panels(bytes));
        }
        let dtype = x.dtype();
        x.matmul(in_type(self.widened(), dtype).transpose())
    }

    /// `x w`, `[rows, in]`, of `x`, `[rows, out]`, without automatic differentiation.
    pub(crate) fn times(&self, x: Tensor<2>) -> Tensor<2> {
        #[cfg(feature = "cpu")]
        if let (Place::Host(bytes), Some(cpu::Route::Plain)) = (&self.place, cpu::Route::of(&x)) {
            return cpu::times_blocks(&x, self.panels(bytes));
        }
        let dtype = x.dtype();
        x.matmul(in_type(self.widened(), dtype))
    }

    /// `x w^T` for few rows; `None` where there is nothing better than [`BlockWeight::linear`].
    pub(crate) fn few_rows(&self, x: &Tensor<2>) -> Option<Tensor<2>> {
        #[cfg(feature = "cpu")]
        if let (Place::Host(bytes), Some(cpu::Route::Plain)) = (&self.place, cpu::Route::of(x)) {
            return Some(cpu::few_rows_of_blocks(x.clone(), self.panels(bytes)));
        }
        let _ = x;
        None
    }

    /// The same weight on another device.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> Self {
        let device = device.clone().without_autodiff();
        let place = match &self.place {
            Place::Host(bytes) if !is_host(&device) => {
                match Integers::new(self.ggml_type, bytes, self.shape, &device) {
                    Ok(moved) => Place::Device(Arc::new(moved)),
                    Err(error) => unreachable!("the sizes were right before: {error}"),
                }
            }
            Place::Host(bytes) => Place::Host(Arc::clone(bytes)),
            Place::Device(integers) => Place::Device(Arc::new(integers.to_device(&device))),
        };
        Self { device, place, ..self.clone() }
    }

    fn decoded(&self, bytes: &[u8]) -> Vec<f32> {
        let mut values = vec![0.0; self.ggml_type.values_of(bytes.len())];
        dequantize_blocks(self.ggml_type, bytes, &mut values).expect("rows are whole blocks");
        values
    }

    #[cfg(feature = "cpu")]
    fn panels<'a>(&self, bytes: &'a [u8]) -> cpu::Rows<'a> {
        cpu::Rows { ggml_type: self.ggml_type, bytes, shape: self.shape }
    }
}

impl Integers {
    fn new(
        ggml_type: GgmlType,
        bytes: &[u8],
        [out, width]: [usize; 2],
        device: &Device,
    ) -> Result<Self, BlockError> {
        let unblocked = BlockError::Sizes { ggml_type, bytes: bytes.len(), values: out * width };
        let parts = affine(ggml_type, bytes)?.ok_or(unblocked)?;
        let bits = parts.bits as usize;
        let mask = (1_u32 << parts.bits) - 1;
        let words: Vec<i32> = parts
            .codes
            .chunks_exact(32 / bits)
            .map(|codes| {
                let placed = codes.iter().enumerate();
                placed.fold(0, |word, (at, &code)| word | (code as u32 & mask) << (at * bits))
                    as i32
            })
            .collect();
        let per_row = [out, width / parts.group];
        let words = TensorData::new(words, [out, width * bits / 32]);
        Ok(Self {
            words: Tensor::from_data(words, (device, DType::I32)),
            bits,
            scales: constant(parts.scales, per_row, device),
            offsets: parts.offsets.map(|offsets| constant(offsets, per_row, device)),
        })
    }

    fn rows(&self, ids: &[u32], device: &Device) -> Self {
        let ids = crate::host::indices(ids, device);
        Self {
            words: self.words.clone().select(0, ids.clone()),
            bits: self.bits,
            scales: self.scales.clone().select(0, ids.clone()),
            offsets: self.offsets.clone().map(|offsets| offsets.select(0, ids)),
        }
    }

    fn to_device(&self, device: &Device) -> Self {
        Self {
            words: self.words.clone().to_device(device),
            bits: self.bits,
            scales: self.scales.clone().to_device(device),
            offsets: self.offsets.clone().map(|offsets| offsets.to_device(device)),
        }
    }

    fn widened(&self, [out, width]: [usize; 2]) -> Tensor<2> {
        let codes: Vec<Tensor<2, Int>> = (0..32 / self.bits)
            .map(|at| {
                let (below, above) = (at * self.bits, 32 - (at + 1) * self.bits);
                let word = self.words.clone();
                if self.offsets.is_some() && self.bits < 8 {
                    word.bitwise_right_shift_scalar(below as i32)
                        .bitwise_and_scalar((1 << self.bits) - 1)
                } else {
                    // Shifting a signed word to the right fills it with its sign.
                    word.bitwise_left_shift_scalar(above as i32)
                        .bitwise_right_shift_scalar((32 - self.bits) as i32)
                }
            })
            .collect();
        let codes: Tensor<3, Int> = Tensor::stack(codes, 2);
        let [_, groups] = self.scales.dims();
        let codes = codes.reshape([out, groups, width / groups]).float().cast(DType::F32);
        let scaled = codes.mul(self.scales.clone().unsqueeze_dim(2));
        let values = match &self.offsets {
            Some(offsets) => scaled.add(offsets.clone().unsqueeze_dim(2)),
            None => scaled,
        };
        values.reshape([out, width])
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;
    use crate::host::host_values;

    /// What devices without kernels of ours compute, tried where there is one.
    #[test]
    fn integers_on_a_device_are_the_blocks_of_a_file() {
        let device = Device::flex();
        for ggml_type in GgmlType::ALL {
            if ggml_type.block_values() == 1 {
                continue;
            }
            let shape = [5, 2 * 256];
            let bytes = ggml_type.bytes_of(5 * 512);
            let bytes: Vec<u8> = (0..bytes).map(|i| ((i * 37 + i / 7) % 64) as u8).collect();
            let host = BlockWeight::new(ggml_type, bytes.clone(), shape, &device).unwrap();
            let there = Integers::new(ggml_type, &bytes, shape, &device).unwrap();
            let there = BlockWeight { place: Place::Device(Arc::new(there)), ..host.clone() };
            let expected = host_values(host.widened());
            assert!(expected.iter().any(|value| *value != 0.0));
            assert_eq!(host_values(there.widened()), expected, "{ggml_type}");
            let rows = [4, 0, 4];
            let expected = host_values(host.rows(&rows));
            assert_eq!(host_values(there.rows(&rows)), expected, "{ggml_type}");
        }
    }
}
