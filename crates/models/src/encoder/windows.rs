//! Which tokens of a row see which, both ways, for attention in blocks.

use std::collections::HashMap;
use std::ops::Range;

use bestof_kernels::{AttentionBlock, BLOCK, host_tensor};
use burn::tensor::Tensor;

use super::batch::{MASKED_SCORE, Packed};

/// The blocks of all rows, in which a token sees the unmasked ones of its row that are at most `reach`
/// away; `None` for no limit.
pub(super) fn blocks(
    packed: &Packed,
    reach: Option<usize>,
    like: &Tensor<2>,
) -> Vec<AttentionBlock> {
    let mut blocks = Vec::new();
    // Rows without masked tokens share their masks.
    let mut shared: HashMap<(usize, usize), Option<Tensor<2>>> = HashMap::new();
    let mut from = 0;
    for &count in &packed.counts {
        let mask = &packed.mask[from..from + count];
        let whole = !mask.contains(&false);
        for start in (0..count).step_by(BLOCK) {
            let rows = start..(start + BLOCK).min(count);
            let keys = match reach {
                Some(reach) => rows.start.saturating_sub(reach)..(rows.end + reach).min(count),
                None => 0..count,
            };
            let make = || masked(&rows, &keys, reach, mask, like);
            let mask = if whole {
                shared.entry((start, count)).or_insert_with(make).clone()
            } else {
                make()
            };
            blocks.push(AttentionBlock { rows, keys, mask }.shifted(from, from));
        }
        from += count;
    }
    blocks
}

/// What is added to the scores of a block, `[rows, keys]`; `None` if every row sees every key.
fn masked(
    rows: &Range<usize>,
    keys: &Range<usize>,
    reach: Option<usize>,
    mask: &[bool],
    like: &Tensor<2>,
) -> Option<Tensor<2>> {
    let seen =
        |row: usize, key: usize| mask[key] && reach.is_none_or(|reach| row.abs_diff(key) <= reach);
    let scores: Vec<f32> = rows
        .clone()
        .flat_map(|row| keys.clone().map(move |key| (row, key)))
        .map(|(row, key)| if seen(row, key) { 0.0 } else { MASKED_SCORE })
        .collect();
    let all_seen = scores.iter().all(|score| *score == 0.0);
    (!all_seen).then(|| host_tensor(scores, [rows.len(), keys.len()], like))
}

#[cfg(test)]
mod tests {
    use bestof_kernels::host_values;
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn tokens_see_both_ways_as_far_as_they_reach() {
        let packed = Packed {
            counts: vec![2, 4],
            mask: vec![true, true, true, true, false, true],
            ..Packed::default()
        };
        let like = Tensor::<2>::zeros([1, 1], &Device::flex());
        let found = blocks(&packed, Some(1), &like);
        assert_eq!((found[0].rows.clone(), found[0].keys.clone()), (0..2, 0..2));
        assert!(found[0].mask.is_none());
        assert_eq!((found[1].rows.clone(), found[1].keys.clone()), (2..6, 2..6));
        let mask = host_values(found[1].mask.clone().unwrap());
        let seen: Vec<u8> = mask.iter().map(|score| u8::from(*score == 0.0)).collect();
        assert_eq!(seen, [1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
        assert_eq!(blocks(&packed, None, &like)[0].keys, 0..2);
    }

    #[test]
    fn long_rows_are_cut_into_blocks_of_their_windows() {
        let count = BLOCK + 10;
        let packed = Packed { counts: vec![count], mask: vec![true; count], ..Packed::default() };
        let like = Tensor::<2>::zeros([1, 1], &Device::flex());
        let found = blocks(&packed, Some(3), &like);
        let spans: Vec<_> = found.iter().map(|b| (b.rows.clone(), b.keys.clone())).collect();
        assert_eq!(spans, [(0..BLOCK, 0..BLOCK + 3), (BLOCK..count, BLOCK - 3..count)]);
        assert_eq!(found[1].mask.clone().unwrap().dims(), [10, 13]);
    }
}
