//! Exact bias and standard deviation of off-policy rules, as the table of `docs/estimators.md`.

use bestof_estimators::{Estimator, LooMinusOne, OffPolicy, Ratios, RewardTransform};

use super::Drift;
use super::wrong;

const SAMPLES: usize = 8;
const SAMPLER: [f64; 4] = [0.4, 0.3, 0.2, 0.1];
const REWARDS: [f64; 4] = [0.0, 0.3, 0.6, 1.0];

/// How far the policy has moved: towards the better actions, or away from the best.
pub(crate) const POLICIES: [(&str, [f64; 4]); 4] = [
    ("near", [0.37, 0.295, 0.21, 0.125]),
    ("mid", [0.3, 0.28, 0.24, 0.18]),
    ("far", [0.15, 0.2, 0.25, 0.4]),
    ("away", [0.5, 0.3, 0.15, 0.05]),
];

const CASES: [(usize, usize); 6] = [(2, 0), (2, 1), (4, 0), (4, 1), (4, 2), (4, 3)];

/// Weights of rewards and ratios for a k.
type Rule = fn(usize, &[f64], &[f64]) -> Vec<f64>;

pub(crate) const COLUMNS: [(&str, Rule); 8] = [
    ("own ratio only", |k, g, r| own_ratio(k, g, r, f64::INFINITY)),
    ("`loo-minus-one`", |k, g, r| exact(Estimator::LooMinusOne, k, g, r)),
    ("`centred`", |k, g, r| exact(Estimator::Centred, k, g, r)),
    ("`plain`", |k, g, r| exact(Estimator::Plain, k, g, r)),
    ("partners at most 1.2", |k, g, r| {
        let rule = OffPolicy::new(Estimator::LooMinusOne, k).and_then(|r| r.with_partner_cap(1.2));
        rule.and_then(|rule| rule.weights(g, Ratios::Plain(r))).expect("a defined group")
    }),
    ("all at most 1.2", |k, g, r| {
        let low: Vec<f64> = r.iter().map(|r| r.min(1.2)).collect();
        exact(Estimator::LooMinusOne, k, g, &low)
    }),
    ("first order", |k, g, r| wrong::first_order(g, r, k)),
    ("own ratio, clip 0.2", |k, g, r| own_ratio(k, g, r, 1.2)),
];

fn exact(estimator: Estimator, k: usize, rewards: &[f64], ratios: &[f64]) -> Vec<f64> {
    let rule = OffPolicy::new(estimator, k).expect("a k it is defined for");
    rule.weights(rewards, Ratios::Plain(ratios)).expect("a defined group")
}

/// A weight that is not negative stops at a ratio above the clip.
fn own_ratio(k: usize, rewards: &[f64], ratios: &[f64], clip: f64) -> Vec<f64> {
    let weights = LooMinusOne::new(k).and_then(|rule| rule.transform(rewards));
    let weights = weights.expect("a defined group");
    weights.iter().zip(ratios).map(|(w, &r)| if r > clip { 0.0 } else { w * r }).collect()
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Bias and standard deviation over the length of the gradient, one row a case, one pair a rule.
pub(crate) fn numbers() -> Vec<(String, Vec<(f64, f64)>)> {
    let row = |&(k, policy): &(usize, usize)| {
        let (name, chances) = &POLICIES[policy];
        let drift = Drift::new(&SAMPLER, chances, &REWARDS);
        let truth = drift.gradient(k);
        let cell = |&(_, rule): &(&str, Rule)| {
            let moments = drift.moments(SAMPLES, |g, r| rule(k, g, r));
            let bias: Vec<f64> = moments.mean.iter().zip(&truth).map(|(m, t)| m - t).collect();
            (length(&bias) / length(&truth), moments.variance.sqrt() / length(&truth))
        };
        (format!("k = {k}, {name}"), COLUMNS.iter().map(cell).collect())
    };
    CASES.iter().map(row).collect()
}

/// The table as Markdown.
pub(crate) fn markdown() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let head = format!("| n = {SAMPLES} | {} |\n", names.join(" | "));
    let rule = format!("|---{}|\n", "|---".repeat(COLUMNS.len()));
    let row = |(name, cells): (String, Vec<(f64, f64)>)| {
        let cells: Vec<String> =
            cells.iter().map(|(bias, sd)| format!("{bias:.2} / {sd:.2}")).collect();
        format!("| {name} | {} |\n", cells.join(" | "))
    };
    [head, rule].into_iter().chain(numbers().into_iter().map(row)).collect()
}
