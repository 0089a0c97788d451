//! Equality of numbers, however they are written.

use crate::answer::{Marker, given_answer, offer};

use super::leftover::{changes_the_number, without_explanation};
use super::quantity::{Quantity, plain, quantities};
use super::verification::{Verification, Verifier, VerifierError};

/// Rewards a final number that equals the answer exactly.
///
/// The number is read from the completion's answer part (`<answer>`, `####`, `\boxed{}`, "answer
/// is"), and without such a marker it is the last number. Thousands separators, fractions, mixed
/// numbers, percentages, powers of ten, currency signs and common units are understood and
/// compared as exact fractions. An answer part with different numbers is not accepted, and neither
/// is one with anything besides the number that changes what it says: a power, a root, a
/// variable, a relation, "at least".
#[derive(Debug, Clone)]
pub struct NumberVerifier {
    answer: String,
    expected: Quantity,
}

impl NumberVerifier {
    /// Verifier for an answer such as `72`, `1,200`, `3/4`, `50%`, `$12.50` or `7 km`; a worked
    /// solution with a marker is understood as well.
    ///
    /// ```
    /// use bestof_tasks::verify::{NumberVerifier, Verifier};
    ///
    /// let verifier = NumberVerifier::new("1,200")?;
    /// assert_eq!(verifier.verify("so it costs $1200.00").reward, 1.0);
    /// assert_eq!(verifier.verify("#### 1200 or 1300").reward, 0.0);
    /// # Ok::<(), bestof_tasks::verify::VerifierError>(())
    /// ```
    pub fn new(answer: &str) -> Result<Self, VerifierError> {
        match read(&given_answer(answer), crate::answer::answer_range(answer).map(|(_, m)| m)) {
            Ok(expected) => Ok(Self { answer: answer.trim().to_owned(), expected }),
            Err(_) => Err(VerifierError::Answer { found: answer.to_owned(), expected: "a number" }),
        }
    }

    fn judge(&self, part: &str, marker: Option<Marker>) -> Verification {
        match read(part, marker) {
            Err(reason) => {
                let verification = Verification::cannot_tell(reason);
                if marker.is_some() { verification.reading(part) } else { verification }
            }
            Ok(found) if found.same_as(&self.expected) => {
                Verification::right(format!("{} equals {}", found.value, self.answer))
                    .reading(found.value)
            }
            Ok(found) => Verification::wrong(format!("{} is not {}", found.value, self.answer))
                .reading(found.value),
        }
    }
}

impl Verifier for NumberVerifier {
    fn verify(&self, completion: &str) -> Verification {
        match offer(completion) {
            Ok(offer) => Verification::common(
                offer.answers.iter().map(|answer| self.judge(answer, offer.marker)),
            ),
            Err(reason) => Verification::cannot_tell(reason.to_string()),
        }
    }
}

/// Bytes of an answer part, or of an unmarked completion's end, that are read.
const MAX_LENGTH: usize = 2000;

/// The number that an answer part gives.
pub(super) fn read(part: &str, marker: Option<Marker>) -> Result<Quantity, &'static str> {
    if marker.is_some() && part.len() > MAX_LENGTH {
        return Err("the answer is too long to read");
    }
    let part = &part[part.ceil_char_boundary(part.len().saturating_sub(MAX_LENGTH))..];
    let part = plain(part);
    let part = match marker {
        Some(_) => without_explanation(&part),
        None => part,
    };
    let mut all = quantities(&part);
    if marker.is_some() {
        // In "2 + 3 = 5" the answer is the result of the calculation.
        let result = part.rfind('=').map_or(0, |at| at + 1);
        all.retain(|found| found.range.end > result);
    }
    let last = all.pop().ok_or(match marker {
        Some(_) => "no number after the answer marker",
        None => "no number in the completion",
    })?;
    let quantity = last.quantity.ok_or("the number is too long to compare, or no number")?;
    let hedges =
        |other: &Option<Quantity>| other.as_ref().is_none_or(|other| !other.same_as(&quantity));
    if marker.is_some() && all.iter().any(|other| hedges(&other.quantity)) {
        return Err("several different numbers after the answer marker");
    }
    if changes_the_number(&part, &last.range, marker.is_some()) {
        return Err("the number is only a part of the answer");
    }
    Ok(quantity)
}

#[cfg(test)]
mod tests {
    use super::super::VerificationOutcome::{self, CannotTell, Right, Wrong};
    use super::*;
    use proptest::prelude::*;

