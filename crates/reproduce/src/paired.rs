//! Paired comparisons over seeds: Student's t on the differences, and Holm's correction where
//! several are made at once.

/// The one-sided p-value of the paired t test that the mean of these differences is above `bound`.
///
/// NaN where there is no test: fewer than two seeds, or a number that is not finite. Differences
/// that are all the same give 0 or 1.
pub(crate) fn p_above(differences: &[f64], bound: f64) -> f64 {
    let n = differences.len() as f64;
    if differences.len() < 2 || differences.iter().any(|gap| !gap.is_finite()) {
        return f64::NAN;
    }
    let mean = differences.iter().sum::<f64>() / n;
    let squares: f64 = differences.iter().map(|gap| (gap - mean) * (gap - mean)).sum();
    let error = (squares / (n * (n - 1.0))).sqrt();
    if error > 0.0 {
        student_tail((mean - bound) / error, differences.len() - 1)
    } else if mean > bound {
        0.0
    } else {
        1.0
    }
}

/// `P(T > t)` for Student's t with a whole number of degrees of freedom.
///
/// The finite series of Abramowitz and Stegun 26.7.3 and 26.7.4. Above 0.9999 in the middle the
/// difference from 1 loses digits, which leaves the tail good to 1e-15.
fn student_tail(t: f64, degrees: usize) -> f64 {
    let theta = libm::atan(t.abs() / (degrees as f64).sqrt());
    let (sin, cos) = libm::sincos(theta);
    let odd = degrees % 2 == 1;
    // Terms in cos, cos^3, ... for odd degrees, in 1, cos^2, ... for even ones.
    let (mut term, mut sum) = (if odd { cos } else { 1.0 }, 0.0);
    let mut power = usize::from(odd);
    while power + 2 <= degrees {
        sum += term;
        power += 2;
        term *= cos * cos * (power - 1) as f64 / power as f64;
    }
    let middle = if odd { std::f64::consts::FRAC_2_PI * (theta + sin * sum) } else { sin * sum };
    let tail = f64::midpoint(1.0, -middle);
    if t > 0.0 { tail } else { 1.0 - tail }
}

/// The `t` with `P(T > t) = tail`, for a tail below one half.
pub(crate) fn student_point(tail: f64, degrees: usize) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while student_tail(high, degrees) > tail {
        high *= 2.0;
    }
    // Halved until the two are neighbours.
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return high;
        }
        if student_tail(middle, degrees) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// The p-value that all of several effects are there: that of the weakest. NaN without effects or
/// with one that has none.
pub(crate) fn weakest(p_values: impl IntoIterator<Item = f64>) -> f64 {
    let larger =
        |most: f64, p: f64| if p.is_nan() || most.is_nan() { f64::NAN } else { most.max(p) };
    p_values.into_iter().reduce(larger).unwrap_or(f64::NAN)
}

/// The p-values after Holm's correction: to reject those at most `alpha` keeps the chance of even
/// one false rejection below `alpha` (Holm 1979). NaN counts as a test that was made, and stays.
pub(crate) fn holm(p_values: &[f64]) -> Vec<f64> {
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    // NaN comes last in this order.
    order.sort_by(|&a, &b| p_values[a].abs().total_cmp(&p_values[b].abs()));
    let mut adjusted = vec![f64::NAN; count];
    let mut least: f64 = 0.0;
    for (place, &at) in order.iter().enumerate() {
        if !p_values[at].is_nan() {
            least = least.max((p_values[at] * (count - place) as f64).min(1.0));
            adjusted[at] = least;
        }
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_tables() {
        // The 97.5 % points, as every table has them, and one 99.9 % point.
        for (degrees, point, tail) in [
            (1, 12.706_204_736, 0.025),
            (2, 4.302_652_730, 0.025),
            (3, 3.182_446_305, 0.025),
            (4, 2.776_445_105, 0.025),
            (5, 2.570_581_836, 0.025),
            (10, 2.228_138_852, 0.025),
            (4, 7.173_182, 0.001),
        ] {
            assert!((student_tail(point, degrees) - tail).abs() < 1e-9, "{degrees}");
            assert!((student_point(tail, degrees) / point - 1.0).abs() < 1e-5, "{degrees}");
            assert!((student_tail(-point, degrees) - (1.0 - tail)).abs() < 1e-9, "{degrees}");
        }
        assert!((student_tail(0.0, 4) - 0.5).abs() < 1e-15);
    }

    #[test]
    fn a_mean_is_tested_against_its_bound() {
        // Mean 0.2, standard error 0.1 / sqrt(3): t = 2 sqrt(3) with 2 degrees of freedom, whose
        // tail is (1 - t / sqrt(2 + t^2)) / 2.
        let t = 2.0 * 3.0_f64.sqrt();
        let expected = (1.0 - t / (2.0 + t * t).sqrt()) / 2.0;
        assert!((p_above(&[0.1, 0.2, 0.3], 0.0) - expected).abs() < 1e-12);
        assert!((p_above(&[0.1, 0.2, 0.3], 0.2) - 0.5).abs() < 1e-12);
        assert_eq!((p_above(&[0.1; 3], 0.0), p_above(&[0.0; 3], 0.0)), (0.0, 1.0));
        for undefined in [&[][..], &[0.1], &[0.1, f64::NAN], &[0.1, f64::INFINITY]] {
            assert!(p_above(undefined, 0.0).is_nan());
        }
    }

    #[test]
    fn holm_multiplies_the_smallest_by_all_the_next_by_one_less() {
        // Worked by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, and 1 x 0.04, which may not fall below
        // the one before it.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-15, "{adjusted:?}");
        }
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0]);
        let with_nan = holm(&[f64::NAN, 0.01]);
        assert!(with_nan[0].is_nan() && (with_nan[1] - 0.02).abs() < 1e-15);
        assert!(holm(&[]).is_empty());
    }
}
