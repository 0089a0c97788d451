//! pass@k from counts: the estimate and its sampling variance.

use crate::EstimatorError;
use crate::numerics::{Product, Sum};

/// Probability that at least one of `k` draws without replacement passes, where `c` of `n`
/// samples pass: the unbiased estimate of pass@k.
///
/// ```text
/// rho(n, c, k) = 1 - C(n-c, k) / C(n, k)
/// ```
///
/// Source: Walder and Karkhanis 2025, arXiv:2505.15201v4, equation 3 and theorem 1; the same
/// estimate as in Chen et al. 2021, arXiv:2107.03374.
///
/// # Errors
/// `ZeroK`, `CorrectExceedsSamples` if `c > n`, `KExceedsSamples` if `k > n` (no unbiased
/// estimate exists then).
///
/// # Numerics
/// Summed over the draw that passes first. All terms are positive, so that tiny and near-one
/// probabilities are both accurate to a few units in the last place. The sum takes
/// `min(c, k)` terms and never more than about `7 sqrt(n)`. Exactly 1 once `n - c < k`.
///
/// ```
/// use bestof_estimators::pass_at_k;
/// assert!((pass_at_k(4, 2, 2)? - 5.0 / 6.0).abs() < 1e-15);
/// assert_eq!(pass_at_k(1_000_000, 1, 500_000)?, 0.5);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
pub fn pass_at_k(n: usize, c: usize, k: usize) -> Result<f64, EstimatorError> {
    check_counts(n, c, k)?;
    Ok(success_share(n, c, k))
}

fn check_counts(n: usize, c: usize, k: usize) -> Result<(), EstimatorError> {
    if k == 0 {
        return Err(EstimatorError::ZeroK);
    }
    if c > n {
        return Err(EstimatorError::CorrectExceedsSamples { c, n });
    }
    if k > n {
        return Err(EstimatorError::KExceedsSamples { k, n });
    }
    Ok(())
}

/// `rho(n, c, k)` of checked counts; 0 for `k = 0`.
///
/// ```text
/// rho = sum_{j<m} M/(n-j) prod_{l<j} (n-M-l)/(n-l),   m = min(c, k), M = max(c, k)
/// ```
/// since rho is symmetric in c and k.
pub(crate) fn success_share(n: usize, c: usize, k: usize) -> f64 {
    const NEGLIGIBLE: f64 = 1e-18;
    if c == 0 || k == 0 {
        return 0.0;
    }
    if k > n - c {
        return 1.0;
    }
    let (fewer, more) = (c.min(k), c.max(k));
    let mut none_yet = Product::ONE;
    let mut total = Sum::default();
    for j in 0..fewer {
        total.add(none_yet.times(more, n - j).value());
        none_yet = none_yet.times(n - more - j, n - j);
        // What is left to add is at most the probability that nothing has passed yet.
        if none_yet.value() < NEGLIGIBLE * total.value() {
            break;
        }
    }
    total.value().min(1.0)
}

