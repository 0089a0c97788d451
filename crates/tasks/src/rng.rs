//! Seeded random choices that are the same in every release.
//!
//! The generator is `ChaCha8` and the reduction to a range is written here, so that no
//! release of a random-number library can change what a seed generates.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded random number generator; equal seed and stream give equal choices.
#[derive(Debug, Clone)]
pub struct SeededRng {
    source: ChaCha8Rng,
}

impl SeededRng {
    /// Stream number `stream` of `seed`; the streams of a seed are independent.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut source = ChaCha8Rng::seed_from_u64(seed);
        source.set_stream(stream);
        Self { source }
    }

    /// Index below `len`, uniform up to a bias under `len / 2^64`; 0 for an empty range.
    pub fn index(&mut self, len: usize) -> usize {
        ((u128::from(self.source.next_u64()) * len as u128) >> 64) as usize
    }

    /// A number from 0 up to but not including 1, in steps of `2^-53`.
    pub fn share(&mut self) -> f64 {
        const STEPS: usize = 1 << 53;
        self.index(STEPS) as f64 / STEPS as f64
    }

    /// Integer in `low..=high`; `low` when the range is empty.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = (i128::from(high) - i128::from(low) + 1).max(0) as u128;
        let offset = (u128::from(self.source.next_u64()) * span) >> 64;
        (i128::from(low) + offset as i128) as i64
    }

    /// One of `items`, uniform; `None` if there are none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.index(items.len()))
    }

    /// `true` with probability `1 / n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.index(n) == 0
    }

    /// Shuffles `items`, all orders equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }

    /// At most `count` different indices below `len`, in random order.
    pub fn sample(&mut self, len: usize, count: usize) -> Vec<usize> {
        let mut indices: Vec<usize> = Vec::with_capacity(count.min(len));
        if count.saturating_mul(4) >= len {
            indices.extend(0..len);
            self.shuffle(&mut indices);
            indices.truncate(count);
            return indices;
        }
        while indices.len() < count {
            let index = self.index(len);
            if !indices.contains(&index) {
                indices.push(index);
            }
        }
        indices
    }
}

/// 64-bit hash of `text` that is the same in every release and on every machine (FNV-1a with a
/// final mix).
pub fn stable_hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

/// One key in this many is held out.
const HELD_OUT_ONE_IN: u64 = 8;

/// Training or held-out problems.
///
/// A hash of what defines a problem (its situation and numbers, its grid) decides which it is, so
/// that no seed can put a held-out problem into the training set, not even under other names.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// Seven of every eight problems.
    #[default]
    Train,
    /// One of every eight.
    HeldOut,
}

/// The split that the problem with this key belongs to.
pub fn split_of(key: &str) -> Split {
    if stable_hash(key).is_multiple_of(HELD_OUT_ONE_IN) { Split::HeldOut } else { Split::Train }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_stand_for_the_same_choices_for_ever() {
        let mut rng = SeededRng::new(7, 3);
        let first: Vec<i64> = (0..6).map(|_| rng.between(-5, 100)).collect();
        let mut again = SeededRng::new(7, 3);
        assert_eq!(first, (0..6).map(|_| again.between(-5, 100)).collect::<Vec<_>>());
        let mut other = SeededRng::new(7, 4);
        assert_ne!(first, (0..6).map(|_| other.between(-5, 100)).collect::<Vec<_>>());
        assert_eq!(first, [14, 4, 98, 30, 32, 35]);
    }

    #[test]
    fn ranges_are_covered_and_kept() {
        let mut rng = SeededRng::new(1, 0);
        let mut seen = [0_u32; 7];
        for _ in 0..7000 {
            seen[(rng.between(-3, 3) + 3) as usize] += 1;
        }
        // Each count is binomial(7000, 1/7): mean 1000, standard deviation 29; five of them.
        assert!(seen.iter().all(|&count| (850..1150).contains(&count)), "{seen:?}");
        assert_eq!(rng.between(4, 4), 4);
        assert_eq!(rng.between(9, 2), 9);
        assert_eq!(rng.index(0), 0);
        let extremes: Vec<i64> = (0..64).map(|_| rng.between(i64::MIN, i64::MAX)).collect();
        assert!(extremes.iter().any(|&x| x < 0) && extremes.iter().any(|&x| x > 0));
    }

    #[test]
    fn samples_are_different_and_below_the_bound() {
        let mut rng = SeededRng::new(2, 0);
        for (len, count) in [(100, 3), (5, 5), (5, 9), (0, 2)] {
            let mut sample = rng.sample(len, count);
            assert_eq!(sample.len(), count.min(len));
            sample.sort_unstable();
            sample.dedup();
            assert_eq!(sample.len(), count.min(len));
            assert!(sample.iter().all(|&index| index < len));
        }
    }

    #[test]
    fn hash_is_pinned() {
        assert_eq!(stable_hash(""), 0xecba_3df2_c338_3c52);
        assert_eq!(stable_hash("best of k"), 0x1522_d447_7049_71f8);
    }
}
