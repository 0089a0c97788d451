//! Means over problems with 95 % intervals, by formula: no resampling, no seed.

use alloc::vec::Vec;

use crate::EstimatorError;
use crate::numerics::{deviation_norm, mean, sqrt};
use crate::pass_at_k::pass_at_k;
use crate::transform::check_rewards;

/// A mean over problems with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Interval {
    /// The mean.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Standard error of the mean; 0 where the values do not differ or there is only one.
    pub std_error: f64,
    /// How many problems were averaged.
    pub n: usize,
}

/// The 97.5 % point of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Weight of the largest possible variance, in problems.
const PRIOR_PROBLEMS: f64 = 2.0;

/// Mean of the unbiased pass@k over problems, each given as `(samples, correct)`, with its 95 %
/// interval.
///
/// Problems are treated as a sample of a larger set: the variance between them already contains the
/// noise of sampling each, so that the interval answers "what would other problems of this kind
/// give". Problems may have different numbers of samples. The interval is that of
/// [`mean_proportion`].
///
/// # Errors
/// `NoValues`; `InGroup` with the problem's index around the errors of [`pass_at_k`].
///
/// ```
/// use bestof_estimators::mean_pass_at_k;
/// let score = mean_pass_at_k(&[(16, 3), (16, 0), (16, 16), (8, 1)], 4)?;
/// assert!(score.low < score.value && score.value < score.high);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
pub fn mean_pass_at_k(problems: &[(usize, usize)], k: usize) -> Result<Interval, EstimatorError> {
    let values: Result<Vec<f64>, EstimatorError> = problems
        .iter()
        .enumerate()
        .map(|(group, &(n, c))| {
            pass_at_k(n, c, k)
                .map_err(|error| EstimatorError::InGroup { group, source: error.into() })
        })
        .collect();
    mean_proportion(&values?)
}

/// Mean of values in `[0, 1]` with its 95 % interval, which stays in `[0, 1]`.
///
/// Wilson's score interval. For values that are all 0 or 1 it is the usual one; values in
/// between vary less than a coin of the same mean, which enters as an effective sample size:
///
/// ```text
/// v      = 1/m sum (x_j - p)^2,   v' = (m v + 2 p(1-p)) / (m + 2)
/// m_eff  = m p(1-p) / v'
/// center = (p + q^2/2m_eff) / (1 + q^2/m_eff)
/// half   = q / (1 + q^2/m_eff) sqrt(p(1-p)/m_eff + q^2/4m_eff^2)
/// ```
///
/// with `q` the normal quantile for 0/1 values, and Student's `t` with `m - 1` degrees of
/// freedom otherwise, since `v` is then estimated beside `p`. The variance is shrunk towards its
/// largest possible value `p(1-p)` with the weight of two problems: a few values may all have
/// missed a rare level, and equal values do not prove certainty. Over every outcome of skewed
/// three-level distributions with 10, 30 and 100 problems it covers the truth with probability
/// 0.91 or more, where Student's interval falls to 0.65.
///
/// Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference",
/// JASA 22; the effective sample size and the `t` quantile as in Korn and Graubard 1998,
/// "Confidence intervals for proportions with small expected number of positive counts estimated
/// from survey data", Survey Methodology 24. Differs from them in `v'`.
///
/// # Errors
/// `NoValues`, `NotAProportion`.
///
/// ```
/// use bestof_estimators::mean_proportion;
/// let score = mean_proportion(&[1.0, 1.0, 1.0, 0.0])?;
/// assert!((score.low - 0.3006).abs() < 1e-4 && (score.high - 0.9544).abs() < 1e-4);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
pub fn mean_proportion(values: &[f64]) -> Result<Interval, EstimatorError> {
    if values.is_empty() {
        return Err(EstimatorError::NoValues);
    }
    if let Some(index) = values.iter().position(|x| !(0.0..=1.0).contains(x)) {
        return Err(EstimatorError::NotAProportion { index, value: values[index] });
    }
    let (p, std_error) = moments(values);
    let m = values.len() as f64;
    let bound = p * (1.0 - p);
    let is_binary = values.iter().all(|&x| x == 0.0 || x == 1.0);
    let (effective, q) = if is_binary || values.len() == 1 {
        (m, Z)
    } else {
        let squares = std_error * std_error * m * (m - 1.0);
        let shrunk = (squares + PRIOR_PROBLEMS * bound) / (m + PRIOR_PROBLEMS);
        (m * (bound / shrunk), student_quantile(values.len() - 1))
    };
    let (low, high) = score_interval(p, effective, q);
    Ok(Interval { value: p, low, high, std_error, n: values.len() })
}