    fn outcome(answer: &str, completion: &str) -> VerificationOutcome {
        NumberVerifier::new(answer).unwrap().verify(completion).outcome
    }

    #[test]
    fn hard_cases() {
        for (answer, completion, expected) in [
            ("72", "48 + 24 = 72\n#### 72", Right),
            ("72", "#### 72.0", Right),
            ("72", "#### $72 dollars", Right),
            ("72", "it was 72, not 73", CannotTell),
            ("72", "it was 73, no, 72", Right),
            ("72", "we get 4 +72", CannotTell),
            ("72", "so it is +72", Right),
            ("72", "\\boxed{72}", Right),
            ("72", "$\\boxed{72\\text{ clips}}$.", Right),
            ("72", "The answer is 72.", Right),
            ("72", "The answer is **72**", Right),
            ("72", "<answer>72</answer>", Right),
            ("72", "<answer>72</answer> and 5 more", Right),
            ("72", "#### 72 or 73", CannotTell),
            ("72", "#### 1, 2, 72", CannotTell),
            ("72", "#### 48 + 24 = 72", Right),
            ("72", "#### ", CannotTell),
            ("72", "", CannotTell),
            ("72", "seventy-two", CannotTell),
            ("1200", "#### 1,200", Right),
            ("1,200", "1200", Right),
            ("1200", "\\boxed{1{,}200}", Right),
            ("1200", "1.2e3", Right),
            ("1200", "1.2 \\times 10^3", Right),
            ("1200", "1.2*10^{3}", Right),
            ("0.75", "3/4", Right),
            ("0.75", "\\boxed{\\frac{3}{4}}", Right),
            ("0.75", "\\boxed{\\dfrac34}", Right),
            ("3/4", "6/8", Right),
            ("3/4", "0.75", Right),
            ("1/3", "0.333", Wrong),
            ("2.5", "2 1/2", Right),
            ("2.5", "\\boxed{2\\frac{1}{2}}", Right),
            ("2.5", "5/2", Right),
            ("50%", "50", Right),
            ("50%", "0.5", Right),
            ("50", "50%", Right),
            ("0.5", "50\\%", Right),
            ("0.5", "50 percent", Right),
            ("0.5%", "50%", Wrong),
            ("50%", "5%", Wrong),
            ("-3", "#### -3", Right),
            ("-3", "#### 3", Wrong),
            ("-3", "it is −3", Right),
            ("3", "7 - 4 = 3", Right),
            ("3", "\\boxed{-3}", Wrong),
            ("-0.5", "-\\frac{1}{2}", Right),
            ("7 km", "7000 m", Right),
            ("7 km", "7 kilometers", Right),
            ("7 km", "7", Right),
            ("7 km", "7 kg", Wrong),
            ("7 km", "7 m", Wrong),
            ("90 minutes", "1.5 hours", Right),
            ("$12.50", "1250 cents", Right),
            ("12.5", "$12.50", Right),
            ("12 apples", "12 eggs", Right),
            ("12", "12 cm^2", Right),
            ("0", "0", Right),
            ("0", "-0", Right),
            ("5", "5.", Right),
            ("0.1", "0.10000000000000000000000000000000000000000000", Right),
            ("1", "99999999999999999999999999999999999999999999999999", CannotTell),
            ("1", "1/0", CannotTell),
        ] {
            assert_eq!(outcome(answer, completion), expected, "{answer:?} against {completion:?}");
        }
        for answer in ["", "none", "#### x"] {
            assert!(NumberVerifier::new(answer).is_err(), "{answer:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            text in "\\PC{0,60}|[0-9$%./,eE^*+= {}#\\\\−fracboxed-]{0,60}",
        ) {
            let verdict = NumberVerifier::new("72").unwrap().verify(&text);
            prop_assert!((0.0..=1.0).contains(&verdict.reward));
            let _ = NumberVerifier::new(&text);
        }

        #[test]
        fn whole_numbers_are_found_behind_every_marker(value in -99_999_i64..99_999, other in 0_i64..999) {
            for text in [
                format!("first {other}, then\n#### {value}"),
                format!("{other} gives \\boxed{{{value}}}"),
                format!("I take {other}. The answer is {value}."),
                format!("{other} = {value}"),
            ] {
                let verifier = NumberVerifier::new(&value.to_string()).unwrap();
                prop_assert_eq!(verifier.verify(&text).outcome, Right, "{}", text);
                let wrong = NumberVerifier::new(&(value + 1).to_string()).unwrap();
                prop_assert_eq!(wrong.verify(&text).outcome, Wrong, "{}", text);
            }
        }
    }
}
