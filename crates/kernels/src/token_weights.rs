//! What sampling a token needs of a row of logits in host memory, in passes as wide as the processor.

#[cfg(feature = "cpu")]
use crate::cpu;

/// Tokens whose weights are summed together.
pub const CHUNK: usize = 256;

/// The place of the first of the largest values; 0 if there are none.
///
/// ```
/// assert_eq!(bestof_kernels::likeliest(&[0.5, 2.0, -1.0, 2.0]), 1);
/// ```
pub fn likeliest(row: &[f32]) -> usize {
    #[cfg(feature = "cpu")]
    let max = cpu::largest(row);
    #[cfg(not(feature = "cpu"))]
    let max = row.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
    row.iter().position(|&x| x == max).unwrap_or(0)
}

/// `exp((x - max) scale)` of each value, and their sum in f32, which of [`CHUNK`] values loses no
/// precision that matters.
///
/// The same value gives the same weight wherever it lies.
pub fn weights(row: &[f32], max: f32, scale: f32) -> (Vec<f32>, f32) {
    #[cfg(feature = "cpu")]
    return cpu::weights(row, max, scale);
    #[cfg(not(feature = "cpu"))]
    {
        let weights: Vec<f32> = row.iter().map(|x| ((x - max) * scale).exp()).collect();
        let sum = weights.iter().sum();
        (weights, sum)
    }
}

/// The sums of the [`weights`] of [`CHUNK`] values each, in order.
///
/// ```
/// let sums = bestof_kernels::weight_sums(&[0.0; 300], 0.0, 1.0);
/// assert_eq!(sums, [256.0, 44.0]);
/// ```
pub fn weight_sums(row: &[f32], max: f32, scale: f32) -> Vec<f64> {
    row.chunks(CHUNK).map(|chunk| f64::from(weights(chunk, max, scale).1)).collect()
}
