//! Softmax and soft caps of rows.
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the plainest processor"
)]

use pulp::Arch;
use rayon::prelude::*;

use super::kernel::{LANES, TASK, exp, rows_a_task, sum2};

#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    let mut max = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            max[lane] = if chunk[lane] > max[lane] { chunk[lane] } else { max[lane] };
        }
    }
    let max = max.iter().fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
    rest.iter().fold(max, |a, b| if *b > a { *b } else { a })
}

/// `x <- exp(x - max)`; returns the sum.
#[inline(always)]
fn exponentiate(row: &mut [f32], max: f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            let e = exp(chunk[lane] - max);
            chunk[lane] = e;
            sums[lane] += e;
        }
    }
    let mut sum = sums.iter().sum::<f32>();
    for x in rest {
        *x = exp(*x - max);
        sum += *x;
    }
    sum
}

/// The largest value of a row.
pub(crate) fn largest_of(row: &[f32]) -> f32 {
    Arch::new().dispatch(
        #[inline(always)]
        || largest(row),
    )
}

/// `exp((x - max) scale)` of each value, and their sum.
pub(crate) fn weights(row: &[f32], max: f32, scale: f32) -> (Vec<f32>, f32) {
    let mut weights: Vec<f32> = row.iter().map(|x| (x - max) * scale).collect();
    let sum = Arch::new().dispatch(
        #[inline(always)]
        || exponentiate(&mut weights, 0.0),
    );
    (weights, sum)
}

/// Softmax of each row of `scores` in place, `mask` added first; row `i` takes row
/// `i % mask_rows` of the mask.
pub(super) fn softmax(scores: &mut [f32], width: usize, mask: Option<(&[f32], usize)>) {
    let rows = rows_a_task(width);
    scores.par_chunks_mut(rows * width).enumerate().for_each(|(task, scores)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (row, scores) in scores.chunks_exact_mut(width).enumerate() {
                    if let Some((mask, mask_rows)) = mask {
                        let at = (task * rows + row) % mask_rows * width;
                        for (x, m) in scores.iter_mut().zip(&mask[at..at + width]) {
                            *x += m;
                        }
                    }
                    softmax_row(scores);
                }
            },
        );
    });
}

/// Softmax of one row in place.
#[inline(always)]
pub(super) fn softmax_row(scores: &mut [f32]) {
    let max = largest(scores);
    let factor = 1.0 / exponentiate(scores, max);
    for x in scores {
        *x *= factor;
    }
}

/// `dp <- p (dp - sum_v p_v dp_v)` for each row: the derivative by the scores.
pub(super) fn softmax_backward(p: &[f32], dp: &mut [f32], width: usize) {
    let size = rows_a_task(width) * width;
    dp.par_chunks_mut(size).zip(p.par_chunks(size)).for_each(|(dp, p)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (dp, p) in dp.chunks_exact_mut(width).zip(p.chunks_exact(width)) {
                    let mean = sum2(p, dp, |p, dp| p * dp);
                    for (dp, p) in dp.iter_mut().zip(p) {
                        *dp = p * (*dp - mean);
                    }
                }
            },
        );
    });
}

/// `x <- c tanh(x / c)`.
pub(super) fn soft_cap(x: &mut [f32], cap: f32) {
    x.par_chunks_mut(TASK).for_each(|x| {
        Arch::new().dispatch(
            #[inline(always)]
            || cap_row(x, cap),
        );
    });
}

/// The same of one row.
#[inline(always)]
pub(super) fn cap_row(x: &mut [f32], cap: f32) {
    let factor = 2.0 / cap;
    for x in x {
        // tanh(y) = 1 - 2 / (e^2y + 1)
        *x = cap - 2.0 * cap / (exp(*x * factor) + 1.0);
    }
}

/// `dy <- dy (1 - (y / c)^2)`: the derivative by the uncapped values.
pub(super) fn soft_cap_backward(y: &[f32], dy: &mut [f32], cap: f32) {
    let factor = 1.0 / (cap * cap);
    dy.par_chunks_mut(TASK).zip(y.par_chunks(TASK)).for_each(|(dy, y)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (dy, y) in dy.iter_mut().zip(y) {
                    *dy *= 1.0 - y * y * factor;
                }
            },
        );
    });
}

/// The parts of the softmax of each row: `x <- exp(x - max)`, and `(max, sum, mean)` a row, where
/// the mean is that of `x - max`.
pub(super) fn softmax_parts(logits: &mut [f32], width: usize) -> Vec<(f32, f32, f32)> {
    logits
        .par_chunks_mut(width)
        .map(|row| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let max = largest(row);
                    let (mut sums, mut weighted) = ([0.0; LANES], [0.0; LANES]);
                    let (chunks, rest) = row.as_chunks_mut::<LANES>();
                    for chunk in chunks {
                        for lane in 0..LANES {
                            let centred = chunk[lane] - max;
                            let e = exp(centred);
                            chunk[lane] = e;
                            sums[lane] += e;
                            weighted[lane] += e * centred;
                        }
                    }
                    let mut sum = sums.iter().sum::<f32>();
                    let mut mean = weighted.iter().sum::<f32>();
                    for x in rest {
                        let centred = *x - max;
                        *x = exp(centred);
                        sum += *x;
                        mean += *x * centred;
                    }
                    (max, sum, mean / sum)
                },
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_row_of_one_key_is_certain() {
        let mut scores = [3.0, 5.0, -1.0];
        let n = f32::NEG_INFINITY;
        softmax(&mut scores, 3, Some((&[0.0, n, n], 1)));
        assert_eq!(scores, [1.0, 0.0, 0.0]);
    }
}
