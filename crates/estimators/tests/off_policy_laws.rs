//! Off-policy weights equal their definition by enumeration of subsets, and obey the laws that follow
//! from it.

mod oracle;

use bestof_closeness::{assert_close_in, largest_difference, largest_magnitude};
use bestof_estimators::{
    Centred, Estimator, Harmonic, OffPolicy, OffPolicyWorkspace, Ratios, RewardTransform, Rloo,
    off_policy_max_at_k,
};
use oracle::Group;
use proptest::prelude::*;

/// Rewards with ties and negatives, ratios from tiny to large, and a k.
fn group() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, usize)> {
    let reward = prop_oneof![
        2 => (-3_i8..=3).prop_map(|x| f64::from(x) / 2.0),
        2 => -10.0..10.0_f64,
    ];
    let ratio = prop_oneof![
        4 => 0.5..2.0_f64,
        1 => (-20.0..20.0_f64).prop_map(f64::exp2),
        1 => Just(1.0),
    ];
    prop::collection::vec((reward, ratio), 1..=8).prop_flat_map(|samples| {
        let n = samples.len();
        let (rewards, ratios) = samples.into_iter().unzip();
        (Just(rewards), Just(ratios), 1..=n)
    })
}

const KINDS: [Estimator; 4] =
    [Estimator::Plain, Estimator::Loo, Estimator::LooMinusOne, Estimator::Centred];

fn defined(n: usize, k: usize) -> impl Iterator<Item = OffPolicy> {
    KINDS
        .into_iter()
        .filter_map(move |e| OffPolicy::new(e, k).ok())
        .filter(move |rule| rule.min_samples() <= n)
}

/// The larger of what each weight is a difference of, own ratio included.
fn sizes(rewards: &[f64], ratios: &[f64], k: usize, estimator: Estimator) -> Vec<f64> {
    let n = rewards.len();
    let reward = largest_magnitude(rewards);
    let ones = vec![1.0; n];
    let (_, products) = Group { rewards: &ones, ratios }.weights("plain", k, f64::INFINITY);
    let level = |i: usize| {
        if estimator != Estimator::Loo {
            return 0.0;
        }
        let others = [&ratios[..i], &ratios[i + 1..]].concat();
        ratios[i] * Group { rewards: &ones[1..], ratios: &others }.value(k).1
    };
    (0..n).map(|i| reward * (products[i] + level(i))).collect()
}

fn scale(rewards: &[f64], ratios: &[f64], k: usize, rule: &OffPolicy) -> f64 {
    largest_magnitude(sizes(rewards, ratios, k, rule.estimator()))
}

