//! Several files in shares of the user's own.

use bestof_tasks::rng::SeededRng;

/// How many rows of each file an epoch has.
///
/// An epoch is as long as all files together. Of it a file gets its share of the weights, by largest
/// remainder; where that is more rows than it has they come again, and where it is fewer the next epoch
/// goes on with those that did not come. Every row of a file comes once before one comes twice.
///
/// ```
/// use bestof_trainer::data::Mix;
///
/// let mix = Mix::new(&[300, 100], &[0.5, 0.5]);
/// assert_eq!(mix.draws(), [200, 200]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// Rows of each file, in the order in which they stand in the set.
    rows: Vec<usize>,
    /// Rows of each file in an epoch.
    draws: Vec<usize>,
}

/// Makes seeds of files differ; the odd number nearest to 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Mix {
    /// Files of `rows` rows with their weights, finite and above 0; a file without rows gets no share.
    pub fn new(rows: &[usize], weights: &[f64]) -> Self {
        let weight = |(&rows, &weight): (&usize, &f64)| if rows == 0 { 0.0 } else { weight };
        let weights: Vec<f64> = rows.iter().zip(weights).map(weight).collect();
        let (total, sum) = (rows.iter().sum::<usize>(), weights.iter().sum::<f64>());
        let exact: Vec<f64> = weights.iter().map(|weight| total as f64 * weight / sum).collect();
        let mut draws: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
        let left = total.saturating_sub(draws.iter().sum());
        let mut order: Vec<usize> = (0..exact.len()).filter(|&file| weights[file] > 0.0).collect();
        let remainder = |file: usize| exact[file] - exact[file].floor();
        // Of equal remainders the file that comes first.
        order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)));
        for file in order.into_iter().cycle().take(left) {
            draws[file] += 1;
        }
        Self { rows: rows.to_vec(), draws }
    }

    /// Rows of each file in an epoch.
    pub fn draws(&self) -> &[usize] {
        &self.draws
    }

    /// The rows of an epoch in their order, a function of seed and epoch alone.
    pub(super) fn epoch(&self, seed: u64, epoch: u64) -> Vec<u32> {
        let mut order: Vec<u32> = Vec::with_capacity(self.draws.iter().sum());
        let mut first = 0;
        for (file, (&rows, &draws)) in self.rows.iter().zip(&self.draws).enumerate() {
            let seed = seed.wrapping_add(GOLDEN.wrapping_mul(file as u64 + 1));
            let begin = u128::from(epoch) * draws as u128;
            let mut pass = None;
            let mut permutation: Vec<u32> = Vec::new();
            for draw in begin..begin + draws as u128 {
                let (number, place) =
                    ((draw / rows as u128) as u64, (draw % rows as u128) as usize);
                if pass != Some(number) {
                    permutation = (first..first + rows as u32).collect();
                    SeededRng::new(seed, number).shuffle(&mut permutation);
                    pass = Some(number);
                }
                order.push(permutation[place]);
            }
            first += rows as u32;
        }
        SeededRng::new(seed, epoch).shuffle(&mut order);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_those_of_the_weights() {
        // By hand: 10 rows in shares of 1:1:1 are 3.33 each, the first remainder gets the tenth.
        assert_eq!(Mix::new(&[4, 4, 2], &[1.0, 1.0, 1.0]).draws(), [4, 3, 3]);
        assert_eq!(Mix::new(&[90, 10], &[0.25, 0.75]).draws(), [25, 75]);
        assert_eq!(Mix::new(&[0, 10], &[0.5, 0.5]).draws(), [0, 10]);
    }

    proptest! {
        #[test]
        fn every_row_comes_once_before_one_comes_twice(
            files in prop::collection::vec((1_usize..12, 0.05_f64..5.0), 1..5), seed: u64,
        ) {
            let (rows, weights): (Vec<usize>, Vec<f64>) = files.into_iter().unzip();
            let mix = Mix::new(&rows, &weights);
            let total: usize = rows.iter().sum();
            prop_assert_eq!(mix.draws().iter().sum::<usize>(), total);
            let mut counts = vec![0_usize; total];
            for epoch in 0..7 {
                for row in mix.epoch(seed, epoch) {
                    counts[row as usize] += 1;
                }
                let mut first = 0;
                for (&rows, &draws) in rows.iter().zip(mix.draws()) {
                    let counts = &counts[first..first + rows];
                    let (low, high) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
                    prop_assert!(high - low <= 1, "{counts:?}");
                    prop_assert_eq!(counts.iter().sum::<usize>(), (epoch as usize + 1) * draws);
                    first += rows;
                }
            }
        }
    }
}
