//! Equality of mathematical answers: numbers, expressions, relations, intervals, sets, tuples,
//! matrices, texts.

use crate::answer::{Marker, given_answer, offer};
use crate::latex::{Commas, MAX_LENGTH, tokens};
use crate::value::{Amount, Kind, Value, option_label, readings, same};

use super::formula::{Chosen, chosen};
use super::number;
use super::quantity::Quantity;
use super::verification::{Verification, Verifier, VerifierError};

/// Rewards an answer that is mathematically equal to the expected one.
///
/// Both are read from their answer part (`\boxed{}`, `####`, `<answer>`, "answer is"); without a
/// marker a completion's last line counts, or the last formula or number in it. Numbers are exact;
/// expressions are compared at sample points, polynomials and large numbers in a prime field;
/// tuples, intervals and matrices part by part, sets, unions and lists in any order; equations and
/// inequalities up to a factor. `x = 5` and `5` are the same answer, but `x + y = 5` and `5` are
/// not. When a number is expected, an answer that only writes down a calculation (a power, a
/// factorial, a root, or two or more operations beyond the expected answer's) is wrong.
#[derive(Debug, Clone)]
pub struct MathVerifier {
    answer: String,
    expected: Vec<Value>,
    option: Option<char>,
}

impl MathVerifier {
    /// Verifier for an answer such as `\frac{3}{4}`, `2\sqrt{3}`, `(1, -2)` or `x \in [0, 1)`; a
    /// solution with a marker is understood as well.
    ///
    /// ```
    /// use bestof_tasks::verify::{MathVerifier, Verifier};
    ///
    /// let verifier = MathVerifier::new(r"\frac{\sqrt{3}}{3}")?;
    /// assert_eq!(verifier.verify(r"so it is $\boxed{\frac{1}{\sqrt{3}}}$").reward, 1.0);
    /// # Ok::<(), bestof_tasks::verify::VerifierError>(())
    /// ```
    pub fn new(answer: &str) -> Result<Self, VerifierError> {
        let part = given_answer(answer);
        let expected = readings(&part).unwrap_or_default();
        if expected.iter().all(|value| value.text.is_empty()) {
            return Err(VerifierError::Answer {
                found: answer.chars().take(MAX_SHOWN).collect(),
                expected: "an answer that can be read, of at most 2000 bytes",
            });
        }
        let tokens = tokens(&part, Commas::List).unwrap_or_default();
        let option = option_label(&tokens).map(|(letter, _)| letter);
        Ok(Self { answer: part.chars().take(MAX_SHOWN).collect(), expected, option })
    }

    fn judge(&self, part: &str, marker: Option<Marker>) -> Verification {
        let part = match marker {
            Some(_) => part,
            None => last_formula_or_line(part),
        };
        let verification = self.judge_part(part, marker);
        if verification.extracted.is_some() { verification } else { verification.reading(part) }
    }

