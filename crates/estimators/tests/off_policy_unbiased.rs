//! Off-policy weights and values over every batch that a sampler can draw: unbiasedness is an equality,
//! and the rules that break it are seen to.

mod exact;
mod oracle;

use bestof_closeness::{assert_close, assert_close_in, largest_difference};
use bestof_estimators::{
    Centred, Estimator, Harmonic, LooMinusOne, OffPolicy, OffPolicyWorkspace, Ratios,
    RewardTransform, Target, off_policy_max_at_k,
};
use exact::{Drift, wrong};
use oracle::gap;
use serde_json::Value;

/// Weights of rewards and ratios.
type Weigh<'a> = &'a dyn Fn(&[f64], &[f64]) -> Vec<f64>;

fn drifts() -> Vec<Drift> {
    vec![
        Drift::new(&[0.5, 0.3, 0.2], &[0.2, 0.3, 0.5], &[0.0, 1.0, 0.4]),
        Drift::new(&[0.8, 0.2], &[0.5, 0.5], &[0.0, 1.0]),
        Drift::new(&[0.25, 0.25, 0.3, 0.2], &[0.1, 0.45, 0.4, 0.05], &[-1.0, 0.5, 2.0, 0.5]),
        Drift::new(&[0.6, 0.3, 0.1], &[0.2, 0.3, 0.5], &[10.0, 10.5, 11.0]),
        // The policy cannot make the second answer any more.
        Drift::new(&[0.4, 0.3, 0.3], &[0.7, 0.0, 0.3], &[-3.0, -1.0, -1.5]),
    ]
}

fn sizes() -> impl Iterator<Item = (usize, usize)> {
    (1..=5).flat_map(|n| (1..=n).map(move |k| (n, k)))
}

fn sum(vectors: impl Iterator<Item = Vec<f64>>) -> Vec<f64> {
    vectors
        .reduce(|a, b| a.iter().zip(&b).map(|(x, y)| x + y).collect())
        .expect("at least one gradient")
}

fn scaled(vector: &[f64], factor: f64) -> Vec<f64> {
    vector.iter().map(|x| x * factor).collect()
}

/// What a rule claims, with partners from a measure on the actions.
fn claimed(drift: &Drift, target: Target, partners: &[f64]) -> Vec<f64> {
    match target {
        Target::Gradient { k, factor } => scaled(&drift.surrogate(k, partners), factor),
        Target::Harmonic { order } => {
            sum((1..=order).map(|k| scaled(&drift.surrogate(k, partners), 1.0 / k as f64)))
        }
        other => panic!("{other:?}"),
    }
}

/// The rules that are defined for groups of `n`.
fn rules(n: usize, k: usize) -> Vec<OffPolicy> {
    let named = Estimator::ALL.iter().filter_map(|&e| OffPolicy::new(e, k).ok());
    let bounded = OffPolicy::new(Estimator::Harmonic, k).and_then(|rule| rule.with_order(k));
    named.chain(bounded).filter(|rule| rule.min_samples() <= n).collect()
}

fn expected(drift: &Drift, n: usize, rule: OffPolicy) -> Vec<f64> {
    drift.moments(n, |g, r| rule.weights(g, Ratios::Plain(r)).expect("a defined group")).mean
}

/// Whether a group of the drift may lack a baseline: too many ratios of 0.
fn may_lack_a_level(drift: &Drift, rule: &OffPolicy) -> bool {
    drift.policy.contains(&0.0)
        && matches!(rule.estimator(), Estimator::Centred | Estimator::Harmonic)
}

#[test]
fn the_exact_gradient_agrees_with_differences() {
    let drift = &drifts()[2];
    let logits: Vec<f64> = drift.policy.iter().map(|p| p.ln()).collect();
    for k in [1, 2, 4] {
        let at = |a: usize, step: f64| {
            let mut moved = logits.clone();
            moved[a] += step;
            let total: f64 = moved.iter().map(|l| l.exp()).sum();
            let policy: Vec<f64> = moved.iter().map(|l| l.exp() / total).collect();
            Drift { policy, ..drift.clone() }.value(k)
        };
        let slopes: Vec<f64> =
            (0..logits.len()).map(|a| (at(a, 1e-5) - at(a, -1e-5)) / 2e-5).collect();
        assert_close(drift.gradient(k), slopes, 1e-9);
    }
}

