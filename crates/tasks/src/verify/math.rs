//! Equality of mathematical answers: numbers, expressions, tuples, sets, texts.

use crate::algebra::{Expression, equal, parse};
use crate::extract::{Marker, answer_text};

use super::verification::{Verification, Verifier, VerifierError};

/// Largest number of parts that are compared.
const MAX_PARTS: usize = 50;

/// Longest answer that is compared, in bytes.
const MAX_LENGTH: usize = 2000;

/// Rewards an answer that is mathematically equal to the expected one.
///
/// Both are read from their answer part (`\boxed{}`, `####`, `<answer>`, "answer is"); without a
/// marker a completion's last line counts. Numbers are exact; expressions are compared as
/// [`equal`] does; lists in round or square brackets part by part, sets and bare lists in any
/// order; anything else as text without spacing. When a number is expected, an answer that only
/// writes down a calculation (two or more operations beyond the expected answer's) is wrong.
#[derive(Debug, Clone)]
pub struct MathVerifier {
    answer: String,
    expected: Answer,
}

#[derive(Debug, Clone)]
struct Answer {
    brackets: Option<(char, char)>,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    text: String,
    expression: Option<Expression>,
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
        let (part, _) = answer_text(answer);
        let expected = Answer::read(if part.len() > MAX_LENGTH { "" } else { part });
        if expected.parts.iter().all(|part| part.text.is_empty()) {
            return Err(VerifierError::Answer {
                found: answer.to_owned(),
                expected: "an answer of at most 2000 bytes",
            });
        }
        Ok(Self { answer: part.to_owned(), expected })
    }
}

impl Verifier for MathVerifier {
    fn verify(&self, completion: &str) -> Verification {
        let (part, marker) = answer_text(completion);
        let part = match marker {
            Some(_) => part,
            None => part.lines().next_back().unwrap_or_default(),
        };
        let part = if marker == Some(Marker::Phrase) { part.trim_end_matches('.') } else { part };
        if part.len() > MAX_LENGTH {
            return Verification::cannot_tell("the answer is too long to compare");
        }
        let found = Answer::read(part);
        if found.parts.iter().all(|part| part.text.is_empty()) {
            return Verification::cannot_tell("no answer in the completion");
        }
        match self.expected.same_as(&found) {
            Some(true) => Verification::right(format!("equals {}", self.answer)),
            Some(false) => Verification::wrong(format!("does not equal {}", self.answer)),
            None => Verification::cannot_tell(format!("cannot be compared with {}", self.answer)),
        }
    }
}

impl Answer {
    fn read(text: &str) -> Self {
        let text = tidy(text);
        let inner = text.as_str();
        let brackets = match (inner.chars().next(), inner.chars().next_back()) {
            (Some(open @ ('(' | '[' | '{')), Some(close @ (')' | ']' | '}')))
                if encloses_all(inner) =>
            {
                Some((open, close))
            }
            _ => None,
        };
        let list = match brackets {
            Some(_) => &inner[1..inner.len() - 1],
            None => inner,
        };
        let parts: Vec<&str> = top_level_parts(list);
        // Brackets around a single expression group and do not list.
        let groups = parts.len() == 1 && brackets != Some(('{', '}'));
        let (brackets, parts) = if groups { (None, vec![inner]) } else { (brackets, parts) };
        Self { brackets, parts: parts.into_iter().map(Part::read).collect() }
    }

    fn same_as(&self, other: &Self) -> Option<bool> {
        if self.parts.len() != other.parts.len() || self.brackets != other.brackets {
            return Some(false);
        }
        if self.parts.len() > MAX_PARTS {
            return None;
        }
        if matches!(self.brackets, Some(('(' | '[', _))) || self.parts.len() == 1 {
            let mut result = Some(true);
            for (mine, theirs) in self.parts.iter().zip(&other.parts) {
                match mine.same_as(theirs) {
                    Some(true) => {}
                    Some(false) => return Some(false),
                    None => result = None,
                }
            }
            return result;
        }
        let mut free: Vec<&Part> = other.parts.iter().collect();
        for mine in &self.parts {
            let Some(at) = free.iter().position(|theirs| mine.same_as(theirs) == Some(true)) else {
                return Some(false);
            };
            free.swap_remove(at);
        }
        Some(true)
    }
}

