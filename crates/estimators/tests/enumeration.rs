//! Every transformation equals its definition by enumeration of subsets, and obeys the laws that
//! follow from it.

mod oracle;

use bestof_estimators::{
    Binary, Estimator, GroupMean, Grpo, Loo, LooMinusOne, MaxAtN, Normalization, Plain, Reinforce,
    RewardTransform, Rloo, max_at_k, pass_at_k,
};
use oracle::gap;
use proptest::prelude::*;

/// What is left is the rounding of the enumeration, which adds up to 924 terms plainly.
const TOLERANCE: f64 = 2e-14;

/// Groups with ties, negatives, zeros of both signs and constant stretches, and a k for each.
fn group() -> impl Strategy<Value = (Vec<f64>, usize)> {
    let reward = prop_oneof![
        3 => (-3_i8..=3).prop_map(|x| f64::from(x) / 2.0),
        3 => -10.0..10.0_f64,
        1 => Just(-0.0),
    ];
    prop::collection::vec(reward, 1..=9).prop_flat_map(|g| {
        let n = g.len();
        (Just(g), 1..=n)
    })
}

fn binary_group() -> impl Strategy<Value = (Vec<f64>, usize)> {
    prop::collection::vec(prop::bool::ANY.prop_map(f64::from), 1..=12).prop_flat_map(|g| {
        let n = g.len();
        (Just(g), 1..=n)
    })
}

/// Those of the three transformations that are defined for `n` and `k`.
fn defined(n: usize, k: usize) -> Vec<Box<dyn RewardTransform>> {
    let all = [Estimator::Plain, Estimator::Loo, Estimator::LooMinusOne];
    let built = all.iter().filter_map(|estimator| estimator.build(k).ok());
    built.filter(|transform| transform.min_samples() <= n).collect()
}

