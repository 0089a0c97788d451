//! A measured number with its uncertainty, and the rules that turn it into a verdict.

use std::fmt;

use bestof_estimators::mean_with_interval;
use bestof_report::{Verdict, format_number};
use serde_json::{Value, json};

use crate::paired::student_point;

/// Half the width of [`Measured::of_draws`] in standard errors: one false alarm in 16,000
/// comparisons, so that dozens may be made at once.
const STANDARD_ERRORS: f64 = 4.0;

/// A number with the interval in which it lies.
///
/// ```
/// use bestof_reproduce::{Measured, Verdict};
///
/// let gain = Measured::of_seeds(&[0.3, 0.1, 0.2]); // 0.2 with 0.2 -+ 0.25
/// assert_eq!(gain.is_above(0.0), Verdict::Unclear);
/// assert_eq!(gain.is_above(-0.1), Verdict::Holds);
/// assert_eq!(gain.is_above(0.5), Verdict::DoesNot);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// The number.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
}

impl Measured {
    /// A number known but for rounding.
    pub fn exact(value: f64) -> Self {
        Self { value, low: value, high: value }
    }

    /// The mean of one number a seed, with its 95 % interval by Student's t.
    ///
    /// A single seed, or a number that is not finite, leaves the interval without bounds, and
    /// every verdict unclear.
    pub fn of_seeds(values: &[f64]) -> Self {
        let mean = || values.iter().sum::<f64>() / values.len() as f64;
        mean_with_interval(values).map_or_else(
            |_| Self { value: mean(), low: f64::NEG_INFINITY, high: f64::INFINITY },
            |found| Self { value: found.value, low: found.low, high: found.high },
        )
    }

    /// The same as one of `claims` that are judged together: an interval of 1 - 0.05 / `claims`, so
    /// that the chance that even one of theirs misses its true value is at most 5 % (Bonferroni).
    ///
    /// ```
    /// use bestof_reproduce::Measured;
    ///
    /// let values = [0.1, 0.2, 0.3];
    /// let (alone, among) = (Measured::of_seeds(&values), Measured::of_seeds_among(&values, 5));
    /// assert!(among.low < alone.low && among.high > alone.high);
    /// ```
    pub fn of_seeds_among(values: &[f64], claims: usize) -> Self {
        let alone = Self::of_seeds(values);
        if !(alone.high.is_finite() && claims > 1) {
            return alone;
        }
        let degrees = values.len() - 1;
        let wider = student_point(0.025 / claims as f64, degrees) / student_point(0.025, degrees);
        let half = wider * (alone.high - alone.value);
        Self { low: alone.value - half, high: alone.value + half, ..alone }
    }

    /// A mean of many independent draws, with four standard errors on each side.
    pub fn of_draws(value: f64, standard_error: f64) -> Self {
        let half = STANDARD_ERRORS * standard_error;
        Self { value, low: value - half, high: value + half }
    }

    /// Holds if the whole interval lies above `bound`, does not if all of it lies below.
    pub fn is_above(&self, bound: f64) -> Verdict {
        if self.low > bound {
            Verdict::Holds
        } else if self.high < bound {
            Verdict::DoesNot
        } else if self.low == bound && self.high == bound {
            // An exact tie is not above.
            Verdict::DoesNot
        } else {
            Verdict::Unclear
        }
    }

    /// Holds if the whole interval lies below `bound`, does not if all of it lies above.
    pub fn is_below(&self, bound: f64) -> Verdict {
        Self { value: -self.value, low: -self.high, high: -self.low }.is_above(-bound)
    }

    /// Holds if the whole interval lies within `tolerance` of `target`, does not if none of it
    /// does.
    pub fn is_near(&self, target: f64, tolerance: f64) -> Verdict {
        let (from, to) = (target - tolerance, target + tolerance);
        if self.low >= from && self.high <= to {
            Verdict::Holds
        } else if self.high < from || self.low > to {
            Verdict::DoesNot
        } else {
            Verdict::Unclear
        }
    }