/// The ends of Wilson's 95 % score interval of a share `p` in `[0, 1]` among `n > 0` independent draws,
/// of which there may be no whole number: dependent draws count for fewer.
///
/// Wilson 1927, JASA 22. NaN where `p` or `n` is.
///
/// ```
/// let (low, high) = bestof_estimators::proportion_interval(0.75, 4.0);
/// assert!((low - 0.3006).abs() < 1e-4 && (high - 0.9544).abs() < 1e-4);
/// ```
pub fn proportion_interval(p: f64, n: f64) -> (f64, f64) {
    score_interval(p, n, Z)
}

/// The same of `effective` draws at the quantile `q`.
fn score_interval(p: f64, effective: f64, q: f64) -> (f64, f64) {
    let spread = q * q / effective;
    let center = (p + 0.5 * spread) / (1.0 + spread);
    let half = q / (1.0 + spread) * sqrt(p * (1.0 - p) / effective + 0.25 * spread / effective);
    if p.is_nan() || half.is_nan() {
        return (f64::NAN, f64::NAN);
    }
    ((center - half).max(0.0).min(p), (center + half).min(1.0).max(p))
}

/// Mean of real values with its 95 % interval by Student's `t`; for max@k of rewards that are
/// not bounded.
///
/// ```text
/// mean +- t_{0.975, m-1} s / sqrt(m)
/// ```
///
/// # Errors
/// `NoValues`; `TooFewSamples` for a single value, whose variance is unknown; `NonFiniteReward`
/// and `RewardTooLarge` with the index.
///
/// ```
/// use bestof_estimators::mean_with_interval;
/// let score = mean_with_interval(&[1.0, 2.0, 3.0])?;
/// assert_eq!(score.value, 2.0);
/// assert!((score.high - 2.0 - 4.302_652_73 / 3.0_f64.sqrt()).abs() < 1e-8);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
pub fn mean_with_interval(values: &[f64]) -> Result<Interval, EstimatorError> {
    check_rewards(values)?;
    match values.len() {
        0 => Err(EstimatorError::NoValues),
        1 => {
            Err(EstimatorError::TooFewSamples { estimator: "mean_with_interval", needed: 2, n: 1 })
        }
        n => {
            let (value, std_error) = moments(values);
            let half = student_quantile(n - 1) * std_error;
            Ok(Interval { value, low: value - half, high: value + half, std_error, n })
        }
    }
}

/// Mean and its standard error.
fn moments(values: &[f64]) -> (f64, f64) {
    let mean = mean(values);
    let m = values.len() as f64;
    let std_error = if m > 1.0 { deviation_norm(values, mean) / sqrt(m * (m - 1.0)) } else { 0.0 };
    (mean, std_error)
}