    fn judge_part(&self, part: &str, marker: Option<Marker>) -> Verification {
        if part.len() > MAX_LENGTH {
            return Verification::cannot_tell("the answer is too long to compare");
        }
        let whole = match readings(part) {
            Ok(whole) => whole,
            Err(error) => return Verification::cannot_tell(error.to_string()),
        };
        if whole.iter().all(|value| value.text.is_empty()) {
            return Verification::cannot_tell("no answer in the completion");
        }
        let result = self.compare(&whole);
        let names_option = self.option.is_some_and(|option| {
            let letter = whole[0].text.trim_matches(['(', ')']);
            letter.eq_ignore_ascii_case(option.encode_utf8(&mut [0; 4]))
        });
        if result == Some(true) || names_option {
            return self.verification(Some(true));
        }
        let in_prose = marker != Some(Marker::Boxed) && !whole.iter().any(Value::is_mathematical);
        let words_expected = self.expected.iter().all(|value| value.kind == Kind::Text);
        if in_prose && words_expected {
            let said = last_clause(part).and_then(|clause| readings(clause).ok());
            return self.verification(said.and_then(|said| self.compare(&said)).or(result));
        }
        if !in_prose {
            return self.verification(result);
        }
        let prose = match chosen(part, marker.is_some()) {
            Chosen::Formula(formula) => {
                return match readings(&formula) {
                    Ok(values) => self.verification(self.compare(&values)),
                    Err(error) => Verification::cannot_tell(error.to_string()),
                }
                .reading(formula);
            }
            Chosen::Several => {
                return Verification::cannot_tell("several different formulas are given");
            }
            Chosen::Prose(prose) => prose,
        };
        // Mathematics behind the last verb is the answer, and a number only if it is all of that.
        let clause = last_clause(&prose).unwrap_or(&prose);
        let values = readings(clause).unwrap_or_default();
        let number = if values.iter().any(Value::is_mathematical) {
            let result = self.compare(&values);
            match number::read(clause, Some(Marker::Phrase)) {
                Ok(quantity) if result != Some(true) => quantity,
                _ => return self.verification(result).reading(clause),
            }
        } else {
            match number::read(&prose, marker) {
                Ok(quantity) => quantity,
                Err(reason) => return Verification::cannot_tell(reason),
            }
        };
        self.verification(self.compare(&[value_of(&number)])).reading(number.value)
    }

    /// Whether a reading of what was found is a reading of what is expected.
    fn compare(&self, found: &[Value]) -> Option<bool> {
        let mut result = Some(false);
        for expected in &self.expected {
            for found in found {
                match same(expected, found) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => result = None,
                }
            }
        }
        result
    }

    fn verification(&self, result: Option<bool>) -> Verification {
        match result {
            Some(true) => Verification::right(format!("equals {}", self.answer)),
            Some(false) => Verification::wrong(format!("does not equal {}", self.answer)),
            None => Verification::cannot_tell(format!("cannot be compared with {}", self.answer)),
        }
    }
}

/// Most characters of an answer that a message shows.
const MAX_SHOWN: usize = 80;

impl Verifier for MathVerifier {
    fn verify(&self, completion: &str) -> Verification {
        match offer(completion) {
            Ok(offer) => Verification::common(
                offer.answers.iter().map(|answer| self.judge(answer, offer.marker)),
            ),
            Err(reason) => Verification::cannot_tell(reason.to_string()),
        }
    }
}

/// The displayed formula that ends a text, or its last line.
fn last_formula_or_line(text: &str) -> &str {
    let text = text.trim_end();
    for (open, close) in [("\\[", "\\]"), ("$$", "$$")] {
        if let Some(before) = text.trim_end_matches('.').strip_suffix(close)
            && let Some(start) = before.rfind(open)
        {
            let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
            return &text[line..];
        }
    }
    let fence = |line: &&str| line.trim_start().starts_with("```");
    text.lines().rev().find(|line| !fence(line)).unwrap_or_default()
}

/// What a sentence says behind its last verb or colon.
fn last_clause(sentence: &str) -> Option<&str> {
    const VERBS: [&str; 6] = [" is ", " are ", " equals ", " at ", " becomes ", ": "];
    let ends = VERBS.iter().filter_map(|verb| sentence.rfind(verb).map(|at| at + verb.len()));
    Some(&sentence[ends.max()?..])
}

fn value_of(quantity: &Quantity) -> Value {
    let amount = Amount {
        expression: crate::algebra::Expression::Number(quantity.value),
        percent: quantity.percent,
        unit: quantity.unit,
        qualifier: None,
    };
    Value {
        name: None,
        text: format!("{} ", quantity.value),
        relation: None,
        kind: Kind::Amount(amount),
    }
}

#[cfg(test)]
mod tests {
    use super::super::VerificationOutcome::{self, CannotTell, Right, Wrong};
    use super::*;
    use proptest::prelude::*;

    fn outcome(answer: &str, completion: &str) -> VerificationOutcome {
        MathVerifier::new(answer).unwrap().verify(completion).outcome
    }

