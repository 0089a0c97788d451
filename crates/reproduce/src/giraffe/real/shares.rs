//! Shares of right answers, and what one way to ask finds that another does not.
//!
//! Questions about one record may be right and wrong together more often than chance has it. How
//! much more is measured on the whole study ([`spread_over_records`]) and divides the number of
//! questions in every interval and test: with three records, intervals over records alone would
//! say nothing.

use bestof_estimators::proportion_interval;
use bestof_report::Verdict;
use serde_json::{Value, json};

use crate::Measured;

/// Chance of a false finding that is accepted, over all comparisons together.
const LEVEL: f64 = 0.05;

/// Whether the questions about each record were answered right.
pub(super) type Answers = Vec<Vec<bool>>;

/// Wilson's 95 % interval of a share among `n` independent draws, which need not be a whole number
/// (Wilson 1927).
pub(super) fn wilson(share: f64, n: f64) -> Measured {
    if n.is_nan() || n <= 0.0 {
        return Measured { value: share, low: 0.0, high: 1.0 };
    }
    let (low, high) = proportion_interval(share, n);
    Measured { value: share, low, high }
}

/// How many times more right answers differ from record to record than those of independent
/// questions do: Pearson's statistic over its degrees of freedom, over all cells together, and at
/// least 1 (McCullagh & Nelder 1989, section 4.5).
///
/// Cells in which all or none are right say nothing of it.
pub(super) fn spread_over_records<'a>(cells: impl Iterator<Item = &'a Answers>) -> f64 {
    let (mut statistic, mut degrees) = (0.0, 0.0);
    for records in cells {
        let p = share(records);
        if !(p > 0.0 && p < 1.0) {
            continue;
        }
        for record in records {
            let n = record.len() as f64;
            let gap = hits(record) as f64 - n * p;
            statistic += gap * gap / (n * p * (1.0 - p));
        }
        degrees += records.len() as f64 - 1.0;
    }
    if degrees > 0.0 { (statistic / degrees).max(1.0) } else { 1.0 }
}

/// Number of right answers.
pub(super) fn hits(answers: &[bool]) -> usize {
    answers.iter().filter(|right| **right).count()
}

/// Share of right answers, all records together; NaN without any question.
pub(super) fn share(records: &Answers) -> f64 {
    let asked: usize = records.iter().map(Vec::len).sum();
    records.iter().map(|record| hits(record)).sum::<usize>() as f64 / asked as f64
}

/// The same with its interval.
pub(super) fn measured(records: &Answers, spread: f64) -> Measured {
    let asked: usize = records.iter().map(Vec::len).sum();
    wilson(share(records), asked as f64 / spread)
}

/// Two ways to ask the same questions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Paired {
    /// Questions that only the first answers right, and only the second.
    pub(super) only: [usize; 2],
    /// All questions.
    pub(super) asked: usize,
    /// What the first has more, as a share of the questions, with Newcombe's 95 % interval.
    pub(super) gain: Measured,
    /// Two-sided p-value of McNemar's exact test.
    pub(super) p: f64,
}

impl Paired {
    /// Compares answers to the same questions, question by question.
    pub(super) fn of(first: &Answers, second: &Answers, spread: f64) -> Self {
        let pairs = || first.iter().flatten().zip(second.iter().flatten());
        let count = |a: bool, b: bool| pairs().filter(|pair| *pair == (&a, &b)).count();
        let (only, asked) = ([count(true, false), count(false, true)], pairs().count());
        let table = [count(true, true), only[0], only[1], count(false, false)];
        Self { only, asked, gain: newcombe(table, spread), p: mcnemar(only, spread) }
    }

    /// Whether the first finds more: holds if the test, after correction for the others that were
    /// made, finds so; does not if it finds the contrary, or if the whole interval of the gain lies
    /// below `least`.
    pub(super) fn finds_more(&self, corrected: f64, least: f64) -> Verdict {
        let found = corrected <= LEVEL;
        if found && self.only[0] > self.only[1] {
            Verdict::Holds
        } else if (found && self.only[0] < self.only[1]) || self.gain.high < least {
            Verdict::DoesNot
        } else {
            Verdict::Unclear
        }
    }

    /// `{"gain", "low", "high", "only_first", "only_second", "asked", "p", "p_corrected"}`.
    pub(super) fn to_json(&self, corrected: f64) -> Value {
        json!({
            "gain": self.gain.value, "low": self.gain.low, "high": self.gain.high,
            "only_first": self.only[0], "only_second": self.only[1], "asked": self.asked,
            "p": self.p, "p_corrected": corrected,
        })
    }
}

/// The difference of two paired shares with its 95 % interval, method 10 of Newcombe 1998
/// (Statistics in Medicine 17, 2635): `table` counts both right, only the first, only the second,
/// and neither.
fn newcombe(table: [usize; 4], spread: f64) -> Measured {
    let [a, b, c, d] = table.map(|count| count as f64);
    let n = a + b + c + d;
    let (p, q) = ((a + b) / n, (a + c) / n);
    let (first, second) = (wilson(p, n / spread), wilson(q, n / spread));
    let margins = ((a + b) * (c + d) * (a + c) * (b + d)).sqrt();
    let product = a * d - b * c;
    let product = if product > n / 2.0 { product - n / 2.0 } else { product.min(0.0) };
    let phi = if margins > 0.0 { product / margins } else { 0.0 };
    let side = |one: f64, other: f64| (one * one - 2.0 * phi * one * other + other * other).sqrt();
    let below = side(p - first.low, second.high - q);
    let above = side(first.high - p, q - second.low);
    Measured { value: p - q, low: p - q - below, high: p - q + above }
}

