//! Divergences, sums, likelihood terms and length factors: against numbers from 40-digit arithmetic
//! (Python's `decimal`, the formulas of the documentation), central differences, and identities.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use bestof_closeness::{Numbers, Tolerance, assert_close};
use bestof_losses::{
    Divergence, Dpo, LossError, LossName, LossParameters, PairLogps, PreferenceLoss,
    PreferenceTerms, SftMixed, WeightedLoss, WeightedSum, length_desensitised,
};
use proptest::prelude::*;

#[track_caller]
fn close(found: impl Numbers, expected: impl Numbers, tolerance: f64) {
    assert_close(found, expected, Tolerance::relative(tolerance).with_floor(1.0));
}

fn numbers(terms: &PreferenceTerms) -> [f64; 3] {
    [terms.loss, terms.grad_chosen, terms.grad_rejected]
}

/// A pair with these log-ratios.
fn pair(chosen: f64, rejected: f64) -> PairLogps {
    PairLogps {
        chosen: chosen - 20.0,
        rejected: rejected - 25.0,
        ref_chosen: -20.0,
        ref_rejected: -25.0,
        ..PairLogps::default()
    }
}

fn dpo(beta: f64, divergence: Divergence) -> Dpo {
    Dpo::new(beta).unwrap().with_divergence(divergence).unwrap()
}

#[test]
fn divergences_by_hand() {
    let (near, far) = ((0.5, pair(0.75, -1.25)), (0.1, pair(-2.0, 0.5)));
    for (divergence, (beta, pair), expected) in [
        (
            Divergence::ForwardKl,
            near,
            [0.199_779_613_604_362_5, -0.042_770_143_716_790_93, 0.316_030_991_282_694_4],
        ),
        (
            Divergence::ForwardKl,
            far,
            [1.088_707_221_573_766_7, -0.490_151_981_008_159_2, 0.040_234_124_686_556_02],
        ),
        (
            Divergence::JensenShannon,
            near,
            [0.452_744_445_966_373_03, -0.058_408_627_420_464_46, 0.141_514_973_814_509_95],
        ),
        (
            Divergence::JensenShannon,
            far,
            [0.779_200_747_443_553_8, -0.047_671_156_534_522_44, 0.020_433_537_724_425_354],
        ),
        (
            Divergence::Alpha(0.3),
            near,
            [0.288_805_701_874_878_7, -0.100_150_802_004_823_04, 0.182_486_659_207_175_53],
        ),
        (
            Divergence::Alpha(0.3),
            far,
            [0.866_165_405_641_284_7, -0.105_580_643_576_094_38, 0.049_872_764_642_217_46],
        ),
    ] {
        let terms = dpo(beta, divergence).terms(&pair).unwrap();
        close(numbers(&terms), expected, 1e-14);
        close(terms.reward_chosen, beta * pair.chosen_log_ratio(), 1e-15);
    }
}

#[test]
fn every_divergence_starts_where_dpo_does() {
    for divergence in Divergence::NAMES.map(|name| Divergence::named(name, None).unwrap()) {
        let terms = dpo(0.3, divergence).terms(&pair(0.0, 0.0)).unwrap();
        // g' is 1 at 0, but sigmoid(0) for Jensen and Shannon's.
        let slope = if divergence == Divergence::JensenShannon { 0.075 } else { 0.15 };
        close(numbers(&terms), [std::f64::consts::LN_2, -slope, slope], 1e-15);
    }
}

#[test]
fn a_divergence_that_overflows_is_an_error_and_a_settled_pair_is_not() {
    let forward = dpo(0.1, Divergence::ForwardKl);
    let displaced = forward.terms(&pair(-800.0, 0.0)).unwrap_err();
    assert!(matches!(displaced, LossError::Overflow { loss: "dpo", .. }), "{displaced}");
    assert!(matches!(forward.terms(&pair(-800.0, -800.0)), Err(LossError::Overflow { .. })));
    // The rejected completion is exp(-800) of what it was: beyond any margin.
    assert_eq!(numbers(&forward.terms(&pair(0.0, -800.0)).unwrap()), [0.0; 3]);
}

#[test]
fn divergences_by_name() {
    for name in Divergence::NAMES {
        assert_eq!(Divergence::named(name, None).unwrap().as_str(), name);
    }
    assert_eq!(Divergence::named("alpha", None), Ok(Divergence::Alpha(0.5)));
    let not_read = Divergence::named("jensen-shannon", Some(0.5)).unwrap_err();
    assert!(matches!(not_read, LossError::NotRead { by: "jensen-shannon", .. }));
    let unknown = Divergence::named("js_divergence", None).unwrap_err().to_string();
    assert!(Divergence::NAMES.iter().all(|name| unknown.contains(name)), "{unknown}");
    for alpha in [0.0, 1.0, -0.5, f64::NAN] {
        let named = Divergence::named("alpha", Some(alpha)).unwrap_err();
        assert!(matches!(named, LossError::DivergenceAlpha { .. }));
        assert!(Dpo::new(0.1).unwrap().with_divergence(Divergence::Alpha(alpha)).is_err());
    }
}