    #[test]
    fn hard_cases() {
        for (answer, completion, expected) in [
            ("\\frac{3}{4}", "\\boxed{\\frac{3}{4}}", Right),
            ("\\frac{3}{4}", "\\boxed{0.75}", Right),
            ("\\frac{3}{4}", "$\\boxed{\\dfrac 34}$", Right),
            ("\\frac{3}{4}", "\\boxed{\\frac{4}{3}}", Wrong),
            ("2\\sqrt{3}", "\\boxed{\\sqrt{12}}", Right),
            ("x^2-1", "\\boxed{(x-1)(x+1)}", Right),
            ("x^2-1", "\\boxed{x^2+1}", Wrong),
            ("5", "\\boxed{x = 5}", Right),
            ("x=5", "\\boxed{5}", Right),
            ("486", "\\boxed{3^5 * 2}", Wrong),
            ("486", "\\boxed{486}", Right),
            ("4", "2+2", Right),
            ("(1,2)", "\\boxed{(1, 2)}", Right),
            ("(1,2)", "\\boxed{(2, 1)}", Wrong),
            ("(1,2)", "\\boxed{[1, 2]}", Wrong),
            ("[0,1)", "\\boxed{\\left[0, 1\\right)}", Right),
            ("(-\\infty, 2]", "\\boxed{(-\\infty,2]}", Right),
            ("(-\\infty, 2]", "\\boxed{(-\\infty,3]}", Wrong),
            ("\\{1,2\\}", "\\boxed{\\{2,1\\}}", Right),
            ("1,-2", "\\boxed{-2, 1}", Right),
            ("1,-2", "\\boxed{-2, 1, 3}", Wrong),
            ("1,-2", "\\boxed{1}", Wrong),
            ("1,1", "\\boxed{1,2}", Wrong),
            ("10,080", "\\boxed{10080}", Right),
            ("10{,}080", "\\boxed{10,080}", Right),
            ("12", "\\boxed{12\\text{ cm}}", Right),
            ("12\\text{ cm}^2", "\\boxed{12}", Right),
            ("12\\text{ cm}^2", "\\boxed{12^2}", Wrong),
            ("50\\%", "\\boxed{50}", Right),
            ("90^\\circ", "\\boxed{90}", Right),
            ("\\text{Evelyn}", "\\boxed{Evelyn}", Right),
            ("\\text{Evelyn}", "\\boxed{\\text{evelyn}}", Right),
            ("\\text{Evelyn}", "\\boxed{Eve}", Wrong),
            ("\\text{(C)}", "\\boxed{C}", Right),
            ("\\pi", "\\boxed{3.14}", Wrong),
            ("6\\pi", "\\boxed{\\pi \\cdot 6}", Right),
            ("-\\frac{1}{2}", "\\boxed{\\frac{-1}{2}}", Right),
            ("3", "The answer is $3$.", Right),
            ("3", "The answer is $\\not= 3$.", CannotTell),
            ("3", "\\boxed{\\not= 3}", CannotTell),
            ("x \\neq 3", "\\boxed{x \\not= 3}", Right),
            ("3", "we get\n3", Right),
            ("3", "\\boxed{}", CannotTell),
            ("3", "", CannotTell),
            ("3", "\\boxed{\\mathbb{R}}", Wrong),
            ("['52.2', '30.0']", "['52.2', '30']", Right),
            ("['52.2', '30.0']", "['30.0', '52.2']", Wrong),
            ("We find \\boxed{7}", "\\boxed{7}", Right),
        ] {
            assert_eq!(outcome(answer, completion), expected, "{answer:?} against {completion:?}");
        }
        for answer in ["", "\\boxed{}", "$$"] {
            assert!(MathVerifier::new(answer).is_err(), "{answer:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}|[0-9xy,=+*/^(){}\\[\\]$%\\\\fracsqrtboxed. -]{0,60}") {
            let verdict = MathVerifier::new("\\frac{3}{4}").unwrap().verify(&text);
            prop_assert!((0.0..=1.0).contains(&verdict.reward));
            if let Ok(verifier) = MathVerifier::new(&text) {
                let _ = verifier.verify(&text);
            }
        }
    }
}
