//! The product of few rows with a weight that is read once.
//!
//! A general product first copies its operands into an order of its own. With a handful of rows,
//! as in decoding, that copy costs more than the product. Here rows of the weight are met where
//! they lie, four at a time, by four rows of inputs.
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the plainest processor"
)]

use bestof_blocks::{GgmlType, dequantize_blocks};
use pulp::bytemuck::cast_slice;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::ahead::{Ahead, LINE};
/// Rows of the weight, and rows of inputs, multiplied together.
pub(super) use super::lane_sums::TILE;
use super::lane_sums::lane_sums;

/// Rows of the weight a task takes.
const TASK: usize = 64;
/// Rows of the weight that stay in the nearest cache while all rows of inputs pass by.
const NEAR: usize = 2 * TILE;

/// Where the rows of a weight are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    Values(&'a [f32]),
    /// Whole blocks a row; a few rows at a time are widened where the processor keeps them.
    Blocks(GgmlType, &'a [u8]),
}

impl<'a> Source<'a> {
    /// The bytes of so many rows from one on, of fewer at the end.
    fn rows(self, first: usize, count: usize, width: usize) -> &'a [u8] {
        let (bytes, row): (&[u8], usize) = match self {
            Self::Values(values) => (cast_slice(values), 4 * width),
            Self::Blocks(ggml_type, bytes) => (bytes, ggml_type.bytes_of(width)),
        };
        let end = bytes.len();
        &bytes[(first * row).min(end)..((first + count) * row).min(end)]
    }
}

/// `x w^T`, `[rows, out]`, for `x: [rows, width]` and `w: [out, width]`.
///
/// Every entry is the same sum in the same order, whatever the number of rows.
pub(super) fn few_rows(x: &[f32], weight: Source<'_>, width: usize, out: usize) -> Vec<f32> {
    let rows = x.len() / width;
    let mut storage = Vec::new();
    let x = at_a_line(x, &mut storage);
    let mut y = vec![0.0; rows * out];
    let arch = Arch::new();
    column_tasks(&mut y, out, TASK).par_iter_mut().enumerate().for_each(|(task, y)| {
        arch.dispatch(Task { x, weight, first: task * TASK, y, width });
    });
    y
}

/// The rows of `y`, `[rows, width]`, cut into tasks of so many columns: of each task its part of every row.
pub(super) fn column_tasks(y: &mut [f32], width: usize, columns: usize) -> Vec<Vec<&mut [f32]>> {
    let rows = y.len() / width.max(1);
    let mut tasks: Vec<Vec<&mut [f32]>> =
        (0..width.div_ceil(columns)).map(|_| Vec::with_capacity(rows)).collect();
    for row in y.chunks_exact_mut(width.max(1)) {
        tasks.iter_mut().zip(row.chunks_mut(columns)).for_each(|(task, part)| task.push(part));
    }
    tasks
}

/// Values that begin at a cache line, so that no vector lies in two: these, or else their copy in `storage`.
fn at_a_line<'a>(values: &'a [f32], storage: &'a mut Vec<f32>) -> &'a [f32] {
    if values.as_ptr().addr().is_multiple_of(LINE) {
        return values;
    }
    let room = room_at_a_line(values.len(), storage);
    room.copy_from_slice(values);
    room
}

/// Room for so many values that begins at a cache line.
fn room_at_a_line(count: usize, storage: &mut Vec<f32>) -> &mut [f32] {
    let line = LINE / size_of::<f32>();
    storage.resize(count + line, 0.0);
    let before = storage.as_ptr().addr() % LINE / size_of::<f32>();
    &mut storage[(line - before) % line..][..count]
}

struct Task<'a, 'b> {
    x: &'a [f32],
    weight: Source<'a>,
    /// The row of the weight that the task begins with.
    first: usize,
    /// As many outputs of each row as the task has rows of the weight.
    y: &'a mut [&'b mut [f32]],
    width: usize,
}

