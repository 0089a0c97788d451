//! Golden numbers that were computed by enumeration in exact rational arithmetic.

mod oracle;

use bestof_estimators::{
    Binary, Loo, LooMinusOne, Plain, RewardTransform, Rloo, max_at_k, pass_at_k,
};
use oracle::gap;
use serde_json::Value;

/// The numbers are rounded once; what remains is our own rounding.
const TOLERANCE: f64 = 2e-15;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/pkpo.json")).expect("JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().expect("an array").iter();
    numbers.map(|x| x.as_f64().expect("a number")).collect()
}

fn count(value: &Value) -> usize {
    value.as_u64().expect("a count") as usize
}

#[test]
fn cases_agree() {
    let golden = golden();
    let (mut checked, mut wrong_seen) = (0, 0);
    for case in golden["cases"].as_array().unwrap() {
        let (rewards, n, k) = (numbers(&case["g"]), count(&case["n"]), count(&case["k"]));
        let mut check = |transform: &dyn RewardTransform, factor: f64, expected: &Value| {
            let found: Vec<f64> =
                transform.transform(&rewards).unwrap().iter().map(|w| w * factor).collect();
            assert!(gap(&found, &numbers(expected)) < TOLERANCE, "{} {transform:?}", case["name"]);
            checked += 1;
        };
        let value = max_at_k(&rewards, k).unwrap();
        assert!(gap(&[value], &[case["rho"].as_f64().unwrap()]) < TOLERANCE, "{}", case["name"]);
        check(&Plain::new(k).unwrap(), 1.0, &case["s"]);
        if !case["sloo"].is_null() {
            check(&Loo::new(k).unwrap(), 1.0, &case["sloo"]);
        }
        if !case["sloo_minus_one"].is_null() {
            check(&LooMinusOne::new(k).unwrap(), 1.0, &case["sloo_minus_one"]);
        }
        if let Some(expected) = case.get("k1_loo_eq26").filter(|x| !x.is_null()) {
            check(&Rloo, n as f64, expected);
        }
        if let Some(expected) = case.get("r_eq8").filter(|x| !x.is_null()) {
            check(&Binary::new(k).unwrap(), 1.0, expected);
            let c = count(&case["c"]);
            assert!(gap(&[pass_at_k(n, c, k).unwrap()], &[value]) < TOLERANCE);
        }
        if k > 1 && k < n {
            let other = LooMinusOne::new(k).unwrap().transform(&rewards).unwrap();
            wrong_seen += u32::from(gap(&other, &numbers(&case["sloo"])) > 1e-3);
        }
    }
    assert!(checked > 600, "{checked}");
    assert!(wrong_seen > 100, "another transformation must fail the comparison: {wrong_seen}");
}

#[test]
fn large_groups_agree() {
    let golden = golden();
    let cases = golden["large_n_closed_form"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let (n, k) = (count(&case["n"]), count(&case["k"]));
        let rewards: Vec<f64> = (0..n).map(|i| ((i * 7919 + 13) % 1009) as f64 / 1009.0).collect();
        let value = max_at_k(&rewards, k).unwrap();
        assert!(gap(&[value], &[case["rho"].as_f64().unwrap()]) < TOLERANCE);
        let indices: Vec<usize> = case["indices"].as_array().unwrap().iter().map(count).collect();
        let check = |found: Result<Vec<f64>, _>, field: &str| {
            if case[field].is_null() {
                return;
            }
            let found = found.unwrap();
            let spots: Vec<f64> = indices.iter().map(|&i| found[i]).collect();
            assert!(gap(&spots, &numbers(&case[field])) < TOLERANCE, "n {n} k {k} {field}");
            let total: f64 = found.iter().sum();
            let expected = case[format!("sum_{field}")].as_f64().unwrap();
            assert!(
                (total - expected).abs() < 1e-12 * expected.abs().max(1.0),
                "n {n} k {k} {field}"
            );
        };
        check(Plain::new(k).unwrap().transform(&rewards), "s");
        check(Loo::new(k).unwrap().transform(&rewards), "sloo");
        if k > 1 {
            check(LooMinusOne::new(k).unwrap().transform(&rewards), "sloo_minus_one");
        }
    }
}

/// Expected gradients over every batch of a small softmax policy.
#[test]
fn exact_policies_agree() {
    let golden = golden();
    let mut checked = 0;
    for case in golden["policy_exact"].as_array().unwrap() {
        let (logits, levels) = (numbers(&case["logits"]), numbers(&case["rewards"]));
        let (n, k) = (count(&case["n"]), count(&case["k"]));
        let total: f64 = logits.iter().map(|l| l.exp()).sum();
        let chances: Vec<f64> = logits.iter().map(|l| l.exp() / total).collect();
        let transforms: [(&str, Option<Box<dyn RewardTransform>>); 4] = [
            ("s", Some(Box::new(Plain::new(k).unwrap()))),
            ("sloo", Some(Box::new(Loo::new(k).unwrap()))),
            ("sloo_minus_one", LooMinusOne::new(k).ok().map(|t| Box::new(t) as _)),
            ("k1_loo_over_n", Some(Box::new(Rloo))),
        ];
        for (field, transform) in transforms {
            let (Some(transform), false) = (transform, case["expected_grad"][field].is_null())
            else {
                continue;
            };
            let mut gradient = vec![0.0; levels.len()];
            for code in 0..levels.len().pow(n as u32) {
                let batch: Vec<usize> =
                    (0..n).map(|i| code / levels.len().pow(i as u32) % levels.len()).collect();
                let probability: f64 = batch.iter().map(|&a| chances[a]).product();
                let rewards: Vec<f64> = batch.iter().map(|&a| levels[a]).collect();
                for (&action, w) in batch.iter().zip(transform.transform(&rewards).unwrap()) {
                    for (a, slot) in gradient.iter_mut().enumerate() {
                        *slot += probability * w * (f64::from(u8::from(a == action)) - chances[a]);
                    }
                }
            }
            assert!(
                gap(&gradient, &numbers(&case["expected_grad"][field])) < 2e-14,
                "{}",
                case["name"]
            );
            assert!(
                gap(&gradient, &numbers(&case["true_grad_logits"])) < 2e-14,
                "{}",
                case["name"]
            );
            let biased = &case["expected_grad"]["s_mean_centered"];
            assert!(gap(&gradient, &numbers(biased)) > 1e-3, "a biased gradient must be seen");
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}
