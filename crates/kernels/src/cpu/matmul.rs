//! Matrix products into memory that nobody clears first.

use std::mem::MaybeUninit;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use gemm::Parallelism;
use rayon::prelude::*;

use super::{Plain, tensor};

/// Multiplications of one product that are worth being split among threads, as burn has it.
const SPLIT: usize = 192 * 192 * 192;
/// Multiplications of a batch that are worth a thread for each product.
const BATCH: usize = 128 * 128 * 128;

/// `a b`, dense: `[m, n]` of `[m, k]` and `[k, n]`, or one such product for each of a batch, `[batch, m, n]`. Operands
/// are read where they lie, transposed or not.
///
/// burn's product has the same bits, from the same library; but it clears its result before it computes it, and then
/// moves it to bytes of another alignment, on one thread.
pub(super) fn matmul(a: Plain, b: Plain) -> Plain {
    let mut shape = a.shape().to_vec();
    let (a, b) = (in_order(a), in_order(b));
    let (a, b) = (Operand::of(&a), Operand::of(&b));
    assert_eq!((a.batch, a.columns), (b.batch, b.rows), "operands fit");
    let (m, k, n) = (a.rows, a.columns, b.columns);
    *shape.last_mut().expect("a matrix has columns") = n;
    let len = a.batch * m * n;
    if len == 0 || k == 0 {
        return tensor(vec![0.0; len], shape);
    }
    let mut y = Vec::with_capacity(len);
    let room = &mut y.spare_capacity_mut()[..len];
    let each = m.saturating_mul(n).saturating_mul(k);
    let all = each.saturating_mul(a.batch);
    if all >= BATCH && (a.batch >= 4 || a.batch > 1 && each < SPLIT) {
        let products = room.par_chunks_mut(m * n).enumerate();
        products.for_each(|(at, y)| product(&a, &b, at, y, Parallelism::None));
    } else {
        let split = if each >= SPLIT { Parallelism::Rayon(0) } else { Parallelism::None };
        for (at, y) in room.chunks_mut(m * n).enumerate() {
            product(&a, &b, at, y, split);
        }
    }
    #[expect(unsafe_code, reason = "as of `product`")]
    // SAFETY: `product` wrote each `m * n` of the `len` values.
    unsafe {
        y.set_len(len);
    }
    tensor(y, shape)
}

/// The last two dimensions exchanged; nothing moves.
pub(super) fn transposed(x: Plain) -> Plain {
    let last = x.shape().num_dims() - 1;
    Flex::float_swap_dims(x, last - 1, last)
}

/// The tensor, or a dense copy if it runs backwards.
fn in_order(x: Plain) -> Plain {
    if x.layout().has_positive_strides() { x } else { x.to_contiguous() }
}

/// Matrices in memory.
#[derive(Debug)]
struct Operand<'a> {
    /// From the first entry on.
    values: &'a [f32],
    batch: usize,
    rows: usize,
    columns: usize,
    /// From one of the batch, row and column to the next.
    strides: [isize; 3],
}

impl<'a> Operand<'a> {
    fn of(x: &'a Plain) -> Self {
        let layout = x.layout();
        let ([batch, rows, columns], strides) = match (&layout.shape()[..], layout.strides()) {
            (&[rows, columns], &[row, column]) => ([1, rows, columns], [0, row, column]),
            (&[batch, rows, columns], &[next, row, column]) => {
                ([batch, rows, columns], [next, row, column])
            }
            (shape, _) => panic!("{shape:?} is no matrix and no batch of them"),
        };
        let values = &x.storage::<f32>()[layout.start_offset()..];
        let operand = Self { values, batch, rows, columns, strides };
        if batch * rows * columns > 0 {
            assert!(operand.place([batch - 1, rows - 1, columns - 1]) < values.len());
        }
        operand
    }

    /// Where an entry lies.
    fn place(&self, at: [usize; 3]) -> usize {
        at.iter().zip(self.strides).map(|(at, stride)| at * stride.unsigned_abs()).sum()
    }
}

