//! Equality of texts.

use crate::answer::{Marker, offer};
use crate::latex::TEXTS;

use super::verification::{Verification, Verifier};

/// Which differences between two texts are ignored.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum TextMatch {
    /// White space at both ends.
    Exact,
    /// Also case, spacing, punctuation and quotation marks around words, and a leading article.
    #[default]
    Normalised,
}

/// Rewards an answer that equals the expected text.
///
/// The marked answer part is compared or, without a marker, the last line that is not blank and
/// then the whole completion.
#[derive(Debug, Clone)]
pub struct TextVerifier {
    expected: String,
    accepts: TextMatch,
}

impl TextVerifier {
    /// Verifier for the text `expected`.
    ///
    /// ```
    /// use bestof_tasks::verify::{TextMatch, TextVerifier, Verifier};
    ///
    /// let verifier = TextVerifier::new("the Nile", TextMatch::Normalised);
    /// assert_eq!(verifier.verify("The answer is: Nile.").reward, 1.0);
    /// ```
    pub fn new(expected: &str, accepts: TextMatch) -> Self {
        Self { expected: normalised(expected, accepts), accepts }
    }
}

impl Verifier for TextVerifier {
    fn verify(&self, completion: &str) -> Verification {
        match offer(completion) {
            Ok(offer) => Verification::common(
                offer.answers.iter().map(|answer| self.judge(answer, offer.marker)),
            ),
            Err(reason) => Verification::cannot_tell(reason.to_string()),
        }
    }
}

impl TextVerifier {
    fn judge(&self, part: &str, marker: Option<Marker>) -> Verification {
        let last_line = part.lines().rev().find(|line| !line.trim().is_empty());
        let candidates = match marker {
            Some(_) => vec![part],
            None => last_line.into_iter().chain([part]).collect(),
        };
        let found: Vec<String> =
            candidates.into_iter().map(|text| normalised(text, self.accepts)).collect();
        let first: String =
            found.first().map(|text| text.chars().take(60).collect()).unwrap_or_default();
        if first.is_empty() {
            return Verification::cannot_tell("no answer in the completion");
        }
        let verification = if found.contains(&self.expected) {
            Verification::right(format!("{first:?} is the answer"))
        } else {
            Verification::wrong(format!("{first:?} is not {:?}", self.expected))
        };
        verification.reading(&first)
    }
}

fn normalised(text: &str, accepts: TextMatch) -> String {
    if accepts == TextMatch::Exact {
        return text.trim().to_owned();
    }
    let lower = without_fonts(text).to_lowercase();
    let mut words: Vec<&str> = lower
        .split_whitespace()
        .map(|word| {
            word.trim_matches(|c: char| {
                c.is_ascii_punctuation() && !matches!(c, '-' | '+' | '%' | '$')
            })
        })
        .filter(|word| !word.is_empty())
        .collect();
    if words.len() > 1 && matches!(words[0], "a" | "an" | "the") {
        words.remove(0);
    }
    words.join(" ")
}

/// The text without dollar signs and commands such as `\text{}`, if it has any.
fn without_fonts(text: &str) -> String {
    let fonts = || TEXTS.iter().chain(&["mathbf"]).map(|name| format!("\\{name}{{"));
    if !fonts().any(|font| text.contains(&font)) {
        return text.to_owned();
    }
    let plain = fonts().fold(text.to_owned(), |text, font| text.replace(&font, ""));
    plain.replace(['}', '$'], "")
}

#[cfg(test)]
mod tests {
    use super::super::VerificationOutcome::{CannotTell, Right, Wrong};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hard_cases() {
        for (expected, accepts, completion, outcome) in [
            ("Paris", TextMatch::Exact, " Paris\n", Right),
            ("Paris", TextMatch::Exact, "paris", Wrong),
            ("Paris", TextMatch::Exact, "I think\n#### Paris", Right),
            ("Paris", TextMatch::Normalised, "paris.", Right),
            ("Paris", TextMatch::Normalised, "Let me think.\nParis", Right),
            ("Paris", TextMatch::Normalised, "Paris\nNo, Rome", Wrong),
            ("Paris", TextMatch::Normalised, "Paris or Rome", Wrong),
            ("the Nile", TextMatch::Normalised, "\"Nile\"", Right),
            ("A", TextMatch::Normalised, "a", Right),
            ("-4", TextMatch::Normalised, "4", Wrong),
            ("New  York", TextMatch::Normalised, "new york", Right),
            ("Paris", TextMatch::Normalised, " \n ", CannotTell),
            ("Paris", TextMatch::Normalised, "...", CannotTell),
            ("Paris", TextMatch::Normalised, "\\boxed{\\text{Paris}}", Right),
            ("Paris", TextMatch::Normalised, "\\boxed{Paris}. \\boxed{Rome}", CannotTell),
            ("Paris", TextMatch::Normalised, "\\boxed{Rome} or \\boxed{Paris}", Wrong),
            ("Paris", TextMatch::Normalised, "<think>Paris</think>", CannotTell),
        ] {
            let verdict = TextVerifier::new(expected, accepts).verify(completion);
            assert_eq!(verdict.outcome, outcome, "{expected:?} against {completion:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(expected in "\\PC{0,20}", completion in "\\PC{0,60}|[a\\n .<>/answer]{0,40}") {
            for accepts in [TextMatch::Exact, TextMatch::Normalised] {
                let _ = TextVerifier::new(&expected, accepts).verify(&completion);
            }
        }
    }
}
