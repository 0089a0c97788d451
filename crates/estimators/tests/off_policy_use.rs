//! Off-policy weights in use: no allocation after set-up, and refusals that name what is wrong.

use bestof_closeness::assert_close_in;
use bestof_estimators::{
    Estimator, EstimatorError, Harmonic, LooMinusOne, OffPolicy, OffPolicyWorkspace, Ratios,
    RewardTransform, off_policy_max_at_k,
};

#[test]
fn nothing_is_allocated_after_set_up() {
    let n = 64;
    let rewards: Vec<f64> = (0..2 * n).map(|i| f64::from(i * 31 % 17) / 16.0).collect();
    let logs: Vec<f64> = (0..2 * n).map(|i| f64::from(i * 13 % 11) / 40.0 - 0.1).collect();
    let n = n as usize;
    let offsets = [0, n, 2 * n];
    let mut out = vec![0.0; 2 * n];
    let mut workspace = OffPolicyWorkspace::with_capacity(2 * n, n - 1);
    assert!(workspace.capacity() >= 2 * n);
    for estimator in Estimator::ALL {
        let Ok(rule) = OffPolicy::new(estimator, 8) else { continue };
        let counted = allocation_counter::measure(|| {
            rule.weights_groups_into(
                &rewards,
                Ratios::Log(&logs),
                &offsets,
                &mut out,
                &mut workspace,
            )
            .unwrap();
            rule.factors_into(
                &rewards[..n],
                Ratios::Log(&logs[..n]),
                &mut out[..n],
                &mut workspace,
            )
            .unwrap();
        });
        assert_eq!(counted.count_total, 0, "{estimator}");
    }
    let counted = allocation_counter::measure(|| {
        off_policy_max_at_k(&rewards, Ratios::Log(&logs), 8, &mut workspace).unwrap();
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn refusals_name_what_is_wrong_and_leave_the_buffer_alone() {
    let message = |error: EstimatorError| error.to_string();
    for (estimator, instead) in [
        (Estimator::Binary, "`plain`"),
        (Estimator::MaxAtN, "`loo-minus-one`"),
        (Estimator::Grpo, "biased"),
    ] {
        let text = message(OffPolicy::new(estimator, 2).unwrap_err());
        assert!(text.contains(estimator.name()) && text.contains(instead), "{text}");
    }
    assert_eq!(OffPolicy::new(Estimator::Plain, 0), Err(EstimatorError::ZeroK));
    assert!(matches!(
        OffPolicy::new(Estimator::LooMinusOne, 1),
        Err(EstimatorError::KTooSmall { min: 2, .. })
    ));
    let annealed = OffPolicy::annealed(Estimator::LooMinusOne, 1).unwrap();
    assert_eq!(annealed.estimator(), Estimator::Rloo);
    let rule = OffPolicy::new(Estimator::Centred, 2).unwrap();
    assert_eq!(rule.with_partner_cap(0.0), Err(EstimatorError::BadCap { value: 0.0 }));
    assert!(
        rule.with_partner_cap(f64::NAN).is_err() && rule.with_partner_cap(f64::INFINITY).is_err()
    );
    assert!(matches!(annealed.with_partner_cap(1.2), Err(EstimatorError::CapNotUsed { .. })));
    assert!(matches!(rule.with_order(2), Err(EstimatorError::OrderNotUsed { .. })));
    let harmonic = OffPolicy::new(Estimator::Harmonic, 1).unwrap();
    assert_eq!(harmonic.with_order(0), Err(EstimatorError::ZeroOrder));
    assert_eq!(Harmonic::of_order(0), Err(EstimatorError::ZeroOrder));

    let mut workspace = OffPolicyWorkspace::new();
    let mut buffer = [7.0; 4];
    let mut refuse = |rule: OffPolicy, rewards: &[f64], ratios: Ratios<'_>| {
        let error = rule.weights_into(rewards, ratios, &mut buffer, &mut workspace).unwrap_err();
        assert_eq!(buffer, [7.0; 4]);
        error
    };
    let good = [0.0, 1.0, 0.5, 0.25];
    let ones = Ratios::Plain(&[1.0; 4]);
    assert!(matches!(
        refuse(rule, &good[..3], Ratios::Plain(&[1.0; 3])),
        EstimatorError::WrongBufferLength { expected: 3, found: 4 }
    ));
    assert_eq!(
        refuse(rule, &good, Ratios::Plain(&[1.0; 3])),
        EstimatorError::RatioCount { rewards: 4, ratios: 3 }
    );
    assert!(matches!(
        refuse(OffPolicy::new(Estimator::Centred, 4).unwrap(), &good, ones),
        EstimatorError::TooFewSamples { estimator: "centred", needed: 5, n: 4 }
    ));
    assert_eq!(
        refuse(OffPolicy::new(Estimator::Plain, 5).unwrap(), &good, ones),
        EstimatorError::KExceedsSamples { k: 5, n: 4 }
    );
    assert!(matches!(
        refuse(harmonic.with_order(4).unwrap(), &good, ones),
        EstimatorError::TooFewSamples { estimator: "harmonic", needed: 5, n: 4 }
    ));
    assert!(matches!(
        refuse(rule, &good, Ratios::Log(&[0.0, 351.0, 0.0, 0.0])),
        EstimatorError::ProductTooLarge { index: 1, k: 2, .. }
    ));
    // Two others with a ratio are too few for a baseline of pairs, once the own is left out.
    assert_eq!(
        refuse(rule, &good, Ratios::Plain(&[1.0, 0.0, 1.0, 0.0])),
        EstimatorError::NoOverlap { index: 0, k: 2 }
    );
    let text = message(refuse(rule, &good, Ratios::Log(&[0.0, f64::NAN, 0.0, 0.0])));
    assert!(text.contains("log-ratio 1 is NaN"), "{text}");

    let rule = OffPolicy::new(Estimator::LooMinusOne, 2).unwrap();
    let mut refuse = |ratios: Ratios<'_>, offsets: &[usize]| {
        let error = rule
            .factors_groups_into(&good, ratios, offsets, &mut buffer, &mut workspace)
            .unwrap_err();
        assert_eq!(buffer, [7.0; 4]);
        error.to_string()
    };
    assert!(
        refuse(Ratios::Plain(&[1.0, 1.0, 1.0, -1.0]), &[0, 2, 4]).starts_with("group 1: ratio 1")
    );
    assert!(refuse(Ratios::Plain(&[1.0; 3]), &[0, 2, 4]).contains("3 ratios for 4"));
    assert!(refuse(ones, &[0, 2]).contains("offsets end at 2"));
}

/// A worse sample whose ratio is 0 takes no part; at a ratio of 0 of its own a sample has no weight.
#[test]
fn zero_ratios_leave_samples_out() {
    let (rewards, ratios) = ([0.3, 0.1, 0.9, 0.6], [1.1, 0.0, 0.9, 1.3]);
    let rule = OffPolicy::new(Estimator::LooMinusOne, 2).unwrap();
    let weights = rule.weights(&rewards, Ratios::Plain(&ratios)).unwrap();
    assert_eq!(weights[1], 0.0);
    let without = rule.weights(&[0.3, 0.9, 0.6], Ratios::Plain(&[1.1, 0.9, 1.3])).unwrap();
    // The group still counts four samples: C(3, 2) / C(4, 2) of the smaller group's weight.
    for (w, smaller) in [weights[0], weights[2], weights[3]].iter().zip(&without) {
        assert!((w - smaller / 2.0).abs() < 1e-15);
    }
    let logs: Vec<f64> = ratios.iter().map(|r: &f64| r.ln()).collect();
    let found = rule.weights(&rewards, Ratios::Log(&logs)).unwrap();
    assert_close_in("log", found, weights, 1e-15);
    let none = rule.weights(&rewards, Ratios::Plain(&[0.0; 4])).unwrap();
    assert_eq!(none, [0.0; 4]);
    let mut workspace = OffPolicyWorkspace::new();
    let value = off_policy_max_at_k(&rewards, Ratios::Plain(&[0.0; 4]), 2, &mut workspace).unwrap();
    assert_eq!((value.value, value.self_normalised, value.effective_samples), (0.0, None, 0.0));
    assert_eq!(LooMinusOne::new(2).unwrap().min_samples(), rule.min_samples());
}