/// McNemar's exact two-sided p-value: how likely questions on which both ways differ fall at least
/// as unevenly if each way is as likely to be right (McNemar 1947). Counts are divided by `spread`
/// and rounded to where they differ less.
fn mcnemar(only: [usize; 2], spread: f64) -> f64 {
    let [more, fewer] = [only[0].max(only[1]), only[0].min(only[1])].map(|count| count as f64);
    let (more, fewer) = ((more / spread).floor() as u64, (fewer / spread).ceil() as u64);
    if more <= fewer {
        return 1.0;
    }
    let n = more + fewer;
    // Binomial(n, 1/2), from the logarithm of its first term on.
    let mut log = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for k in 0..=fewer {
        tail += log.exp();
        log += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of `questions` each, as many right as said.
    fn answers(right: &[usize], questions: usize) -> Answers {
        right.iter().map(|&right| (0..questions).map(|at| at < right).collect()).collect()
    }

    #[test]
    fn intervals_are_wilsons() {
        // 81 of 263 and 15 of 148: Newcombe 1998, table I, method 3.
        for (hits, n, low, high) in [(81.0, 263.0, 0.2553, 0.3662), (15.0, 148.0, 0.0624, 0.1605)] {
            let found = wilson(hits / n, n);
            assert!((found.low - low).abs() < 5e-5 && (found.high - high).abs() < 5e-5, "{found}");
        }
        assert_eq!(wilson(0.0, 90.0).low, 0.0);
        assert!((wilson(0.0, 90.0).high - 0.0409).abs() < 5e-5);
        assert_eq!((wilson(0.5, 0.0).low, wilson(0.5, 0.0).high), (0.0, 1.0));
        assert!(wilson(f64::NAN, 3.0).is_above(0.0) == Verdict::Unclear);
        let wider = measured(&answers(&[5, 5], 10), 2.0);
        assert_eq!(wider, wilson(0.5, 10.0));
    }

    #[test]
    fn records_that_differ_by_chance_leave_the_number_of_questions() {
        // Worked by hand: 10 and 20 of 30, p = 1/2: 2 * 25 / 7.5 with one degree of freedom.
        let apart = answers(&[10, 20], 30);
        assert!((spread_over_records([&apart].into_iter()) - 20.0 / 3.0).abs() < 1e-12);
        let even = answers(&[15, 15], 30);
        assert_eq!(spread_over_records([&even].into_iter()), 1.0);
        assert!((spread_over_records([&apart, &even].into_iter()) - 10.0 / 3.0).abs() < 1e-12);
        // Nothing and everything right say nothing.
        let silent = [answers(&[0, 0], 30), answers(&[30, 30], 30)];
        assert_eq!(spread_over_records(silent.iter()), 1.0);
    }

    #[test]
    fn a_gain_and_its_interval_are_newcombes() {
        // Newcombe 1998, table III, method 10, for the first two; for the third, worked by hand,
        // 1 - sqrt(2) z^2 / (54 + z^2).
        for (table, low, high) in [
            ([36, 12, 2, 0], 0.0569, 0.3404),
            ([20, 12, 2, 16], 0.0562, 0.3292),
            ([0, 54, 0, 0], 0.9061, 1.0),
        ] {
            let found = newcombe(table, 1.0);
            assert!(
                (found.low - low).abs() < 5e-4 && (found.high - high).abs() < 5e-4,
                "{table:?} {found:?}"
            );
        }
        let none = newcombe([0, 0, 0, 90], 1.0);
        assert_eq!(none.value, 0.0);
        assert!(none.low < -0.03 && none.high < 0.05, "{none:?}");
    }

    #[test]
    fn p_values_are_those_of_the_binomial_distribution() {
        // 2 (1 + 6) / 2^6, 2 / 2^5, and one tail that is more than half.
        for (only, p) in [([1, 5], 14.0 / 64.0), ([5, 0], 2.0 / 32.0), ([3, 3], 1.0), ([0, 0], 1.0)]
        {
            assert!((mcnemar(only, 1.0) - p).abs() < 1e-12, "{only:?}");
        }
        // Half as many independent questions: 5 of 10, and 1 for 1.
        assert!((mcnemar([10, 1], 2.0) - 14.0 / 64.0).abs() < 1e-12);
        assert!(mcnemar([60, 0], 1.0) < 1e-15);
    }

    #[test]
    fn only_a_gain_that_is_found_holds() {
        let verdict = |first: usize, second: usize| {
            let (first, second) = (answers(&[first; 3], 30), answers(&[second; 3], 30));
            let paired = Paired::of(&first, &second, 1.0);
            paired.finds_more(paired.p, 0.05)
        };
        assert_eq!(verdict(12, 4), Verdict::Holds);
        assert_eq!(verdict(4, 12), Verdict::DoesNot);
        // Nothing found by either is no gain of a twentieth; a small gain may be chance.
        assert_eq!(verdict(0, 0), Verdict::DoesNot);
        assert_eq!(verdict(11, 10), Verdict::Unclear);
        let paired = Paired::of(&answers(&[12; 3], 30), &answers(&[4; 3], 30), 1.0);
        assert_eq!((paired.only, paired.asked), ([24, 0], 90));
        assert_eq!(paired.finds_more(0.2, 0.05), Verdict::Unclear, "not after correction");
        assert_eq!(paired.finds_more(f64::NAN, 0.05), Verdict::Unclear);
    }
}
