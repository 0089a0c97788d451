//! Policy-gradient losses against hand-computed numbers, finite differences and enumerated policies.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use bestof_closeness::{Numbers, Tolerance, assert_close};
use bestof_losses::{
    Clip, KlEstimator, LossError, PolicyLoss, RatioLevel, SampledCompletion, Surrogate,
};

fn terms(loss: &PolicyLoss, completion: &SampledCompletion<'_>) -> (f64, Vec<f64>) {
    let mut gradient = vec![f64::NAN; completion.logprobs.len()];
    let terms = loss.terms(completion, &mut gradient).unwrap();
    (terms.loss, gradient)
}

#[track_caller]
fn close(found: impl Numbers, expected: impl Numbers, tolerance: f64) {
    assert_close(found, expected, Tolerance::relative(tolerance).with_floor(1.0));
}

const LOGPS: [f64; 4] = [-1.0, -0.25, -3.0, -0.5];

fn loss_at(ratio: RatioLevel) -> PolicyLoss {
    PolicyLoss::default().with_ratio(ratio)
}

#[test]
fn by_hand() {
    let loss = loss_at(RatioLevel::Token);
    // Ratios 1.1 (inside), 1.5 (above 1.2), 0.5 (below 0.8).
    let then = [-1.0, -1.0, -1.0];
    let now = [1.1_f64, 1.5, 0.5].map(|ratio| -1.0 + ratio.ln());
    let completion = |weight| SampledCompletion {
        weight,
        logprobs: &now,
        old_logps: Some(&then),
        ..SampledCompletion::default()
    };
    let mut gradient = [0.0; 3];
    let up = loss.terms(&completion(2.0), &mut gradient).unwrap();
    // -2 ((-1 + 0.1) + (-1 + 0.2) + (-1 - 0.5))
    close(up.loss, 6.4, 1e-14);
    assert_eq!((up.clipped_low, up.clipped_high), (0, 1));
    close(gradient, [-2.2, 0.0, -1.0], 1e-14);
    let down = loss.terms(&completion(-2.0), &mut gradient).unwrap();
    // 2 ((-1 + 0.1) + (-1 + 0.5) + (-1 - 0.2))
    close(down.loss, -5.2, 1e-14);
    assert_eq!((down.clipped_low, down.clipped_high), (1, 0));
    close(gradient, [2.2, 3.0, 0.0], 1e-14);

    // The whole completion has ratio 1.1 * 1.5 * 0.5 = 0.825, and the mean its cube root.
    let (value, gradient) = terms(&loss_at(RatioLevel::Sequence), &completion(-2.0));
    close(value, 2.0 * (-3.0 + 0.825 - 1.0), 1e-14);
    close(gradient, [1.65; 3], 1e-14);
    let (value, gradient) = terms(&loss_at(RatioLevel::SequenceMean), &completion(-2.0));
    let root = 0.825_f64.cbrt();
    close(value, 2.0 * (-3.0 + 3.0 * (root - 1.0)), 1e-14);
    close(gradient, [2.0 * root; 3], 1e-14);
    let mut gradient = [0.0; 3];
    let clip = Clip { low: 0.1, high: 0.3 };
    let surrogate = Surrogate::PpoClip(clip);
    let narrow = loss_at(RatioLevel::Sequence).with_surrogate(surrogate);
    let cut = narrow.terms(&completion(-2.0), &mut gradient).unwrap();
    assert_eq!((cut.clipped_low, gradient), (3, [0.0; 3]), "0.825 is below 0.9");
    close(cut.loss, 2.0 * (-3.0 + 0.9 - 1.0), 1e-14);
}

#[test]
fn where_the_policies_agree_every_ratio_gives_reinforce_to_the_last_bit() {
    for weight in [0.3, -1.7, 0.0] {
        let on_policy =
            SampledCompletion { weight, logprobs: &LOGPS, ..SampledCompletion::default() };
        let expected = terms(&PolicyLoss::default(), &on_policy);
        assert_eq!(expected.1, [-weight; 4]);
        for ratio in RatioLevel::ALL {
            let again = SampledCompletion { old_logps: Some(&LOGPS), ..on_policy };
            assert_eq!(terms(&loss_at(ratio), &again), expected, "{ratio:?}");
        }
    }
}