/// Unbiased estimate of the sampling variance of [`pass_at_k`] for one fixed problem.
///
/// ```text
/// Var(rho) = E[q_k^2] - (1-p)^(2k),  estimated by  q_k^2 - q_2k,   q_k = C(n-c, k) / C(n, k)
/// ```
///
/// because `q_2k` is unbiased for `(1-p)^(2k)`. It answers how far the estimate would move if
/// the same problem were sampled again, and may be slightly negative, as unbiased estimates of
/// variances may. For a mean over problems use [`mean_pass_at_k`](crate::mean_pass_at_k).
///
/// Source: rho is a U-statistic (arXiv:2505.15201v4, lemma 2); the estimate follows from the
/// unbiasedness of equation 3 at `2k`.
///
/// # Errors
/// As [`pass_at_k`], and `TooFewSamples` if `n < 2k`.
///
/// ```
/// use bestof_estimators::pass_at_k_variance;
/// // k = 1 gives the textbook p(1-p)/(n-1).
/// let variance = pass_at_k_variance(11, 4, 1)?;
/// assert!((variance - (4.0 / 11.0) * (7.0 / 11.0) / 10.0).abs() < 1e-16);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
pub fn pass_at_k_variance(n: usize, c: usize, k: usize) -> Result<f64, EstimatorError> {
    check_counts(n, c, k)?;
    if k > n - k {
        let needed = k.saturating_mul(2);
        return Err(EstimatorError::TooFewSamples { estimator: "pass_at_k_variance", needed, n });
    }
    let none = 1.0 - success_share(n, c, k);
    Ok(none * none - (1.0 - success_share(n, c, 2 * k)))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use bestof_closeness::largest_relative_difference;
    use num_bigint::BigInt;
    use num_rational::BigRational;
    use num_traits::{One, ToPrimitive};

    fn exact(n: usize, c: usize, k: usize) -> f64 {
        let mut none = BigRational::one();
        for j in 0..k {
            let left = n as i64 - c as i64 - j as i64;
            none *= BigRational::new(BigInt::from(left.max(0)), BigInt::from(n - j));
        }
        (BigRational::one() - none).to_f64().unwrap()
    }

    fn worst_gap(rho: impl Fn(usize, usize, usize) -> f64) -> f64 {
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        for n in 1..=24 {
            for (c, k) in (0..=n).flat_map(|c| (1..=n).map(move |k| (c, k))) {
                found.push(rho(n, c, k));
                expected.push(exact(n, c, k));
            }
        }
        largest_relative_difference(found, expected, 1e-300)
    }

    #[test]
    fn agrees_with_exact_rationals_relatively() {
        assert!(worst_gap(|n, c, k| pass_at_k(n, c, k).unwrap()) < 4e-16);
        let with_replacement =
            |n: usize, c: usize, k: usize| 1.0 - (1.0 - c as f64 / n as f64).powi(k as i32);
        assert!(worst_gap(with_replacement) > 1e-2, "the biased estimate must be seen");
    }

    #[test]
    fn large_counts_agree_with_exact_rationals() {
        for (n, c, k) in [
            (4000, 3, 7),
            (4000, 60, 63),
            (2048, 1, 1024),
            (3000, 1000, 200),
            (1_000_000, 2, 3),
            (1_000_000, 900, 40),
            (1_000_000, 30, 700_000),
        ] {
            let expected = exact(n, c.max(k), c.min(k));
            let found = pass_at_k(n, c, k).unwrap();
            assert!((found / expected - 1.0).abs() < 1e-15, "{n} {c} {k}: {found} {expected}");
        }
    }

    #[test]
    fn variance_is_unbiased_over_all_outcomes() {
        for (n, k, p) in [(4, 1, 0.3), (4, 2, 0.3), (9, 3, 0.15), (10, 5, 0.6)] {
            let (mut expected_variance, mut mean, mut square, mut binomial) = (0.0, 0.0, 0.0, 1.0);
            for c in 0..=n {
                let probability =
                    binomial * f64::powi(p, c as i32) * f64::powi(1.0 - p, (n - c) as i32);
                binomial *= (n - c) as f64 / (c + 1) as f64;
                let rho = pass_at_k(n, c, k).unwrap();
                mean += probability * rho;
                square += probability * rho * rho;
                expected_variance += probability * pass_at_k_variance(n, c, k).unwrap();
            }
            assert!((expected_variance - (square - mean * mean)).abs() < 1e-14);
        }
    }

    #[test]
    fn refuses_impossible_counts() {
        assert_eq!(pass_at_k(4, 2, 0), Err(EstimatorError::ZeroK));
        assert_eq!(pass_at_k(4, 2, 5), Err(EstimatorError::KExceedsSamples { k: 5, n: 4 }));
        assert_eq!(pass_at_k(4, 5, 1), Err(EstimatorError::CorrectExceedsSamples { c: 5, n: 4 }));
        assert!(matches!(
            pass_at_k_variance(3, 1, 2),
            Err(EstimatorError::TooFewSamples { needed: 4, .. })
        ));
    }
}
