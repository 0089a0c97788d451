//! Worked solutions and the positions of their calculations' results.

use std::ops::Range;

use crate::answer::working_end;
use crate::extract::{final_number, number_end};
use crate::rational::Rational;

/// Whether to keep GSM8K's calculator annotations (`<<48/2=24>>`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Annotations {
    /// Removed.
    #[default]
    Strip,
    /// Kept.
    Keep,
}

/// The result of one calculation in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalculationResult {
    /// Its value.
    pub value: Rational,
    /// Byte range of the number in the text, outside annotations.
    pub shown: Range<usize>,
    /// Byte range of the number inside the annotation, if annotations were kept.
    pub annotated: Option<Range<usize>>,
}

/// A worked solution with the results of its calculations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkedSolution {
    /// The text, with annotations kept or removed.
    pub text: String,
    /// The results, in order, answer line excluded.
    pub results: Vec<CalculationResult>,
    /// The final answer.
    pub answer: Option<Rational>,
}

impl WorkedSolution {
    /// The solution in `text`. Annotations, if there are any, mark the results; otherwise a result
    /// is a number that follows `=` and does not begin another calculation.
    ///
    /// ```
    /// use bestof_tasks::worked::{Annotations, WorkedSolution};
    ///
    /// let text = "She sold 48/2 = <<48/2=24>>24 clips.\nIn all 48+24 = <<48+24=72>>72.\n#### 72";
    /// let solution = WorkedSolution::parse(text, Annotations::Strip);
    /// assert_eq!(solution.text, "She sold 48/2 = 24 clips.\nIn all 48+24 = 72.\n#### 72");
    /// assert_eq!(solution.intermediate().len(), 1);
    /// ```
    pub fn parse(text: &str, annotations: Annotations) -> Self {
        let (text, mut results) = if text.contains("<<") {
            annotated_results(text, annotations)
        } else {
            (text.to_owned(), plain_results(text))
        };
        let end = working_end(&text);
        results.retain(|result| result.shown.end <= end);
        let answer = final_number(&text).map(|found| found.value);
        Self { text, results, answer }
    }

    /// The results that are not the answer: all but those at the end that equal it. Empty without
    /// a final answer.
    pub fn intermediate(&self) -> &[CalculationResult] {
        let Some(answer) = self.answer else { return &[] };
        let last = self.results.iter().rposition(|result| result.value != answer);
        &self.results[..last.map_or(0, |last| last + 1)]
    }

    /// The text with result `index` (from 0) replaced by `replacement`; `None` if there is none.
    pub fn with_result(&self, index: usize, replacement: &str) -> Option<String> {
        let result = self.results.get(index)?;
        let mut text = self.text.clone();
        text.replace_range(result.shown.clone(), replacement);
        if let Some(annotated) = &result.annotated {
            let plain: String = replacement.chars().filter(|c| *c != ',').collect();
            text.replace_range(annotated.clone(), &plain);
        }
        Some(text)
    }
}

/// Results after annotations, in the text with annotations kept or taken out.
fn annotated_results(source: &str, annotations: Annotations) -> (String, Vec<CalculationResult>) {
    let mut text = String::with_capacity(source.len());
    let mut results = Vec::new();
    let mut rest = source;
    while let Some(open) = rest.find("<<") {
        let Some(length) = rest[open..].find(">>") else { break };
        let inside = &rest[open + 2..open + length];
        text.push_str(&rest[..open]);
        let annotation_start = text.len() + 2;
        if annotations == Annotations::Keep {
            text.push_str(&rest[open..open + length + 2]);
        }
        rest = &rest[open + length + 2..];
        let shown = number_range(rest, 0).map(|range| range.end);
        if let (Some(length), Some(equals)) = (shown, inside.rfind('=')) {
            let annotated = inside[equals + 1..].trim();
            let offset = inside.len() - inside[equals + 1..].trim_start().len();
            let start = annotation_start + offset;
            let value = value_of(&rest[..length]);
            // A shown number that differs from the annotation is not a plain result (a percentage,
            // a rounded value), and a corruption of it would not be a single change.
            if value.is_some() && value == value_of(annotated) && !continues(&rest[length..]) {
                results.extend(value.map(|value| CalculationResult {
                    value,
                    shown: text.len()..text.len() + length,
                    annotated:
                        (annotations == Annotations::Keep).then(|| start..start + annotated.len()),
                }));
            }
        }
    }
    text.push_str(rest);
    (text, results)
}

fn plain_results(text: &str) -> Vec<CalculationResult> {
    let mut results = Vec::new();
    for (equals, _) in text.match_indices('=') {
        let rest = &text[equals + 1..];
        let skipped = rest.len() - rest.trim_start_matches([' ', '$', '€', '£', '\\']).len();
        let Some(range) = number_range(text, equals + 1 + skipped) else { continue };
        if continues(&text[range.end..]) {
            continue;
        }
        if let Some(value) = value_of(&text[range.clone()]) {
            results.push(CalculationResult { value, shown: range, annotated: None });
        }
    }
    results
}

