//! CISPO, truncated importance weights and sampler weights: against numbers from 30-digit
//! arithmetic, derivatives with the ratio held constant, and expectations over enumerated policies.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use bestof_closeness::{Numbers, Tolerance, assert_close};
use bestof_losses::{
    Clip, LossError, PolicyLoss, PolicyTerms, RatioLevel, SampledCompletion, Surrogate,
    truncated_sampler_weights,
};
use proptest::prelude::*;

#[track_caller]
fn close(found: impl Numbers, expected: impl Numbers, tolerance: f64) {
    assert_close(found, expected, Tolerance::relative(tolerance).with_floor(1.0));
}

fn terms(loss: &PolicyLoss, completion: &SampledCompletion<'_>) -> (PolicyTerms, Vec<f64>) {
    let mut gradient = vec![f64::NAN; completion.logprobs.len()];
    let terms = loss.terms(completion, &mut gradient).unwrap();
    (terms, gradient)
}

fn of(surrogate: Surrogate, ratio: RatioLevel) -> PolicyLoss {
    PolicyLoss::default().with_surrogate(surrogate).with_ratio(ratio)
}

const WIDE: Clip = Clip { low: 1.0, high: 1e300 };
const CISPO: Surrogate = Surrogate::Cispo(Clip { low: 0.2, high: 0.2 });
const TRUNCATED: Surrogate = Surrogate::TruncatedIs { cap: 1.25 };
const SURROGATES: [Surrogate; 3] =
    [Surrogate::PpoClip(Clip { low: 0.2, high: 0.2 }), CISPO, TRUNCATED];

const THEN: [f64; 3] = [-1.0; 3];

/// Ratios 1.1, 1.5 and 0.5, whose product is 0.825.
fn moved() -> [f64; 3] {
    [1.1_f64, 1.5, 0.5].map(|ratio| -1.0 + ratio.ln())
}

/// The values by Python's `decimal`: `-w sum_t c_t (-1 + ln r_t)`.
#[test]
fn by_hand() {
    let now = moved();
    let completion = |weight| SampledCompletion {
        weight,
        logprobs: &now,
        old_logps: Some(&THEN),
        ..SampledCompletion::default()
    };
    let (up, gradient) = terms(&of(CISPO, RatioLevel::Token), &completion(2.0));
    close(gradient, [-2.2, -2.4, -1.6], 1e-14);
    close(up.loss, 6.126_236_833_866_803, 1e-14);
    assert_eq!((up.clipped_low, up.clipped_high), (1, 1));

    let (down, gradient) = terms(&of(TRUNCATED, RatioLevel::Token), &completion(-2.0));
    close(gradient, [2.2, 2.5, 1.0], 1e-14);
    close(down.loss, -5.169_802_014_720_02, 1e-14);
    assert_eq!((down.clipped_low, down.clipped_high), (0, 1));

    let (whole, gradient) = terms(&of(CISPO, RatioLevel::Sequence), &completion(2.0));
    close(gradient, [-1.65; 3], 1e-14);
    close(whole.loss, 5.267_413_622_868_303, 1e-14);
    let narrow = Surrogate::Cispo(Clip { low: 0.1, high: 0.3 });
    let (cut, gradient) = terms(&of(narrow, RatioLevel::Sequence), &completion(2.0));
    close(gradient, [-1.8; 3], 1e-14);
    close(cut.loss, 5.746_269_406_765_421, 1e-14);
    assert_eq!((cut.clipped_low, cut.clipped_high), (3, 0));

    let (mean, gradient) = terms(&of(TRUNCATED, RatioLevel::SequenceMean), &completion(-2.0));
    close(gradient, [2.0 * 0.825_f64.cbrt(); 3], 1e-14);
    close(mean.loss, -5.988_179_225_375_071, 1e-14);

    let weighted = SampledCompletion { sampler_weights: Some(&[0.5, 1.0, 2.0]), ..completion(2.0) };
    let (up, gradient) = terms(&of(CISPO, RatioLevel::Token), &weighted);
    close(gradient, [-1.1, -2.4, -3.2], 1e-14);
    close(up.loss, 7.840_113_520_547_473, 1e-14);
    // PPO's: -2 (0.5 (-1 + 0.1) + (-1 + 0.2) + 2 (-1 - 0.5)); one ratio a completion leaves
    // each token its own factor.
    let (up, gradient) = terms(&PolicyLoss::default(), &weighted);
    close(gradient, [-1.1, 0.0, -2.0], 1e-14);
    close(up.loss, 8.5, 1e-14);
    let whole = terms(&of(SURROGATES[0], RatioLevel::Sequence), &weighted);
    close(whole.1, [-0.825, -1.65, -3.3], 1e-14);
    // -2 (0.5 + 1 + 2) (-1 + (0.825 - 1) / 3)
    close(whole.0.loss, 7.0 * (1.0 + 0.175 / 3.0), 1e-14);
}

