//! The order of a group's rewards: a stable sort that yields rewards and places.
//!
//! Small groups count, for each reward, how many lie below it: no branch depends on the rewards.
//! Others sort integers that hold the leading bits of a reward and its place, by comparison or, where
//! passes over all of them are cheaper, by digits. What the leading bits leave open is settled after.

use alloc::vec::Vec;
use core::mem;

/// Largest group whose ranks are counted, in `O(n^2)`.
const COUNTED: usize = 24;
/// Smallest group that is sorted by digits, each with a table of `2^DIGIT` entries to clear.
const BY_DIGITS: usize = 4096;
/// Bits of a digit.
const DIGIT: u32 = 11;

/// Rewards in ascending order with their places in the caller's; equal ones keep the caller's order.
/// Carries nothing from one group to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    rewards: Vec<f64>,
    /// Places by rank; while sorting, leading bits of a reward above its place.
    places: Vec<u64>,
    scratch: Vec<u64>,
}

impl Order {
    pub(crate) fn with_capacity(samples: usize) -> Self {
        Self {
            rewards: Vec::with_capacity(samples),
            places: Vec::with_capacity(samples),
            scratch: Vec::with_capacity(samples),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.rewards.capacity().min(self.places.capacity()).min(self.scratch.capacity())
    }

    /// Rewards by rank, -0.0 as 0.0.
    pub(crate) fn rewards(&self) -> &[f64] {
        &self.rewards
    }

    /// Places in the caller's order by rank.
    pub(crate) fn places(
        &self,
    ) -> impl DoubleEndedIterator<Item = usize> + ExactSizeIterator + use<'_> {
        self.places.iter().map(|&place| place as usize)
    }

    /// The place in the caller's order of a rank.
    pub(crate) fn place(&self, rank: usize) -> usize {
        self.places[rank] as usize
    }

    /// Takes rewards without NaN.
    pub(crate) fn sort(&mut self, rewards: &[f64]) {
        if rewards.len() <= COUNTED {
            self.count(rewards);
        } else {
            self.sort_leading_bits(rewards);
        }
    }

    fn count(&mut self, rewards: &[f64]) {
        let n = rewards.len();
        // Every number is written, so that old ones may stay.
        self.places.resize(n, 0);
        self.scratch.resize(n, 0);
        self.rewards.resize(n, 0.0);
        let ranks = &mut self.scratch[..n];
        for (i, &reward) in rewards.iter().enumerate() {
            let mut above = 0;
            for (rank, &earlier) in ranks[..i].iter_mut().zip(rewards) {
                let is_above = u64::from(reward < earlier);
                *rank += is_above;
                above += is_above;
            }
            ranks[i] = i as u64 - above;
        }
        for (place, (&rank, &reward)) in ranks.iter().zip(rewards).enumerate() {
            self.places[rank as usize] = place as u64;
            self.rewards[rank as usize] = reward + 0.0;
        }
    }

    fn sort_leading_bits(&mut self, rewards: &[f64]) {
        let n = rewards.len();
        let place_bits = usize::BITS - (n - 1).leading_zeros();
        let place = (1 << place_bits) - 1;
        self.places.clear();
        self.places
            .extend(rewards.iter().zip(0..).map(|(&reward, i)| (key_of(reward) & !place) | i));
        if n < BY_DIGITS {
            self.places.sort_unstable();
        } else {
            self.sort_digits(place_bits);
        }
        for alike in self.places.chunk_by_mut(|a, b| a & !place == b & !place) {
            if alike.len() > 1 {
                alike.sort_unstable_by_key(|&a| (key_of(rewards[(a & place) as usize]), a));
            }
        }
        self.rewards.clear();
        self.rewards.extend(self.places.iter_mut().map(|packed| {
            *packed &= place;
            rewards[*packed as usize] + 0.0
        }));
    }

    /// Sorts by the bits from `low` up, one stable pass for each digit that is not the same in all.
    fn sort_digits(&mut self, low: u32) {
        self.scratch.clear();
        self.scratch.resize(self.places.len(), 0);
        for shift in (low..u64::BITS).step_by(DIGIT as usize) {
            let digit = |packed: u64| (packed >> shift) as usize % (1 << DIGIT);
            let mut ends = [0; 1 << DIGIT];
            for &packed in &self.places {
                ends[digit(packed)] += 1;
            }
            if ends.contains(&self.places.len()) {
                continue;
            }
            let mut next = 0;
            for end in &mut ends {
                next += mem::replace(end, next);
            }
            for &packed in &self.places {
                let slot = &mut ends[digit(packed)];
                self.scratch[*slot] = packed;
                *slot += 1;
            }
            mem::swap(&mut self.places, &mut self.scratch);
        }
    }
}

/// Integers in the order of the rewards; adding 0.0 turns -0.0 into 0.0.
#[inline]
fn key_of(reward: f64) -> u64 {
    let bits = (reward + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rewards of every kind: few values, zeros of both signs, infinities, and neighbours that differ
    /// in the last bits alone.
    fn reward() -> impl Strategy<Value = f64> {
        prop_oneof![
            prop::sample::select(std::vec![
                0.0,
                -0.0,
                1.0,
                -1.0,
                0.5,
                f64::INFINITY,
                f64::NEG_INFINITY,
                5e-324,
                -5e-324,
                1e300,
                -1e300,
            ]),
            (0_u64..6).prop_map(|last| f64::from_bits(1.0_f64.to_bits() + last)),
            (0_u64..6).prop_map(|last| -f64::from_bits(1.0_f64.to_bits() + last)),
            -1.0..1.0_f64,
        ]
    }

    fn check(order: &mut Order, rewards: &[f64]) -> Result<(), TestCaseError> {
        let mut expected: Vec<(f64, usize)> = rewards.iter().map(|g| g + 0.0).zip(0..).collect();
        expected.sort_by(|a, b| a.0.total_cmp(&b.0));
        order.sort(rewards);
        prop_assert_eq!(order.rewards().len(), rewards.len());
        let found = order.rewards().iter().zip(order.places());
        for ((&reward, place), &(sorted, stable)) in found.zip(&expected) {
            prop_assert_eq!((reward.to_bits(), place), (sorted.to_bits(), stable));
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// As the standard library's stable sort, one order serving groups of any sizes in turn.
        #[test]
        fn groups_are_sorted_stably(
            groups in prop::collection::vec(prop::collection::vec(reward(), 0..=3 * COUNTED), 1..6),
        ) {
            let mut order = Order::default();
            for rewards in groups {
                check(&mut order, &rewards)?;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None, cases: 24, ..ProptestConfig::default()
        })]

        #[test]
        fn large_groups_are_sorted_stably(
            some in prop::collection::vec(reward(), 1..40),
            random in prop::collection::vec(-1e3..1e3_f64, BY_DIGITS - 4..BY_DIGITS + 400),
            share in 1_usize..6,
        ) {
            let mut rewards = random;
            for (i, reward) in rewards.iter_mut().enumerate().filter(|(i, _)| i % share == 0) {
                *reward = some[i * 7919 % some.len()];
            }
            check(&mut Order::default(), &rewards)?;
        }
    }

    #[test]
    fn a_million_that_differ_in_their_last_bits_are_sorted_stably() {
        let one = 1.0_f64.to_bits();
        let rewards: Vec<f64> =
            (0..1_000_000_u64).map(|i| f64::from_bits(one + i * 7919 % 4099)).collect();
        check(&mut Order::with_capacity(rewards.len()), &rewards).unwrap();
    }
}
