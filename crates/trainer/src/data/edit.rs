//! Edit distance over token ids, sixty-four cells of the table at a time.

use std::collections::HashMap;

/// The Levenshtein distance: the fewest insertions, deletions and substitutions from `a` to `b`.
///
/// ```text
/// D(i, j) = min(D(i-1, j) + 1, D(i, j-1) + 1, D(i-1, j-1) + [a_i != b_j])
/// ```
/// Source: the bit-parallel form of Myers 1999 ("A fast bit-vector algorithm for approximate
/// string matching based on dynamic programming") with Hyyrö's 2003 recurrences, in blocks. What
/// the two share at both ends is cut off first, as DPOP's pairs share nearly all.
///
/// ```
/// use bestof_trainer::data::edit_distance;
///
/// assert_eq!(edit_distance(&[1, 2, 3, 4], &[1, 3, 4, 5]), 2);
/// ```
pub fn edit_distance(a: &[u32], b: &[u32]) -> usize {
    let prefix = shared_prefix(a, b);
    let (a, b) = (&a[prefix..], &b[prefix..]);
    let suffix = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[..a.len() - suffix], &b[..b.len() - suffix]);
    if a.is_empty() || b.is_empty() {
        return a.len().max(b.len());
    }
    Columns::of(a).distance_to(b)
}

/// The edit distance divided by the longer length: 0 for equal, 1 for nothing in common.
pub fn normalised_edit_distance(a: &[u32], b: &[u32]) -> f64 {
    match a.len().max(b.len()) {
        0 => 0.0,
        longest => edit_distance(a, b) as f64 / longest as f64,
    }
}

/// Tokens that both begin with.
pub(super) fn shared_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// One column of the table as vertical differences, a bit a row: +1 in `plus`, -1 in `minus`.
struct Columns {
    /// For each token, the rows at which it stands.
    places: HashMap<u32, Vec<u64>>,
    plus: Vec<u64>,
    minus: Vec<u64>,
    rows: usize,
}

impl Columns {
    fn of(a: &[u32]) -> Self {
        let blocks = a.len().div_ceil(64);
        let mut places: HashMap<u32, Vec<u64>> = HashMap::new();
        for (row, &token) in a.iter().enumerate() {
            places.entry(token).or_insert_with(|| vec![0; blocks])[row / 64] |= 1 << (row % 64);
        }
        Self { places, plus: vec![u64::MAX; blocks], minus: vec![0; blocks], rows: a.len() }
    }

    fn distance_to(mut self, b: &[u32]) -> usize {
        let nowhere = vec![0; self.plus.len()];
        let last_row = 1_u64 << ((self.rows - 1) % 64);
        let mut distance = self.rows;
        for token in b {
            let places = self.places.get(token).unwrap_or(&nowhere);
            // Along the top row the table grows by one with every column.
            let (mut carry_plus, mut carry_minus) = (1, 0);
            for (block, &matches) in places.iter().enumerate() {
                let (plus, minus) = (self.plus[block], self.minus[block]);
                let vertical = matches | minus;
                let equal = matches | carry_minus;
                let diagonal = ((equal & plus).wrapping_add(plus) ^ plus) | equal;
                let grows = minus | !(diagonal | plus);
                let falls = plus & diagonal;
                if block + 1 == self.plus.len() {
                    distance += usize::from(grows & last_row != 0);
                    distance -= usize::from(falls & last_row != 0);
                }
                let grows_below = (grows << 1) | carry_plus;
                let falls_below = (falls << 1) | carry_minus;
                (carry_plus, carry_minus) = (grows >> 63, falls >> 63);
                self.plus[block] = falls_below | !(vertical | grows_below);
                self.minus[block] = grows_below & vertical;
            }
        }
        distance
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The recurrence as it is written, one row at a time.
    fn table(a: &[u32], b: &[u32]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let substituted = diagonal + usize::from(x != y);
                diagonal = row[j + 1];
                row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
            }
        }
        row[b.len()]
    }

    #[test]
    fn hand_checked() {
        let of = |text: &str| text.chars().map(u32::from).collect::<Vec<_>>();
        assert_eq!(edit_distance(&of("kitten"), &of("sitting")), 3);
        assert_eq!(edit_distance(&[], &[1, 2]), 2);
        assert_eq!(normalised_edit_distance(&[], &[]), 0.0);
        assert_eq!(normalised_edit_distance(&[1, 2, 3, 4], &[1, 9, 3, 4]), 0.25);
        assert_eq!(normalised_edit_distance(&[1, 2], &[3, 4]), 1.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn equals_the_table(
            a in prop::collection::vec(0_u32..5, 0..200),
            b in prop::collection::vec(0_u32..5, 0..200),
        ) {
            prop_assert_eq!(edit_distance(&a, &b), table(&a, &b));
            prop_assert_eq!(edit_distance(&b, &a), table(&a, &b));
        }

        #[test]
        fn equals_the_table_over_many_blocks(
            a in prop::collection::vec(0_u32..40, 60..400),
            edits in prop::collection::vec((0_usize..400, 0_u32..40), 0..30),
        ) {
            let mut b = a.clone();
            for (place, token) in edits {
                let at = place % b.len();
                match token % 3 {
                    0 => b[at] = token,
                    1 => b.insert(at, token),
                    _ => { b.remove(at); }
                }
            }
            prop_assert_eq!(edit_distance(&a, &b), table(&a, &b));
        }
    }
}
