//! Occurrences of an answer in a text.

use std::ops::Range;

use super::super::numbers::{in_words, numbers, value};

/// An answer to search for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) text: String,
    lower: String,
    /// Value of an answer that is a number, and the number in words.
    value: Option<String>,
    words: Option<String>,
}

impl Answer {
    pub(super) fn new(text: &str) -> Self {
        let text = text.trim().to_owned();
        let value = bare_number(&text).map(|range| value(&text[range]));
        let words = value.as_deref().and_then(in_words);
        Self { lower: text.to_lowercase(), value, words, text }
    }

    /// Byte ranges where the answer occurs exactly and as whole words; a number in any digit form.
    pub(super) fn occurrences(&self, text: &str) -> Vec<Range<usize>> {
        match &self.value {
            Some(expected) => numbers(text)
                .into_iter()
                .filter(|number| !number.glued && value(&text[number.range.clone()]) == *expected)
                .map(|number| number.range)
                .collect(),
            None => whole_words(text, &self.text),
        }
    }

    /// Whether the text reveals the answer: in any case, in words, or inside a word.
    fn within(&self, text: &str, lower: &str) -> bool {
        match &self.value {
            Some(expected) => {
                numbers(text).into_iter().any(|number| value(&text[number.range]) == *expected)
                    || self.words.as_ref().is_some_and(|words| {
                        has_words(lower, words)
                            || words.contains('-') && has_words(lower, &words.replace('-', " "))
                    })
            }
            None => has_words(lower, &self.lower),
        }
    }
}

/// Whether the text reveals one of the answers.
pub(super) fn any_within(text: &str, answers: &[Answer]) -> bool {
    let lower = text.to_lowercase();
    answers.iter().any(|answer| answer.within(text, &lower))
}

/// The number of an answer that is nothing but a number, a currency sign or `%` aside.
pub(super) fn bare_number(answer: &str) -> Option<Range<usize>> {
    let found = numbers(answer);
    let [number] = found.as_slice() else { return None };
    let before = answer[..number.range.start].trim();
    let after = answer[number.range.end..].trim();
    let alone = matches!(before, "" | "$" | "€" | "£" | "¥") && matches!(after, "" | "%" | ".");
    (alone && !number.glued).then(|| number.range.clone())
}

/// Whether `c` is a letter or digit of a script that separates words by spaces.
fn joins(c: char) -> bool {
    let without_spaces =
        matches!(c, '\u{0E00}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' | '\u{2E80}'..);
    c.is_alphanumeric() && !without_spaces
}

/// Byte ranges where `words` occurs in `text` with no letter or digit adjacent; none overlap.
fn whole_words(text: &str, words: &str) -> Vec<Range<usize>> {
    matches_of(text, words).collect()
}

fn has_words(text: &str, words: &str) -> bool {
    matches_of(text, words).next().is_some()
}

fn matches_of<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = Range<usize>> + 'a {
    let open_start = words.starts_with(joins);
    let open_end = words.ends_with(joins);
    let all = (!words.is_empty()).then(|| text.match_indices(words));
    all.into_iter().flatten().map(|(start, found)| start..start + found.len()).filter(
        move |range| {
            !(open_start && text[..range.start].ends_with(joins)
                || open_end && text[range.end..].starts_with(joins))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn count(answer: &str, text: &str) -> usize {
        Answer::new(answer).occurrences(text).len()
    }

    fn within(answer: &str, text: &str) -> bool {
        any_within(text, &[Answer::new(answer)])
    }

    #[test]
    fn answers_stand_as_whole_words() {
        for (answer, text, expected) in [
            ("Rome", "Rome, not Romeo; rome", 1),
            ("St. Louis", "in St. Louis.", 1),
            ("1234", "1,234 and 1234 and 12345 and 1,234,567", 2),
            ("1,234", "1234", 1),
            ("$5", "It cost $5.", 1),
            ("14", "14.5 and 1914 and 14th", 0),
            ("東京", "日本の東京です", 1),
            ("C++", "C++ and C", 1),
            ("", "anything", 0),
        ] {
            assert_eq!(count(answer, text), expected, "{answer} in {text}");
        }
    }

    #[test]
    fn loose_occurrences_forgive_more() {
        for (answer, text, expected) in [
            ("Rome", "ROME", true),
            ("Rome", "Romeo", false),
            ("1960", "in the 1960s", true),
            ("14", "fourteen", true),
            ("24", "twenty four", true),
            ("14", "114", false),
            ("1", "one of them", false),
        ] {
            assert_eq!(within(answer, text), expected, "{answer} in {text}");
        }
    }

    #[test]
    fn numbers_alone() {
        for (answer, expected) in [
            ("1984", true),
            (" $1,000 ", true),
            ("5%", true),
            ("12.", true),
            ("1984 AD", false),
            ("14th", false),
            ("1 or 2", false),
            ("fourteen", false),
            ("", false),
            ("-5", false),
        ] {
            assert_eq!(bare_number(answer).is_some(), expected, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(answer in "\\PC{0,6}|[0-9,.]{0,6}", text in "\\PC{0,40}|[0-9,. a]{0,40}") {
            for range in Answer::new(&answer).occurrences(&text) {
                prop_assert!(text.get(range).is_some());
            }
            let _ = within(&answer, &text);
        }
    }
}