/// The 97.5 % point of Student's `t` with `degrees >= 1` degrees of freedom.
///
/// From a table up to 10, and beyond by the expansion in powers of `1/degrees` around the normal
/// point (Abramowitz and Stegun 26.7.5), whose error there is below 1e-5.
fn student_quantile(degrees: usize) -> f64 {
    const TABLE: [f64; 10] = [
        12.706_204_736,
        4.302_652_730,
        3.182_446_305,
        2.776_445_105,
        2.570_581_836,
        2.446_911_851,
        2.364_624_252,
        2.306_004_135,
        2.262_157_163,
        2.228_138_852,
    ];
    if let Some(&quantile) = TABLE.get(degrees - 1) {
        return quantile;
    }
    let v = degrees as f64;
    let z2 = Z * Z;
    let terms = [
        Z,
        Z * (z2 + 1.0) / 4.0,
        Z * ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0,
        Z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0,
        Z * ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92_160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| sum / v + term)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// P(T <= t) for a whole number of degrees of freedom, by its finite series.
    fn student_cdf(t: f64, degrees: usize) -> f64 {
        let v = degrees as f64;
        let (sin, cos2) = (t / (t * t + v).sqrt(), v / (t * t + v));
        let mut term = if degrees % 2 == 1 { cos2.sqrt() } else { 1.0 };
        let mut series = if degrees == 1 { 0.0 } else { term };
        let mut j = if degrees % 2 == 1 { 3 } else { 2 };
        while j < degrees {
            term *= cos2 * (j - 1) as f64 / j as f64;
            series += term;
            j += 2;
        }
        let central = if degrees % 2 == 1 {
            (t / v.sqrt()).atan().mul_add(1.0, sin * series) * 2.0 / core::f64::consts::PI
        } else {
            sin * series
        };
        0.5 + 0.5 * central
    }

    #[test]
    fn student_quantiles_invert_the_distribution() {
        for degrees in 1..=400 {
            let covered = student_cdf(student_quantile(degrees), degrees);
            assert!((covered - 0.975).abs() < 3e-7, "{degrees}: {covered}");
        }
        assert!((student_cdf(Z, 30) - 0.975).abs() > 1e-3, "the check would accept any quantile");
    }

    #[test]
    fn certain_outcomes_keep_an_honest_width() {
        let perfect = mean_proportion(&[1.0; 10]).unwrap();
        // Wilson for 10 of 10: 10 / (10 + q^2).
        assert!((perfect.low - 10.0 / (10.0 + Z * Z)).abs() < 1e-15 && perfect.high == 1.0);
        let same = mean_proportion(&[0.5; 10]).unwrap();
        assert!(same.low < 0.4 && same.high > 0.6);
        let single = mean_proportion(&[0.0]).unwrap();
        assert!(single.low == 0.0 && single.high > 0.75);
    }

    #[test]
    fn order_and_mirror_do_not_matter() {
        let values = [0.0, 0.25, 0.9, 0.1, 1.0];
        let there = mean_proportion(&values).unwrap();
        let mirrored: Vec<f64> = values.iter().rev().map(|x| 1.0 - x).collect();
        let back = mean_proportion(&mirrored).unwrap();
        assert!((there.low - (1.0 - back.high)).abs() < 1e-14);
        assert!((there.high - (1.0 - back.low)).abs() < 1e-14);
    }

    /// Probability, summed over all outcomes of `m` problems whose value takes three levels, that
    /// the interval holds the true mean.
    fn coverage(
        levels: [f64; 3],
        chances: [f64; 3],
        m: usize,
        interval: fn(&[f64]) -> Result<Interval, EstimatorError>,
    ) -> f64 {
        let truth: f64 = levels.iter().zip(chances).map(|(x, p)| x * p).sum();
        let mut covered = 0.0;
        for (a, b) in (0..=m).flat_map(|a| (0..=m - a).map(move |b| (a, b))) {
            let counts = [a, b, m - a - b];
            let (mut probability, mut drawn) = (1.0, 0.0);
            let mut values = vec![];
            for ((&count, chance), level) in counts.iter().zip(chances).zip(levels) {
                for i in 1..=count {
                    drawn += 1.0;
                    probability *= drawn / i as f64 * chance;
                    values.push(level);
                }
            }
            let found = interval(&values).unwrap();
            if found.low <= truth && truth <= found.high {
                covered += probability;
            }
        }
        covered
    }

    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        let designs = [
            ([0.0, 0.5, 1.0], [0.3, 0.4, 0.3]),
            ([0.0, 0.5, 1.0], [0.5, 0.0, 0.5]),
            ([0.0, 0.2, 0.4], [0.6, 0.3, 0.1]),
            ([0.0, 0.7, 1.0], [0.1, 0.2, 0.7]),
            ([0.0, 0.25, 1.0], [0.80, 0.15, 0.05]),
            ([0.0, 0.1, 1.0], [0.5, 0.4, 0.1]),
            ([0.4, 0.5, 0.6], [0.3, 0.4, 0.3]),
            ([0.0, 0.25, 0.5], [0.9, 0.08, 0.02]),
        ];
        let mut worst_student = 1.0_f64;
        for (levels, chances) in designs {
            for m in [10, 30, 100] {
                let covered = coverage(levels, chances, m, mean_proportion);
                assert!(covered > 0.91, "{levels:?} {chances:?} {m}: {covered}");
                worst_student = worst_student.min(coverage(levels, chances, m, mean_with_interval));
            }
        }
        assert!(worst_student < 0.7, "an interval that is too short must be seen");
    }

    #[test]
    fn student_intervals_are_exact_for_normal_like_values() {
        let covered = coverage([-1.0, 0.0, 1.0], [0.25, 0.5, 0.25], 40, mean_with_interval);
        assert!((0.94..0.96).contains(&covered), "{covered}");
    }

    #[test]
    fn values_that_are_no_proportions_are_errors() {
        assert_eq!(mean_proportion(&[]), Err(EstimatorError::NoValues));
        assert!(matches!(
            mean_proportion(&[0.5, f64::NAN]),
            Err(EstimatorError::NotAProportion { index: 1, .. })
        ));
        assert!(matches!(
            mean_pass_at_k(&[(4, 1), (2, 1)], 3),
            Err(EstimatorError::InGroup { group: 1, .. })
        ));
        assert!(mean_with_interval(&[1.0]).is_err());
    }
}