/// Derivatives that are those of the value; `k1` is treated by enumeration.
#[test]
fn gradients_are_those_of_the_loss() {
    let old_logps = [-1.1, -0.3, -2.7, -0.55];
    let reference = [-0.7, -0.9, -2.0, -0.1];
    let entropies = [0.5, 1.0, 0.2, 0.7];
    for ratio in RatioLevel::ALL {
        for kl in [KlEstimator::K2, KlEstimator::K3] {
            for weight in [0.8, -0.6] {
                let loss = PolicyLoss::default()
                    .with_ratio(ratio)
                    .with_kl(kl)
                    .with_kl_coefficient(0.3)
                    .with_entropy_coefficient(0.1)
                    .with_surrogate(Surrogate::PpoClip(Clip { low: 0.15, high: 0.25 }));
                let at = |logprobs: &[f64]| {
                    let completion = SampledCompletion {
                        weight,
                        share: 0.25,
                        scale: 0.5,
                        logprobs,
                        old_logps: Some(&old_logps),
                        reference: Some(&reference),
                        entropies: Some(&entropies),
                        ..SampledCompletion::default()
                    };
                    terms(&loss, &completion)
                };
                let gradient = at(&LOGPS).1;
                for token in 0..LOGPS.len() {
                    let moved = |by: f64| {
                        let mut logprobs = LOGPS;
                        logprobs[token] += by;
                        at(&logprobs).0
                    };
                    let numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                    close(gradient[token], numeric, 1e-8);
                }
            }
        }
    }
}

/// Two tokens of a vocabulary of three: `log p(x1) + log p(x2 | x1)` from twelve logits.
#[derive(Clone)]
struct Tiny([f64; 12]);

impl Tiny {
    fn policy() -> Self {
        Self([0.2, -0.5, 0.9, 0.0, 0.4, -1.0, 1.2, 0.3, 0.1, -0.2, 0.6, -0.9])
    }

    fn reference() -> Self {
        Self([0.0, 0.3, 0.1, -0.4, 0.2, 0.5, 0.1, 0.1, -0.7, 0.8, 0.0, -0.3])
    }

    fn row(&self, at: usize) -> [f64; 3] {
        let logits = &self.0[3 * at..3 * at + 3];
        let log_sum = logits.iter().map(|x| x.exp()).sum::<f64>().ln();
        [0, 1, 2].map(|i| logits[i] - log_sum)
    }

    fn logprobs(&self, [first, second]: [usize; 2]) -> [f64; 2] {
        [self.row(0)[first], self.row(1 + first)[second]]
    }

    /// `d log p_t / d logit` for both tokens.
    fn scores(&self, [first, second]: [usize; 2]) -> [[f64; 12]; 2] {
        let mut scores = [[0.0; 12]; 2];
        for (t, (row, token)) in [(0, first), (1 + first, second)].into_iter().enumerate() {
            for (i, logp) in self.row(row).into_iter().enumerate() {
                scores[t][3 * row + i] = f64::from(u8::from(i == token)) - logp.exp();
            }
        }
        scores
    }

    fn all() -> impl Iterator<Item = [usize; 2]> {
        (0..3).flat_map(|first| (0..3).map(move |second| [first, second]))
    }

    fn chance(&self, completion: [usize; 2]) -> f64 {
        self.logprobs(completion).iter().sum::<f64>().exp()
    }

    /// The expected gradient that a loss gives, over every completion.
    fn expected(&self, loss: &PolicyLoss, weight: impl Fn([usize; 2]) -> f64) -> [f64; 12] {
        let reference = Self::reference();
        let mut expected = [0.0; 12];
        for x in Self::all() {
            let (logprobs, anchor) = (self.logprobs(x), reference.logprobs(x));
            let completion = SampledCompletion {
                weight: weight(x),
                share: 1.0,
                logprobs: &logprobs,
                reference: Some(&anchor),
                ..SampledCompletion::default()
            };
            let gradient = terms(loss, &completion).1;
            for (slope, scores) in gradient.iter().zip(self.scores(x)) {
                for (sum, score) in expected.iter_mut().zip(scores) {
                    *sum += self.chance(x) * slope * score;
                }
            }
        }
        expected
    }

    fn derivative(&self, value: impl Fn(&Self) -> f64) -> [f64; 12] {
        std::array::from_fn(|i| {
            let moved = |by: f64| {
                let mut policy = self.clone();
                policy.0[i] += by;
                value(&policy)
            };
            (moved(1e-5) - moved(-1e-5)) / 2e-5
        })
    }
}

#[test]
fn reinforce_is_the_gradient_of_the_expected_reward() {
    let policy = Tiny::policy();
    let reward = |[a, b]: [usize; 2]| (a * 2 + b) as f64 / 3.0 - 1.0;
    let found = policy.expected(&PolicyLoss::default(), reward);
    let value = |p: &Tiny| -Tiny::all().map(|x| p.chance(x) * reward(x)).sum::<f64>();
    close(found, policy.derivative(value), 1e-9);
}

