//! Element-wise work of encoders on slices, after the manner of [`super::kernel`].
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the plainest processor"
)]

use pulp::Arch;
use rayon::prelude::*;

use super::fresh::zeros;
use super::kernel::{TASK, exp, rows_a_task, sum2};

/// What the backward pass needs of a norm: the normalised values, and what each row was scaled by.
pub(super) type Kept<'a> = Option<(&'a mut [f32], &'a mut [f32])>;

/// What happens to rows before they are normalised: `x <- (x + bias) mask + residual`, as far as
/// these are there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Before<'a> {
    pub(super) bias: Option<&'a [f32]>,
    pub(super) mask: Option<&'a [f32]>,
    pub(super) residual: Option<&'a [f32]>,
}

impl<'a> Before<'a> {
    /// What belongs to the values from `at` on.
    fn from(&self, at: usize) -> Before<'a> {
        Before {
            bias: self.bias,
            mask: self.mask.map(|mask| &mask[at..]),
            residual: self.residual.map(|residual| &residual[at..]),
        }
    }
}

/// `x <- norm((x + bias) mask + residual) weight + bias`, row by row.
pub(super) fn layer_norm(
    x: &mut [f32],
    before: Before<'_>,
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    kept: Kept<'_>,
) {
    let width = weight.len();
    let rows = rows_a_task(width);
    let size = rows * width;
    let rows_of = |task: usize, x: &mut [f32], kept: Kept<'_>| {
        let before = before.from(task * size);
        Arch::new().dispatch(
            #[inline(always)]
            || norm_rows(x, before, weight, bias, eps, kept),
        );
    };
    match kept {
        None => {
            x.par_chunks_mut(size).enumerate().for_each(|(task, x)| rows_of(task, x, None));
        }
        Some((normed, scales)) => x
            .par_chunks_mut(size)
            .zip(normed.par_chunks_mut(size).zip(scales.par_chunks_mut(rows)))
            .enumerate()
            .for_each(|(task, (x, kept))| rows_of(task, x, Some(kept))),
    }
}

#[inline(always)]
fn norm_rows(
    x: &mut [f32],
    before: Before<'_>,
    weight: &[f32],
    bias: &[f32],
    eps: f32,
    mut kept: Kept<'_>,
) {
    let width = weight.len();
    for (row, x) in x.chunks_exact_mut(width).enumerate() {
        let at = row * width;
        if let Some(bias) = before.bias {
            for (x, bias) in x.iter_mut().zip(bias) {
                *x += bias;
            }
        }
        if let Some(mask) = before.mask {
            for (x, mask) in x.iter_mut().zip(&mask[at..at + width]) {
                *x *= mask;
            }
        }
        if let Some(residual) = before.residual {
            add(x, &residual[at..at + width]);
        }
        let mean = sum2(x, x, |x, _| x) / width as f32;
        for x in x.iter_mut() {
            *x -= mean;
        }
        let scale = (sum2(x, x, |a, b| a * b) / width as f32 + eps).sqrt().recip();
        if let Some((normed, scales)) = &mut kept {
            scales[row] = scale;
            for (normed, x) in normed[at..at + width].iter_mut().zip(x.iter()) {
                *normed = x * scale;
            }
        }
        for ((x, weight), bias) in x.iter_mut().zip(weight).zip(bias) {
            *x = *x * scale * weight + bias;
        }
    }
}

/// Turns `dy` into the derivative by the sum that was normalised; returns those by weight and bias.
///
/// ```text
/// dx = s (g - mean(g) - n mean(g n)),   g = dy w,   n normalised values,   s scale of the row
/// ```
pub(super) fn layer_norm_backward(
    normed: &[f32],
    scales: &[f32],
    weight: &[f32],
    dy: &mut [f32],
) -> (Vec<f32>, Vec<f32>) {
    let width = weight.len();
    let rows = rows_a_task(width);
    let size = rows * width;
    let parts: Vec<(Vec<f32>, Vec<f32>)> = dy
        .par_chunks_mut(size)
        .zip(normed.par_chunks(size).zip(scales.par_chunks(rows)))
        .map(|(dy, (normed, scales))| {
            let (mut dw, mut db) = (vec![0.0; width], vec![0.0; width]);
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    let rows = dy.chunks_exact_mut(width).zip(normed.chunks_exact(width));
                    for ((dy, n), scale) in rows.zip(scales) {
                        let sums = dw.iter_mut().zip(db.iter_mut());
                        for (((dw, db), dy), n) in sums.zip(dy.iter()).zip(n) {
                            *dw += dy * n;
                            *db += dy;
                        }
                        for (dy, weight) in dy.iter_mut().zip(weight) {
                            *dy *= weight;
                        }
                        let mean = sum2(dy, dy, |g, _| g) / width as f32;
                        let pull = sum2(dy, n, |g, n| g * n) / width as f32;
                        for (dy, n) in dy.iter_mut().zip(n) {
                            *dy = scale * (*dy - mean - n * pull);
                        }
                    }
                },
            );
            (dw, db)
        })
        .collect();
    let (mut dw, mut db) = (vec![0.0; width], vec![0.0; width]);
    for (dw_part, db_part) in &parts {
        add(&mut dw, dw_part);
        add(&mut db, db_part);
    }
    (dw, db)
}

