//! Plain values to tensors and back, and indices into concatenated sequences.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Values on `device`, without automatic differentiation.
pub(super) fn constant<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &device.clone().without_autodiff())
}

/// Indices on `device`, `[values]`.
pub(super) fn indices(values: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.iter().map(|value| *value as i32).collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), &device.clone().without_autodiff())
}

/// The values of a tensor, row-major.
pub(super) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The indices of the items of concatenated sequences as rows `[sequences][longest]`; shorter rows
/// are padded with `padding`, the index of a row of zeros.
pub(super) fn padded_indices(lengths: &[usize], padding: usize) -> Vec<u32> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    let mut padded = Vec::with_capacity(lengths.len() * longest);
    let mut start = 0;
    for (sequence, length) in lengths.iter().enumerate() {
        padded.extend(start as u32..(start + length) as u32);
        padded.resize((sequence + 1) * longest, padding as u32);
        start += length;
    }
    padded
}
