//! Products with weights that rest in blocks: some rows are widened, multiplied, and forgotten.

use bestof_blocks::{GgmlType, dequantize_blocks};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::fresh::zeros;
use super::matmul::{matmul, transposed};
use super::{Plain, dense, from_plain, plain, product, tensor, values, values_mut};

/// Values that one thread widens at a time, at most: 2 MiB of them.
const PANEL: usize = 1 << 19;
/// Values that one thread adds at a time.
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
    /// Multiplies panels of rows, widened to f32, one a thread, and takes the products in the order of
    /// the rows; both are told the number of the first row.
    ///
    /// A product of its own for each thread keeps threads busier than one that is split among them. The
    /// panels do not depend on the number of threads, nor does the order of sums.
    fn each_panel(
        &self,
        multiply: impl Fn(usize, &Plain) -> Plain + Sync,
        mut take: impl FnMut(usize, &Plain),
    ) {
        let [out, width] = self.shape;
        let panels = (out * width).div_ceil(PANEL).clamp(1, out.max(1));
        let rows = out.div_ceil(panels).max(1);
        let firsts: Vec<usize> = (0..out).step_by(rows).collect();
        let mut scratch = Vec::new();
        for group in firsts.chunks(rayon::current_num_threads()) {
            scratch.resize_with(group.len(), || tensor(vec![0.0; rows * width], [rows, width]));
            let work = group.par_iter().zip(&mut scratch).map(|(&first, panel)| {
                let count = rows.min(out - first);
                if count < rows {
                    *panel = tensor(vec![0.0; count * width], [count, width]);
                }
                self.widen(first, values_mut(panel));
                dense(multiply(first, panel))
            });
            let products: Vec<Plain> = work.collect();
            for (first, product) in group.iter().zip(&products) {
                take(*first, product);
            }
        }
    }

    fn widen(&self, first: usize, out: &mut [f32]) {
        let [_, width] = self.shape;
        let row = self.ggml_type.bytes_of(width);
        let bytes = &self.bytes[first * row..][..out.len() / width * row];
        dequantize_blocks(self.ggml_type, bytes, out).expect("rows are whole blocks");
    }
}

/// `x w^T`
pub(crate) fn linear_of_blocks(x: Tensor<2>, weight: Rows<'_>) -> Tensor<2> {
    let ([rows, _], [out, _]) = (x.dims(), weight.shape);
    let x = plain(x);
    let mut y = zeros(rows * out);
    weight.each_panel(
        |_, panel| matmul(x.clone(), transposed(panel.clone())),
        |first, part| {
            let count = part.layout().shape()[1];
            y.par_chunks_mut(out).zip(values(part).par_chunks(count)).for_each(|(y, part)| {
                y[first..first + count].copy_from_slice(part);
            });
        },
    );
    from_plain(tensor(y, [rows, out]))
}

/// `x w`
pub(crate) fn times_blocks(x: &Tensor<2>, weight: Rows<'_>) -> Tensor<2> {
    let ([rows, _], [_, width]) = (x.dims(), weight.shape);
    let mut sum = zeros(rows * width);
    weight.each_panel(
        |first, panel| {
            let count = panel.layout().shape()[0];
            let columns = plain(x.clone().slice_dim(1, first..first + count));
            matmul(columns, panel.clone())
        },
        |_, part| {
            let pairs = sum.par_chunks_mut(TASK).zip(values(part).par_chunks(TASK));
            pairs.for_each(|(sum, part)| {
                for (sum, part) in sum.iter_mut().zip(part) {
                    *sum += part;
                }
            });
        },
    );
    from_plain(tensor(sum, [rows, width]))
}

/// `x w^T` for few rows: every weight is read once, where it lies.
pub(crate) fn few_rows_of_blocks(x: Tensor<2>, weight: Rows<'_>) -> Tensor<2> {
    let ([rows, width], [out, _]) = (x.dims(), weight.shape);
    let x = dense(plain(x));
    let source = product::Source::Blocks(weight.ggml_type, weight.bytes);
    from_plain(tensor(product::few_rows(values(&x), source, width, out), [rows, out]))
}
