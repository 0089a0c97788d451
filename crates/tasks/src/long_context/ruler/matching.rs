//! RULER's scores of an answer.

use serde::{Deserialize, Serialize};

/// How an answer is compared with the outputs: whether each occurs in it, whatever the case of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matching {
    /// The share of the outputs that occur (`string_match_all`).
    All,
    /// 1 if any of them occurs (`string_match_part`).
    Part,
}

impl Matching {
    /// The score of a completion, 0 to 1; RULER's is 100 times the mean over cases. 0 without outputs.
    ///
    /// ```
    /// use bestof_tasks::long_context::ruler::Matching;
    /// let outputs = ["7100342".to_owned(), "ABCDE".to_owned()];
    /// assert_eq!(Matching::All.score("It is abcde.", &outputs), 0.5);
    /// assert_eq!(Matching::Part.score("It is abcde.", &outputs), 1.0);
    /// ```
    pub fn score(self, completion: &str, outputs: &[String]) -> f64 {
        let said = printable(completion).to_lowercase();
        let found = outputs.iter().filter(|output| said.contains(&output.to_lowercase())).count();
        match self {
            Self::All => found as f64 / outputs.len().max(1) as f64,
            Self::Part => f64::from(u8::from(found > 0)),
        }
    }
}

/// A completion as RULER compares it: control characters are line breaks, and white space around it is
/// gone. One that is empty then counts among the nulls.
pub fn printable(completion: &str) -> String {
    // Python's `strip` and its `\x00-\x1f`.
    let shown: String = completion.chars().map(|c| if c < '\u{20}' { '\n' } else { c }).collect();
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of RULER's own `string_match_all([pred], [refs])` and `string_match_part` divided by 100,
    /// of `scripts/eval/synthetic/constants.py` after `postprocess_pred`, under Python 3.
    #[test]
    fn scores_are_those_of_rulers_functions() {
        let cases: [(&str, &[&str], f64, f64); 9] = [
            (" 1234567.", &["1234567"], 1.0, 1.0),
            ("12345678", &["1234567"], 1.0, 1.0),
            ("123 4567", &["1234567"], 0.0, 0.0),
            ("A, b and C", &["a", "B", "x", "e"], 0.5, 1.0),
            ("", &["a"], 0.0, 0.0),
            ("one\u{1}two", &["one\ntwo"], 1.0, 1.0),
            ("ÉCOLE", &["école"], 1.0, 1.0),
            ("no", &["yes", "maybe", "never"], 0.0, 0.0),
            ("xAbCdEx QQQQQ", &["ABCDE", "QQQQQ", "ZZZZZ"], 2.0 / 3.0, 1.0),
        ];
        for (said, outputs, all, part) in cases {
            let outputs: Vec<String> = outputs.iter().map(|&output| output.to_owned()).collect();
            let found = Matching::All.score(said, &outputs);
            assert!((found - all).abs() < 1e-12, "{said}: {found}");
            let found = Matching::Part.score(said, &outputs);
            assert!((found - part).abs() < 1e-12, "{said}: {found}");
        }
        assert_eq!(Matching::All.score("x", &[]), 0.0);
    }

    #[test]
    fn nothing_printable_is_null() {
        assert_eq!(printable("\u{0}\t \n\u{1f}"), "");
        assert_eq!(printable(" a\tb "), "a\nb");
    }
}