fn by_definition(name: &str, rewards: &[f64], k: usize) -> Vec<f64> {
    match name {
        "plain" => oracle::plain(rewards, k),
        "loo" => oracle::loo(rewards, k),
        _ => oracle::loo_minus_one(rewards, k),
    }
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_enumeration_of_all_subsets((rewards, k) in group()) {
        prop_assert!(gap(&[max_at_k(&rewards, k).unwrap()], &[oracle::max_at_k(&rewards, k)]) < TOLERANCE);
        for transform in defined(rewards.len(), k) {
            let found = transform.transform(&rewards).unwrap();
            let expected = by_definition(transform.name(), &rewards, k);
            prop_assert!(gap(&found, &expected) < TOLERANCE, "{transform:?} {found:?} {expected:?}");
        }
    }

    #[test]
    fn order_of_samples_does_not_matter((rewards, k) in group(), seed in any::<u64>()) {
        let mut order: Vec<usize> = (0..rewards.len()).collect();
        let mut rng = oracle::Rng(seed);
        order.sort_by_key(|_| rng.bits());
        let shuffled: Vec<f64> = order.iter().map(|&i| rewards[i]).collect();
        prop_assert_eq!(max_at_k(&rewards, k), max_at_k(&shuffled, k));
        for transform in defined(rewards.len(), k) {
            let there = transform.transform(&rewards).unwrap();
            let expected: Vec<f64> = order.iter().map(|&i| there[i]).collect();
            prop_assert_eq!(transform.transform(&shuffled).unwrap(), expected);
        }
    }

    #[test]
    fn equal_rewards_get_equal_weights_and_better_ones_no_less((rewards, k) in group()) {
        for transform in defined(rewards.len(), k) {
            let weights = transform.transform(&rewards).unwrap();
            for (a, wa) in rewards.iter().zip(&weights) {
                for (b, wb) in rewards.iter().zip(&weights) {
                    prop_assert!(a != b || wa == wb, "{transform:?}");
                    prop_assert!(a > b || wa <= wb, "{transform:?}");
                }
            }
        }
    }

    #[test]
    fn offsets_move_each_transform_by_its_law((rewards, k) in group(), offset in -50.0..50.0_f64) {
        let moved: Vec<f64> = rewards.iter().map(|g| g + offset).collect();
        let (n, kf) = (rewards.len() as f64, k as f64);
        let value = max_at_k(&rewards, k).unwrap() + offset;
        prop_assert!((max_at_k(&moved, k).unwrap() - value).abs() < 1e-13);
        for transform in defined(rewards.len(), k) {
            let shift = match transform.name() {
                "plain" => offset * kf / n,
                "loo" => -offset * kf / (n * (n - 1.0)),
                _ => 0.0,
            };
            let expected: Vec<f64> =
                transform.transform(&rewards).unwrap().iter().map(|w| w + shift).collect();
            let found = transform.transform(&moved).unwrap();
            prop_assert!(gap(&found, &expected) < 2e-13, "{transform:?}");
        }
    }

    #[test]
    fn positive_factors_pass_through((rewards, k) in group(), exponent in -300_i32..300) {
        // A power of two changes no rounding: equality is exact.
        let factor = 2.0_f64.powi(exponent);
        let scaled: Vec<f64> = rewards.iter().map(|g| g * factor).collect();
        for transform in defined(rewards.len(), k) {
            let expected: Vec<f64> =
                transform.transform(&rewards).unwrap().iter().map(|w| w * factor).collect();
            prop_assert_eq!(transform.transform(&scaled).unwrap(), expected);
        }
    }

    #[test]
    fn sums_follow_the_value((rewards, k) in group()) {
        let (n, kf) = (rewards.len() as f64, k as f64);
        let value = max_at_k(&rewards, k).unwrap();
        for transform in defined(rewards.len(), k) {
            let expected = match transform.name() {
                "plain" => kf * value,
                "loo" => -kf / (n - 1.0) * value,
                _ => kf * (value - max_at_k(&rewards, k - 1).unwrap()),
            };
            let found = sum(&transform.transform(&rewards).unwrap());
            prop_assert!((found - expected).abs() < 2e-13, "{transform:?}");
        }
    }

    #[test]
    fn leave_one_out_minus_one_is_never_negative_and_zero_at_the_bottom((rewards, k) in group()) {
        prop_assume!(k > 1);
        let weights = LooMinusOne::new(k).unwrap().transform(&rewards).unwrap();
        let mut sorted = rewards.clone();
        sorted.sort_by(f64::total_cmp);
        for (g, w) in rewards.iter().zip(&weights) {
            prop_assert!(*w >= 0.0);
            prop_assert!(*g > sorted[k - 2] || *w == 0.0);
        }
    }

    #[test]
    fn value_is_the_mean_of_the_values_without_one((rewards, k) in group()) {
        prop_assume!(k < rewards.len());
        let n = rewards.len();
        let without = |i| [&rewards[..i], &rewards[i + 1..]].concat();
        let mean = (0..n).map(|i| max_at_k(&without(i), k).unwrap()).sum::<f64>() / n as f64;
        prop_assert!((mean - max_at_k(&rewards, k).unwrap()).abs() < 1e-13);
    }

    #[test]
    fn binary_rewards_give_the_binary_rule((rewards, k) in binary_group()) {
        let n = rewards.len();
        let c = rewards.iter().filter(|&&f| f == 1.0).count();
        let value = pass_at_k(n, c, k).unwrap();
        prop_assert!((value - max_at_k(&rewards, k).unwrap()).abs() < TOLERANCE);
        let binary = Binary::new(k).unwrap().transform(&rewards).unwrap();
        let plain = Plain::new(k).unwrap().transform(&rewards).unwrap();
        prop_assert!(gap(&plain, &binary) < TOLERANCE);
        if k > 1 {
            let found = LooMinusOne::new(k).unwrap().transform(&rewards).unwrap();
            for (&f, &w) in rewards.iter().zip(&found) {
                prop_assert!(f == 1.0 || w == 0.0, "failures earn nothing");
                prop_assert!(c <= n - k + 1 || w == 0.0, "too many successes carry no signal");
            }
        }
        if k < n {
            let found = Loo::new(k).unwrap().transform(&rewards).unwrap();
            let factor = k as f64 / (n - 1) as f64;
            let expected: Vec<f64> = rewards.iter().zip(&binary)
                .map(|(&f, r)| r - factor * pass_at_k(n - 1, c - f as usize, k).unwrap())
                .collect();
            prop_assert!(gap(&found, &expected) < TOLERANCE);
        }
    }

    #[test]
    fn k_of_one_is_reinforce_and_k_of_n_is_the_best_over_the_second(rewards in group().prop_map(|g| g.0)) {
        let n = rewards.len();
        let first = Plain::new(1).unwrap().transform(&rewards).unwrap();
        prop_assert!(gap(&first, &Reinforce.transform(&rewards).unwrap()) < TOLERANCE);
        let best = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let last = Plain::new(n).unwrap().transform(&rewards).unwrap();
        prop_assert!(last.iter().all(|w| *w == best));
        if n > 1 {
            let found = LooMinusOne::new(n).unwrap().transform(&rewards).unwrap();
            prop_assert_eq!(found, MaxAtN.transform(&rewards).unwrap());
            let loo = Loo::new(1).unwrap().transform(&rewards).unwrap();
            let total = sum(&rewards);
            let expected: Vec<f64> = rewards.iter()
                .map(|g| g / n as f64 - (total - g) / ((n - 1) * (n - 1)) as f64)
                .collect();
            prop_assert!(gap(&loo, &expected) < TOLERANCE);
        }
    }

    #[test]
    fn baselines_follow_their_definitions(rewards in group().prop_map(|g| g.0)) {
        prop_assume!(rewards.len() > 1);
        let n = rewards.len() as f64;
        let mean = sum(&rewards) / n;
        let centred: Vec<f64> = rewards.iter().map(|g| (g - mean) / n).collect();
        prop_assert!(gap(&GroupMean.transform(&rewards).unwrap(), &centred) < TOLERANCE);
        let others: Vec<f64> =
            rewards.iter().map(|g| (g - (mean * n - g) / (n - 1.0)) / n).collect();
        prop_assert!(gap(&Rloo.transform(&rewards).unwrap(), &others) < TOLERANCE);
        let squares: f64 = rewards.iter().map(|g| (g - mean) * (g - mean)).sum();
        for (spread, degrees) in [(Normalization::Sample, n - 1.0), (Normalization::Population, n)] {
            let expected: Vec<f64> =
                centred.iter().map(|w| w / ((squares / degrees).sqrt() + 0.5)).collect();
            let found = Grpo::new(0.5, spread).unwrap().transform(&rewards).unwrap();
            prop_assert!(gap(&found, &expected) < TOLERANCE);
        }
    }

    #[test]
    fn constant_groups_carry_no_signal_but_the_known_offset(value in -1e3..1e3_f64, n in 2_usize..40, k in 1_usize..40) {
        prop_assume!(k <= n);
        let rewards = vec![value; n];
        for estimator in Estimator::ALL {
            let Ok(transform) = estimator.build(k) else { continue };
            let Ok(weights) = transform.transform(&rewards) else { continue };
            let expected = match estimator {
                Estimator::Plain => value * k as f64 / n as f64,
                Estimator::Reinforce => value / n as f64,
                Estimator::Loo => -value * k as f64 / (n * (n - 1)) as f64,
                _ => 0.0,
            };
            let slack = if expected == 0.0 { 0.0 } else { 1e-15 * value.abs() };
            prop_assert!(weights.iter().all(|w| (w - expected).abs() <= slack), "{estimator}");
        }
    }
}