fn off_by(found: &[f64], expected: &[f64], scale: f64) -> f64 {
    let difference = largest_difference(found, expected);
    if difference == 0.0 { 0.0 } else { difference / scale }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_enumeration_of_all_subsets((rewards, ratios, k) in group(), cap in 0.3..3.0_f64) {
        let group = Group { rewards: &rewards, ratios: &ratios };
        let plain_ratios = Ratios::Plain(&ratios);
        for rule in defined(rewards.len(), k) {
            let name = rule.estimator().name();
            let scale = scale(&rewards, &ratios, k, &rule);
            for (rule, cap) in [(rule, f64::INFINITY), (rule.with_partner_cap(cap).unwrap(), cap)] {
                let (_, weights) = group.weights(name, k, cap);
                let found = rule.weights(&rewards, plain_ratios).unwrap();
                prop_assert!(off_by(&found, &weights, scale) < 1e-13, "{rule:?} {found:?} {weights:?}");
                let found = rule.factors(&rewards, plain_ratios).unwrap();
                let times: Vec<f64> = found.iter().zip(&ratios).map(|(f, r)| f * r).collect();
                prop_assert!(off_by(&times, &weights, scale) < 1e-13, "{rule:?}");
            }
        }
        let (value, product) = group.value(k);
        let found = off_policy_max_at_k(&rewards, plain_ratios, k, &mut OffPolicyWorkspace::new()).unwrap();
        let sizes: Vec<f64> = rewards.iter().map(|g| g.abs()).collect();
        let size = Group { rewards: &sizes, ratios: &ratios }.value(k).0;
        prop_assert!((found.value - value).abs() <= 1e-13 * size);
        prop_assert!((found.mean_product / product - 1.0).abs() < 1e-13);
        let normal = found.self_normalised.unwrap();
        prop_assert!((normal - value / product).abs() <= 1e-13 * size / product);
        let effective = ratios.iter().sum::<f64>().powi(2) / ratios.iter().map(|r| r * r).sum::<f64>();
        prop_assert!((found.effective_samples / effective - 1.0).abs() < 1e-13);
    }

    #[test]
    fn harmonic_is_the_sum_over_k((rewards, ratios, order) in group(), cap in 0.3..3.0_f64) {
        let n = rewards.len();
        prop_assume!(order < n);
        let group = Group { rewards: &rewards, ratios: &ratios };
        let rule = OffPolicy::new(Estimator::Harmonic, 1).unwrap().with_order(order).unwrap();
        let scale = (1..=order).map(|k| scale(&rewards, &ratios, k, &rule)).sum::<f64>();
        for (rule, cap) in [(rule, f64::INFINITY), (rule.with_partner_cap(cap).unwrap(), cap)] {
            let (_, weights) = group.harmonic(order, cap);
            let found = rule.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
            prop_assert!(off_by(&found, &weights, scale) < 1e-13, "{found:?} {weights:?}");
        }
    }

    #[test]
    fn ratios_of_one_give_the_weights_of_the_same_name((rewards, _, k) in group(), logs in any::<bool>()) {
        let n = rewards.len();
        let (ones, zeros) = (vec![1.0; n], vec![0.0; n]);
        let ratios = if logs { Ratios::Log(&zeros) } else { Ratios::Plain(&ones) };
        let size = largest_magnitude(&rewards);
        for estimator in Estimator::ALL {
            let Ok(rule) = OffPolicy::new(estimator, k) else { continue };
            if rule.min_samples() > n { continue }
            let transform = estimator.build(k).unwrap();
            prop_assert_eq!(rule.min_samples(), transform.min_samples());
            prop_assert_eq!(rule.target(n), transform.target(n));
            prop_assert_eq!(rule.k(), transform.k());
            let expected = transform.transform(&rewards).unwrap();
            let found = rule.weights(&rewards, ratios).unwrap();
            prop_assert!(off_by(&found, &expected, size) < 4e-15, "{estimator} {found:?} {expected:?}");
            prop_assert_eq!(rule.factors(&rewards, ratios).unwrap(), found);
        }
    }

    #[test]
    fn samples_in_another_order_get_the_same_weights((rewards, ratios, k) in group(), seed in any::<u64>()) {
        let mut order: Vec<usize> = (0..rewards.len()).collect();
        let mut rng = oracle::Rng(seed);
        order.sort_by_key(|_| rng.bits());
        let pick = |v: &[f64]| -> Vec<f64> { order.iter().map(|&i| v[i]).collect() };
        for rule in defined(rewards.len(), k) {
            let expected = pick(&rule.weights(&rewards, Ratios::Plain(&ratios)).unwrap());
            let found = rule.weights(&pick(&rewards), Ratios::Plain(&pick(&ratios))).unwrap();
            let scale = scale(&rewards, &ratios, k, &rule);
            prop_assert!(off_by(&found, &expected, scale) < 1e-13, "{rule:?}");
        }
    }

    #[test]
    fn equal_rewards_have_equal_minus_one_factors_and_better_ones_no_less((rewards, ratios, k) in group()) {
        prop_assume!(k > 1);
        let rule = OffPolicy::new(Estimator::LooMinusOne, k).unwrap();
        let factors = rule.factors(&rewards, Ratios::Plain(&ratios)).unwrap();
        for (a, fa) in rewards.iter().zip(&factors) {
            prop_assert!(*fa >= 0.0);
            for (b, fb) in rewards.iter().zip(&factors) {
                prop_assert!(a != b || fa == fb);
                prop_assert!(a > b || fa <= fb);
            }
        }
    }

    #[test]
    fn ratios_of_better_samples_do_not_matter_to_minus_one((rewards, ratios, k) in group(), factor in 0.1..10.0_f64) {
        prop_assume!(k > 1);
        let rule = OffPolicy::new(Estimator::LooMinusOne, k).unwrap();
        let factors = rule.factors(&rewards, Ratios::Plain(&ratios)).unwrap();
        let best = (0..rewards.len()).max_by(|&a, &b| rewards[a].total_cmp(&rewards[b])).unwrap();
        let mut moved = ratios.clone();
        moved[best] *= factor;
        let found = rule.factors(&rewards, Ratios::Plain(&moved)).unwrap();
        for i in 0..rewards.len() {
            if rewards[i] < rewards[best] {
                prop_assert_eq!(found[i], factors[i]);
            }
        }
    }

    #[test]
    fn offsets_and_scales_pass_as_they_should((rewards, ratios, k) in group(), exponent in -20_i32..20, offset in -8_i8..8) {
        let n = rewards.len();
        let plain_ratios = Ratios::Plain(&ratios);
        // Rewards on a grid, so that the offset itself is not rounded.
        let rewards: Vec<f64> = rewards.iter().map(|g| (g * 1024.0).round() / 1024.0).collect();
        let moved: Vec<f64> = rewards.iter().map(|g| g + f64::from(offset)).collect();
        let common = 2.0_f64.powi(exponent);
        let scaled: Vec<f64> = ratios.iter().map(|r| r * common).collect();
        for rule in defined(n, k) {
            let weights = rule.weights(&rewards, plain_ratios).unwrap();
            let estimator = rule.estimator();
            if matches!(estimator, Estimator::LooMinusOne | Estimator::Centred) {
                prop_assert_eq!(&rule.weights(&moved, plain_ratios).unwrap(), &weights);
            }
            if estimator != Estimator::Loo {
                // One common factor goes through to the power of k.
                let expected: Vec<f64> =
                    weights.iter().map(|w| w * 2.0_f64.powi(exponent * k as i32)).collect();
                let found = rule.weights(&rewards, Ratios::Plain(&scaled)).unwrap();
                let scale = largest_magnitude(&expected);
                prop_assert!(off_by(&found, &expected, scale) < 1e-14, "{rule:?}");
            }
            if estimator == Estimator::Plain {
                let mut workspace = OffPolicyWorkspace::new();
                let value = off_policy_max_at_k(&rewards, plain_ratios, k, &mut workspace).unwrap();
                let total: f64 = weights.iter().sum();
                let size: f64 = weights.iter().map(|w| w.abs()).sum();
                prop_assert!((total - k as f64 * value.value).abs() <= 1e-13 * size);
            }
        }
    }

    #[test]
    fn log_ratios_are_ratios((rewards, ratios, k) in group()) {
        let logs: Vec<f64> = ratios.iter().map(|r| r.ln()).collect();
        for rule in defined(rewards.len(), k) {
            let expected = rule.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
            let found = rule.weights(&rewards, Ratios::Log(&logs)).unwrap();
            let scale = scale(&rewards, &ratios, k, &rule);
            prop_assert!(off_by(&found, &expected, scale) < 2e-13, "{rule:?}");
        }
    }

    #[test]
    fn a_batch_is_its_groups_one_by_one(groups in prop::collection::vec(group(), 0..6)) {
        let groups: Vec<_> = groups.into_iter().filter(|(g, _, _)| g.len() > 2).collect();
        let rewards: Vec<f64> = groups.iter().flat_map(|(g, _, _)| g.clone()).collect();
        let ratios: Vec<f64> = groups.iter().flat_map(|(_, r, _)| r.clone()).collect();
        let mut offsets = vec![0];
        for (g, _, _) in &groups {
            offsets.push(offsets[offsets.len() - 1] + g.len());
        }
        let mut workspace = OffPolicyWorkspace::new();
        for estimator in Estimator::ALL {
            let Ok(rule) = OffPolicy::new(estimator, 2) else { continue };
            let mut weights = vec![f64::NAN; rewards.len()];
            rule.weights_groups_into(&rewards, Ratios::Plain(&ratios), &offsets, &mut weights, &mut workspace).unwrap();
            let alone: Vec<f64> = groups.iter()
                .flat_map(|(g, r, _)| rule.weights(g, Ratios::Plain(r)).unwrap()).collect();
            prop_assert_eq!(&weights, &alone);
            let mut factors = vec![f64::NAN; rewards.len()];
            rule.factors_groups_into(&rewards, Ratios::Plain(&ratios), &offsets, &mut factors, &mut workspace).unwrap();
            let alone: Vec<f64> = groups.iter()
                .flat_map(|(g, r, _)| rule.factors(g, Ratios::Plain(r)).unwrap()).collect();
            prop_assert_eq!(&factors, &alone);
        }
    }

    #[test]
    fn on_policy_centred_is_what_it_is_said_to_be((rewards, _, k) in group()) {
        let n = rewards.len();
        prop_assume!(k < n);
        let size = largest_magnitude(&rewards);
        let centred = Centred::new(k).unwrap().transform(&rewards).unwrap();
        let plain = oracle::plain(&rewards, k);
        let mean = plain.iter().sum::<f64>() / n as f64;
        let stretched: Vec<f64> =
            plain.iter().map(|s| (s - mean) * n as f64 / (n - k) as f64).collect();
        prop_assert!(off_by(&centred, &stretched, size) < 2e-14);
        prop_assert!(centred.iter().sum::<f64>().abs() < 1e-14 * size.max(1.0));
        if k == 1 {
            prop_assert!(off_by(&centred, &Rloo.transform(&rewards).unwrap(), size) < 1e-15);
        } else {
            // The leave-two-out form: expected improvement minus that of the others without i.
            let improvement = |g: &[f64]| -> Vec<f64> {
                let share = g.len() as f64 / k as f64;
                oracle::loo_minus_one(g, k).iter().map(|w| w * share).collect()
            };
            let own = improvement(&rewards);
            let pairs: Vec<f64> = (0..n).map(|i| {
                let others = [&rewards[..i], &rewards[i + 1..]].concat();
                let level = improvement(&others).iter().sum::<f64>() / (n - 1) as f64;
                k as f64 / n as f64 * (own[i] - level)
            }).collect();
            prop_assert!(off_by(&centred, &pairs, size) < 2e-14);
        }
        let mut harmonic = vec![0.0; n];
        for j in 1..=k {
            let part = Centred::new(j).unwrap().transform(&rewards).unwrap();
            for (slot, w) in harmonic.iter_mut().zip(part) {
                *slot += w / j as f64;
            }
        }
        let found = Harmonic::of_order(k).unwrap().transform(&rewards).unwrap();
        prop_assert!(off_by(&found, &harmonic, size) < 1e-14);
    }

    #[test]
    fn harmonic_of_successes_is_their_share(successes in prop::collection::vec(prop::bool::ANY, 2..40)) {
        let rewards: Vec<f64> = successes.iter().map(|&s| f64::from(u8::from(s))).collect();
        let n = rewards.len() as f64;
        let count: f64 = rewards.iter().sum();
        let expected: Vec<f64> = rewards.iter()
            .map(|f| if count == 0.0 { 0.0 } else { f / count - 1.0 / n }).collect();
        let found = Harmonic::new().transform(&rewards).unwrap();
        prop_assert!(off_by(&found, &expected, 1.0) < 1e-15);
    }
}

