//! Golden numbers of the newer weights, by enumeration in exact rational arithmetic.

mod oracle;
mod wrong;

use std::collections::BTreeMap;

use bestof_closeness::{Tolerance, assert_close_in, largest_difference, largest_magnitude};
use bestof_estimators::{
    Centred, Estimator, EstimatorError, Harmonic, LooMinusOne, OffPolicy, OffPolicyWorkspace,
    Ratios, RewardTransform, estimate_off_policy, off_policy_max_at_k,
};
use serde_json::Value;

fn golden(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn off_policy() -> Value {
    golden(include_str!("golden/off_policy.json"))
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().expect("an array").iter();
    numbers.map(|x| x.as_f64().expect("a number")).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn count(value: &Value) -> usize {
    value.as_u64().expect("a count") as usize
}

fn spread(rewards: &[f64]) -> f64 {
    let high = rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    high - rewards.iter().copied().fold(f64::INFINITY, f64::min)
}

/// What the file allows, as a scale of each field: `loo-minus-one` is relative for each weight.
struct Scales {
    value: f64,
    plain: f64,
    centred: f64,
}

impl Scales {
    fn of(rewards: &[f64], ratios: &[f64], k: usize) -> Self {
        let sizes: Vec<f64> = rewards.iter().map(|g| g.abs()).collect();
        let ones = vec![1.0; rewards.len()];
        let plain = OffPolicy::new(Estimator::Plain, k).expect("a defined group");
        let weights = |g: &[f64]| {
            largest_magnitude(plain.weights(g, Ratios::Plain(ratios)).expect("a defined group"))
        };
        let value =
            off_policy_max_at_k(&sizes, Ratios::Plain(ratios), k, &mut OffPolicyWorkspace::new());
        Self {
            value: value.expect("a defined group").value,
            plain: weights(&sizes),
            centred: weights(&ones) * spread(rewards),
        }
    }
}

/// A tolerance relative to a scale that may be 0, where only equality will do.
fn share(found: &[f64], expected: &[f64], scale: f64) -> f64 {
    let difference = largest_difference(found, expected);
    if difference == 0.0 { 0.0 } else { difference / scale }
}

#[test]
fn cases_agree() {
    let golden = off_policy();
    let (mut checked, mut worst) = (0, BTreeMap::<String, f64>::new());
    for case in golden["cases"].as_array().unwrap() {
        let (rewards, ratios) = (numbers(&case["rewards"]), numbers(&case["ratios"]));
        let (k, cap) = (count(&case["k"]), number(&case["cap"]));
        let scales = Scales::of(&rewards, &ratios, k);
        let plain_ratios = Ratios::Plain(&ratios);
        let mut see = |field: &str, error: f64, tolerance: f64| {
            assert!(error <= tolerance, "{} {field}: {error:e}", case["id"]);
            let slot = worst.entry(format!("{} {field}", case["category"])).or_default();
            *slot = slot.max(error);
            checked += 1;
        };
        let found =
            off_policy_max_at_k(&rewards, plain_ratios, k, &mut OffPolicyWorkspace::new()).unwrap();
        see("value", share(&[found.value], &[number(&case["value"])], scales.value), 1e-15);
        let product = number(&case["mean_product"]);
        see("mean_product", share(&[found.mean_product], &[product], product), 2e-15);
        let normal = number(&case["self_normalised_value"]);
        let scale = largest_magnitude(&rewards);
        see("self_normalised", share(&[found.self_normalised.unwrap()], &[normal], scale), 2e-15);
        for (field, estimator, scale) in [
            ("plain", Estimator::Plain, scales.plain),
            ("centred", Estimator::Centred, scales.centred),
            ("loo", Estimator::Loo, scales.plain),
        ] {
            let rule = OffPolicy::new(estimator, k).unwrap();
            if case[field].is_null() {
                assert!(matches!(
                    rule.weights(&rewards, plain_ratios),
                    Err(EstimatorError::TooFewSamples { .. })
                ));
                continue;
            }
            let found = rule.weights(&rewards, plain_ratios).unwrap();
            let expected = numbers(&case[field]);
            // The baseline of `loo` is a product of k + 1 ratios.
            let scale =
                if field == "loo" { scale.max(largest_magnitude(&expected)) } else { scale };
            see(field, share(&found, &expected, scale), 3e-15);
        }
        let Ok(rule) = OffPolicy::new(Estimator::LooMinusOne, k) else {
            assert!(case["loo_minus_one"].is_null());
            continue;
        };
        let mut each = |field: &str, found: &[f64]| {
            let relative = found
                .iter()
                .zip(numbers(&case[field]))
                .map(|(f, e)| if *f == e { 0.0 } else { (f - e).abs() / e.abs() });
            // NaN loses no comparison here.
            let error = relative.fold(0.0, |m: f64, e| if e > m || e.is_nan() { e } else { m });
            see(field, error, 2e-15);
        };
        each("loo_minus_one", &rule.weights(&rewards, plain_ratios).unwrap());
        let factors = rule.factors(&rewards, plain_ratios).unwrap();
        each("loo_minus_one_without_own_ratio", &factors);
        let capped = rule.with_partner_cap(cap).unwrap();
        let answer = estimate_off_policy(&rewards, plain_ratios, k, &capped).unwrap();
        each("loo_minus_one_partners_capped", &answer.weights);
        let low: Vec<f64> = ratios.iter().map(|r| r.min(cap)).collect();
        each("loo_minus_one_capped", &rule.weights(&rewards, Ratios::Plain(&low)).unwrap());
        let value = answer.value_capped.unwrap();
        let scales = Scales::of(&rewards, &low, k);
        see("value_capped", share(&[value], &[number(&case["value_capped"])], scales.value), 1e-15);
    }
    assert!(checked > 170, "{checked}");
    for (what, error) in worst {
        println!("{what}: {error:.1e}");
    }
}

/// Logarithms cost an accuracy of their own: half a unit in the last place of `log r`, times k.
#[test]
fn log_ratios_agree() {
    let golden = off_policy();
    for case in golden["cases"].as_array().unwrap() {
        let (rewards, ratios) = (numbers(&case["rewards"]), numbers(&case["ratios"]));
        let k = count(&case["k"]);
        let logs: Vec<f64> = ratios.iter().map(|r| r.ln()).collect();
        let tolerance = 1e-15 * k as f64 * largest_magnitude(&logs).max(1.0);
        for estimator in [Estimator::LooMinusOne, Estimator::Plain] {
            let Ok(rule) = OffPolicy::new(estimator, k) else { continue };
            let expected = rule.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
            let found = rule.weights(&rewards, Ratios::Log(&logs)).unwrap();
            let scale = largest_magnitude(&expected);
            let near = Tolerance::relative(tolerance).plus(1e-14 * scale);
            assert_close_in(&case["id"], found, expected, near);
        }
    }
}

#[test]
fn large_groups_agree() {
    let golden = off_policy();
    let cases = golden["large"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let (rewards, ratios) = (numbers(&case["rewards"]), numbers(&case["ratios"]));
        let k = count(&case["k"]);
        let rule = OffPolicy::new(Estimator::LooMinusOne, k).unwrap();
        let found = estimate_off_policy(&rewards, Ratios::Plain(&ratios), k, &rule).unwrap();
        let near = Tolerance::relative(1e-14);
        assert_close_in(&case["id"], found.of_policy.value, number(&case["value"]), near);
        let product = number(&case["mean_product"]);
        assert_close_in(&case["id"], found.of_policy.mean_product, product, near);
        assert_close_in(&case["id"], found.weights, numbers(&case["loo_minus_one"]), near);
    }
}

/// Ways to get leave-one-out-minus-one wrong: each must fail the comparison above in many cases.
#[test]
fn wrong_variants_fail_the_same_comparison() {
    let golden = off_policy();
    for (name, variant) in wrong::VARIANTS {
        let mut failed = 0;
        for case in golden["cases"].as_array().unwrap() {
            let k = count(&case["k"]);
            if k == 1 {
                continue;
            }
            let (rewards, ratios) = (numbers(&case["rewards"]), numbers(&case["ratios"]));
            let expected = numbers(&case["loo_minus_one"]);
            let found = variant(&rewards, &ratios, k);
            let near = Tolerance::relative(1e-14);
            failed += u32::from(bestof_closeness::close(found, expected, near).is_err());
        }
        assert!(failed >= 10, "{name} fails only {failed}");
    }
    // The same code without a mistake fails none.
    for case in golden["cases"].as_array().unwrap() {
        let (rewards, ratios) = (numbers(&case["rewards"]), numbers(&case["ratios"]));
        let k = count(&case["k"]);
        if k > 1 {
            let found = wrong::right(&rewards, &ratios, k);
            let expected = numbers(&case["loo_minus_one"]);
            assert_close_in(&case["id"], found, expected, Tolerance::relative(1e-14));
        }
    }
}

#[test]
fn biased_fields_are_what_they_say() {
    let golden = off_policy();
    let mut seen = 0;
    for case in golden["cases"].as_array().unwrap() {
        let k = count(&case["k"]);
        if k == 1 || case["biased"]["own_ratio"].is_null() {
            continue;
        }
        let (rewards, ratios) = (numbers(&case["rewards"]), numbers(&case["ratios"]));
        let found = wrong::own_ratio(&rewards, &ratios, k);
        let expected = numbers(&case["biased"]["own_ratio"]);
        assert_close_in(&case["id"], found, expected, Tolerance::relative(1e-14));
        let first = numbers(&case["biased"]["first_order_loo_minus_one"]);
        let scale = largest_magnitude(&first);
        assert_close_in(
            &case["id"],
            wrong::first_order(&rewards, &ratios, k),
            first,
            1e-13 * scale,
        );
        seen += 1;
    }
    assert!(seen > 14, "{seen}");
}

#[test]
fn centred_and_harmonic_agree() {
    let golden = golden(include_str!("golden/centred.json"));
    let (mut checked, mut wrong_seen) = (0, 0);
    for case in golden["cases"].as_array().unwrap() {
        let rewards = numbers(&case["rewards"]);
        let n = count(&case["n"]);
        let spread = spread(&rewards);
        let mut check = |transform: &dyn RewardTransform, expected: &Value| {
            let found = transform.transform(&rewards).unwrap();
            let error = share(&found, &numbers(expected), spread);
            assert!(error < 1e-15, "{} {transform:?}: {error:e}", case["id"]);
            checked += 1;
        };
        for (k, expected) in case["centred"].as_object().unwrap() {
            check(&Centred::new(k.parse().unwrap()).unwrap(), expected);
        }
        check(&Harmonic::new(), &case["harmonic"]);
        check(&Harmonic::of_order(count(&case["order"])).unwrap(), &case["harmonic_of_order"]);
        if let Some(expected) = case.get("maxrl_over_n").filter(|x| x.is_array()) {
            check(&Harmonic::new(), expected);
        }
        for (k, expected) in case["expected_improvement"].as_object().unwrap() {
            let k: usize = k.parse().unwrap();
            let found = LooMinusOne::new(k).unwrap().transform(&rewards).unwrap();
            let found: Vec<f64> = found.iter().map(|w| w * n as f64 / k as f64).collect();
            assert!(share(&found, &numbers(expected), spread) < 3e-15, "{}", case["id"]);
        }
        // From a floor below every reward, the uncentred sum is g/n and 1/k of loo-minus-one.
        let floor = number(&case["floor"]);
        let tail: Vec<f64> = (0..n)
            .map(|i| {
                let rest = (2..=n).map(|k| {
                    LooMinusOne::new(k).unwrap().transform(&rewards).unwrap()[i] / k as f64
                });
                (rewards[i] - floor) / n as f64 + rest.sum::<f64>()
            })
            .collect();
        let expected = numbers(&case["tail"]);
        assert_close_in(&case["id"], tail, &expected, 1e-14 * largest_magnitude(&expected));
        // Numerators of Pass@k Training over a random deviation: must not pass as centred.
        let biased = case.get("passk_training_over_n").and_then(Value::as_object);
        for (k, expected) in biased.into_iter().flatten() {
            let Ok(rule) = Centred::new(k.parse().unwrap()).unwrap().transform(&rewards) else {
                continue;
            };
            wrong_seen += u32::from(largest_difference(&rule, numbers(expected)) > 1e-3);
        }
    }
    assert!(checked > 110, "{checked}");
    assert!(wrong_seen > 1, "weights over a random deviation must be seen: {wrong_seen}");
}
