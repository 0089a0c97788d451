//! Element-wise work on slices: rows in parallel, entries by the widest instructions there are.
//!
//! Rows are cut into chunks whose size depends on the row length only, so that sums over rows do
//! not depend on the number of threads.
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the plainest processor"
)]

use pulp::Arch;
use rayon::prelude::*;

use super::fresh::zeros;
use crate::shape::Activation;

/// Partial sums kept side by side.
pub(super) const LANES: usize = 16;
/// Values a task takes on at least.
pub(super) const TASK: usize = 1 << 14;

/// How many rows of a width make a task.
pub(super) fn rows_a_task(width: usize) -> usize {
    (TASK / width.max(1)).max(1)
}

/// `e^x` to 2 units in the last route; 0 below -87.
///
/// ```text
/// e^x = 2^n e^r,   n = round(x / ln 2),   |r| <= ln 2 / 2
/// ```
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    // Adding and subtracting 1.5 * 2^23 rounds to a whole number, which the low bits then hold.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with few enough bits that its products are exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x > -87.0 { x } else { -87.0 };
    let clamped = if clamped < 88.0 { clamped } else { 88.0 };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * LN2_HIGH) - n * LN2_LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let value = (p * r) * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0_f32.to_bits()));
    if x > -87.0 { value * power } else { 0.0 }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `sum_i f(a_i, b_i)`.
#[inline(always)]
pub(super) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += f(a[lane], b[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| f(*a, *b)).sum();
    sums.iter().sum::<f32>() + rest
}

/// `1 / sqrt(mean(x^2) + eps)`.
#[inline(always)]
fn inverse_rms(x: &[f32], eps: f32) -> f32 {
    let square = sum2(x, x, |a, b| a * b);
    1.0 / (square / x.len() as f32 + eps).sqrt()
}

/// Each row divided by its root mean square, times `offset + weight`.
pub(super) fn rms_norm(x: &[f32], weight: &[f32], eps: f32, offset: f32) -> Vec<f32> {
    let width = weight.len();
    let size = rows_a_task(width) * width;
    let mut y = zeros(x.len());
    y.par_chunks_mut(size).zip(x.par_chunks(size)).for_each(|(y, x)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                    let scale = inverse_rms(x, eps);
                    for ((y, x), w) in y.iter_mut().zip(x).zip(weight) {
                        *y = x * scale * (w + offset);
                    }
                }
            },
        );
    });
    y
}

/// Turns `dy` into `dx`; returns `dw` too, if needed.
///
/// ```text
/// dx = s (dy w - x s^2 mean(x dy w)),   dw = sum over rows of dy x s,   s = 1 / rms(x)
/// ```
pub(super) fn rms_norm_backward(
    x: &[f32],
    weight: &[f32],
    dy: &mut [f32],
    eps: f32,
    offset: f32,
    with_weight: bool,
) -> Option<Vec<f32>> {
    let width = weight.len();
    let size = rows_a_task(width) * width;
    let parts: Vec<Vec<f32>> = dy
        .par_chunks_mut(size)
        .zip(x.par_chunks(size))
        .map(|(dy, x)| {
            let mut dw = if with_weight { vec![0.0; width] } else { Vec::new() };
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (dy, x) in dy.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                        let scale = inverse_rms(x, eps);
                        for ((dw, dy), x) in dw.iter_mut().zip(dy.iter()).zip(x) {
                            *dw += dy * x * scale;
                        }
                        for (dy, w) in dy.iter_mut().zip(weight) {
                            *dy *= w + offset;
                        }
                        let mean = sum2(x, dy, |x, dy| x * dy) / width as f32;
                        let pull = mean * scale * scale;
                        for (dy, x) in dy.iter_mut().zip(x) {
                            *dy = scale * (*dy - x * pull);
                        }
                    }
                },
            );
            dw
        })
        .collect();
    with_weight.then(|| {
        let mut sum = vec![0.0; width];
        for part in parts {
            for (sum, part) in sum.iter_mut().zip(part) {
                *sum += part;
            }
        }
        sum
    })
}

/// `2 sqrt(2 / pi)` and its product with 0.044715, of the tanh approximation of GELU.
const GELU: f32 = 1.595_769_2;
const GELU_CUBE: f32 = 0.071_354_814;

/// What the sigmoid of an activation `x sigmoid(z)` is taken of, and the derivative of that.
#[inline(always)]
fn inner(activation: Activation, x: f32) -> (f32, f32) {
    match activation {
        Activation::Silu => (x, 1.0),
        Activation::GeluTanh => (x * (GELU + GELU_CUBE * x * x), GELU + 3.0 * GELU_CUBE * x * x),
    }
}