#[inline(always)]
fn add(sum: &mut [f32], part: &[f32]) {
    for (sum, part) in sum.iter_mut().zip(part) {
        *sum += part;
    }
}

/// `Phi(x)` and the density at `x` of the normal distribution.
///
/// Source: Abramowitz & Stegun 1964, 7.1.26; the error function to 1.5e-7.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const ROOT_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
    const ROOT_TAU: f32 = 0.398_942_3;
    let bell = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * (x.abs() * ROOT_HALF));
    let p = 1.061_405_4 * t - 1.453_152_1;
    let p = p * t + 1.421_413_8;
    let p = p * t - 0.284_496_72;
    let p = p * t + 0.254_829_6;
    let tail = 0.5 * p * t * bell;
    (if x < 0.0 { tail } else { 1.0 - tail }, ROOT_TAU * bell)
}

/// `x <- y Phi(y)` of the rows `y = x + bias`; the derivatives by `y` go to `slopes`.
pub(super) fn bias_gelu(x: &mut [f32], bias: &[f32], slopes: Option<&mut [f32]>) {
    let width = bias.len();
    let size = rows_a_task(width) * width;
    match slopes {
        None => x.par_chunks_mut(size).for_each(|x| {
            Arch::new().dispatch(
                #[inline(always)]
                || {
                    for x in x.chunks_exact_mut(width) {
                        for (x, bias) in x.iter_mut().zip(bias) {
                            let y = *x + bias;
                            *x = y * normal(y).0;
                        }
                    }
                },
            );
        }),
        Some(slopes) => {
            x.par_chunks_mut(size).zip(slopes.par_chunks_mut(size)).for_each(|(x, slopes)| {
                Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let rows = x.chunks_exact_mut(width).zip(slopes.chunks_exact_mut(width));
                        for (x, slopes) in rows {
                            for ((x, slope), bias) in x.iter_mut().zip(slopes).zip(bias) {
                                let y = *x + bias;
                                let (cdf, density) = normal(y);
                                *slope = cdf + y * density;
                                *x = y * cdf;
                            }
                        }
                    },
                );
            });
        }
    }
}

/// `y <- a Phi(a) b` of rows `x` with `a` in their first half and `b` in their second.
pub(super) fn gelu_gate(x: &[f32], y: &mut [f32], width: usize) {
    let rows = rows_a_task(width);
    y.par_chunks_mut(rows * width).zip(x.par_chunks(2 * rows * width)).for_each(|(y, x)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (y, x) in y.chunks_exact_mut(width).zip(x.chunks_exact(2 * width)) {
                    let (a, b) = x.split_at(width);
                    for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                        *y = a * normal(*a).0 * b;
                    }
                }
            },
        );
    });
}

/// Turns the rows `x` into the derivative by them, from that by what [`gelu_gate`] made of them.
pub(super) fn gelu_gate_backward(x: &mut [f32], dy: &[f32], width: usize) {
    let rows = rows_a_task(width);
    x.par_chunks_mut(2 * rows * width).zip(dy.par_chunks(rows * width)).for_each(|(x, dy)| {
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (x, dy) in x.chunks_exact_mut(2 * width).zip(dy.chunks_exact(width)) {
                    let (a, b) = x.split_at_mut(width);
                    for ((a, b), dy) in a.iter_mut().zip(b).zip(dy) {
                        let (cdf, density) = normal(*a);
                        let (value, slope) = (*a * cdf, cdf + *a * density);
                        (*a, *b) = (dy * *b * slope, dy * value);
                    }
                }
            },
        );
    });
}

