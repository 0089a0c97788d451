//! Unbiasedness is an equality: summed over every batch that a small policy can draw, weighted
//! by its probability, the estimate equals the exact value and derivative.

mod oracle;

use bestof_estimators::{
    Estimator, GroupMean, Grpo, LooMinusOne, Plain, RewardTransform, Target, max_at_k,
};
use oracle::gap;

/// A softmax policy over a few actions with fixed rewards.
struct Policy {
    chances: Vec<f64>,
    rewards: Vec<f64>,
}

impl Policy {
    fn new(logits: &[f64], rewards: &[f64]) -> Self {
        let total: f64 = logits.iter().map(|l| l.exp()).sum();
        Self {
            chances: logits.iter().map(|l| l.exp() / total).collect(),
            rewards: rewards.to_vec(),
        }
    }

    /// Visits every batch of `n` actions with its probability.
    fn for_each_batch(&self, n: usize, mut visit: impl FnMut(f64, &[usize])) {
        let actions = self.chances.len();
        let mut batch = vec![0; n];
        for code in 0..actions.pow(n as u32) {
            let mut rest = code;
            let mut probability = 1.0;
            for action in &mut batch {
                *action = rest % actions;
                rest /= actions;
                probability *= self.chances[*action];
            }
            visit(probability, &batch);
        }
    }

    fn rewards_of(&self, batch: &[usize]) -> Vec<f64> {
        batch.iter().map(|&a| self.rewards[a]).collect()
    }

    /// E[max of k], from the distribution function of one reward.
    fn value(&self, k: usize) -> f64 {
        let mut levels = self.rewards.clone();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        let below = |x: f64| self.share(|g| g <= x).powi(k as i32);
        let mut last = 0.0;
        let mut value = 0.0;
        for level in levels {
            value += level * (below(level) - last);
            last = below(level);
        }
        value
    }

    fn share(&self, keep: impl Fn(f64) -> bool) -> f64 {
        self.chances.iter().zip(&self.rewards).filter(|(_, g)| keep(**g)).map(|(p, _)| p).sum()
    }

    /// Derivative of [`value`](Self::value) by each logit, by the chain rule on the distribution
    /// function, `dF(x)/dlogit_a = p_a (1[g_a <= x] - F(x))`.
    fn gradient(&self, k: usize) -> Vec<f64> {
        let mut levels = self.rewards.clone();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        (0..self.chances.len())
            .map(|a| {
                let mut total = 0.0;
                let mut last = 0.0;
                for &level in &levels {
                    let below = self.share(|g| g <= level);
                    let inside = if self.rewards[a] <= level { 1.0 } else { 0.0 };
                    let slope = self.chances[a] * (inside - below);
                    let change = k as f64 * below.powi(k as i32 - 1) * slope;
                    total += level * (change - last);
                    last = change;
                }
                total
            })
            .collect()
    }

    /// `E[sum_i w_i dlog p(a_i)/dlogits]` for weights that are a function of the rewards.
    fn expected_gradient(&self, n: usize, weigh: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let mut total = vec![0.0; self.chances.len()];
        self.for_each_batch(n, |probability, batch| {
            for (&action, weight) in batch.iter().zip(weigh(&self.rewards_of(batch))) {
                for (a, slot) in total.iter_mut().enumerate() {
                    let indicator = if a == action { 1.0 } else { 0.0 };
                    *slot += probability * weight * (indicator - self.chances[a]);
                }
            }
        });
        total
    }

    fn expected(&self, n: usize, transform: &dyn RewardTransform) -> Vec<f64> {
        self.expected_gradient(n, |rewards| {
            transform.transform(rewards).expect("rewards it is defined for")
        })
    }
}

fn policies() -> Vec<Policy> {
    vec![
        Policy::new(&[0.3, -0.2, 0.5], &[0.0, 1.0, 0.4]),
        Policy::new(&[1.5, -1.0], &[0.0, 1.0]),
        Policy::new(&[0.0, 0.4, -0.7, 0.1], &[-1.0, 0.5, 2.0, 0.5]),
        Policy::new(&[0.2, 0.1, -1.0], &[-3.0, -1.0, -1.5]),
    ]
}