#[test]
fn off_policy_centred_at_one_is_the_weighted_leave_one_out() {
    let (rewards, ratios) = ([0.1, 0.7, -0.4, 1.0], [0.5, 1.5, 2.0, 0.9]);
    let rule = OffPolicy::new(Estimator::Centred, 1).unwrap();
    let found = rule.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
    let expected: Vec<f64> = (0..4)
        .map(|i| {
            let others = || (0..4).filter(|&j| j != i);
            let mass: f64 = others().map(|j| ratios[j]).sum();
            let level = others().map(|j| ratios[j] * rewards[j]).sum::<f64>() / mass;
            ratios[i] / 4.0 * (rewards[i] - level)
        })
        .collect();
    assert_close_in("k = 1", found, expected, 1e-15);
}

/// A ratio of 2^40 next to ratios of 1: the level of the others must not be a difference.
#[test]
fn one_dominating_ratio_ruins_nothing() {
    let rewards = [0.1, 0.35, 0.2, 0.9, 0.6];
    for at in 0..rewards.len() {
        let mut ratios = [1.0; 5];
        ratios[at] = 2.0_f64.powi(40);
        let group = Group { rewards: &rewards, ratios: &ratios };
        for k in 1..5 {
            for rule in defined(5, k) {
                let (_, weights) = group.weights(rule.estimator().name(), k, f64::INFINITY);
                let found = rule.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
                let sizes = sizes(&rewards, &ratios, k, rule.estimator());
                for ((w, e), size) in found.iter().zip(&weights).zip(sizes) {
                    assert!((w - e).abs() <= 1e-14 * size, "{rule:?} at {at}: {w} {e}");
                }
            }
        }
        // As a difference of sums over everyone, the same level is lost.
        let plain = OffPolicy::new(Estimator::Plain, 2).unwrap();
        let weights = plain.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
        let value = group.value(2).0;
        let difference = (value - weights[at]) * 5.0 / 3.0;
        let drop = |v: &[f64]| [&v[..at], &v[at + 1..]].concat();
        let (others, rest) = (drop(&rewards), drop(&ratios));
        let truth = Group { rewards: &others, ratios: &rest }.value(2).0;
        assert!((difference / truth - 1.0).abs() > 1e-6, "the comparison must see it");
    }
}

