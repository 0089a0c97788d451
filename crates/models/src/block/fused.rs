//! Linear layers of the same inputs, each for itself or as one.

use burn::tensor::Tensor;

use super::Pass;
use super::projection::Projection;

/// The outputs of linear layers for the rows of `x`, `[rows, in]`: `[rows, width]` for each width. Of
/// `layers`, with their slots, there is one for each output, or one whose outputs are all of them side
/// by side.
pub(crate) fn outputs<const N: usize>(
    x: &Tensor<2>,
    pass: &Pass<'_>,
    layers: &[(&Option<Projection>, u64)],
    widths: [usize; N],
) -> [Tensor<2>; N] {
    let there = layers.iter().filter_map(|(layer, slot)| Some((layer.as_ref()?, *slot)));
    let found: Vec<_> = there.map(|(layer, slot)| layer.forward(x.clone(), pass, slot)).collect();
    <[Tensor<2>; N]>::try_from(found).unwrap_or_else(|one| {
        let all = Tensor::cat(one, 1);
        let mut end = 0;
        widths.map(|width| {
            end += width;
            all.clone().slice_dim(1, end - width..end)
        })
    })
}