/// One product of a batch, `[m, n]`, none of them empty.
#[expect(
    unsafe_code,
    reason = "the library has no safe function, and with results that all threads write (`fresh`), fine-tuning an encoder takes 0.92 of the time that it takes with burn's product"
)]
fn product(
    a: &Operand<'_>,
    b: &Operand<'_>,
    at: usize,
    y: &mut [MaybeUninit<f32>],
    parallelism: Parallelism,
) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    assert!(k == b.rows && at < a.batch.min(b.batch) && y.len() == m * n && y.len() * k > 0);
    let ([_, a_row, a_column], [_, b_row, b_column]) = (a.strides, b.strides);
    let (a, b) = (&a.values[a.place([at, 0, 0])..], &b.values[b.place([at, 0, 0])..]);
    let y = y.as_mut_ptr().cast::<f32>();
    // SAFETY: the last entry of each operand lies within its values, strides are not negative, and so all do; all of
    // `y`, which nothing else refers to, is written, and not read (`false`).
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            y,
            1,
            n as isize,
            false,
            a.as_ptr(),
            a_column,
            a_row,
            b.as_ptr(),
            b_column,
            b_row,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Slice;
    use proptest::prelude::*;

    use super::super::values;
    use super::*;

    fn matrix(shape: Vec<usize>, seed: u64) -> Plain {
        let count: usize = shape.iter().product();
        let numbers =
            (0..count as u64).map(|i| ((i + seed) * 2_654_435_761 % 1_000) as f32 / 500.0 - 1.0);
        tensor(numbers.collect(), shape)
    }

    /// By the definition, in f64.
    fn by_entry(a: &Plain, b: &Plain) -> Vec<f64> {
        let (a, b) = (a.to_contiguous(), b.to_contiguous());
        let (a_shape, b_shape) = (a.shape().to_vec(), b.shape().to_vec());
        let [m, k] = *a_shape.last_chunk::<2>().unwrap();
        let n = b_shape[b_shape.len() - 1];
        let batch = values(&a).len() / (m * k);
        let entry = |i: usize| {
            let (at, row, column) = (i / (m * n), i / n % m, i % n);
            let of = |j: usize| {
                let (x, y) = (at * m * k + row * k + j, at * k * n + j * n + column);
                f64::from(values(&a)[x]) * f64::from(values(&b)[y])
            };
            (0..k).map(of).sum()
        };
        (0..batch * m * n).map(entry).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn products_are_those_of_the_definition_and_burns_to_the_bit(
            batch in 0_usize..6,
            (m, k, n) in (1_usize..70, 1_usize..90, 1_usize..70),
            turned in prop::array::uniform2(prop::bool::ANY),
            cut in 0_usize..3,
        ) {
            let shaped = |rows: usize, columns: usize| match batch {
                0 => vec![rows, columns],
                batch => vec![batch, rows, columns],
            };
            // Rows of a larger matrix, which may lie column by column.
            let operand = |rows: usize, columns: usize, turned: bool, seed: u64| {
                let whole = if turned {
                    transposed(matrix(shaped(columns, rows + cut), seed))
                } else {
                    matrix(shaped(rows + cut, columns), seed)
                };
                let mut slices = vec![Slice::from(..); whole.shape().num_dims() - 2];
                slices.push(Slice::from(cut..));
                Flex::float_slice(whole, &slices)
            };
            let (a, b) = (operand(m, k, turned[0], 1), operand(k, n, turned[1], 2));
            let y = matmul(a.clone(), b.clone());
            let same = Flex::float_matmul(a.clone(), b.clone());
            prop_assert_eq!(y.shape(), same.shape());
            prop_assert_eq!(values(&y), values(&same));
            for (y, exact) in values(&y).iter().zip(by_entry(&a, &b)) {
                prop_assert!((f64::from(*y) - exact).abs() <= 1e-6 * k as f64, "{y} {exact}");
            }
        }
    }

    #[test]
    fn large_products_and_those_of_nothing() {
        let (a, b) = (matrix(vec![300, 257], 3), matrix(vec![129, 257], 4));
        let y = matmul(a.clone(), transposed(b.clone()));
        assert_eq!(values(&y), values(&Flex::float_matmul(a.clone(), transposed(b))));
        // Backwards along both dimensions.
        let back = Flex::float_flip(a.clone(), &[0, 1]);
        let y = matmul(transposed(back.clone()), a.clone());
        assert_eq!(values(&y), values(&Flex::float_matmul(transposed(back), a)));
        let nothing = matmul(tensor(vec![], [3, 0]), tensor(vec![], [0, 2]));
        assert_eq!(values(&nothing), [0.0; 6]);
        assert_eq!(matmul(tensor(vec![], [0, 2]), matrix(vec![2, 4], 0)).shape().to_vec(), [0, 4]);
    }
}
