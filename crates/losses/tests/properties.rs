//! What must hold of any pair: gradients are derivatives, the identities between losses, finite ends.

use bestof_losses::{
    Divergence, Dpo, Dpop, LossError, LossName, LossParameters, PairLogps, PreferenceLoss,
    terms_of_batch,
};
use proptest::prelude::*;

const STEP: f64 = 1e-5;

prop_compose! {
    fn pairs()(
        ref_chosen in -60.0..-1.0_f64,
        ref_rejected in -60.0..-1.0_f64,
        chosen_ratio in -6.0..6.0_f64,
        rejected_ratio in -6.0..6.0_f64,
        chosen_len in 1_usize..40,
        rejected_len in 1_usize..40,
    ) -> PairLogps {
        // Below 0, so that every completion has a probability under 1.
        PairLogps {
            chosen: (ref_chosen + chosen_ratio).min(-0.05),
            rejected: (ref_rejected + rejected_ratio).min(-0.05),
            ref_chosen,
            ref_rejected,
            chosen_len,
            rejected_len,
        }
    }
}

prop_compose! {
    fn parameters()(
        beta in 0.02..1.5_f64,
        lambda in 0.0..60.0_f64,
        gamma in 0.0..2.0_f64,
        label_smoothing in 0.0..0.45_f64,
        kto_z0 in -1.0..3.0_f64,
        sft_alpha in prop_oneof![Just(0.0), 0.0..2.0_f64],
    ) -> LossParameters {
        let divergence = Divergence::ReverseKl;
        LossParameters::of(LossName::Dpo)
            .with_beta(beta)
            .with_lambda(lambda)
            .with_gamma(gamma)
            .with_label_smoothing(label_smoothing)
            .with_kto_z0(kto_z0)
            .with_divergence(divergence)
            .with_sft_alpha(sft_alpha)
    }
}

