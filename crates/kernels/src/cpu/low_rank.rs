//! Products of low rank beside a large one: added to values that are there already, and the gradients of their factors.
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the plainest processor"
)]

use burn::tensor::Tensor;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::product::{TILE, column_tasks, products};
use super::{dense, from_plain, plain, tensor, values, values_mut};

/// Rows of inputs that share what is read of the factors.
const ROWS: usize = TILE;
/// Rows a task takes.
const TASK: usize = 4 * ROWS;

/// `y + s x first^T second`, `[rows, out]`, and `s x first^T`, `[rows, rank]`, of `x`, `[rows, in]`, for
/// `first: [rank, in]` and `second: [rank, out]`, without automatic differentiation.
///
/// Every entry is the same sum in the same order, whatever the number of rows and of threads.
pub(crate) fn add_low_rank(
    y: Tensor<2>,
    x: &Tensor<2>,
    [first, second]: [&Tensor<2>; 2],
    scale: f32,
) -> (Tensor<2>, Tensor<2>) {
    let ([rows, inner], [rank, out]) = (x.dims(), second.dims());
    let [x, first, second] = [x, first, second].map(|x| dense(plain(x.clone())));
    let mut y = dense(plain(y));
    let mut middle = vec![0.0; rows * rank];
    if rank > 0 && inner > 0 && out > 0 {
        let factors = Factors { first: values(&first), second: values(&second), rank, scale };
        factors.add(values_mut(&mut y), &mut middle, values(&x));
    }
    (from_plain(y), from_plain(tensor(middle, [rows, rank])))
}

#[derive(Clone, Copy)]
struct Factors<'a> {
    first: &'a [f32],
    second: &'a [f32],
    rank: usize,
    scale: f32,
}

impl Factors<'_> {
    fn add(self, y: &mut [f32], middle: &mut [f32], x: &[f32]) {
        let (inner, width) = (self.first.len() / self.rank, self.second.len() / self.rank);
        let arch = Arch::new();
        let tasks = y.par_chunks_mut(TASK * width).zip(middle.par_chunks_mut(TASK * self.rank));
        tasks.zip(x.par_chunks(TASK * inner)).for_each(|((y, middle), x)| {
            arch.dispatch(Task { factors: self, y, middle, x, inner, width });
        });
    }
}

struct Task<'a> {
    factors: Factors<'a>,
    y: &'a mut [f32],
    middle: &'a mut [f32],
    x: &'a [f32],
    inner: usize,
    width: usize,
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { factors, y, middle, x, inner, width } = self;
        let Factors { first, second: right, rank, scale } = factors;
        for (middle, x) in middle.chunks_mut(ROWS * rank).zip(x.chunks(ROWS * inner)) {
            for (tile, first) in first.chunks(TILE * inner).enumerate() {
                let (rows, count) = (x.len() / inner, first.len() / inner);
                let found = products(simd, (x, rows), (first, count, inner), inner);
                for (row, middle) in middle.chunks_mut(rank).enumerate() {
                    for (at, found) in found[..count].iter().enumerate() {
                        middle[tile * TILE + at] = scale * found[row];
                    }
                }
            }
        }
        let left = &*middle;
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

/// `left^T right`, `[rank, width]`, for both pairs of `left: [rows, rank]` and `right: [rows, width]`, without automatic
/// differentiation.
///
/// Every entry is the same sum in the same order, whatever the number of threads.
pub(crate) fn outer_sums(pairs: [(&Tensor<2>, &Tensor<2>); 2]) -> [Tensor<2>; 2] {
    let [a, b] = pairs.map(|(left, right)| {
        let ([_, rank], [_, width]) = (left.dims(), right.dims());
        let (left, right) = (dense(plain(left.clone())), dense(plain(right.clone())));
        (left, right, rank, width)
    });
    let sums = |(left, right, rank, width): &(_, _, usize, usize)| {
        from_plain(tensor(outer_sum(values(left), values(right), *rank, *width), [*rank, *width]))
    };
    let (a, b) = rayon::join(|| sums(&a), || sums(&b));
    [a, b]
}

/// Columns of a sum that a task takes.
const COLUMNS: usize = 64;
/// Rows whose products are added before they join the sum: fewer roundings of large sums.
const BLOCK: usize = 256;
/// Rows of a sum at a time.
const RANKS: usize = 8;

fn outer_sum(left: &[f32], right: &[f32], rank: usize, width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; rank * width];
    let arch = Arch::new();
    column_tasks(&mut sum, width, COLUMNS).par_iter_mut().enumerate().for_each(|(task, sum)| {
        arch.dispatch(OuterTask { sum, left, right, first: task * COLUMNS, width });
    });
    sum
}

struct OuterTask<'a, 'b> {
    /// Of each row of the sum the columns of the task.
    sum: &'a mut [&'b mut [f32]],
    left: &'a [f32],
    right: &'a [f32],
    first: usize,
    width: usize,
}