    /// Whether the measurement can be of `expected`: does not hold if the interval excludes it,
    /// holds if it contains it and reaches at most `precision` to either side, and is unclear if
    /// the interval is so wide that it would contain almost anything.
    pub fn agrees_with(&self, expected: f64, precision: f64) -> Verdict {
        if self.high < expected || self.low > expected {
            Verdict::DoesNot
        } else if self.high - self.value <= precision && self.value - self.low <= precision {
            Verdict::Holds
        } else {
            Verdict::Unclear
        }
    }

    /// `{"value", "low", "high"}`; an end that is not finite becomes `null`.
    pub fn to_json(&self) -> Value {
        json!({"value": self.value, "low": self.low, "high": self.high})
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = format_number(self.value);
        if self.low == self.high {
            return f.pad(&value);
        }
        f.pad(&format!("{value} [{}, {}]", format_number(self.low), format_number(self.high)))
    }
}

/// Holds if every part does; does not if one part does not; of no parts nothing can be said.
pub fn all_hold(parts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let parts: Vec<Verdict> = parts.into_iter().collect();
    if parts.contains(&Verdict::DoesNot) {
        Verdict::DoesNot
    } else if parts.is_empty() || parts.contains(&Verdict::Unclear) {
        Verdict::Unclear
    } else {
        Verdict::Holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{DoesNot, Holds, Unclear};

    fn between(low: f64, high: f64) -> Measured {
        Measured { value: f64::midpoint(low, high), low, high }
    }

    #[test]
    fn a_rule_can_end_in_each_verdict() {
        for (low, high, above, below) in [
            (0.1, 0.2, Holds, DoesNot),
            (-0.2, -0.1, DoesNot, Holds),
            (-0.1, 0.1, Unclear, Unclear),
            (0.0, 0.0, DoesNot, DoesNot),
            (f64::NAN, f64::NAN, Unclear, Unclear),
            (f64::NEG_INFINITY, f64::INFINITY, Unclear, Unclear),
        ] {
            let measured = between(low, high);
            assert_eq!(measured.is_above(0.0), above, "{low} {high}");
            assert_eq!(measured.is_below(0.0), below, "{low} {high}");
        }
        for (low, high, near, agrees) in [
            (0.9, 1.1, Holds, Holds),
            (0.0, 2.0, Unclear, Unclear),
            (1.1, 1.15, Holds, DoesNot),
            (1.3, 1.4, DoesNot, DoesNot),
            (1.1, 1.3, Unclear, DoesNot),
            (f64::NAN, f64::NAN, Unclear, Unclear),
        ] {
            let measured = between(low, high);
            assert_eq!(measured.is_near(1.0, 0.2), near, "{low} {high}");
            assert_eq!(measured.agrees_with(1.0, 0.2), agrees, "{low} {high}");
        }
    }

    #[test]
    fn one_seed_says_nothing() {
        for values in [&[0.5][..], &[], &[0.5, f64::NAN]] {
            assert_eq!(Measured::of_seeds(values).is_above(-1.0), Unclear);
        }
        // t with 2 degrees of freedom: 4.3027 standard errors of 0.1 / sqrt(3).
        let three = Measured::of_seeds(&[0.1, 0.2, 0.3]);
        assert!((three.high - 0.2 - 0.248_413_8).abs() < 1e-6);
        // 9.9248 standard errors at 99 %, which five claims need; one claim needs no more than 95 %.
        let among = Measured::of_seeds_among(&[0.1, 0.2, 0.3], 5);
        assert!((among.high - 0.2 - 0.573_009).abs() < 1e-5, "{among}");
        assert_eq!(Measured::of_seeds_among(&[0.1, 0.2, 0.3], 1), three);
        assert_eq!(Measured::of_seeds_among(&[0.1], 5).is_above(-1.0), Unclear);
        assert_eq!(Measured::of_seeds_among(&[0.1, f64::NAN], 5).is_above(-1.0), Unclear);
        assert_eq!(Measured::of_draws(1.0, 0.1), Measured { value: 1.0, low: 0.6, high: 1.4 });
    }

    #[test]
    fn a_whole_is_as_good_as_its_worst_part() {
        assert_eq!(all_hold([Holds, Holds]), Holds);
        assert_eq!(all_hold([Holds, Unclear]), Unclear);
        assert_eq!(all_hold([Unclear, DoesNot, Holds]), DoesNot);
        assert_eq!(all_hold([]), Unclear);
    }
}
