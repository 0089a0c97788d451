//! KTO of labelled completions: numbers from 40-digit arithmetic (Python's `decimal`), central
//! differences, and its relations to the paired form and to APO-zero.

use bestof_closeness::{Numbers, Tolerance, assert_close};
use bestof_losses::{Kto, KtoPair, Label, LossError, PairLogps, PreferenceLoss, UnpairedLogps};
use proptest::prelude::*;

#[track_caller]
fn close(found: impl Numbers, expected: impl Numbers, tolerance: f64) {
    assert_close(found, expected, Tolerance::relative(tolerance).with_floor(1.0));
}

fn row(log_ratio: f64, label: Label) -> UnpairedLogps {
    UnpairedLogps { logp: log_ratio - 20.0, ref_logp: -20.0, label }
}

#[test]
fn by_hand() {
    let kto = Kto::new(0.2).unwrap().with_weights(1.5, 0.5).unwrap();
    let z0 = Kto::reference_point(&[2.0, -0.5]).unwrap();
    assert_eq!(z0, 0.75);
    let rows = [row(2.5, Label::Desirable), row(-1.25, Label::Undesirable)];
    let terms = kto.batch(&rows, z0).unwrap();
    close(
        [terms[0].loss, terms[0].grad],
        [0.620_073_631_624_004_9, -0.072_749_218_506_750_03],
        1e-15,
    );
    close(
        [terms[1].loss, terms[1].grad],
        [0.200_656_169_943_774, 0.024_026_074_574_152_915],
        1e-15,
    );
    close([terms[0].reward, terms[1].reward], [0.5, -0.25], 1e-15);
}

/// `sigmoid(beta r)` of an undesirable completion: APO-zero, with the reference point at 0.
#[test]
fn a_reference_point_of_zero_is_apo_zero() {
    let terms = Kto::new(0.2).unwrap().terms(&row(2.5, Label::Undesirable), 0.0).unwrap();
    close([terms.loss, terms.grad], [0.622_459_331_201_854_6, 0.047_000_742_440_318_9], 1e-15);
}

#[test]
fn the_reference_point_is_the_mean_and_never_negative() {
    assert_eq!(Kto::reference_point(&[1.0, 2.0, -0.5, 0.5]), Ok(0.75));
    assert_eq!(Kto::reference_point(&[-3.0, 1.0]), Ok(0.0));
    assert_eq!(Kto::reference_point(&[]), Err(LossError::EmptyBatch));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(Kto::reference_point(&[1.0, bad]), Err(LossError::NotFinite { .. })));
    }
}

#[test]
fn far_ends_stay_finite() {
    let kto = Kto::new(0.1).unwrap();
    for log_ratio in [-1e5, -1e3, 1e3, 1e5] {
        for label in [Label::Desirable, Label::Undesirable] {
            let terms = kto.terms(&row(log_ratio, label), 3.0).unwrap();
            let right = (log_ratio > 0.0) == (label == Label::Desirable);
            close(terms.loss, if right { 0.0 } else { 1.0 }, 1e-12);
            close(terms.grad, 0.0, 1e-12);
        }
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for beta in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        assert!(matches!(Kto::new(beta), Err(LossError::Beta { loss: "kto", .. })));
    }
    let kto = Kto::new(0.1).unwrap();
    for weight in [-0.5, f64::NAN, f64::INFINITY] {
        let desirable = kto.with_weights(weight, 1.0).unwrap_err().to_string();
        assert!(desirable.contains("kto: desirable_weight"), "{desirable}");
        let undesirable = kto.with_weights(1.0, weight).unwrap_err().to_string();
        assert!(undesirable.contains("undesirable_weight"), "{undesirable}");
    }
    let good = row(1.0, Label::Desirable);
    let bad = UnpairedLogps { ref_logp: f64::NAN, ..good };
    let error = kto.batch(&[good, good, bad], 0.0).unwrap_err().to_string();
    assert!(error.contains("completion 2") && error.contains("ref_logp"), "{error}");
    let point = kto.terms(&good, f64::NAN).unwrap_err();
    assert!(matches!(point, LossError::ReferencePoint { loss: "kto", .. }), "{point}");
    let huge = UnpairedLogps { logp: -1e308, ref_logp: 1e308, ..good };
    assert!(matches!(kto.terms(&huge, 0.0), Err(LossError::UnpairedOverflow { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn gradients_are_derivatives(
        log_ratio in -20.0..20.0_f64,
        z0 in 0.0..5.0_f64,
        beta in 0.02..1.5_f64,
        weights in (0.0..3.0_f64, 0.0..3.0_f64),
    ) {
        let kto = Kto::new(beta).unwrap().with_weights(weights.0, weights.1).unwrap();
        for label in [Label::Desirable, Label::Undesirable] {
            let value = |by: f64| kto.terms(&row(log_ratio + by, label), z0).unwrap().loss;
            let numeric = (value(1e-5) - value(-1e-5)) / 2e-5;
            close(kto.terms(&row(log_ratio, label), z0).unwrap().grad, numeric, 1e-9);
        }
    }

    /// A desirable and an undesirable row with weights 1 are the two halves of the paired form.
    #[test]
    fn two_rows_are_a_pair(
        chosen in -10.0..10.0_f64,
        rejected in -10.0..10.0_f64,
        z0 in 0.0..5.0_f64,
        beta in 0.02..1.5_f64,
    ) {
        let kto = Kto::new(beta).unwrap();
        let rows = [row(chosen, Label::Desirable), row(rejected, Label::Undesirable)];
        let halves = kto.batch(&rows, z0).unwrap();
        let pair = PairLogps {
            chosen: rows[0].logp,
            rejected: rows[1].logp,
            ref_chosen: -20.0,
            ref_rejected: -20.0,
            ..PairLogps::default()
        };
        let whole = KtoPair::new(beta, z0).unwrap().terms(&pair).unwrap();
        close(halves[0].loss + halves[1].loss, whole.loss, 1e-14);
        close([halves[0].grad, halves[1].grad], [whole.grad_chosen, whole.grad_rejected], 1e-14);
    }
}