impl WithSimd for Task<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, weight: source, first, y, width } = self;
        let all = y.first().map_or(0, |y| y.len());
        // Rows that are widened are used while they are in the nearest cache, and read at once where
        // few inputs make memory the bound.
        let group = match source {
            Source::Values(_) => TASK,
            Source::Blocks(..) if x.len() / width < NEAR => TILE,
            Source::Blocks(..) => NEAR,
        };
        let mut storage = Vec::new();
        let widened = match source {
            Source::Values(_) => &mut [][..],
            Source::Blocks(..) => room_at_a_line(group * width, &mut storage),
        };
        for at in (0..all).step_by(group) {
            let (first, count) = (first + at, group.min(all - at));
            let weight = match source {
                Source::Values(weight) => &weight[first * width..(first + count) * width],
                Source::Blocks(ggml_type, bytes) => {
                    let row = ggml_type.bytes_of(width);
                    let widened = &mut widened[..count * width];
                    let bytes = &bytes[first * row..(first + count) * row];
                    dequantize_blocks(ggml_type, bytes, widened).expect("rows are whole blocks");
                    &*widened
                }
            };
            for (near, weight) in weight.chunks(NEAR * width).enumerate() {
                let next = first + ((near + 1) * NEAR).min(count);
                let next = source.rows(next, NEAR.min(group), width);
                let calls = x.len().div_ceil(TILE * width) * weight.len().div_ceil(TILE * width);
                let mut ahead = Ahead::new(next, calls);
                for (x, y) in x.chunks(TILE * width).zip(y.chunks_mut(TILE)) {
                    for (tile, weight) in weight.chunks(TILE * width).enumerate() {
                        let at = at + near * NEAR + tile * TILE;
                        let count = weight.len() / width;
                        ahead.ask();
                        let found = products(simd, (x, y.len()), (weight, count, width), width);
                        for (row, y) in y.iter_mut().enumerate() {
                            for (y, found) in y[at..at + count].iter_mut().zip(&found) {
                                *y = found[row];
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The products of `count` rows of the weight, each `stride` behind the one before, with `rows` rows of
/// inputs, at most [`TILE`] of both: a list for each row of the weight.
#[inline(always)]
pub(super) fn products<S: Simd>(
    simd: S,
    (x, rows): (&[f32], usize),
    (weight, count, stride): (&[f32], usize, usize),
    width: usize,
) -> [[f32; TILE]; TILE] {
    let mut products = [[0.0; TILE]; TILE];
    let mut put = |found: &[[f32; TILE]]| products[..found.len()].copy_from_slice(found);
    macro_rules! dots {
        ($weights:literal) => {
            put(&match rows {
                1 => dots::<S, $weights, 1>(simd, x, weight, stride, width),
                2 => dots::<S, $weights, 2>(simd, x, weight, stride, width),
                3 => dots::<S, $weights, 3>(simd, x, weight, stride, width),
                _ => dots::<S, $weights, 4>(simd, x, weight, stride, width),
            })
        };
    }
    match count {
        1 => dots!(1),
        2 => dots!(2),
        3 => dots!(3),
        _ => dots!(4),
    }
    products
}

/// The products of `W` rows of the weight, each `stride` behind the one before, with `X` rows of inputs.
///
/// Written with loops, because closures given to library functions are not inlined here.
#[inline(always)]
fn dots<S: Simd, const W: usize, const X: usize>(
    simd: S,
    x: &[f32],
    weight: &[f32],
    stride: usize,
    width: usize,
) -> [[f32; TILE]; W] {
    let count = width / S::F32_LANES;
    let (mut w_body, mut w_rest): ([&[S::f32s]; W], [&[f32]; W]) = ([&[]; W], [&[]; W]);
    for i in 0..W {
        let (body, rest) = S::as_simd_f32s(&weight[i * stride..][..width]);
        w_body[i] = &body[..count];
        w_rest[i] = rest;
    }
    let (mut x_body, mut x_rest): ([&[S::f32s]; X], [&[f32]; X]) = ([&[]; X], [&[]; X]);
    for j in 0..X {
        let (body, rest) = S::as_simd_f32s(&x[j * width..(j + 1) * width]);
        x_body[j] = &body[..count];
        x_rest[j] = rest;
    }
    let mut sums = [[simd.splat_f32s(0.0); X]; W];
    for at in 0..count {
        let mut x = [simd.splat_f32s(0.0); X];
        for j in 0..X {
            x[j] = x_body[j][at];
        }
        for i in 0..W {
            let w = w_body[i][at];
            for j in 0..X {
                sums[i][j] = simd.mul_add_f32s(w, x[j], sums[i][j]);
            }
        }
    }
    let mut totals = lane_sums(simd, &sums);
    for i in 0..W {
        for j in 0..X {
            let mut rest = 0.0;
            for (w, x) in w_rest[i].iter().zip(x_rest[j]) {
                rest += w * x;
            }
            totals[i][j] += rest;
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_any_size_equal_sums_in_f64() {
        let value = |i: usize| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0;
        for (rows, out, width) in [(1, 1, 1), (1, 70, 33), (3, 129, 64), (4, 4, 16), (7, 66, 50)] {
            let x: Vec<f32> = (0..rows * width).map(value).collect();
            let w: Vec<f32> = (0..out * width).map(|i| value(i + 5)).collect();
            let y = few_rows(&x, Source::Values(&w), width, out);
            for r in 0..rows {
                for o in 0..out {
                    let exact: f64 = (0..width)
                        .map(|i| f64::from(x[r * width + i]) * f64::from(w[o * width + i]))
                        .sum();
                    assert!((f64::from(y[r * out + o]) - exact).abs() < 1e-5);
                }
                let alone =
                    few_rows(&x[r * width..(r + 1) * width], Source::Values(&w), width, out);
                assert_eq!(alone, y[r * out..(r + 1) * out], "other rows change nothing");
            }
        }
    }
}
