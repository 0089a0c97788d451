//! Products with weights that rest in blocks: some rows are widened, multiplied, and forgotten.

use bestof_blocks::{GgmlType, dequantize_blocks};
use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{Plain, dense, from_plain, plain, product, tensor, values, values_mut};

/// Values that are widened at a time: 4 MiB of them.
const PANEL: usize = 1 << 20;
/// Values that one thread widens at a time.
const TASK: usize = 1 << 15;

/// The rows of a weight, each a whole number of blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) ggml_type: GgmlType,
    pub(crate) bytes: &'a [u8],
    /// `[out, in]`
    pub(crate) shape: [usize; 2],
}

impl Rows<'_> {
    /// Hands out the rows in panels, as f32, with the number of the first row.
    fn each_panel(&self, mut take: impl FnMut(usize, &Plain)) {
        let [out, width] = self.shape;
        let rows = (PANEL / width).clamp(1, out);
        let mut panel = tensor(vec![0.0; rows * width], [rows, width]);
        for first in (0..out).step_by(rows) {
            let count = rows.min(out - first);
            if count < rows {
                panel = tensor(vec![0.0; count * width], [count, width]);
            }
            self.widen(first, values_mut(&mut panel));
            take(first, &panel);
        }
    }

    fn widen(&self, first: usize, out: &mut [f32]) {
        let [_, width] = self.shape;
        let row_bytes = width / self.ggml_type.block_values() * self.ggml_type.block_bytes();
        let rows = (TASK / width).max(1);
        let bytes = &self.bytes[first * row_bytes..];
        out.par_chunks_mut(rows * width).enumerate().for_each(|(task, out)| {
            let bytes = &bytes[task * rows * row_bytes..][..out.len() / width * row_bytes];
            dequantize_blocks(self.ggml_type, bytes, out).expect("rows are whole blocks");
        });
    }
}

/// `x w^T`
pub(crate) fn linear_of_blocks(x: Tensor<2>, weight: Rows<'_>) -> Tensor<2> {
    let ([rows, _], [out, _]) = (x.dims(), weight.shape);
    let x = plain(x);
    let mut y = vec![0.0; rows * out];
    weight.each_panel(|first, panel| {
        let part = Flex::float_matmul(x.clone(), Flex::float_swap_dims(panel.clone(), 0, 1));
        let part = dense(part);
        let count = panel.layout().shape()[0];
        y.par_chunks_mut(out).zip(values(&part).par_chunks(count)).for_each(|(y, part)| {
            y[first..first + count].copy_from_slice(part);
        });
    });
    from_plain(tensor(y, [rows, out]))
}

/// `x w`
pub(crate) fn times_blocks(x: &Tensor<2>, weight: Rows<'_>) -> Tensor<2> {
    let ([rows, _], [_, width]) = (x.dims(), weight.shape);
    let mut sum: Option<Plain> = None;
    weight.each_panel(|first, panel| {
        let count = panel.layout().shape()[0];
        let columns = plain(x.clone().slice_dim(1, first..first + count));
        let part = Flex::float_matmul(columns, panel.clone());
        match &mut sum {
            None => sum = Some(dense(part)),
            Some(sum) => {
                let part = dense(part);
                let pairs =
                    values_mut(sum).par_chunks_mut(TASK).zip(values(&part).par_chunks(TASK));
                pairs.for_each(|(sum, part)| {
                    for (sum, part) in sum.iter_mut().zip(part) {
                        *sum += part;
                    }
                });
            }
        }
    });
    from_plain(sum.unwrap_or_else(|| tensor(vec![0.0; rows * width], [rows, width])))
}

/// `x w^T` for few rows: every weight is read once, where it lies.
pub(crate) fn few_rows_of_blocks(x: Tensor<2>, weight: Rows<'_>) -> Tensor<2> {
    let ([rows, width], [out, _]) = (x.dims(), weight.shape);
    let x = dense(plain(x));
    let source = product::Source::Blocks(weight.ggml_type, weight.bytes);
    from_plain(tensor(product::few_rows(values(&x), source, width, out), [rows, out]))
}
