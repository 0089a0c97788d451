//! Sums of squares in f64 over parts of a fixed size.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{dense, plain, values};

/// Values that one task sums.
const PART: usize = 1 << 16;
/// Sums that are kept apart within a part, so that additions need not wait for each other.
const LANES: usize = 16;

pub(crate) fn square_sum(x: Tensor<1>) -> f64 {
    let x = dense(plain(x));
    let parts: Vec<f64> = values(&x).par_chunks(PART).map(sum_of_part).collect();
    parts.iter().sum()
}

fn sum_of_part(part: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let groups = part.chunks_exact(LANES);
    let rest = groups.remainder();
    for group in groups {
        for (lane, &x) in lanes.iter_mut().zip(group) {
            *lane += f64::from(x) * f64::from(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane += f64::from(x) * f64::from(x);
    }
    lanes.iter().sum()
}
