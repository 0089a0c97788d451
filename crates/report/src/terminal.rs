//! Text of others on a terminal: what would steer it is shown in place of being obeyed.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character steers a terminal, or the order in which it shows others: control characters of
/// ASCII but newline and tab, DEL, those of C1 (U+0080 to U+009F), and Unicode's overrides and isolates
/// of direction (U+202A to U+202E, U+2066 to U+2069).
pub fn steers_terminal(symbol: char) -> bool {
    let direction = matches!(symbol, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    direction || symbol.is_control() && !matches!(symbol, '\n' | '\t')
}

/// The text with every character that [`steers_terminal`] as an escape of Rust's.
///
/// ```
/// use bestof_report::shown;
///
/// assert_eq!(shown("a\u{1b}[2Jb\r\n"), "a\\u{1b}[2Jb\\r\n");
/// ```
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |out, symbol, _| out.extend(symbol.escape_default()))
}

/// The same of text whose colours (`ESC [ … m`) are the program's own, and stay.
pub fn shown_in_colour(text: &str) -> Cow<'_, str> {
    escaped(text, |out, symbol, rest| {
        let digits = rest.strip_prefix('[').map(|rest| {
            rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m')
        });
        if symbol == '\u{1b}' && digits == Some(true) {
            out.push(symbol);
        } else {
            out.extend(symbol.escape_default());
        }
    })
}

/// The same of a JSON document, which stays one of the same meaning: JSON's own escapes, of what can
/// stand inside its strings only.
pub fn shown_json(json: &str) -> Cow<'_, str> {
    escaped(json, |out, symbol, _| {
        // Writing to a text cannot fail, and none of these is beyond 16 bits.
        let _ = write!(out, "\\u{:04x}", u32::from(symbol));
    })
}

/// Calls `write` with each character that steers a terminal, and what follows it.
fn escaped(text: &str, write: impl Fn(&mut String, char, &str)) -> Cow<'_, str> {
    if !text.contains(steers_terminal) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (at, symbol) in text.char_indices() {
        if steers_terminal(symbol) {
            write(&mut out, symbol, &text[at + symbol.len_utf8()..]);
        } else {
            out.push(symbol);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_for_the_characters_that_steer_only() {
        assert!(matches!(shown("naïve → 日本\t\n"), Cow::Borrowed(_)));
        assert_eq!(
            shown("\0\r\u{7f}\u{85}\u{9b}\u{202e}\u{2069}"),
            "\\u{0}\\r\\u{7f}\\u{85}\\u{9b}\\u{202e}\\u{2069}"
        );
        assert_eq!(
            shown_in_colour("\u{1b}[32;4mok\u{1b}[0m\u{1b}[2J\u{1b}m"),
            "\u{1b}[32;4mok\u{1b}[0m\\u{1b}[2J\\u{1b}m"
        );
    }

    proptest! {
        #[test]
        fn nothing_steers_and_json_means_the_same(text in any::<String>(), c in 0_u32..0x2070) {
            let text = text + &char::from_u32(c).into_iter().collect::<String>();
            prop_assert!(!shown(&text).contains(steers_terminal));
            let json = serde_json::to_string(&text).unwrap();
            let safe = shown_json(&json);
            prop_assert!(!safe.contains(steers_terminal));
            prop_assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
        }
    }
}