#[test]
fn twelve_samples_with_every_k_equal_enumeration() {
    let mut rng = oracle::Rng(12);
    for n in 10..=12 {
        let rewards: Vec<f64> =
            (0..n).map(|_| (rng.uniform() * 16.0).floor() / 4.0 - 2.0).collect();
        for k in 1..=n {
            for transform in defined(n, k) {
                let expected = by_definition(transform.name(), &rewards, k);
                let found = transform.transform(&rewards).unwrap();
                assert!(gap(&found, &expected) < TOLERANCE, "{transform:?} n {n}");
            }
        }
    }
}

/// Mistakes that were made in print or in ports; the comparison above must see each.
#[test]
fn known_mistakes_fail_the_same_comparison() {
    let rewards = [0.1, 0.2, 0.7, 1.0, -0.4];
    let (n, k) = (rewards.len(), 3);
    let plain = Plain::new(k).unwrap().transform(&rewards).unwrap();
    let minus_one = LooMinusOne::new(k).unwrap().transform(&rewards).unwrap();

    let mean = sum(&plain) / n as f64;
    let centred: Vec<f64> = plain.iter().map(|w| w - mean).collect();
    assert!(gap(&centred, &oracle::loo(&rewards, k)) > 1e-2, "centred instead of leave-one-out");

    let others: Vec<f64> = plain.iter().map(|w| w - (sum(&plain) - w) / (n - 1) as f64).collect();
    assert!(gap(&others, &oracle::loo(&rewards, k)) > 1e-2, "baseline that contains the sample");

    let wrong_count: Vec<f64> = minus_one.iter().map(|w| w * n as f64 / k as f64).collect();
    assert!(gap(&wrong_count, &oracle::loo_minus_one(&rewards, k)) > 1e-2, "C(n-1, k-1) below");

    let descending: Vec<f64> = rewards.iter().map(|g| -g).collect();
    let flipped = Plain::new(k).unwrap().transform(&descending).unwrap();
    let flipped: Vec<f64> = flipped.iter().map(|w| -w).collect();
    assert!(gap(&flipped, &oracle::plain(&rewards, k)) > 1e-2, "sorted the wrong way");
}