impl Part {
    fn read(text: &str) -> Self {
        let text = text.trim();
        // "x = 5" and "f(x) = 5" answer with what stands on the right.
        let value = match text.split_once('=') {
            Some((name, value)) if name.trim().chars().count() <= 6 && !value.contains('=') => {
                value.trim()
            }
            _ => text,
        };
        let expression = parse(value).ok();
        let spaceless: String =
            value.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
        Self { text: spaceless, expression }
    }

    fn same_as(&self, other: &Self) -> Option<bool> {
        if self.text == other.text && !self.text.is_empty() {
            return Some(true);
        }
        let (Some(mine), Some(theirs)) = (&self.expression, &other.expression) else {
            // Words against words, or an expression against something unreadable.
            return if self.expression.is_none() && !other.text.is_empty() {
                Some(false)
            } else {
                None
            };
        };
        let worked_out =
            !mine.variables().is_empty() || theirs.operations() <= mine.operations() + 1;
        Some(worked_out && equal(mine, theirs)?)
    }
}

/// Whether the first bracket is closed by the last one.
fn encloses_all(text: &str) -> bool {
    let mut depth = 0_usize;
    for (at, symbol) in text.char_indices() {
        match symbol {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + symbol.len_utf8() == text.len();
                }
            }
            _ => {}
        }
    }
    false
}

/// The parts between commas that are in no bracket.
fn top_level_parts(text: &str) -> Vec<&str> {
    let (mut depth, mut start) = (0_usize, 0);
    let mut parts = Vec::new();
    for (at, symbol) in text.char_indices() {
        match symbol {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The answer without what carries no mathematics: dollar signs, spacing, units in words,
/// percent and degree signs, thousands separators.
fn tidy(text: &str) -> String {
    let mut text = text.replace("\\left", "").replace("\\right", "").replace("{,}", "");
    for noise in ["\\!", "\\,", "\\;", "\\:", "\\ ", "\\$", "$", "\\%", "%", "**", "\\degree"] {
        text = text.replace(noise, "");
    }
    for degrees in ["^{\\circ}", "^\\circ", "°"] {
        text = text.replace(degrees, "");
    }
    text = text.replace("\\{", "{").replace("\\}", "}").replace('−', "-").replace(['\'', '"'], "");
    without_thousands(&without_words(&text)).trim().trim_end_matches(['.', ',']).trim().to_owned()
}

/// Drops `\text{...}` after something else (a unit), and keeps its words when they stand alone.
fn without_words(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    let marks = ["\\text{", "\\mathrm{", "\\mbox{", "\\textbf{"];
    while let Some((at, mark)) =
        marks.iter().filter_map(|mark| rest.find(mark).map(|at| (at, mark))).min()
    {
        let inside = &rest[at + mark.len()..];
        let Some(length) = balanced(inside) else { break };
        result.push_str(&rest[..at]);
        if result.trim().is_empty() {
            result.push_str(&inside[..length]);
        }
        rest = &inside[length + 1..];
        // A unit's exponent goes with the unit.
        for exponent in ["^{2}", "^{3}", "^2", "^3"] {
            rest = rest.strip_prefix(exponent).unwrap_or(rest);
        }
    }
    result + rest
}

/// `1,234,567` as one number, where the text is nothing else.
fn without_thousands(text: &str) -> String {
    let unsigned = text.trim().trim_start_matches('-');
    let mut groups = unsigned.split(',');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let first = groups.next().is_some_and(|part| digits(part) && part.len() <= 3 && part != "0");
    let rest: Vec<&str> = groups.collect();
    let (last, middle) = match rest.split_last() {
        Some((last, middle)) => (*last, middle),
        None => return text.to_owned(),
    };
    let last = last.split_once('.').map_or(last, |(whole, _)| whole);
    let all = first && middle.iter().chain([&last]).all(|part| digits(part) && part.len() == 3);
    if all { text.replace(',', "") } else { text.to_owned() }
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
            ("3", "we get\n3", Right),
            ("3", "\\boxed{}", CannotTell),
            ("3", "", CannotTell),
            ("3", "\\boxed{\\mathbb{R}}", CannotTell),
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

fn balanced(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, symbol) in text.char_indices() {
        match symbol {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}