#[test]
fn ratios_far_below_one_keep_their_digits() {
    let rewards = [0.1, 0.35, 0.2, 0.9];
    let (near, far) = ([-0.1, 0.2, -0.3, 0.05], [-9000.1, -8999.8, -9000.3, -8999.95]);
    let mut workspace = OffPolicyWorkspace::new();
    let there = off_policy_max_at_k(&rewards, Ratios::Log(&far), 2, &mut workspace).unwrap();
    let here = off_policy_max_at_k(&rewards, Ratios::Log(&near), 2, &mut workspace).unwrap();
    assert_eq!((there.value, there.mean_product), (0.0, 0.0));
    let (far_level, level) = (there.self_normalised.unwrap(), here.self_normalised.unwrap());
    assert!((far_level - level).abs() < 1e-11);
    assert!((there.effective_samples / here.effective_samples - 1.0).abs() < 1e-11);
    for rule in defined(4, 2) {
        let found = rule.weights(&rewards, Ratios::Log(&far)).unwrap();
        assert_eq!(found, [0.0; 4], "{rule:?}");
    }
    // Within range, however low the products are.
    let low = near.map(|l| l - 200.0);
    let rule = OffPolicy::new(Estimator::Centred, 2).unwrap();
    let expected = rule.weights(&rewards, Ratios::Log(&near)).unwrap();
    let found = rule.weights(&rewards, Ratios::Log(&low)).unwrap();
    for (f, e) in found.iter().zip(&expected) {
        assert!((f / (e * (-400.0_f64).exp()) - 1.0).abs() < 1e-11);
    }
}