fn is_binary(policy: &Policy) -> bool {
    policy.rewards.iter().all(|&g| g == 0.0 || g == 1.0)
}

#[test]
fn exact_derivative_agrees_with_differences() {
    let (logits, rewards) = ([0.0, 0.4, -0.7, 0.1], [-1.0, 0.5, 2.0, 0.5]);
    for k in [1, 2, 5] {
        let gradient = Policy::new(&logits, &rewards).gradient(k);
        for (a, slope) in gradient.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = logits;
                moved[a] += step;
                Policy::new(&moved, &rewards).value(k)
            };
            assert!(((at(1e-5) - at(-1e-5)) / 2e-5 - slope).abs() < 1e-9);
        }
    }
}

#[test]
fn values_are_unbiased() {
    for policy in policies() {
        for n in 1..=5 {
            for k in 1..=n {
                let mut mean = 0.0;
                policy.for_each_batch(n, |probability, batch| {
                    mean += probability * max_at_k(&policy.rewards_of(batch), k).unwrap();
                });
                assert!((mean - policy.value(k)).abs() < 1e-13, "n {n} k {k}");
            }
        }
    }
}

/// Every estimator has the expected gradient that it claims, baselines included: subtracting a
/// baseline changes no expectation.
#[test]
fn gradients_are_what_each_estimator_claims() {
    let mut checked = 0;
    for policy in policies() {
        for (n, k) in (1..=5).flat_map(|n| (1..=n).map(move |k| (n, k))) {
            for estimator in Estimator::ALL {
                if estimator == Estimator::Binary && !is_binary(&policy) {
                    continue;
                }
                let Ok(transform) = estimator.build(k) else { continue };
                if n < transform.min_samples() {
                    continue;
                }
                let Target::Gradient { k: target, factor } = transform.target(n) else { continue };
                let expected: Vec<f64> =
                    policy.gradient(target).iter().map(|d| factor * d).collect();
                let found = policy.expected(n, transform.as_ref());
                assert!(
                    gap(&found, &expected) < 1e-13,
                    "{estimator} n {n} k {k}: {found:?} {expected:?}"
                );
                checked += 1;
            }
        }
    }
    assert!(checked > 300, "{checked}");
}

/// What is biased must look biased to the same comparison.
#[test]
fn biased_variants_are_seen() {
    let policy = &policies()[0];
    let (n, k) = (4, 2);
    let truth = policy.gradient(k);
    let away =
        |weigh: &dyn Fn(&[f64]) -> Vec<f64>| gap(&policy.expected_gradient(n, weigh), &truth);

    let plain = Plain::new(k).unwrap();
    let minus_one = LooMinusOne::new(k).unwrap();
    let centred = |weights: Vec<f64>| -> Vec<f64> {
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        weights.iter().map(|w| w - mean).collect()
    };
    assert!(away(&|g| plain.transform(g).unwrap()) < 1e-13);
    assert!(away(&|g| centred(plain.transform(g).unwrap())) > 1e-2);
    assert!(away(&|g| centred(minus_one.transform(g).unwrap())) > 1e-4);
    assert!(away(&|g| plain.transform(g).unwrap().iter().map(|w| w / n as f64).collect()) > 1e-2);
    assert!(away(&|g| Plain::new(k + 1).unwrap().transform(g).unwrap()) > 1e-3);

    // Centring the plain weights shortens the gradient by exactly 1 - k/n.
    let shortened: Vec<f64> = truth.iter().map(|d| d * (1.0 - k as f64 / n as f64)).collect();
    let found = policy.expected_gradient(n, |g| centred(plain.transform(g).unwrap()));
    assert!(gap(&found, &shortened) < 1e-13);

    // GRPO is not parallel to the gradient of the mean reward, the group mean is.
    let slope = |found: &[f64]| found[0] / found[1];
    let mean_reward = slope(&policy.gradient(1));
    assert!((slope(&policy.expected(n, &GroupMean)) - mean_reward).abs() < 1e-12);
    assert!((slope(&policy.expected(n, &Grpo::default())) - mean_reward).abs() > 1e-2);
}
