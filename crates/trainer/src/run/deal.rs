//! Which rank computes which row of a step.

use std::collections::{BTreeMap, BTreeSet};

/// The rank of each of these rows: the costliest first, each to the rank with the least to do.
///
/// A function of its arguments, so that every rank finds the same. A row that occurs twice has one rank.
pub(super) fn owners(
    rows: &[usize],
    cost: impl Fn(usize) -> usize,
    ranks: usize,
) -> BTreeMap<usize, usize> {
    if ranks == 1 {
        return rows.iter().map(|row| (*row, 0)).collect();
    }
    let mut met = BTreeSet::new();
    let once = rows.iter().copied().filter(|row| met.insert(*row));
    let mut by_cost: Vec<(usize, usize)> = once.map(|row| (cost(row), row)).collect();
    by_cost.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
    let mut loads = vec![0; ranks];
    let to_rank = |(cost, row)| {
        let rank = (0..ranks).min_by_key(|rank| loads[*rank]).unwrap_or(0);
        loads[rank] += cost;
        (row, rank)
    };
    by_cost.into_iter().map(to_rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_cost_go_round() {
        let rows = [9, 4, 7, 2, 8];
        let found = owners(&rows, |_| 1, 2);
        assert_eq!(rows.map(|row| found[&row]), [0, 1, 0, 1, 0]);
        assert!(owners(&rows, |_| 1, 1).values().all(|rank| *rank == 0));
    }

    #[test]
    fn costs_are_balanced() {
        let costs = [8, 1, 7, 1, 1, 6, 1, 5];
        let rows: Vec<usize> = (0..costs.len()).chain([2]).collect();
        let found = owners(&rows, |row| costs[row], 3);
        let mut loads = [0; 3];
        for (row, rank) in &found {
            loads[*rank] += costs[*row];
        }
        // Thirty in three parts, of eight costs each of which goes to one rank.
        assert_eq!((found.len(), loads.iter().sum::<usize>()), (8, 30));
        assert!(loads.iter().all(|load| (9..=11).contains(load)), "{loads:?}");
    }
}
