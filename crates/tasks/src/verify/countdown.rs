//! Countdown: reach a target with the given numbers.

use crate::answer::offer;
use crate::expression::{ExpressionError, evaluate};
use crate::rational::Rational;

use super::verification::{Verification, Verifier};

/// Longest expression that is read, in bytes.
const MAX_LENGTH: usize = 2000;

/// The reward of expressions that miss the target.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum CountdownReward {
    /// 1 for the target, 0 for everything else.
    #[default]
    HitOrMiss,
    /// 1 for the target, else `0.9 * max(0, 1 - |value - target| / max(1, |target|))`.
    Nearness,
}

/// Rewards an expression of `+ - * /` and brackets that uses every given number exactly once and
/// equals the target, in exact arithmetic.
///
/// The expression is the marked answer part, or else the last line that is not blank; a trailing
/// `= value` is allowed if the value is right.
#[derive(Debug, Clone)]
pub struct CountdownVerifier {
    numbers: Vec<Rational>,
    target: Rational,
    reward: CountdownReward,
}

impl CountdownVerifier {
    /// Verifier for reaching `target` with `numbers`.
    ///
    /// ```
    /// use bestof_tasks::verify::{CountdownReward, CountdownVerifier, Verifier};
    ///
    /// let verifier = CountdownVerifier::new(&[6, 61, 94, 4], 309, CountdownReward::HitOrMiss);
    /// assert_eq!(verifier.verify("94*4 - 61 - 6").reward, 1.0);
    /// assert_eq!(verifier.verify("309").reward, 0.0);
    /// ```
    pub fn new(numbers: &[i64], target: i64, reward: CountdownReward) -> Self {
        let mut numbers: Vec<Rational> = numbers.iter().copied().map(Rational::from).collect();
        numbers.sort_unstable();
        Self { numbers, target: Rational::from(target), reward }
    }

    fn miss(&self, value: Rational) -> Verification {
        let reason = format!("{value} is not {}", self.target);
        let distance = match (self.reward, value.minus(self.target)) {
            (CountdownReward::Nearness, Some(difference)) => difference.magnitude().to_f64(),
            _ => return Verification::wrong(reason),
        };
        let scale = self.target.magnitude().to_f64().max(1.0);
        Verification::partial(0.9 * (1.0 - distance / scale).max(0.0), reason)
    }
}

impl Verifier for CountdownVerifier {
    fn verify(&self, completion: &str) -> Verification {
        let offer = match offer(completion) {
            Ok(offer) => offer,
            Err(reason) => return Verification::cannot_tell(reason.to_string()),
        };
        Verification::common(offer.answers.iter().map(|part| {
            let line = match offer.marker {
                Some(_) => part.as_ref(),
                None => part.lines().next_back().unwrap_or_default(),
            };
            self.judge(line).reading(line)
        }))
    }
}

impl CountdownVerifier {
    fn judge(&self, line: &str) -> Verification {
        if line.len() > MAX_LENGTH {
            return Verification::cannot_tell("the expression is too long to read");
        }
        let (expression, claimed) = match line.split_once('=') {
            Some((expression, claimed)) => (expression, Some(claimed)),
            None => (line, None),
        };
        let expression = expression
            .replace("\\times", "*")
            .replace("\\cdot", "*")
            .replace("\\div", "/")
            .replace("\\left", "")
            .replace("\\right", "");
        let expression = expression.trim_matches(|c: char| c.is_whitespace() || "`*$.".contains(c));
        if expression.contains(['^', '%']) {
            return Verification::wrong("only + - * / and brackets are allowed");
        }
        let evaluation = match evaluate(expression) {
            Ok(evaluation) => evaluation,
            Err(error @ ExpressionError::DivisionByZero) => {
                return Verification::wrong(error.to_string());
            }
            Err(error) => return Verification::cannot_tell(error.to_string()),
        };
        let mut used = evaluation.literals;
        used.sort_unstable();
        if used != self.numbers {
            return Verification::wrong("the given numbers are not used exactly once each");
        }
        let value_of = |text: &str| evaluate(text.trim_end_matches('.')).map(|claim| claim.value);
        if claimed.is_some_and(|claimed| value_of(claimed) != Ok(evaluation.value)) {
            return Verification::wrong("the value after = is not the expression's");
        }
        if evaluation.value == self.target {
            Verification::right(format!("comes to {}", self.target))
        } else {
            self.miss(evaluation.value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::VerificationOutcome::{self, CannotTell, Partial, Right, Wrong};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hard_cases() {
        let verifier = CountdownVerifier::new(&[6, 61, 94, 4], 309, CountdownReward::HitOrMiss);
        for (completion, outcome) in [
            ("94*4 - 61 - 6", Right),
            ("94 × 4 − 61 − 6", Right),
            ("94*4 - 61 - 6 = 309", Right),
            ("94*4 - 61 - 6 = 310", Wrong),
            ("I try.\n<answer>94*4-61-6</answer>", Right),
            ("\\boxed{94 \\times 4 - (61 + 6)}", Right),
            ("(94*4) - (61+6)", Right),
            ("94*4 - 61 - 6\n\n", Right),
            ("94*4 - 61", Wrong),
            ("94*4 - 61 - 6 + 6 - 6", Wrong),
            ("309", Wrong),
            ("61 + 94*4 - 6", Wrong),
            ("946 + 61 + 4", Wrong),
            ("94^1 * 4 - 61 - 6", Wrong),
            ("94*4 - 61/(6-6)", Wrong),
            ("no way", CannotTell),
            ("", CannotTell),
            ("94*4 - ", CannotTell),
            ("\\boxed{94*4-61-6}. Or \\boxed{94*4-61}", CannotTell),
        ] {
            let verdict = verifier.verify(completion);
            assert_eq!(verdict.outcome, outcome, "{completion:?}: {}", verdict.reason);
        }
    }

    #[test]
    fn nearness_pays_by_distance_and_only_for_legal_expressions() {
        let verifier = CountdownVerifier::new(&[10, 5], 20, CountdownReward::Nearness);
        let judged = |text: &str| {
            let verdict = verifier.verify(text);
            (verdict.outcome, verdict.reward)
        };
        // |15 - 20| / 20 = 0.25.
        assert_eq!(judged("10 + 5"), (Partial, 0.9 * 0.75));
        assert_eq!(judged("10 * 5"), (Wrong, 0.0));
        assert_eq!(judged("20").0, Wrong);
        assert_eq!(judged("10 + 10").1, 0.0);
        let hit: (VerificationOutcome, f64) = (Right, 1.0);
        let verifier = CountdownVerifier::new(&[10, 5], 15, CountdownReward::Nearness);
        let verdict = verifier.verify("10 + 5");
        assert_eq!((verdict.outcome, verdict.reward), hit);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}|[0-9+*/()= .^%-]{0,40}") {
            for reward in [CountdownReward::HitOrMiss, CountdownReward::Nearness] {
                let verdict = CountdownVerifier::new(&[1, 2, 3], 0, reward).verify(&text);
                prop_assert!((0.0..=1.0).contains(&verdict.reward));
            }
        }
    }
}