impl WithSimd for OuterTask<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { sum, left, right, first, width } = self;
        let (rank, count) = (sum.len(), sum.first().map_or(0, |part| part.len()));
        let step = 2 * S::F32_LANES;
        let whole = count - count % step;
        for (left, right) in left.chunks(BLOCK * rank).zip(right.chunks(BLOCK * width)) {
            for at in (0..whole).step_by(step) {
                for m in (0..rank).step_by(RANKS) {
                    let block = Outer { left, right, rank, width, m, column: first + at };
                    if m + RANKS <= rank {
                        block.add::<S, RANKS>(simd, &mut sum[m..], at);
                    } else {
                        for m in m..rank {
                            Outer { m, ..block }.add::<S, 1>(simd, &mut sum[m..], at);
                        }
                    }
                }
            }
            for (left, right) in left.chunks(rank).zip(right.chunks(width)) {
                for (sum, &left) in sum.iter_mut().zip(left) {
                    for (sum, &right) in sum[whole..].iter_mut().zip(&right[first + whole..]) {
                        *sum = left.mul_add(right, *sum);
                    }
                }
            }
        }
    }
}

/// Two vectors of columns of some rows of the sum, from `m` and `column` on.
#[derive(Clone, Copy)]
struct Outer<'a> {
    left: &'a [f32],
    right: &'a [f32],
    rank: usize,
    width: usize,
    m: usize,
    column: usize,
}

impl Outer<'_> {
    #[inline(always)]
    fn add<S: Simd, const M: usize>(&self, simd: S, sum: &mut [&mut [f32]], at: usize) {
        let step = 2 * S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); 2]; M];
        for (left, right) in self.left.chunks(self.rank).zip(self.right.chunks(self.width)) {
            let (body, _) = S::as_simd_f32s(&right[self.column..self.column + step]);
            for i in 0..M {
                let factor = simd.splat_f32s(left[self.m + i]);
                for j in 0..2 {
                    sums[i][j] = simd.mul_add_f32s(factor, body[j], sums[i][j]);
                }
            }
        }
        for i in 0..M {
            let (body, _) = S::as_mut_simd_f32s(&mut sum[i][at..at + step]);
            for j in 0..2 {
                body[j] = simd.add_f32s(body[j], sums[i][j]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(i: usize) -> f32 {
        ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0
    }

    fn matrix(rows: usize, width: usize, seed: usize) -> Vec<f32> {
        (0..rows * width).map(|i| value(i + seed)).collect()
    }

    /// `left right`, `[rows, width]`, in f64.
    fn product(left: &[f32], right: &[f32], inner: usize, width: usize) -> Vec<f64> {
        let row = |left: &[f32]| -> Vec<f64> {
            let entry = |column: usize| {
                let terms = left.iter().zip(right.chunks(width));
                terms.map(|(&l, right)| f64::from(l) * f64::from(right[column])).sum()
            };
            (0..width).map(entry).collect()
        };
        left.chunks(inner).flat_map(row).collect()
    }

    fn transposed(x: &[f32], width: usize) -> Vec<f32> {
        (0..width).flat_map(|column| x.iter().skip(column).step_by(width).copied()).collect()
    }

    fn by_threads<T>(threads: usize, work: impl FnOnce() -> T + Send) -> T
    where
        T: Send,
    {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(work)
    }

    fn assert_near(found: &[f32], exact: impl IntoIterator<Item = f64>, scale: f64) {
        for (&found, exact) in found.iter().zip(exact) {
            assert!((f64::from(found) - exact).abs() < 1e-6 * scale, "{found} {exact}");
        }
    }

    #[test]
    fn products_of_any_size_are_those_in_f64_by_any_number_of_threads() {
        let sizes =
            [(1, 1, 1, 1), (3, 33, 16, 7), (6, 64, 5, 64), (70, 50, 16, 576), (9, 130, 64, 99)];
        for (rows, inner, rank, width) in sizes {
            let (x, first, second) =
                (matrix(rows, inner, 0), matrix(rank, inner, 5), matrix(rank, width, 9));
            let before = matrix(rows, width, 3);
            let factors = Factors { first: &first, second: &second, rank, scale: 0.5 };
            let by = |threads| {
                let (mut y, mut middle) = (before.clone(), vec![0.0; rows * rank]);
                by_threads(threads, || factors.add(&mut y, &mut middle, &x));
                (y, middle)
            };
            let (y, middle) = by(1);
            assert_eq!((&y, &middle), (&by(3).0, &by(3).1));
            let exact = product(&x, &transposed(&first, inner), inner, rank);
            assert_near(&middle, exact.iter().map(|x| 0.5 * x), inner as f64);
            let added = product(&middle, &second, rank, width);
            let exact = before.iter().zip(&added).map(|(&y, added)| f64::from(y) + added);
            assert_near(&y, exact, (inner * rank) as f64);
        }
    }

    #[test]
    fn outer_sums_of_any_size_are_those_in_f64_by_any_number_of_threads() {
        for (rows, rank, width) in [(1, 1, 1), (5, 3, 33), (40, 16, 192), (700, 19, 70)] {
            let (left, right) = (matrix(rows, rank, 0), matrix(rows, width, 5));
            let by = |threads| by_threads(threads, || outer_sum(&left, &right, rank, width));
            assert_eq!(by(1), by(3));
            assert_near(
                &by(1),
                product(&transposed(&left, rank), &right, rows, width),
                rows as f64,
            );
        }
    }
}
