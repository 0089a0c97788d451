//! A product of low rank, added to values that are there already.
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the plainest processor"
)]

use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{dense, from_plain, kernel, plain, values, values_mut};

/// Rows of the sum that share what is read of the right factor.
const ROWS: usize = 4;

/// `y + left right`, `[rows, width]`, for `left: [rows, rank]` and `right: [rank, width]`, without automatic
/// differentiation.
///
/// Every entry is the same sum in the same order, whatever the number of rows and of threads.
pub(crate) fn add_product(y: Tensor<2>, left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    let [rank, width] = right.dims();
    let (mut y, left, right) = (dense(plain(y)), dense(plain(left)), dense(plain(right)));
    if rank > 0 && width > 0 {
        add(values_mut(&mut y), values(&left), values(&right), rank, width);
    }
    from_plain(y)
}

fn add(y: &mut [f32], left: &[f32], right: &[f32], rank: usize, width: usize) {
    let arch = Arch::new();
    // A task reads the whole right factor: some more rows than an element-wise one has.
    let rows = ROWS * kernel::rows_a_task(width).div_ceil(ROWS);
    y.par_chunks_mut(rows * width).zip(left.par_chunks(rows * rank)).for_each(|(y, left)| {
        arch.dispatch(Task { y, left, right, rank, width });
    });
}

struct Task<'a> {
    y: &'a mut [f32],
    left: &'a [f32],
    right: &'a [f32],
    rank: usize,
    width: usize,
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { y, left, right, rank, width } = self;
        let step = 2 * S::F32_LANES;
        let whole = width - width % step;
        for at in (0..whole).step_by(step) {
            for (y, left) in y.chunks_mut(ROWS * width).zip(left.chunks(ROWS * rank)) {
                let columns = Columns { right, at, rank, width };
                match y.len() / width {
                    1 => columns.add::<S, 1>(simd, y, left),
                    2 => columns.add::<S, 2>(simd, y, left),
                    3 => columns.add::<S, 3>(simd, y, left),
                    _ => columns.add::<S, ROWS>(simd, y, left),
                }
            }
        }
        for (y, left) in y.chunks_mut(width).zip(left.chunks(rank)) {
            for (at, y) in y.iter_mut().enumerate().skip(whole) {
                for (left, right) in left.iter().zip(right.chunks(width)) {
                    *y = left.mul_add(right[at], *y);
                }
            }
        }
    }
}

/// Two vectors of columns, from one column on.
struct Columns<'a> {
    right: &'a [f32],
    at: usize,
    rank: usize,
    width: usize,
}

impl Columns<'_> {
    #[inline(always)]
    fn add<S: Simd, const R: usize>(&self, simd: S, y: &mut [f32], left: &[f32]) {
        let Self { right, at, rank, width } = *self;
        let columns = at..at + 2 * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); 2]; R];
        for i in 0..R {
            let (body, _) = S::as_simd_f32s(&y[i * width..][columns.clone()]);
            sums[i] = [body[0], body[1]];
        }
        for m in 0..rank {
            let (body, _) = S::as_simd_f32s(&right[m * width..][columns.clone()]);
            for i in 0..R {
                let factor = simd.splat_f32s(left[i * rank + m]);
                for j in 0..2 {
                    sums[i][j] = simd.mul_add_f32s(factor, body[j], sums[i][j]);
                }
            }
        }
        for i in 0..R {
            let (body, _) = S::as_mut_simd_f32s(&mut y[i * width..][columns.clone()]);
            [body[0], body[1]] = sums[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_any_size_are_those_in_f64_by_any_number_of_threads() {
        let value = |i: usize| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0;
        for (rows, rank, width) in
            [(1, 1, 1), (3, 16, 33), (6, 5, 64), (70, 16, 576), (9, 64, 1536)]
        {
            let y: Vec<f32> = (0..rows * width).map(value).collect();
            let left: Vec<f32> = (0..rows * rank).map(|i| value(i + 5)).collect();
            let right: Vec<f32> = (0..rank * width).map(|i| value(i + 9)).collect();
            let by = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut y = y.clone();
                pool.install(|| add(&mut y, &left, &right, rank, width));
                y
            };
            let found = by(1);
            assert_eq!(found, by(3));
            for (place, &found) in found.iter().enumerate() {
                let (row, column) = (place / width, place % width);
                let product: f64 = (0..rank)
                    .map(|m| f64::from(left[row * rank + m]) * f64::from(right[m * width + column]))
                    .sum();
                let exact = f64::from(y[place]) + product;
                assert!(
                    (f64::from(found) - exact).abs() < 2e-5,
                    "{rows} {rank} {width}: {found} {exact}"
                );
            }
        }
    }
}
