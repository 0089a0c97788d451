//! The split into training, validation and test rows.

use bestof_tasks::rng::SeededRng;

use super::sample::KeptReview;
use crate::dataset::Part;
use crate::features::SplitRule;

/// The part of each row, or `None` when a part would be empty.
pub(super) fn assign(rule: SplitRule, seed: u64, rows: &[KeptReview]) -> Option<Vec<Part>> {
    let parts = match rule {
        SplitRule::Review => {
            let mut order: Vec<usize> = (0..rows.len()).collect();
            SeededRng::new(seed, 0).shuffle(&mut order);
            by_order(&order)
        }
        SplitRule::Time => {
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by_key(|&row| (rows[row].date, rows[row].line));
            by_order(&order)
        }
        SplitRule::Restaurant => by_restaurant(seed, rows),
        SplitRule::Part => rows.iter().map(|row| row.part).collect::<Option<_>>()?,
    };
    Part::ALL.iter().all(|part| parts.contains(part)).then_some(parts)
}

/// Ends of the parts in `n` rows: 70 % (rounded down) for training, the rest in equal halves.
fn ends(n: usize) -> [usize; 3] {
    let train = n * 7 / 10;
    [train, train + (n - train) / 2, n]
}

/// The first rows of `order` for training, the last ones for testing.
fn by_order(order: &[usize]) -> Vec<Part> {
    let mut parts = vec![Part::Test; order.len()];
    let [train, validation, _] = ends(order.len());
    for (position, &row) in order.iter().enumerate() {
        if position < train {
            parts[row] = Part::Train;
        } else if position < validation {
            parts[row] = Part::Validation;
        }
    }
    parts
}

/// Whole restaurants in random order, each to the part that misses the largest share of its rows.
fn by_restaurant(seed: u64, rows: &[KeptReview]) -> Vec<Part> {
    let count = rows.iter().map(|row| row.business as usize + 1).max().unwrap_or(0);
    let mut sizes = vec![0_usize; count];
    for row in rows {
        sizes[row.business as usize] += 1;
    }
    let mut order: Vec<usize> = (0..count).collect();
    SeededRng::new(seed, 0).shuffle(&mut order);
    let [train, validation, all] = ends(rows.len());
    let targets = [train, validation - train, all - validation].map(|rows| rows.max(1) as f64);
    let mut assigned = [0.0_f64; 3];
    let mut part_of = vec![Part::Train; count];
    for restaurant in order {
        let missing = |part: usize| (targets[part] - assigned[part]) / targets[part];
        let mut chosen = 0;
        for part in 1..3 {
            if missing(part) > missing(chosen) {
                chosen = part;
            }
        }
        assigned[chosen] += sizes[restaurant] as f64;
        part_of[restaurant] = Part::ALL[chosen];
    }
    rows.iter().map(|row| part_of[row.business as usize]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::prepare::sample::kept;

    fn rows() -> Vec<KeptReview> {
        // Restaurant i has i + 1 reviews; later lines have earlier dates.
        let businesses = (0..40_u32).flat_map(|i| vec![i; i as usize + 1]);
        businesses
            .enumerate()
            .map(|(line, business)| kept(line as u64, business, -(line as i64)))
            .collect()
    }

    fn counts(parts: &[Part]) -> [usize; 3] {
        Part::ALL.map(|part| parts.iter().filter(|&&p| p == part).count())
    }

    #[test]
    fn the_papers_sizes() {
        let [train, validation, all] = ends(36_692);
        assert_eq!([train, validation - train, all - validation], [25_684, 5_504, 5_504]);
    }

    #[test]
    fn by_review_every_row_has_one_part_and_the_seed_decides_which() {
        let rows = rows();
        let parts = assign(SplitRule::Review, 42, &rows).unwrap();
        assert_eq!(counts(&parts), [574, 123, 123]);
        assert_eq!(parts, assign(SplitRule::Review, 42, &rows).unwrap());
        assert_ne!(parts, assign(SplitRule::Review, 43, &rows).unwrap());
    }

    #[test]
    fn by_restaurant_no_restaurant_is_in_two_parts() {
        let rows = rows();
        let parts = assign(SplitRule::Restaurant, 1, &rows).unwrap();
        let restaurants = |part| -> HashSet<u32> {
            let of_part = rows.iter().zip(&parts).filter(|(_, p)| **p == part);
            of_part.map(|(row, _)| row.business).collect()
        };
        let [train, validation, test] = Part::ALL.map(restaurants);
        assert!(train.is_disjoint(&validation) && train.is_disjoint(&test));
        assert!(validation.is_disjoint(&test));
        for (count, target) in counts(&parts).into_iter().zip([574_usize, 123, 123]) {
            assert!(count.abs_diff(target) <= 40, "{count} {target}");
        }
    }

    #[test]
    fn by_time_no_training_review_is_younger_than_a_test_review() {
        let rows = rows();
        let parts = assign(SplitRule::Time, 1, &rows).unwrap();
        let dates =
            |part| rows.iter().zip(&parts).filter(move |(_, p)| **p == part).map(|(r, _)| r.date);
        assert!(dates(Part::Train).max() <= dates(Part::Validation).min());
        assert!(dates(Part::Validation).max() <= dates(Part::Test).min());
    }

    #[test]
    fn a_given_part_is_kept() {
        let mut rows: Vec<KeptReview> = rows().into_iter().take(6).collect();
        assert!(assign(SplitRule::Part, 0, &rows).is_none());
        let given = [2, 0, 1, 1, 0, 0].map(|part| Part::ALL[part]);
        for (row, part) in rows.iter_mut().zip(given) {
            row.part = Some(part);
        }
        assert_eq!(assign(SplitRule::Part, 0, &rows).unwrap(), given);
        assert!(assign(SplitRule::Part, 0, &rows[1..]).is_none(), "no row is a test");
    }

    #[test]
    fn three_parts_need_enough_rows() {
        let rows = rows();
        assert!(assign(SplitRule::Review, 0, &rows[..2]).is_none());
        assert!(assign(SplitRule::Review, 0, &rows[..4]).is_some());
        // Two restaurants cannot fill three parts.
        assert!(assign(SplitRule::Restaurant, 0, &rows[..3]).is_none());
    }
}
