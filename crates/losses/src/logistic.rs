//! The logistic functions, written so that no finite argument overflows or loses its small values.

/// `log(1 + exp(x))`, which is `-log sigmoid(-x)`.
pub(crate) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `1 / (1 + exp(-x))`.
pub(crate) fn sigmoid(x: f64) -> f64 {
    let tail = (-x.abs()).exp();
    if x >= 0.0 { 1.0 / (1.0 + tail) } else { tail / (1.0 + tail) }
}

/// `log(1 - exp(x))` for `x < 0`.
pub(crate) fn ln_one_minus_exp(x: f64) -> f64 {
    if x > -std::f64::consts::LN_2 { (-x.exp_m1()).ln() } else { (-x.exp()).ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softplus_keeps_both_tails() {
        assert_eq!(softplus(0.0), std::f64::consts::LN_2);
        assert_eq!(softplus(1e4), 1e4);
        // exp(-50) is far below the spacing of 1.0, and still comes through.
        assert!((softplus(-50.0) / (-50.0_f64).exp() - 1.0).abs() < 1e-12);
        assert_eq!(softplus(-1e4), 0.0);
    }

    #[test]
    fn sigmoid_sums_to_one_with_its_mirror() {
        for x in [-800.0, -30.0, -1.5, 0.0, 0.3, 40.0, 800.0] {
            assert!((sigmoid(x) + sigmoid(-x) - 1.0).abs() < 1e-15, "at {x}");
        }
        assert!(sigmoid(-700.0) > 0.0);
    }

    #[test]
    fn complement_is_exact_near_zero_and_far_below() {
        // 1 - exp(-1e-10) = 1e-10 - 5e-21 + ...
        assert!((ln_one_minus_exp(-1e-10) - (1e-10_f64 - 5e-21).ln()).abs() < 1e-12);
        assert!((ln_one_minus_exp(-40.0) + (-40.0_f64).exp()).abs() < 1e-30);
    }
}