#[test]
fn values_are_unbiased_and_mean_products_are_one() {
    for drift in drifts() {
        for (n, k) in sizes() {
            let found = |g: &[f64], r: &[f64]| {
                let mut workspace = OffPolicyWorkspace::new();
                off_policy_max_at_k(g, Ratios::Plain(r), k, &mut workspace).unwrap()
            };
            let value = drift.expected(n, |g, r| found(g, r).value);
            assert_close_in(format!("n {n} k {k}"), value, drift.value(k), 2e-13);
            let product = drift.expected(n, |g, r| found(g, r).mean_product);
            assert_close_in(format!("n {n} k {k}"), product, 1.0, 1e-13);
        }
    }
}

#[test]
fn every_rule_has_the_expected_gradient_that_it_claims() {
    let mut checked = 0;
    for drift in drifts() {
        for (n, k) in sizes() {
            for rule in rules(n, k) {
                if may_lack_a_level(&drift, &rule) {
                    continue;
                }
                let found = expected(&drift, n, rule);
                let truth = claimed(&drift, rule.target(n), &drift.policy);
                assert!(gap(&found, &truth) < 1e-12, "{rule:?} n {n}: {found:?} {truth:?}");
                checked += 1;
                for cap in [0.5, 1.2, 2.0] {
                    let Ok(capped) = rule.with_partner_cap(cap) else { continue };
                    let found = expected(&drift, n, capped);
                    let truth = claimed(&drift, rule.target(n), &drift.capped(cap));
                    assert!(gap(&found, &truth) < 1e-12, "{capped:?} n {n}: {found:?} {truth:?}");
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 900, "{checked}");
}

#[test]
fn on_policy_centred_and_harmonic_have_their_gradients() {
    for mut drift in drifts() {
        drift.sampler.clone_from(&drift.policy);
        drift.sampler.iter_mut().for_each(|q| *q = q.max(1e-3));
        let total: f64 = drift.sampler.iter().sum();
        drift.sampler.iter_mut().for_each(|q| *q /= total);
        drift.policy.clone_from(&drift.sampler);
        for (n, k) in sizes().filter(|(n, k)| k < n) {
            for transform in [
                Box::new(Centred::new(k).unwrap()) as Box<dyn RewardTransform>,
                Box::new(Harmonic::of_order(k).unwrap()),
                Box::new(Harmonic::new()),
            ] {
                let found = drift.moments(n, |g, _| transform.transform(g).unwrap()).mean;
                let truth = claimed(&drift, transform.target(n), &drift.policy);
                assert!(gap(&found, &truth) < 1e-13, "{transform:?} n {n}");
            }
        }
    }
}

/// The on-policy weight times the own ratio estimates the gradient of a surrogate whose partners stay
/// with the sampler: right for k = 1 only.
#[test]
fn the_own_ratio_alone_fails_for_more_than_one() {
    for drift in drifts() {
        for (n, k) in sizes().filter(|(_, k)| *k > 1) {
            let found = drift.moments(n, |g, r| wrong::own_ratio(g, r, k)).mean;
            assert!(gap(&found, &drift.surrogate(k, &drift.sampler)) < 1e-12, "n {n} k {k}");
            let away = largest_difference(&found, drift.gradient(k));
            assert!(away > 1e-3, "n {n} k {k}: {away:e}");
        }
        for n in 2..=5 {
            let rule = OffPolicy::new(Estimator::Rloo, 1).unwrap();
            assert!(gap(&expected(&drift, n, rule), &drift.gradient(1)) < 1e-12);
        }
    }
}

#[test]
fn biased_variants_are_seen() {
    let drift = &drifts()[0];
    for (name, variant) in wrong::VARIANTS {
        // This one depends on the order of the samples, which a batch here does not have.
        if name == "ratios in the caller's order" {
            continue;
        }
        let found = drift.moments(4, |g, r| variant(g, r, 3)).mean;
        let away = largest_difference(&found, drift.gradient(3));
        assert!(away > 5e-3, "{name}: {away:e}");
    }
    let away =
        |weigh: Weigh<'_>| largest_difference(drift.moments(4, weigh).mean, drift.gradient(2));
    let rule = OffPolicy::new(Estimator::LooMinusOne, 2).unwrap();
    assert!(away(&|g, r| rule.weights(g, Ratios::Plain(r)).unwrap()) < 1e-13);
    // A baseline without the own ratio, caps on the own ratio, and the derivative of U/M.
    let plain = OffPolicy::new(Estimator::Plain, 2).unwrap();
    let flat = |g: &[f64], r: &[f64]| -> Vec<f64> {
        let weights = plain.weights(g, Ratios::Plain(r)).unwrap();
        weights.iter().map(|w| w - 0.5).collect()
    };
    assert!(away(&flat) > 1e-2);
    let low = |g: &[f64], r: &[f64]| {
        let low: Vec<f64> = r.iter().map(|r| r.min(1.2)).collect();
        rule.weights(g, Ratios::Plain(&low)).unwrap()
    };
    assert!(away(&low) > 1e-2);
    let normalised = |g: &[f64], r: &[f64]| {
        let mut workspace = OffPolicyWorkspace::new();
        let found = off_policy_max_at_k(g, Ratios::Plain(r), 2, &mut workspace).unwrap();
        let ones = vec![1.0; g.len()];
        let value = plain.weights(g, Ratios::Plain(r)).unwrap();
        let product = plain.weights(&ones, Ratios::Plain(r)).unwrap();
        let level = found.self_normalised.unwrap();
        let each = value.iter().zip(&product);
        each.map(|(u, m)| (u - m * level) / found.mean_product).collect()
    };
    assert!(away(&normalised) > 1e-2);
}

fn fraction(value: &Value) -> f64 {
    let text = value.as_str().expect("a fraction");
    let mut parts = text.split('/').map(|x| x.parse::<f64>().expect("a number"));
    let numerator = parts.next().expect("a numerator");
    numerator / parts.next().unwrap_or(1.0)
}

fn numbers(value: &Value, read: impl Fn(&Value) -> f64) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(read).collect()
}

/// Expectations and total variances of exact rational arithmetic.
#[test]
fn golden_policies_agree() {
    let float = |value: &Value| value.as_f64().expect("a number");
    let golden: Value = serde_json::from_str(include_str!("golden/off_policy.json")).unwrap();
    for case in golden["policy_exact"].as_array().unwrap() {
        let read = |field: &str| numbers(&case[field], fraction);
        let drift = Drift::new(&read("behaviour"), &read("policy"), &read("rewards"));
        let (n, k) = (float(&case["n"]) as usize, float(&case["k"]) as usize);
        assert_close(drift.value(k), float(&case["max_at_k"]), 1e-13);
        assert_close(drift.gradient(k), numbers(&case["gradient_by_logits"], float), 1e-13);
        let weigh = |estimator: Estimator, g: &[f64], r: &[f64]| {
            OffPolicy::new(estimator, k).unwrap().weights(g, Ratios::Plain(r)).unwrap()
        };
        for (name, expected) in case["estimators"].as_object().unwrap() {
            let found = drift.moments(n, |g, r| match name.as_str() {
                "plain" => weigh(Estimator::Plain, g, r),
                "loo_minus_one" => weigh(Estimator::LooMinusOne, g, r),
                "centred" => weigh(Estimator::Centred, g, r),
                "own_ratio" => wrong::own_ratio(g, r, k),
                "first_order_loo_minus_one" => wrong::first_order(g, r, k),
                other => panic!("{other}"),
            });
            assert_close_in(name, found.mean, numbers(&expected["expected"], float), 1e-12);
            let variance = float(&expected["total_variance"]);
            assert_close_in(name, found.variance, variance, 1e-11 * variance.max(1.0));
        }
    }
    let golden: Value = serde_json::from_str(include_str!("golden/centred.json")).unwrap();
    for case in golden["policy_exact"].as_array().unwrap() {
        let read = |field: &str| numbers(&case[field], fraction);
        let drift = Drift::new(&read("policy"), &read("policy"), &read("rewards"));
        let (n, k) = (float(&case["n"]) as usize, float(&case["k"]) as usize);
        for (name, transform) in [
            ("centred", Box::new(Centred::new(k).unwrap()) as Box<dyn RewardTransform>),
            ("harmonic", Box::new(Harmonic::new())),
            ("loo_minus_one", Box::new(LooMinusOne::new(k).unwrap())),
        ] {
            let expected = &case["estimators"][name];
            let found = drift.moments(n, |g, _| transform.transform(g).unwrap());
            assert_close_in(name, found.mean, numbers(&expected["expected"], float), 1e-12);
            let variance = float(&expected["total_variance"]);
            assert_close_in(name, found.variance, variance, 1e-11 * variance.max(1.0));
        }
    }
}

/// The table of the documentation is the one that is computed.
#[test]
fn the_documented_table_is_exact() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/estimators.md");
    let page = std::fs::read_to_string(path).expect("the page on estimators");
    let table = exact::table::markdown();
    assert!(page.contains(&table), "docs/estimators.md lacks this table:\n{table}");
    // What the table shows: products are exact, and the rules beside them are not.
    for (case, cells) in exact::table::numbers() {
        for (at, (bias, _)) in cells.iter().enumerate() {
            let (column, _) = exact::table::COLUMNS[at];
            assert!((1..=3).contains(&at) == (*bias < 1e-12) || column.starts_with("partners"));
            assert!(bias.is_finite(), "{case} {column}");
        }
    }
}