/// Where the heads of rows of tokens lie in a matrix of `rows * length` tokens: `heads` times `dim` values of each from
/// its `column`-th.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLayout {
    pub(super) rows: usize,
    pub(super) length: usize,
    pub(super) heads: usize,
    pub(super) dim: usize,
    pub(super) column: usize,
    /// Width of the matrix.
    pub(super) width: usize,
}

impl HeadLayout {
    /// `[rows * heads, length, dim]`: the values, plus a bias of the columns, times a factor.
    pub(super) fn take(&self, matrix: &[f32], bias: Option<&[f32]>, factor: f32) -> Vec<f32> {
        let Self { rows, length, heads, dim, column, width } = *self;
        let mut taken = zeros(rows * heads * length * dim);
        let part = (length * dim).max(1);
        taken.par_chunks_mut(part).enumerate().for_each(|(number, taken)| {
            let (row, head) = (number / heads, number % heads);
            let at = row * length * width + column + head * dim;
            let tokens = taken.chunks_exact_mut(dim).enumerate();
            for (token, taken) in tokens {
                let values = &matrix[at + token * width..][..dim];
                match bias {
                    Some(bias) => {
                        let bias = &bias[column + head * dim..][..dim];
                        for ((to, x), b) in taken.iter_mut().zip(values).zip(bias) {
                            *to = (x + b) * factor;
                        }
                    }
                    None => {
                        for (to, x) in taken.iter_mut().zip(values) {
                            *to = x * factor;
                        }
                    }
                }
            }
        });
        taken
    }

    /// Puts `[rows * heads, length, dim]`, times a factor, where it was taken from.
    pub(super) fn put(&self, values: &[f32], factor: f32, matrix: &mut [f32]) {
        let Self { length, heads, dim, column, width, .. } = *self;
        matrix.par_chunks_mut((length * width).max(1)).enumerate().for_each(|(row, matrix)| {
            for (token, matrix) in matrix.chunks_exact_mut(width).enumerate() {
                let into = matrix[column..column + heads * dim].chunks_exact_mut(dim);
                for (head, into) in into.enumerate() {
                    let at = ((row * heads + head) * length + token) * dim;
                    for (to, x) in into.iter_mut().zip(&values[at..at + dim]) {
                        *to = x * factor;
                    }
                }
            }
        });
    }
}

/// `x <- x y`.
pub(super) fn multiply(x: &mut [f32], y: &[f32]) {
    x.par_chunks_mut(TASK).zip(y.par_chunks(TASK)).for_each(|(x, y)| {
        for (x, y) in x.iter_mut().zip(y) {
            *x *= y;
        }
    });
}

/// Adds `bias` to each row.
pub(super) fn add_to_rows(x: &mut [f32], bias: &[f32]) {
    let width = bias.len();
    x.par_chunks_mut(rows_a_task(width) * width).for_each(|x| {
        for x in x.chunks_exact_mut(width) {
            add(x, bias);
        }
    });
}

/// The sum of the rows.
pub(super) fn sum_rows(x: &[f32], width: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = x
        .par_chunks(rows_a_task(width) * width)
        .map(|x| {
            let mut sum = vec![0.0; width];
            for x in x.chunks_exact(width) {
                add(&mut sum, x);
            }
            sum
        })
        .collect();
    let mut sum = vec![0.0; width];
    for part in &parts {
        add(&mut sum, part);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_that_of_the_tables() {
        // Phi from tables (Abramowitz & Stegun 1964, table 26.1), 15 digits.
        for (x, phi) in [
            (0.0, 0.5),
            (0.5, 0.691_462_461_274_013),
            (1.0, 0.841_344_746_068_543),
            (2.0, 0.977_249_868_051_821),
            (3.0, 0.998_650_101_968_370),
            (-1.0, 0.158_655_253_931_457),
            (-2.5, 0.006_209_665_325_776),
            (-6.0, 9.865_876_45e-10),
        ] {
            let (found, density) = normal(x);
            assert!((f64::from(found) - phi).abs() < 2e-7, "{x}: {found}");
            let exact = (-0.5 * f64::from(x).powi(2)).exp() / std::f64::consts::TAU.sqrt();
            assert!((f64::from(density) - exact).abs() < 1e-7, "{x}: {density}");
        }
    }
}