#[test]
fn where_the_policies_agree_every_surrogate_is_reinforce_to_the_last_bit() {
    let logprobs = [-1.0, -0.25, -3.0, -0.5];
    for weight in [0.3, -1.7, 0.0] {
        let fresh = SampledCompletion { weight, logprobs: &logprobs, ..Default::default() };
        let expected = terms(&PolicyLoss::default(), &fresh);
        for surrogate in SURROGATES {
            for ratio in RatioLevel::ALL {
                let again = SampledCompletion {
                    old_logps: Some(&logprobs),
                    sampler_weights: Some(&[1.0; 4]),
                    ..fresh
                };
                assert_eq!(terms(&of(surrogate, ratio), &again), expected, "{surrogate:?}");
            }
        }
    }
}

/// Weight 0 beside ratios of `exp(900)`: exactly nothing, and no overflow.
#[test]
fn a_weight_of_zero_moves_nothing() {
    for surrogate in SURROGATES {
        for ratio in RatioLevel::ALL {
            let far = SampledCompletion {
                logprobs: &[-1.0, -2.0],
                old_logps: Some(&[-901.0, -902.0]),
                ..Default::default()
            };
            let (found, gradient) = terms(&of(surrogate, ratio), &far);
            assert_eq!((found.loss, gradient), (0.0, vec![0.0; 2]));
            let none = SampledCompletion { weight: -1.0, sampler_weights: Some(&[0.0; 2]), ..far };
            let (found, gradient) = terms(&of(surrogate, ratio), &none);
            assert_eq!((found.loss, gradient), (0.0, vec![0.0; 2]));
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Two independent coins with logits `theta`: log-probabilities and their derivatives.
fn coins(theta: [f64; 2], faces: [bool; 2]) -> ([f64; 2], [f64; 2]) {
    let chance = |t: usize| if faces[t] { sigmoid(theta[t]) } else { sigmoid(-theta[t]) };
    let score = |t: usize| if faces[t] { sigmoid(-theta[t]) } else { -sigmoid(theta[t]) };
    ([0, 1].map(|t| chance(t).ln()), [0, 1].map(score))
}

const FACES: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

fn reward(faces: [bool; 2]) -> f64 {
    match faces {
        [true, true] => 1.0,
        [true, false] => -0.4,
        _ => 0.3,
    }
}

/// `d/dtheta sum_x p(x) reward(x)` by central differences.
fn exact(theta: [f64; 2]) -> [f64; 2] {
    let value = |theta: [f64; 2]| {
        FACES.map(|x| coins(theta, x).0.iter().sum::<f64>().exp() * reward(x)).iter().sum::<f64>()
    };
    [0, 1].map(|t| {
        let at = |by: f64| {
            let mut theta = theta;
            theta[t] += by;
            value(theta)
        };
        (at(1e-5) - at(-1e-5)) / 2e-5
    })
}

/// Completions drawn from an older policy, whole ratios without bounds: the gradient of the newer one.
#[test]
fn unbounded_sequence_ratios_are_unbiased_off_policy() {
    let (new, old) = ([0.7, -0.3], [-0.2, 0.4]);
    for surrogate in
        [Surrogate::PpoClip(WIDE), Surrogate::Cispo(WIDE), Surrogate::TruncatedIs { cap: 1e300 }]
    {
        let mut expected = [0.0; 2];
        for x in FACES {
            let ((now, scores), (then, _)) = (coins(new, x), coins(old, x));
            let completion = SampledCompletion {
                weight: reward(x),
                logprobs: &now,
                old_logps: Some(&then),
                ..Default::default()
            };
            let gradient = terms(&of(surrogate, RatioLevel::Sequence), &completion).1;
            let chance = then.iter().sum::<f64>().exp();
            for (sum, (slope, score)) in expected.iter_mut().zip(gradient.iter().zip(scores)) {
                *sum -= chance * slope * score;
            }
        }
        close(expected, exact(new), 1e-9);
    }
}

/// One-token completions drawn from another distribution, which sampler weights make up for.
#[test]
fn sampler_weights_without_a_cap_make_another_sampler_unbiased() {
    let (trained, drawn) = ([0.7, 0.0], [-0.5, 0.0]);
    let mut expected = 0.0;
    for x in [[false, false], [true, false]] {
        let ((p, scores), (q, _)) = (coins(trained, x), coins(drawn, x));
        let weights = truncated_sampler_weights(&p[..1], &q[..1], 1e300).unwrap();
        let completion = SampledCompletion {
            weight: if x[0] { 1.0 } else { -0.5 },
            logprobs: &p[..1],
            sampler_weights: Some(&weights),
            ..Default::default()
        };
        expected -= q[0].exp() * terms(&PolicyLoss::default(), &completion).1[0] * scores[0];
    }
    // d/dtheta (1.5 sigmoid(theta) - 0.5)
    close(expected, 1.5 * sigmoid(0.7) * sigmoid(-0.7), 1e-14);
}

#[test]
fn sampler_weights_are_truncated_and_checked() {
    let weights = truncated_sampler_weights(&[-1.0, -2.0, -5.0], &[-3.0, -2.0, -4.0], 2.0);
    close(weights.unwrap(), [2.0, 1.0, (-1.0_f64).exp()], 1e-15);
    let short = truncated_sampler_weights(&[-1.0], &[], 2.0).unwrap_err();
    assert!(matches!(short, LossError::TokenCount { found: 0, expected: 1, .. }));
    for cap in [0.9, f64::NAN, f64::INFINITY] {
        let wrong = truncated_sampler_weights(&[-1.0], &[-1.0], cap).unwrap_err();
        assert!(matches!(wrong, LossError::Setting { setting: "cap", .. }), "{wrong}");
    }
    let wrong = truncated_sampler_weights(&[-1.0], &[f64::NEG_INFINITY], 2.0).unwrap_err();
    assert!(matches!(wrong, LossError::NotFinite { .. }));
    for bad in [f64::NAN, -0.1, f64::INFINITY] {
        let completion = SampledCompletion {
            weight: 1.0,
            logprobs: &[-1.0, -2.0],
            sampler_weights: Some(&[1.0, bad]),
            ..Default::default()
        };
        let error = PolicyLoss::default().terms(&completion, &mut [0.0; 2]).unwrap_err();
        assert!(matches!(error, LossError::SamplerWeight { token: 1, .. }), "{error}");
    }
}

#[test]
fn names_read_what_is_theirs_and_refuse_the_rest() {
    for name in Surrogate::NAMES {
        let surrogate = Surrogate::named(name, RatioLevel::Token, None, None, None).unwrap();
        assert_eq!(surrogate.as_str(), name);
    }
    let clip = |ratio, low, high| match Surrogate::named("cispo", ratio, low, high, None).unwrap() {
        Surrogate::Cispo(Clip { low, high }) => (low, high),
        other => panic!("{other:?}"),
    };
    assert_eq!(clip(RatioLevel::Sequence, None, None), (0.2, 0.2));
    assert_eq!(clip(RatioLevel::SequenceMean, None, None), (3e-4, 4e-4));
    assert_eq!(clip(RatioLevel::Token, Some(0.1), None), (0.1, 0.1));
    assert_eq!(clip(RatioLevel::Token, None, Some(0.28)), (0.2, 0.28));
    let refused =
        |name, low, cap| Surrogate::named(name, RatioLevel::Token, low, None, cap).unwrap_err();
    assert!(matches!(refused("truncated-is", Some(0.2), None), LossError::NotRead { .. }));
    assert!(matches!(refused("ppo-clip", None, Some(2.0)), LossError::NotRead { .. }));
    assert!(matches!(refused("ppo-clip", Some(0.0), None), LossError::Setting { .. }));
    assert!(matches!(refused("truncated-is", None, Some(0.5)), LossError::Setting { .. }));
    let unknown = refused("ppo", None, None).to_string();
    assert!(Surrogate::NAMES.iter().all(|name| unknown.contains(name)), "{unknown}");
    let negative = SampledCompletion { scale: -1.0, ..Default::default() };
    let error = PolicyLoss::default().terms(&negative, &mut []).unwrap_err();
    assert!(matches!(error, LossError::Setting { setting: "scale", .. }));
}

/// The bounded ratio, written a second time.
fn coefficient(surrogate: Surrogate, ratio: f64) -> f64 {
    match surrogate {
        Surrogate::Cispo(clip) => ratio.clamp(1.0 - clip.low, 1.0 + clip.high),
        Surrogate::TruncatedIs { cap } => ratio.min(cap),
        Surrogate::PpoClip(_) => panic!("has a derivative of its own"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// With the ratio held constant, the value has the derivative that is given.
    #[test]
    fn frozen_surrogates_are_differentiated_with_the_ratio_constant(
        tokens in prop::collection::vec((-4.0..-0.01_f64, -0.6..0.6_f64, 0.0..2.0_f64), 1..6),
        weight in -2.0..2.0_f64,
        scale in 0.05..1.0_f64,
    ) {
        let now: Vec<f64> = tokens.iter().map(|token| token.0).collect();
        let then: Vec<f64> = tokens.iter().map(|token| token.0 - token.1).collect();
        let factors: Vec<f64> = tokens.iter().map(|token| token.2).collect();
        let count = now.len() as f64;
        let moved: f64 = tokens.iter().map(|token| token.1).sum();
        for surrogate in [CISPO, TRUNCATED] {
            for level in RatioLevel::ALL {
                let frozen: Vec<f64> = tokens.iter().map(|token| {
                    let log_ratio = match level {
                        RatioLevel::Token => token.1,
                        RatioLevel::Sequence => moved,
                        RatioLevel::SequenceMean => moved / count,
                    };
                    coefficient(surrogate, log_ratio.exp())
                }).collect();
                let value = |logps: &[f64]| -> f64 {
                    let parts = logps.iter().zip(frozen.iter().zip(&factors));
                    -weight * scale * parts.map(|(logp, (c, v))| c * v * logp).sum::<f64>()
                };
                let completion = SampledCompletion {
                    weight,
                    scale,
                    logprobs: &now,
                    old_logps: Some(&then),
                    sampler_weights: Some(&factors),
                    ..Default::default()
                };
                let (found, gradient) = terms(&of(surrogate, level), &completion);
                close(found.loss, value(&now), 1e-12);
                for (t, slope) in gradient.iter().enumerate() {
                    let at = |by: f64| {
                        let mut logps = now.clone();
                        logps[t] += by;
                        value(&logps)
                    };
                    close(*slope, (at(1e-3) - at(-1e-3)) / 2e-3, 1e-9);
                }
            }
        }
    }

    /// Inside every bound the three have one gradient, and PPO's is that of its value.
    #[test]
    fn inside_the_bounds_the_surrogates_agree(
        tokens in prop::collection::vec((-4.0..-0.01_f64, -0.15..0.15_f64), 1..6),
        weight in -2.0..2.0_f64,
        factor in 0.0..2.0_f64,
    ) {
        let now: Vec<f64> = tokens.iter().map(|token| token.0).collect();
        let then: Vec<f64> = tokens.iter().map(|token| token.0 - token.1).collect();
        let factors = vec![factor; now.len()];
        for level in RatioLevel::ALL {
            let at = |surrogate, logprobs: &[f64]| terms(&of(surrogate, level), &SampledCompletion {
                weight,
                logprobs,
                old_logps: Some(&then),
                sampler_weights: Some(&factors),
                ..Default::default()
            });
            let ppo = at(Surrogate::PpoClip(WIDE), &now).1;
            close(at(Surrogate::Cispo(WIDE), &now).1, &ppo[..], 1e-14);
            close(at(Surrogate::TruncatedIs { cap: 1e300 }, &now).1, &ppo[..], 1e-14);
            for (t, slope) in ppo.iter().enumerate() {
                let moved = |by: f64| {
                    let mut logprobs = now.clone();
                    logprobs[t] += by;
                    at(Surrogate::PpoClip(WIDE), &logprobs).0.loss
                };
                close(*slope, (moved(1e-6) - moved(-1e-6)) / 2e-6, 1e-7);
            }
        }
    }
}