#[test]
fn kl_gradients_are_those_the_documentation_names() {
    let (policy, reference) = (Tiny::policy(), Tiny::reference());
    let loss = |kl| PolicyLoss::default().with_kl(kl).with_kl_coefficient(1.0);
    let whole = |p: &Tiny| {
        let ratio = |x| p.chance(x).ln() - reference.chance(x).ln();
        Tiny::all().map(|x| p.chance(x) * ratio(x)).sum::<f64>()
    };
    let k1 = policy.expected(&loss(KlEstimator::K1), |_| 0.0);
    close(k1, policy.derivative(whole), 1e-9);

    // By prefix, which is visited as often as now: KL of the rows one way and the other.
    let visits = |p: &Tiny, row: usize| if row == 0 { 1.0 } else { p.row(0)[row - 1].exp() };
    let by_prefix = |kl: &dyn Fn([f64; 3], [f64; 3]) -> f64, p: &Tiny| {
        (0..4).map(|row| visits(&policy, row) * kl(p.row(row), reference.row(row))).sum::<f64>()
    };
    let forward = |p: [f64; 3], q: [f64; 3]| (0..3).map(|i| p[i].exp() * (p[i] - q[i])).sum();
    let backward = |p: [f64; 3], q: [f64; 3]| (0..3).map(|i| q[i].exp() * (q[i] - p[i])).sum();
    let k2 = policy.expected(&loss(KlEstimator::K2), |_| 0.0);
    close(k2, policy.derivative(|p| by_prefix(&forward, p)), 1e-9);
    let k3 = policy.expected(&loss(KlEstimator::K3), |_| 0.0);
    close(k3, policy.derivative(|p| by_prefix(&backward, p)), 1e-9);
    assert!(k2.iter().zip(k3).any(|(a, b)| (a - b).abs() > 1e-3), "they are not the same");
}

#[test]
fn kl_values() {
    let (policy, reference) = (Tiny::policy(), Tiny::reference());
    let value = |kl, x| {
        let loss = PolicyLoss::default().with_kl(kl).with_kl_coefficient(2.0);
        let (logprobs, anchor) = (policy.logprobs(x), reference.logprobs(x));
        let completion = SampledCompletion {
            share: 0.5,
            logprobs: &logprobs,
            reference: Some(&anchor),
            ..SampledCompletion::default()
        };
        let found = loss.terms(&completion, &mut [0.0; 2]).unwrap();
        close(found.loss, found.kl, 1e-15);
        found.kl
    };
    let exact: f64 = Tiny::all()
        .map(|x| policy.chance(x) * (policy.chance(x).ln() - reference.chance(x).ln()))
        .sum();
    let mean = |kl| Tiny::all().map(|x| policy.chance(x) * value(kl, x)).sum::<f64>();
    close(mean(KlEstimator::K1), exact, 1e-13);
    close(mean(KlEstimator::K3), exact, 1e-13);
    for x in Tiny::all() {
        assert!(value(KlEstimator::K2, x) >= 0.0 && value(KlEstimator::K3, x) >= 0.0);
    }
    for kl in KlEstimator::ALL {
        let loss = PolicyLoss::default().with_kl(kl).with_kl_coefficient(1.0);
        let same = SampledCompletion {
            share: 1.0,
            logprobs: &LOGPS,
            reference: Some(&LOGPS),
            ..SampledCompletion::default()
        };
        assert_eq!(terms(&loss, &same), (0.0, vec![0.0; 4]), "{kl:?} of equal policies");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let loss = PolicyLoss::default().with_kl_coefficient(0.1);
    let completion = SampledCompletion { logprobs: &LOGPS, ..SampledCompletion::default() };
    let error = |loss: &PolicyLoss, completion: &SampledCompletion<'_>| {
        loss.terms(completion, &mut [0.0; 4]).unwrap_err()
    };
    assert_eq!(error(&loss, &completion), LossError::Missing { field: "reference" });
    let short = SampledCompletion { reference: Some(&LOGPS[1..]), ..completion };
    let expected = LossError::TokenCount { field: "reference", found: 3, expected: 4 };
    assert_eq!(error(&loss, &short), expected);
    let nan = SampledCompletion { weight: f64::NAN, ..completion };
    assert!(matches!(error(&PolicyLoss::default(), &nan), LossError::NotFinite { .. }));
    let far = SampledCompletion { weight: -1.0, old_logps: Some(&[-900.0; 4]), ..completion };
    let message = error(&PolicyLoss::default(), &far).to_string();
    assert!(message.contains("lower the learning rate"), "{message}");
    let bounded = |surrogate| PolicyLoss::default().with_surrogate(surrogate);
    for wrong in [
        bounded(Surrogate::PpoClip(Clip { low: 0.0, high: 0.2 })),
        bounded(Surrogate::Cispo(Clip { low: 0.2, high: f64::NAN })),
        bounded(Surrogate::TruncatedIs { cap: 0.99 }),
        bounded(Surrogate::TruncatedIs { cap: f64::NAN }),
        PolicyLoss::default().with_kl_coefficient(-1.0),
        PolicyLoss::default().with_entropy_coefficient(f64::INFINITY),
    ] {
        assert!(wrong.validate().is_err(), "{wrong:?}");
    }
    assert!("tokens".parse::<RatioLevel>().is_err() && "k4".parse::<KlEstimator>().is_err());
}