fn part(name: LossName, weight: f64) -> WeightedLoss {
    WeightedLoss { name, weight, parameters: LossParameters::of(name) }
}

/// `0.8 (dpo + 0.25 nll) + 0.5 ipo` of a pair with `h = 4`, seven chosen tokens.
#[test]
fn sums_and_likelihoods_by_hand() {
    let pair = PairLogps {
        chosen: -21.0,
        rejected: -30.0,
        ref_chosen: -20.0,
        ref_rejected: -25.0,
        chosen_len: 7,
        rejected_len: 0,
    };
    let mut mixed = part(LossName::Dpo, 0.8);
    mixed.parameters.sft_alpha = 0.25;
    let sum = WeightedSum::build(&[mixed, part(LossName::Ipo, 0.5)]).unwrap();
    assert!(sum.needs_reference() && sum.needs_lengths());
    let terms = sum.terms(&pair).unwrap();
    let expected = [1.510_412_201_919_962, -1.060_676_415_762_432_4, 1.032_104_987_191_004];
    close(numbers(&terms), expected, 1e-14);

    let unmeasured = PairLogps { chosen_len: 0, ..pair };
    let error = sum.terms(&unmeasured).unwrap_err();
    assert_eq!(error, LossError::ZeroLength { loss: "dpo", field: "chosen_len" });
}

#[test]
fn a_sum_reports_the_first_reward_that_has_a_reference_and_dpops_penalty() {
    let pair = PairLogps { chosen_len: 4, rejected_len: 5, ..pair(-1.5, 0.5) };
    let sum = WeightedSum::build(&[
        part(LossName::Simpo, 1.0),
        part(LossName::Dpop, 2.0),
        part(LossName::Hinge, 3.0),
    ]);
    let terms = sum.unwrap().terms(&pair).unwrap();
    // DPOP's default beta is 0.3.
    close([terms.reward_chosen, terms.reward_rejected, terms.penalty], [-0.45, 0.15, 1.5], 1e-14);
    let blind = WeightedSum::build(&[part(LossName::Simpo, 1.0), part(LossName::Orpo, 1.0)]);
    let blind = blind.unwrap();
    assert!(!blind.needs_reference());
    // SimPO's, beta 2: -21.5 over 4 tokens.
    close(blind.terms(&pair).unwrap().reward_chosen, -10.75, 1e-14);
}

#[test]
fn sums_that_cannot_be_meant_are_refused() {
    assert_eq!(WeightedSum::build(&[]).unwrap_err(), LossError::EmptySum);
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = WeightedSum::build(&[part(LossName::Dpo, weight)]).unwrap_err();
        assert!(matches!(error, LossError::SumWeight { loss: "dpo", .. }), "{error}");
    }
    let mut bad = part(LossName::Dpo, 1.0);
    bad.parameters.beta = -1.0;
    assert!(matches!(WeightedSum::build(&[bad]), Err(LossError::Beta { .. })));
    for alpha in [-1.0, f64::NAN] {
        let error = SftMixed::new(Box::new(Dpo::new(0.1).unwrap()), alpha).unwrap_err();
        assert!(matches!(error, LossError::SftAlpha { loss: "dpo", .. }), "{error}");
    }
}

#[test]
fn length_factors() {
    let factors = length_desensitised(3, 1, 0.25).unwrap();
    assert_eq!((factors.chosen, factors.rejected), (vec![1.0, 0.25, 0.25], vec![1.0]));
    let same = length_desensitised(2, 2, 0.0).unwrap();
    assert_eq!((same.chosen, same.rejected), (vec![1.0; 2], vec![1.0; 2]));
    let empty = length_desensitised(0, 2, 0.5).unwrap();
    assert_eq!((empty.chosen, empty.rejected), (vec![], vec![0.5; 2]));
    for alpha in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(length_desensitised(1, 2, alpha), Err(LossError::LdAlpha { .. })));
    }
}