#[test]
fn a_large_group_agrees_with_its_binary_closed_form() {
    // Two levels and two ratios: sums over subsets are convolutions of two binomials.
    let (n, k, successes) = (200_usize, 100_usize, 7_usize);
    let (low, high) = (0.99, 1.02);
    let rewards: Vec<f64> = (0..n).map(|i| f64::from(u8::from(i % 29 == 3))).collect();
    assert_eq!(rewards.iter().sum::<f64>() as usize, successes);
    let ratios: Vec<f64> = rewards.iter().map(|&f| if f == 1.0 { high } else { low }).collect();
    let rule = OffPolicy::new(Estimator::LooMinusOne, k).unwrap();
    let found = rule.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
    // Only subsets whose other members all fail: C(n-c, k-1)/C(n, k) low^(k-1) high.
    let share = (0..k - 1)
        .fold(k as f64 / n as f64, |x, j| x * (n - successes - j) as f64 / (n - 1 - j) as f64);
    let expected = share * low.powi(k as i32 - 1) * high;
    for (w, f) in found.iter().zip(&rewards) {
        assert!((w - expected * f).abs() <= 2e-14 * expected, "{w:e} {expected:e}");
    }
    // Minus one plus its baseline: the plain weights of failures hold the same subsets.
    let centred = OffPolicy::new(Estimator::Centred, k).unwrap();
    let weights = centred.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
    assert!(weights.iter().all(|w| w.is_finite()));
}
