//! Finding the final answer in a worked text.

use std::ops::Range;

pub use crate::answer::{Marker, answer_text};
use crate::answer::{answer_range, visible};
pub use crate::rational::Rational;

/// A number found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundNumber {
    /// Its value.
    pub value: Rational,
    /// Its byte range, with sign and thousands separators.
    pub range: Range<usize>,
    /// How it was recognised.
    pub marker: Marker,
}

/// The final number of a worked text: the first one in the answer part (see [`answer_text`]), else
/// the last number at all.
///
/// `None` if a marker is not followed by a number, or if the last number exceeds 128 bits.
///
/// ```
/// let text = "48 / 2 = 24 in May.\n48 + 24 = 72 in all.\n#### 72";
/// let found = bestof_tasks::extract::final_number(text).unwrap();
/// assert_eq!(found.value.to_string(), "72");
/// ```
pub fn final_number(text: &str) -> Option<FoundNumber> {
    if let Some((range, marker)) = answer_range(text) {
        let mut found = first_number(&text[range.clone()])?;
        found.range = found.range.start + range.start..found.range.end + range.start;
        return Some(FoundNumber { marker, ..found });
    }
    let seen = visible(text);
    let range = number_ranges(&text[seen.clone()]).pop()?;
    found(text, seen.start + range.start..seen.start + range.end)
}

fn first_number(text: &str) -> Option<FoundNumber> {
    number_ranges(text).into_iter().next().and_then(|range| found(text, range))
}

/// Every number in `text`, in order: digits with thousands separators, a decimal point, and a sign
/// that does not follow an operand. Numbers that exceed 128 bits are left out.
pub fn numbers(text: &str) -> Vec<FoundNumber> {
    number_ranges(text).into_iter().filter_map(|range| found(text, range)).collect()
}

fn found(text: &str, range: Range<usize>) -> Option<FoundNumber> {
    let digits = text[range.clone()].trim_start_matches(['-', '−', '$']);
    let plain: String = digits.chars().filter(|c| *c != ',').collect();
    let value = Rational::from_decimal(&plain)?;
    let negative = text[range.clone()].starts_with(['-', '−']);
    let value = if negative { value.negated() } else { value };
    Some(FoundNumber { value, range, marker: Marker::LastNumber })
}

/// Byte ranges of the numbers of `text`, signs included.
pub(crate) fn number_ranges(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let starts_number = bytes[at].is_ascii_digit()
            || (bytes[at] == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit));
        if starts_number {
            let end = number_end(text, at);
            ranges.push(sign_start(text, at)..end);
            at = end;
        } else {
            at += 1;
        }
    }
    ranges
}

/// End of the digits, separators and decimals that begin at `start`.
pub(crate) fn number_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let first = digits(start);
    let mut at = start + first;
    if (1..=3).contains(&first) {
        while bytes.get(at) == Some(&b',') && digits(at + 1) == 3 {
            at += 4;
        }
    }
    if bytes.get(at) == Some(&b'.') {
        let decimals = digits(at + 1);
        if decimals > 0 {
            at += 1 + decimals;
        }
    }
    at
}

/// Byte offset of the number's sign, or `digits` if it has none.
fn sign_start(text: &str, digits: usize) -> usize {
    let before = text[..digits].trim_end_matches('$');
    let Some(sign) = before.chars().next_back().filter(|c| matches!(c, '-' | '−')) else {
        return digits;
    };
    let at = before.len() - sign.len_utf8();
    if is_operand(&text[..at]) { digits } else { at }
}

/// Whether a sign behind this text adds to it or subtracts from it: "5 -3" and "x-3" subtract; "= -3",
/// "(-3" and "is -3" are negative numbers.
pub(crate) fn is_operand(before: &str) -> bool {
    let joined = before.chars().next_back().is_some_and(char::is_alphanumeric);
    let last = before.trim_end().chars().next_back();
    joined || last.is_some_and(|c| c.is_ascii_digit() || matches!(c, ')' | ']' | '}' | '%'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markers_come_before_the_last_number() {
        for (text, expected, marker) in [
            ("#### 72", "72", Marker::Hashes),
            ("#### 1\n2 more\n#### $1,234.50 dollars", "1234.5", Marker::Hashes),
            ("so \\boxed{12} of 13", "12", Marker::Boxed),
            ("\\boxed{1} and \\boxed{{2}}", "2", Marker::Boxed),
            ("The answer is: 47", "47", Marker::Phrase),
            ("It is 3.\nA: 18", "18", Marker::Phrase),
            ("Then 3 + 4 = 7.", "7", Marker::LastNumber),
            ("#### -4", "-4", Marker::Hashes),
            ("that is 4 - 1 - 7 = -4", "-4", Marker::LastNumber),
            ("we get 9-3", "3", Marker::LastNumber),
            ("loses -$5", "-5", Marker::LastNumber),
            ("pi is 3.14.", "3.14", Marker::LastNumber),
            ("1,2,3", "3", Marker::LastNumber),
            ("12,345,678 people", "12345678", Marker::LastNumber),
            ("<answer>6</answer> #### 7", "6", Marker::Tags),
            ("The answer is 5. There are 6 more.", "5", Marker::Phrase),
        ] {
            let found = final_number(text).unwrap();
            assert_eq!(
                (found.value.to_string().as_str(), found.marker),
                (expected, marker),
                "{text}"
            );
        }
        let huge = format!("12 and {}", "9".repeat(50));
        for text in ["", "none", &huge, "#### unknown\n", "3 apples. The answer is five"] {
            assert_eq!(final_number(text), None, "{text}");
        }
    }

    #[test]
    fn ranges_cover_the_number_as_written() {
        let text = "pay $1,200.50 and −3.";
        let all = numbers(text);
        assert_eq!(&text[all[0].range.clone()], "1,200.50");
        assert_eq!(all[1].value.to_string(), "-3");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}|[-−0-9,.$# \\n\\\\boxed{}]{0,40}") {
            let _ = final_number(&text);
        }
    }
}