/// The likelihood as the paper writes it, `p(y)^alpha p(first l tokens)^(1 - alpha)`, and the
/// gradient of DPO by every token.
#[test]
fn length_factors_give_the_papers_likelihood_and_its_gradient() {
    let (chosen, rejected) = ([-0.5, -1.5, -0.25], [-1.0, -0.125, -2.0, -0.75, -1.25]);
    let (alpha, beta) = (0.4, 0.3);
    let factors = length_desensitised(3, 5, alpha).unwrap();
    let sum = |logps: &[f64], factors: &[f64]| -> f64 {
        logps.iter().zip(factors).map(|(logp, factor)| logp * factor).sum()
    };
    let whole: f64 = rejected.iter().sum();
    let first: f64 = rejected[..3].iter().sum();
    close(sum(&rejected, &factors.rejected), alpha * whole + (1.0 - alpha) * first, 1e-15);
    let loss = Dpo::new(beta).unwrap();
    let at = |rejected: &[f64]| {
        let pair = PairLogps {
            chosen: sum(&chosen, &factors.chosen),
            rejected: sum(rejected, &factors.rejected),
            ref_chosen: -2.5,
            ref_rejected: -3.0,
            ..PairLogps::default()
        };
        loss.terms(&pair).unwrap()
    };
    let by_sum = at(&rejected).grad_rejected;
    for (token, factor) in factors.rejected.iter().enumerate() {
        let moved = |by: f64| {
            let mut rejected = rejected;
            rejected[token] += by;
            at(&rejected).loss
        };
        close(by_sum * factor, (moved(1e-6) - moved(-1e-6)) / 2e-6, 1e-9);
    }
}

/// Both derivatives by central differences.
fn differences(loss: &dyn PreferenceLoss, pair: &PairLogps) -> [f64; 2] {
    let at = |chosen: f64, rejected: f64| {
        let moved =
            PairLogps { chosen: pair.chosen + chosen, rejected: pair.rejected + rejected, ..*pair };
        loss.terms(&moved).unwrap().loss
    };
    let step = 1e-5;
    [at(step, 0.0) - at(-step, 0.0), at(0.0, step) - at(0.0, -step)].map(|gap| gap / (2.0 * step))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn divergences_have_their_derivatives(
        chosen in -2.0..2.0_f64,
        rejected in -2.0..2.0_f64,
        beta in 0.02..1.0_f64,
        alpha in 0.01..0.99_f64,
    ) {
        let pair = pair(chosen, rejected);
        for divergence in [
            Divergence::ForwardKl,
            Divergence::JensenShannon,
            Divergence::Alpha(alpha),
        ] {
            let loss = dpo(beta, divergence);
            let terms = loss.terms(&pair).unwrap();
            // The third derivative is at most beta exp(2) (1 + beta exp(2))^2, times 1e-10 / 6.
            close([terms.grad_chosen, terms.grad_rejected], differences(&loss, &pair), 2e-8);
            prop_assert!(terms.grad_chosen <= 0.0 && terms.grad_rejected >= 0.0);
        }
    }

    /// Between its limits the alpha divergence is the two KL divergences.
    #[test]
    fn alpha_joins_the_two_kl_divergences(
        chosen in -2.0..2.0_f64,
        rejected in -2.0..2.0_f64,
        beta in 0.02..1.0_f64,
    ) {
        let pair = pair(chosen, rejected);
        for (alpha, limit) in [(1e-9, Divergence::ReverseKl), (1.0 - 1e-9, Divergence::ForwardKl)] {
            let near = dpo(beta, Divergence::Alpha(alpha)).terms(&pair).unwrap();
            let limit = dpo(beta, limit).terms(&pair).unwrap();
            close(numbers(&near), numbers(&limit), 1e-6);
        }
    }

    #[test]
    fn sums_have_the_derivatives_and_the_values_of_their_parts(
        chosen in -4.0..4.0_f64,
        rejected in -4.0..4.0_f64,
        weights in prop::array::uniform3(0.01..2.0_f64),
        sft_alpha in 0.0..2.0_f64,
    ) {
        let pair = PairLogps { chosen_len: 9, rejected_len: 4, ..pair(chosen, rejected) };
        let names = [LossName::Dpo, LossName::Simpo, LossName::KtoPair];
        let mut parts = [0, 1, 2].map(|j| part(names[j], weights[j]));
        parts[0].parameters.sft_alpha = sft_alpha;
        let sum = WeightedSum::build(&parts).unwrap();
        let terms = sum.terms(&pair).unwrap();
        close([terms.grad_chosen, terms.grad_rejected], differences(&sum, &pair), 1e-8);
        let by_part: f64 = parts.iter().map(|part| {
            part.weight * part.name.build(&part.parameters).unwrap().terms(&pair).unwrap().loss
        }).sum();
        close(terms.loss, by_part, 1e-14);
    }
}