/// `up <- activation(gate) up`.
pub(super) fn gated(gate: &[f32], up: &mut [f32], activation: Activation) {
    up.par_chunks_mut(TASK).zip(gate.par_chunks(TASK)).for_each(|(up, gate)| {
        Arch::new().dispatch(
            #[inline(always)]
            || match activation {
                Activation::Silu => gate_chunk(gate, up, Activation::Silu),
                Activation::GeluTanh => gate_chunk(gate, up, Activation::GeluTanh),
            },
        );
    });
}

#[inline(always)]
fn gate_chunk(gate: &[f32], up: &mut [f32], activation: Activation) {
    for (up, x) in up.iter_mut().zip(gate) {
        *up *= x * sigmoid(inner(activation, *x).0);
    }
}

/// From `dy`: the derivatives by gate and up.
pub(super) fn gated_backward(
    gate: &[f32],
    up: &[f32],
    dy: &mut [f32],
    activation: Activation,
) -> Vec<f32> {
    let mut dgate = zeros(gate.len());
    dy.par_chunks_mut(TASK)
        .zip(dgate.par_chunks_mut(TASK))
        .zip(gate.par_chunks(TASK).zip(up.par_chunks(TASK)))
        .for_each(|((dy, dgate), (gate, up))| {
            Arch::new().dispatch(
                #[inline(always)]
                || match activation {
                    Activation::Silu => ungate_chunk(gate, up, dy, dgate, Activation::Silu),
                    Activation::GeluTanh => ungate_chunk(gate, up, dy, dgate, Activation::GeluTanh),
                },
            );
        });
    dgate
}

#[inline(always)]
fn ungate_chunk(gate: &[f32], up: &[f32], dy: &mut [f32], dgate: &mut [f32], kind: Activation) {
    for (((x, up), dy), dgate) in gate.iter().zip(up).zip(dy).zip(dgate) {
        let (z, slope) = inner(kind, *x);
        let s = sigmoid(z);
        *dgate = *dy * up * (s + x * s * (1.0 - s) * slope);
        *dy *= x * s;
    }
}

/// Heads turned: `(a, b) -> (a c - b s, b c + a s)`, entry `b` lying `pairs` after `a`. Entries in
/// no pair are multiplied by their `c`. A negative `sign` turns back.
pub(super) fn turn(
    x: &[f32],
    cos: &[f32],
    sin: &[f32],
    dim: usize,
    heads: usize,
    pairs: usize,
    sign: f32,
) -> Vec<f32> {
    let mut y = zeros(x.len());
    let row = heads * dim;
    let rows = rows_a_task(row);
    y.par_chunks_mut(rows * row)
        .zip(x.par_chunks(rows * row))
        .zip(cos.par_chunks(rows * dim).zip(sin.par_chunks(rows * dim)))
        .for_each(|((y, x), (cos, sin))| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let angles = cos.chunks_exact(dim).zip(sin.chunks_exact(dim));
                    let rows = y.chunks_exact_mut(row).zip(x.chunks_exact(row));
                    for ((y, x), (cos, sin)) in rows.zip(angles) {
                        let rest = &cos[2 * pairs..];
                        let (cos, sin) = (&cos[..pairs], &sin[..pairs]);
                        for (y, x) in y.chunks_exact_mut(dim).zip(x.chunks_exact(dim)) {
                            let (x, x_rest) = x.split_at(2 * pairs);
                            let (y, y_rest) = y.split_at_mut(2 * pairs);
                            let ((xa, xb), (ya, yb)) = (x.split_at(pairs), y.split_at_mut(pairs));
                            for i in 0..pairs {
                                let s = sin[i] * sign;
                                ya[i] = xa[i] * cos[i] - xb[i] * s;
                                yb[i] = xb[i] * cos[i] + xa[i] * s;
                            }
                            for ((y, x), scale) in y_rest.iter_mut().zip(x_rest).zip(rest) {
                                *y = x * scale;
                            }
                        }
                    }
                },
            );
        });
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_good_to_two_units_in_the_last_place() {
        let mut worst = 0.0_f64;
        for i in 0..200_000 {
            let x = -86.9 + i as f32 * (174.8 / 200_000.0);
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst:e}");
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-200.0), 0.0);
        assert!(exp(200.0).is_finite() && exp(200.0) > 1e38);
    }
}
