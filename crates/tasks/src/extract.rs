//! Finding the final answer in a worked text.

use std::ops::Range;

pub use crate::rational::Rational;

/// How a final answer was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Marker {
    /// Between `<answer>` and `</answer>`.
    Tags,
    /// After `####`, as in GSM8K.
    Hashes,
    /// Inside `\boxed{...}`, as in MATH.
    Boxed,
    /// After words such as "The answer is".
    Phrase,
    /// No marker: the last number of the text.
    LastNumber,
}

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
    match answer_range(text) {
        Some((range, marker)) => {
            let mut found = first_number(&text[range.clone()])?;
            found.range = found.range.start + range.start..found.range.end + range.start;
            Some(FoundNumber { marker, ..found })
        }
        None => found(text, number_ranges(text).pop()?),
    }
}

/// The part of the text that a marker declares to be the answer, and the marker: inside the
/// last `<answer>` tags, else after the last `####`, else in the last `\boxed{}`, else after the
/// last "answer is", "Answer:" or "A:".
///
/// The part ends at the closing tag or brace, at the end of the line, or after a phrase at the end
/// of the sentence.
pub(crate) fn answer_range(text: &str) -> Option<(Range<usize>, Marker)> {
    if let Some(range) = tagged(text) {
        return Some((range, Marker::Tags));
    }
    if let Some(at) = text.rfind("####") {
        let start = at + 4;
        return Some((start..line_end(text, start), Marker::Hashes));
    }
    if let Some(range) = boxed(text) {
        return Some((range, Marker::Boxed));
    }
    let start = phrase_end(text)?;
    let line = &text[start..line_end(text, start)];
    let length = line.find(". ").unwrap_or(line.len());
    Some((start..start + length, Marker::Phrase))
}

/// The answer part of a text and the marker that declares it, or the whole text and `None`;
/// surrounding white space is removed.
///
/// The answer part is inside the last `<answer>` tags, else after the last `####`, else in the last
/// `\boxed{}`, else after the last "answer is", "Answer:" or "A:".
pub fn answer_text(text: &str) -> (&str, Option<Marker>) {
    match answer_range(text) {
        Some((range, marker)) => (text[range].trim(), Some(marker)),
        None => (text.trim(), None),
    }
}

fn tagged(text: &str) -> Option<Range<usize>> {
    let end = text.rfind("</answer>")?;
    let start = text[..end].rfind("<answer>")? + "<answer>".len();
    Some(start..end)
}

/// Byte offset of the line that declares the answer; the working is before it.
pub(crate) fn working_end(text: &str) -> usize {
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    match answer_range(text) {
        Some((range, _)) => line_start(range.start),
        None => text.len(),
    }
}

fn line_end(text: &str, start: usize) -> usize {
    text[start..].find('\n').map_or(text.len(), |length| start + length)
}

/// The inside of the last `\boxed{...}` or `\fbox{...}` whose braces are balanced, in one pass.
fn boxed(text: &str) -> Option<Range<usize>> {
    let mut open: Vec<(usize, bool)> = Vec::new();
    let mut last: Option<Range<usize>> = None;
    for (at, symbol) in text.char_indices() {
        if symbol == '{' {
            let is_box = text[..at].ends_with("\\boxed") || text[..at].ends_with("\\fbox");
            open.push((at + 1, is_box));
        } else if symbol == '}'
            && let Some((start, true)) = open.pop()
            && last.as_ref().is_none_or(|last| last.start < start)
        {
            last = Some(start..at);
        }
    }
    last
}

/// Length of `text` up to the brace that closes the one before it.
pub(crate) fn balanced(text: &str) -> Option<usize> {
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

fn phrase_end(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    ["answer is", "answer:", "\na:"]
        .iter()
        .filter_map(|phrase| lower.rfind(phrase).map(|at| at + phrase.len()))
        .max()
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
    let joined = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
    let operand = text[..at].trim_end().chars().next_back();
    // "5 -3" and "x-3" subtract; "= -3", "(-3" and "is -3" are negative numbers.
    let subtracts =
        joined || operand.is_some_and(|c| c.is_ascii_digit() || matches!(c, ')' | ']' | '}' | '%'));
    if subtracts { digits } else { at }
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
        assert_eq!(working_end("a\nb\n#### 3"), 4);
        assert_eq!(working_end("a\nb"), 3);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}|[-−0-9,.$# \\n\\\\boxed{}]{0,40}") {
            let _ = final_number(&text);
            let _ = working_end(&text);
        }
    }
}
