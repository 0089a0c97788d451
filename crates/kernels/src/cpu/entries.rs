//! The gradient of a table whose rows were looked up.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::fresh::zeros;
use super::{dense, from_plain, plain, tensor, values};

/// Tasks that a table is cut into: each looks at all numbers for those of its entries.
const TASKS: usize = 64;

/// The sums of the rows of `dy`, `[ids, width]`, that are of one entry, in their order: `[entries, width]`. Without
/// automatic differentiation.
pub(crate) fn sum_by_entry(dy: Tensor<2>, ids: &[u32], entries: usize) -> Tensor<2> {
    let width = dy.dims()[1];
    let dy = dense(plain(dy));
    let mut sums = zeros(entries * width);
    if width > 0 {
        let share = entries.div_ceil(TASKS).max(1);
        sums.par_chunks_mut(share * width).enumerate().for_each(|(task, sums)| {
            for (id, dy) in ids.iter().zip(values(&dy).chunks(width)) {
                let Some(at) = (*id as usize).checked_sub(task * share) else { continue };
                if let Some(sum) = sums.chunks_mut(width).nth(at) {
                    for (sum, dy) in sum.iter_mut().zip(dy) {
                        *sum += dy;
                    }
                }
            }
        });
    }
    from_plain(tensor(sums, [entries, width]))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use crate::host::indices;
    use crate::{Weight, host_values};

    use super::*;

    /// burn's own derivative of `select`.
    #[test]
    fn gradients_are_those_of_burns_selection() {
        let device = Device::flex().autodiff();
        for (entries, ids) in
            [(1, vec![0, 0, 0]), (150, vec![3, 149, 0, 3, 64, 3, 65]), (5, vec![])]
        {
            let table = Tensor::<2>::random([entries, 7], Distribution::Default, &device);
            let factors = Tensor::<2>::random([ids.len(), 7], Distribution::Default, &device);
            let of = |rows: &dyn Fn(Tensor<2>) -> Tensor<2>| {
                let table = table.clone().require_grad();
                let gradients = rows(table.clone()).mul(factors.clone()).sum().backward();
                host_values(table.grad(&gradients).unwrap())
            };
            let expected = of(&|table| table.select(0, indices(&ids, &device)));
            assert_eq!(of(&|table| Weight::from(table).rows(&ids)), expected, "{ids:?}");
        }
    }
}