/// The number that begins exactly at `start`, with its sign.
fn number_range(text: &str, start: usize) -> Option<Range<usize>> {
    let digits = start + usize::from(text[start..].starts_with('-'));
    let first = text[digits..].bytes().next()?;
    let end = number_end(text, digits);
    let is_number = end > digits && (first.is_ascii_digit() || first == b'.');
    is_number.then_some(start..end)
}

fn value_of(number: &str) -> Option<Rational> {
    let plain: String = number.chars().filter(|c| *c != ',').collect();
    Rational::from_decimal(&plain)
}

/// Whether a calculation continues after a number, so that the number is not a result.
fn continues(rest: &str) -> bool {
    // "2x + 1" and "5A/5" go on with a variable, "12cm" and "5 eggs" with a unit.
    let mut letters = rest.chars();
    if letters.next().is_some_and(char::is_alphabetic) {
        return !letters.next().is_some_and(char::is_alphabetic);
    }
    // "= 12 - 5" and "= 60% * 2" go on; "= $10/hour", "= 12 - enough" and "= 12-piece" do not.
    let rest = rest.strip_prefix('%').unwrap_or(rest).trim_start_matches(' ');
    rest.strip_prefix(['+', '-', '−', '*', '/', '×', '÷', 'x', '^']).is_some_and(|operand| {
        operand.trim_start_matches([' ', '$', '(']).starts_with(|c: char| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(solution: &WorkedSolution) -> Vec<&str> {
        solution.results.iter().map(|result| &solution.text[result.shown.clone()]).collect()
    }

    const SOLUTION: &str = "Ann has 3*4=<<3*4=12>>12 eggs.\nShe gets 12*100=$<<12*100=1200>>1,200.\n\
        So 1200-200=<<1200-200=1000>>1000.\n#### 1,000";

    #[test]
    fn annotated_results_are_found_in_both_forms() {
        let stripped = WorkedSolution::parse(SOLUTION, Annotations::Strip);
        assert!(!stripped.text.contains("<<"));
        assert_eq!(shown(&stripped), ["12", "1,200", "1000"]);
        assert_eq!(stripped.intermediate().len(), 2);
        assert_eq!(
            stripped.with_result(1, "1,300").unwrap(),
            stripped.text.replace("1,200", "1,300")
        );

        let kept = WorkedSolution::parse(SOLUTION, Annotations::Keep);
        assert_eq!(kept.text, SOLUTION);
        assert_eq!(shown(&kept), ["12", "1,200", "1000"]);
        assert_eq!(
            kept.with_result(1, "1,300").unwrap(),
            SOLUTION.replace("<<12*100=1200>>1,200", "<<12*100=1300>>1,300")
        );
    }

    #[test]
    fn plain_results_are_numbers_after_an_equals_sign() {
        let text = "5 + 7 = 12, and 12 = 3 * 4 = 12.\nx = -3.5 degrees, y = 4/5, cost = $1,250.\nThe answer is: 9";
        let solution = WorkedSolution::parse(text, Annotations::Strip);
        assert_eq!(shown(&solution), ["12", "12", "-3.5", "1,250"]);
        let units = "a = 30% * 2 = 60%, b = $10/hour, c = 12cm, d = 5A/5, e = 3x";
        let solution = WorkedSolution::parse(units, Annotations::Strip);
        assert_eq!(shown(&solution), ["60", "10", "12"]);
        let solution = WorkedSolution::parse(text, Annotations::Strip);
        assert_eq!(solution.answer, Some(Rational::from(9)));
        assert_eq!(solution.intermediate().len(), 4);
    }

    #[test]
    fn odd_annotations_are_no_results() {
        for text in [
            "<<1/3=0.33>>33%\n#### 5",
            "<<2*3=6>>6 * 2\n#### 5",
            "<<2*3=6>> six\n#### 5",
            "<<2*3>>6\n#### 5",
            "<<2*3=6>>6/7\n#### 5",
            "<<2*3=6",
            "<<=>>",
        ] {
            assert_eq!(WorkedSolution::parse(text, Annotations::Strip).results, [], "{text}");
        }
    }

    #[test]
    fn the_last_results_that_equal_the_answer_are_not_intermediate() {
        let text = "2*2=4\n4-1=3\n3*1=3\n#### 3";
        let solution = WorkedSolution::parse(text, Annotations::Strip);
        assert_eq!((solution.results.len(), solution.intermediate().len()), (3, 1));
        assert!(
            WorkedSolution::parse("2*2=4\n#### 4", Annotations::Strip).intermediate().is_empty()
        );
        assert!(WorkedSolution::parse("2*2=4, so", Annotations::Strip).intermediate().is_empty());
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[<>=0-9.,/#$ \\n−-]{0,40}|\\PC{0,20}") {
            for annotations in [Annotations::Strip, Annotations::Keep] {
                let solution = WorkedSolution::parse(&text, annotations);
                for index in 0..solution.results.len() {
                    prop_assert!(solution.with_result(index, "1").is_some());
                }
            }
        }
    }
}
