//! Building the markup of a page; the only file that escapes text.

use std::fmt::{self, Write as _};

/// Markup under construction.
#[derive(Debug, Default)]
pub(crate) struct Html(String);

impl Html {
    /// Appends markup; foreign text in it goes through [`esc`].
    pub(crate) fn put(&mut self, markup: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(markup);
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

/// Text as it may stand in an element or in a quoted attribute.
pub(crate) struct Escaped<T>(T);

/// Escapes whatever `text` displays.
pub(crate) fn esc<T: fmt::Display>(text: T) -> Escaped<T> {
    Escaped(text)
}

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => self.0.write_str("&amp;")?,
                '<' => self.0.write_str("&lt;")?,
                '>' => self.0.write_str("&gt;")?,
                '"' => self.0.write_str("&quot;")?,
                '\'' => self.0.write_str("&#39;")?,
                '\n' | '\t' => self.0.write_char(c)?,
                // Control characters are no HTML, but a reader of samples wants to see them:
                // U+2400 and on are their pictures.
                '\u{0}'..='\u{1f}' => {
                    self.0.write_char(char::from_u32(0x2400 + c as u32).unwrap_or('�'))?;
                }
                '\u{7f}'..='\u{9f}' => self.0.write_char('�')?,
                _ => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The first `limit` characters of `text` and how many bytes were left out.
pub(crate) fn shortened(text: &str, limit: usize) -> (&str, usize) {
    match text.char_indices().nth(limit) {
        Some((end, _)) => (&text[..end], text.len() - end),
        None => (text, 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_escapes(text in "\\PC*[<>\"'&\u{0}-\u{9f}]*\\PC*") {
            let out = esc(&text).to_string();
            prop_assert!(!out.contains(['<', '>', '"', '\'']));
            prop_assert!(!out.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
            for (at, _) in out.match_indices('&') {
                prop_assert!(["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"]
                    .iter()
                    .any(|entity| out[at..].starts_with(entity)));
            }
        }
    }

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(esc("a\0b\r\n\u{1b}[1m").to_string(), "a␀b␍\n␛[1m");
    }

    #[test]
    fn shortening_counts_what_is_left_out() {
        assert_eq!(shortened("héllo", 2), ("hé", 3));
        assert_eq!(shortened("héllo", 5), ("héllo", 0));
    }
}
