//! Numbers in running text, as whole tokens: `1,234` is one number, and `2012` does not contain 12.

use std::ops::Range;

use crate::words::number_words;

/// A number written in digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    /// Its byte range, with separators and decimals.
    pub(super) range: Range<usize>,
    /// Whether a letter, a digit of another script or `_` is adjacent, as in `1960s`.
    pub(super) glued: bool,
}

/// All numbers of `text`: digits, with thousands separators (`1,234,567`) and decimals (`3.14`)
/// where they are well formed. Each part of a date such as `1.5.1984` is a number.
pub(super) fn numbers(text: &str) -> Vec<Number> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = number_end(bytes, at);
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        let glued = text[..at].ends_with(joins) || text[end..].starts_with(joins);
        found.push(Number { range: at..end, glued });
        at = end;
    }
    found
}

fn digits_end(bytes: &[u8], start: usize) -> usize {
    bytes[start..].iter().position(|byte| !byte.is_ascii_digit()).map_or(bytes.len(), |n| start + n)
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let mut end = digits_end(bytes, start);
    if end - start <= 3 {
        while bytes.get(end) == Some(&b',') && digits_end(bytes, end + 1) == end + 4 {
            end += 4;
        }
    }
    if bytes.get(end) == Some(&b'.') {
        let decimals = digits_end(bytes, end + 1);
        let more = bytes.get(decimals) == Some(&b'.')
            && bytes.get(decimals + 1).is_some_and(u8::is_ascii_digit);
        let before = start >= 2 && bytes[start - 1] == b'.' && bytes[start - 2].is_ascii_digit();
        if decimals > end + 1 && !more && !before {
            end = decimals;
        }
    }
    end
}

/// The value of a number as it is compared: without separators and leading zeros.
pub(super) fn value(written: &str) -> String {
    let digits: String = written.chars().filter(|c| *c != ',').collect();
    let short = digits.trim_start_matches('0');
    if short.is_empty() || short.starts_with('.') { format!("0{short}") } else { short.to_owned() }
}

/// `12480` as `12,480`, decimals left alone.
pub(super) fn with_separators(digits: &str) -> String {
    let whole = digits.find('.').unwrap_or(digits.len());
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index < whole && (whole - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number from 2 to 99 in English words; `None` for others: the words for 0 and 1 have too many
/// other meanings.
pub(super) fn in_words(value: &str) -> Option<String> {
    let number = value.parse().ok().filter(|number| *number >= 2)?;
    number_words(number, "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> Vec<&str> {
        numbers(text).into_iter().map(|number| &text[number.range]).collect()
    }

    #[test]
    fn hard_cases() {
        for (text, expected) in [
            ("In 1984.", &["1984"][..]),
            ("12,480 of 1,234,567", &["12,480", "1,234,567"]),
            ("1984,1985 and 1,23 and 12,3456", &["1984", "1985", "1", "23", "12", "3456"]),
            ("3.14 or 3. Four", &["3.14", "3"]),
            ("on 12.05.1984", &["12", "05", "1984"]),
            ("(1914-1918)", &["1914", "1918"]),
            ("$1,000.50!", &["1,000.50"]),
            ("no digits, ٣", &[]),
        ] {
            assert_eq!(written(text), expected, "{text}");
        }
        let glued: Vec<bool> =
            numbers("1960s A380 14th 7 x_3 5%").iter().map(|n| n.glued).collect();
        assert_eq!(glued, [true, true, true, false, true, false]);
    }

    #[test]
    fn separators() {
        for (number, text) in [
            ("7", "7"),
            ("999", "999"),
            ("1000", "1,000"),
            ("1234567", "1,234,567"),
            ("12345.678", "12,345.678"),
        ] {
            assert_eq!(with_separators(number), text);
            assert_eq!(value(text), number);
        }
    }

    #[test]
    fn values_and_words() {
        for (text, expected) in [("1,234", "1234"), ("007", "7"), ("0", "0"), ("0.50", "0.50")] {
            assert_eq!(value(text), expected);
        }
        let words = |number: &str| in_words(number);
        assert_eq!(words("14").as_deref(), Some("fourteen"));
        assert_eq!(words("40").as_deref(), Some("forty"));
        assert_eq!(words("99").as_deref(), Some("ninety-nine"));
        assert!(words("1").is_none() && words("100").is_none() && words("1.5").is_none());
    }

    proptest! {
        #[test]
        fn every_ascii_digit_is_in_exactly_one_number(text in "[0-9,. a£é]{0,40}|\\PC{0,40}") {
            let found = numbers(&text);
            let mut covered = 0;
            for pair in found.windows(2) {
                prop_assert!(pair[0].range.end <= pair[1].range.start);
            }
            for number in &found {
                covered += text[number.range.clone()].bytes().filter(u8::is_ascii_digit).count();
                prop_assert!(!value(&text[number.range.clone()]).is_empty());
            }
            prop_assert_eq!(covered, text.bytes().filter(u8::is_ascii_digit).count());
        }
    }
}