fn near_a_kink(name: LossName, pair: &PairLogps, with: &LossParameters) -> bool {
    let hinge = (1.0 - with.beta * pair.log_ratio_difference()).abs() < 10.0 * STEP;
    let penalty = pair.chosen_log_ratio().abs() < 10.0 * STEP;
    (name == LossName::Hinge && hinge)
        || (matches!(name, LossName::Dpop | LossName::DpopCdpo) && penalty)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn gradients_are_derivatives(pair in pairs(), with in parameters()) {
        for name in LossName::ALL {
            if near_a_kink(name, &pair, &with) {
                continue;
            }
            let loss = name.build(&with).unwrap();
            let value = |chosen: f64, rejected: f64| {
                loss.terms(&PairLogps { chosen, rejected, ..pair }).unwrap().loss
            };
            let terms = loss.terms(&pair).unwrap();
            let by_chosen = (value(pair.chosen + STEP, pair.rejected)
                - value(pair.chosen - STEP, pair.rejected)) / (2.0 * STEP);
            let by_rejected = (value(pair.chosen, pair.rejected + STEP)
                - value(pair.chosen, pair.rejected - STEP)) / (2.0 * STEP);
            for (analytic, numeric) in
                [(terms.grad_chosen, by_chosen), (terms.grad_rejected, by_rejected)]
            {
                // Differences of a loss near 1e3 carry 1e3 * 2^-53 / 1e-5, about 1e-8, and the
                // third derivative times 1e-10: DPOP's grows with (beta (1 + lambda))^3.
                let cubed = (with.beta * (1.0 + with.lambda)).powi(3) * STEP * STEP;
                let tolerance = 1e-6 * (1.0 + analytic.abs() + terms.loss.abs()) + cubed;
                prop_assert!((analytic - numeric).abs() < tolerance,
                    "{name}: analytic {analytic}, numeric {numeric}");
            }
        }
    }

    #[test]
    fn lambda_zero_is_dpo_bit_for_bit(pair in pairs(), beta in 0.01..2.0_f64) {
        let dpo = Dpo::new(beta).unwrap().terms(&pair).unwrap();
        let dpop = Dpop::new(beta, 0.0).unwrap().terms(&pair).unwrap();
        for (a, b) in [
            (dpo.loss, dpop.loss),
            (dpo.grad_chosen, dpop.grad_chosen),
            (dpo.grad_rejected, dpop.grad_rejected),
            (dpo.reward_chosen, dpop.reward_chosen),
            (dpo.reward_rejected, dpop.reward_rejected),
        ] {
            prop_assert_eq!(a.to_bits(), b.to_bits());
        }
    }

    #[test]
    fn the_penalty_only_adds(pair in pairs(), with in parameters()) {
        let dpo = Dpo::new(with.beta).unwrap().terms(&pair).unwrap();
        let dpop = Dpop::new(with.beta, with.lambda).unwrap().terms(&pair).unwrap();
        prop_assert!(dpop.loss >= dpo.loss);
        prop_assert!(dpop.grad_chosen <= 0.0 && dpop.grad_rejected >= 0.0);
        if pair.chosen >= pair.ref_chosen {
            prop_assert_eq!(dpop.loss.to_bits(), dpo.loss.to_bits());
        } else {
            let pull = -dpop.grad_chosen / dpop.grad_rejected;
            if dpop.grad_rejected > 1e-300 {
                prop_assert!((pull / (1.0 + with.lambda) - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn dpo_mirrors(difference in -80.0..80.0_f64, beta in 0.01..2.0_f64) {
        let at = |d: f64| {
            let pair = PairLogps { chosen: -100.0 + d, ref_chosen: -100.0, ..PairLogps::default() };
            Dpo::new(beta).unwrap().terms(&pair).unwrap().loss
        };
        let gap = at(-difference) - at(difference);
        prop_assert!((gap - beta * difference).abs() < 1e-12 * (1.0 + gap.abs()));
    }

    #[test]
    fn the_reference_is_not_read_where_the_loss_says_so(pair in pairs(), with in parameters()) {
        let blind = PairLogps { ref_chosen: f64::NAN, ref_rejected: f64::NAN, ..pair };
        for name in LossName::ALL {
            let loss = name.build(&with).unwrap();
            let found = loss.terms(&blind);
            if loss.needs_reference() {
                let refused = matches!(found, Err(LossError::NotFinite { .. }));
                prop_assert!(refused);
            } else {
                prop_assert_eq!(found, loss.terms(&pair));
            }
            let unmeasured = PairLogps { chosen_len: 0, rejected_len: 0, ..pair };
            if loss.needs_lengths() {
                let refused = matches!(loss.terms(&unmeasured), Err(LossError::ZeroLength { .. }));
                prop_assert!(refused);
            } else {
                prop_assert_eq!(loss.terms(&unmeasured), loss.terms(&pair));
            }
        }
    }
}

#[test]
fn policy_equal_to_reference_costs_ln_2() {
    let pair = PairLogps {
        chosen: -31.5,
        rejected: -12.25,
        ref_chosen: -31.5,
        ref_rejected: -12.25,
        ..PairLogps::default()
    };
    let with = LossParameters::of(LossName::DpopCdpo).with_label_smoothing(0.0);
    for name in
        [LossName::Dpo, LossName::Dpop, LossName::Cdpo, LossName::Robust, LossName::DpopCdpo]
    {
        let terms = name.build(&with).unwrap().terms(&pair).unwrap();
        assert_eq!(terms.loss, std::f64::consts::LN_2, "{name}");
        assert_eq!(terms.grad_chosen, -with.beta / 2.0, "{name}");
        assert_eq!(terms.grad_rejected, with.beta / 2.0, "{name}");
        assert_eq!((terms.margin(), terms.penalty), (0.0, 0.0));
        assert!(!terms.is_accurate());
    }
}

#[test]
fn far_ends_stay_finite() {
    for (chosen, rejected) in [(-1e4, -1.0), (-1.0, -1e4), (-1e4, -1e4), (-1e-12, -1e4)] {
        let pair = PairLogps {
            chosen,
            rejected,
            ref_chosen: -1e4 - chosen,
            ref_rejected: -1e4 - rejected,
            chosen_len: 1,
            rejected_len: 1,
        };
        for name in LossName::ALL {
            let terms = name.build(&LossParameters::of(name)).unwrap().terms(&pair).unwrap();
            let finite = [terms.loss, terms.grad_chosen, terms.grad_rejected]
                .iter()
                .all(|value| value.is_finite());
            assert!(finite, "{name} at {chosen}, {rejected}: {terms:?}");
        }
    }
}

#[test]
fn orpo_at_certainty() {
    let orpo = LossName::Orpo.build(&LossParameters::of(LossName::Orpo)).unwrap();
    let certain = |chosen: f64, rejected: f64| {
        orpo.terms(&PairLogps {
            chosen,
            rejected,
            chosen_len: 1,
            rejected_len: 1,
            ..PairLogps::default()
        })
    };
    // Limit for P_w -> 1: -(1 + lambda P_l / (1 - P_l)), here with P_l = 1/2.
    let limit = certain(0.0, 0.5_f64.ln()).unwrap();
    assert!((limit.grad_chosen + 1.1).abs() < 1e-12, "{limit:?}");
    assert!(limit.loss.abs() < 1e-12 && limit.grad_rejected.abs() < 1e-12);
    assert_eq!(certain(-1.0, 0.0), Err(LossError::InfiniteOdds { found: 0.0 }));
}

#[test]
fn bad_parameters_are_named() {
    let build = |name: LossName, change: fn(&mut LossParameters)| {
        let mut with = LossParameters::of(name);
        change(&mut with);
        name.build(&with).unwrap_err()
    };
    for name in LossName::ALL {
        for &parameter in name.parameters() {
            let error = match parameter {
                "beta" => build(name, |with| with.beta = 0.0),
                "lambda" => build(name, |with| with.lambda = -1.0),
                "gamma" => build(name, |with| with.gamma = f64::NAN),
                "label_smoothing" => build(name, |with| with.label_smoothing = 0.5),
                "kto_z0" => build(name, |with| with.kto_z0 = f64::INFINITY),
                "divergence" => build(name, |with| with.divergence = Divergence::Alpha(1.0)),
                "sft_alpha" => build(name, |with| with.sft_alpha = -0.5),
                other => panic!("untested parameter {other}"),
            };
            let message = error.to_string();
            assert!(message.contains(parameter) && message.contains(name.as_str()), "{message}");
        }
    }
    assert!(matches!(Dpo::new(f64::NAN), Err(LossError::Beta { .. })));
    assert!(matches!(Dpo::new(f64::INFINITY), Err(LossError::Beta { .. })));
}

#[test]
fn bad_numbers_are_named() {
    let dpop = Dpop::new(0.3, 50.0).unwrap();
    let good = PairLogps { chosen: -1.0, rejected: -2.0, ..PairLogps::default() };
    let bad = PairLogps { ref_rejected: f64::NEG_INFINITY, ..good };
    let error = terms_of_batch(&dpop, &[good, good, bad]).unwrap_err();
    assert!(error.to_string().contains("pair 2") && error.to_string().contains("ref_rejected"));
    let huge = PairLogps { chosen: -1e308, ref_chosen: 1e308, ..good };
    assert!(matches!(dpop.terms(&huge), Err(LossError::Overflow { .. })));
}
