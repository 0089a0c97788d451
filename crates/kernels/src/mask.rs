//! Which rows see which, as additive masks.

use std::ops::Range;

use burn::tensor::Tensor;

use crate::host::host_tensor;
use crate::shape::AttentionBlock;

/// Query rows per block of attention. Scores take `heads * BLOCK * keys` values.
pub const BLOCK: usize = 256;

/// Splits `rows` into blocks of about equal size.
fn blocks(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let count = rows.len().div_ceil(BLOCK).max(1);
    let size = rows.len().div_ceil(count).max(1);
    rows.clone().step_by(size).map(move |from| from..(from + size).min(rows.end))
}

/// The first key that a row at `position` sees.
pub fn first_key(position: usize, window: Option<usize>) -> usize {
    window.map_or(0, |window| (position + 1).saturating_sub(window))
}

/// Masks of rows of one sequence, where each sees itself and what comes before it, within a window.
///
/// The mask of a block depends on the distance between row and key only, so that all blocks are
/// views of one tensor.
#[derive(Debug)]
pub struct CausalMasks {
    window: Option<usize>,
    /// `[BLOCK, before + BLOCK]`
    band: Tensor<2>,
    before: usize,
}

impl CausalMasks {
    /// Masks of rows that have at most `before` keys before their block.
    pub fn new(before: usize, window: Option<usize>, like: &Tensor<2>) -> Self {
        let before = window.map_or(before, |window| before.min(window));
        let width = before + BLOCK;
        let mut band = vec![f32::NEG_INFINITY; BLOCK * width];
        for (row, band) in band.chunks_mut(width).enumerate() {
            let position = before + row;
            band[first_key(position, window)..=position].fill(0.0);
        }
        Self { window, band: host_tensor(band, [BLOCK, width], like), before }
    }

    /// The blocks of `rows`, keys counted from 0.
    pub fn blocks(&self, rows: Range<usize>) -> Vec<AttentionBlock> {
        blocks(rows).map(|rows| self.block(rows)).collect()
    }

    fn block(&self, rows: Range<usize>) -> AttentionBlock {
        let first = first_key(rows.start, self.window);
        let keys = first..rows.end;
        let all_seen = rows.len() == 1;
        let mask = (!all_seen).then(|| {
            let from = self.before - (rows.start - first);
            self.band.clone().slice([0..rows.len(), from..from + keys.len()])
        });
        AttentionBlock { rows, keys, mask }
    }
}

/// The blocks of a tree: each node sees itself and its ancestors, within a window of depths.
///
/// # Panics
/// Unless `parents` and `depths` have one entry per node, parents before their children.
pub fn tree_blocks(
    parents: &[Option<usize>],
    depths: &[usize],
    window: Option<usize>,
    like: &Tensor<2>,
) -> Vec<AttentionBlock> {
    assert_eq!(parents.len(), depths.len(), "one depth per node");
    blocks(0..parents.len())
        .map(|rows| {
            let keys = 0..rows.end;
            let mut mask = vec![f32::NEG_INFINITY; rows.len() * keys.len()];
            for (row, mask) in rows.clone().zip(mask.chunks_mut(keys.len())) {
                let mut node = Some(row);
                while let Some(key) = node {
                    if window.is_some_and(|window| depths[row] - depths[key] >= window) {
                        break;
                    }
                    mask[key] = 0.0;
                    node = parents[key];
                }
            }
            let mask = host_tensor(mask, [rows.len(), keys.len()], like);
            AttentionBlock { rows, keys, mask: Some(mask) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values(mask: Tensor<2>) -> Vec<f32> {
        mask.into_data().iter().collect()
    }

    #[test]
    fn blocks_cover_the_rows_evenly() {
        let lengths = |rows| blocks(rows).map(|b| b.len()).collect::<Vec<_>>();
        assert_eq!(lengths(0..BLOCK), [BLOCK]);
        assert_eq!(lengths(3..3 + BLOCK + 4), [130, 130]);
        assert_eq!(lengths(0..0), Vec::<usize>::new());
    }

    #[test]
    fn causal_blocks_equal_the_blocks_of_a_path() {
        let like = Tensor::<2>::zeros([1, 1], &Device::flex());
        let length = 2 * BLOCK + 37;
        let parents: Vec<Option<usize>> = (0..length).map(|node| node.checked_sub(1)).collect();
        let depths: Vec<usize> = (0..length).collect();
        for window in [None, Some(1), Some(5), Some(BLOCK + 3), Some(10 * BLOCK)] {
            let masks = CausalMasks::new(length, window, &like);
            let line = masks.blocks(0..length);
            let tree = tree_blocks(&parents, &depths, window, &like);
            assert_eq!(line.len(), tree.len());
            for (a, b) in line.into_iter().zip(tree) {
                assert_eq!(a.rows, b.rows);
                let width = b.keys.len();
                let whole = values(b.mask.unwrap());
                let narrow = values(a.mask.unwrap());
                for (row, row_values) in whole.chunks(width).enumerate() {
                    assert!(row_values[..a.keys.start].iter().all(|&v| v == f32::NEG_INFINITY));
                    let narrow = &narrow[row * a.keys.len()..][..a.keys.len()];
                    assert_eq!(narrow, &row_values[a.keys.clone()]);
                }
            }
        }
    }

    #[test]
    fn branches_do_not_see_each_other() {
        let like = Tensor::<2>::zeros([1, 1], &Device::flex());
        let parents = [None, Some(0), Some(1), Some(0)];
        let depths = [0, 1, 2, 1];
        let blocks = tree_blocks(&parents, &depths, None, &like);
        let (y, n) = (0.0, f32::NEG_INFINITY);
        let expected = [y, n, n, n, y, y, n, n, y, y, y, n, y, n, n, y];
        assert_eq!(values(blocks[0].mask.clone().unwrap()), expected);
        let near = tree_blocks(&parents, &depths, Some(2), &like);
        let expected = [y, n, n, n, y, y, n, n, n, y, y, n, y, n, n, y];
        assert_eq!(values(near[0].mask.clone().unwrap()), expected);
    }
}
