//! Mathematical texts, plain or LaTeX, as one canonical sequence of tokens.
//!
//! Fonts, spacing, sizes and delimiters are dropped; the spellings of a relation, a fraction or a
//! function become one.

mod names;
mod numbers;

pub(crate) use names::{ACCENTS, TEXTS};
pub(crate) use numbers::{Commas, lowered};

use crate::rational::Rational;
use names::{Meaning, meaning};

/// Longest text that is read, in bytes.
pub(crate) const MAX_LENGTH: usize = 2000;

/// Deepest nesting of `\text{}` groups.
const MAX_TEXT_DEPTH: usize = 8;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A number.
    Number(Rational),
    /// A letter that stands for a quantity.
    Letter(char),
    /// A word of prose or a unit, in lower case.
    Word(String),
    /// An operator, a relation, a bracket or a separator. `{` and `}` group; `⦃` and `⦄` are the
    /// braces of a set; `∧` and `∨` are "and" and "or"; `¶` ends a row.
    Sign(char),
    /// A command with a meaning beyond one character, under its one name: `frac`, `sqrt`, `sin`.
    Command(String),
    /// The beginning of an environment.
    Begin(&'static str),
    /// The end of an environment.
    End,
}

/// Why a text has no tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LatexError {
    /// A text longer than is read.
    #[error("longer than {MAX_LENGTH} bytes")]
    Long,
    /// A number beyond 128 bits.
    #[error("a number is too large")]
    Large,
    /// Groups of text in groups of text.
    #[error("text nested deeper than {MAX_TEXT_DEPTH}")]
    Nested,
}

/// The tokens of `text`, with commas between digits read as `commas` says.
pub(crate) fn tokens(text: &str, commas: Commas) -> Result<Vec<Token>, LatexError> {
    if text.len() > MAX_LENGTH {
        return Err(LatexError::Long);
    }
    let mut text = numbers::lowered(&unescaped(text))
        .replace("__", "")
        .replace("\\not=", "\\neq ")
        .replace("\\not =", "\\neq ")
        .replace("{, }", "{,}")
        .replace(" {,}", "{,}")
        .replace("{,}", "\u{2}")
        .replace(",\\!", "\u{2}");
    for degrees in ["^{\\circ}", "^\\circ", "^{\\degree}", "\\degree", "℃"] {
        text = text.replace(degrees, "");
    }
    let mut lexer = Lexer { tokens: Vec::new(), commas, prose: false, depth: 0 };
    lexer.read(&text)?;
    Ok(lexer.tokens)
}

/// The text with single backslashes where all of them were doubled, as in a JSON string that was
/// escaped twice.
fn unescaped(text: &str) -> String {
    let mut runs = text.split(|c| c != '\\').map(str::len).filter(|length| *length > 0);
    let doubled = runs.all(|length| length % 2 == 0) && text.contains('\\');
    if doubled { text.replace("\\\\", "\\") } else { text.to_owned() }
}

struct Lexer {
    tokens: Vec<Token>,
    commas: Commas,
    /// Inside `\text{}`, where letters are words.
    prose: bool,
    depth: usize,
}

impl Lexer {
    fn sign(&mut self, sign: char) {
        self.tokens.push(Token::Sign(sign));
    }

    fn read(&mut self, text: &str) -> Result<(), LatexError> {
        let mut at = 0;
        while let Some(symbol) = text[at..].chars().next() {
            let rest = &text[at..];
            at += match symbol {
                '\\' => self.command(rest)?,
                '0'..='9' | '.' if numbers::starts(rest) => self.number(rest)?,
                _ if symbol.is_alphabetic() => self.letters(rest),
                _ => self.symbol(rest, symbol),
            };
        }
        Ok(())
    }

    fn number(&mut self, rest: &str) -> Result<usize, LatexError> {
        let (value, length) = numbers::read(rest, self.commas).ok_or(LatexError::Large)?;
        self.tokens.push(Token::Number(value));
        Ok(length)
    }

    fn symbol(&mut self, rest: &str, symbol: char) -> usize {
        for (spelling, sign) in
            [("<=", '≤'), (">=", '≥'), ("!=", '≠'), ("==", '='), ("**", '^'), ("->", '→')]
        {
            if rest.starts_with(spelling) {
                self.sign(sign);
                return spelling.len();
            }
        }
        match symbol {
            '−' | '–' => self.sign('-'),
            '×' | '·' | '∙' | '∗' => self.sign('*'),
            '÷' | '⁄' => self.sign('/'),
            '，' => self.sign(','),
            '；' => self.sign(';'),
            '：' => self.sign(':'),
            '√' => self.tokens.push(Token::Command("sqrt".to_owned())),
            '°' | '$' | '~' | '`' | '€' | '£' | '¥' | '"' | '。' => {}
            // After a letter it is a prime, elsewhere a quotation mark.
            '\'' | '’' => {
                if let Some(Token::Letter(_) | Token::Sign('\'')) = self.tokens.last() {
                    self.sign('\'');
                }
            }
            _ if symbol.is_whitespace() || symbol.is_control() => {}
            _ => match numbers::fraction(symbol) {
                Some(value) => self.tokens.push(Token::Number(value)),
                None => self.sign(symbol),
            },
        }
        symbol.len_utf8()
    }

    /// A run of letters: variables, a function's name, "and", "or" or a word.
    fn letters(&mut self, rest: &str) -> usize {
        let length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        let run = &rest[..length];
        // "1orW(x)" has no space after "or".
        if let Some(after) = run.strip_prefix("or")
            && (after.is_empty() || after.starts_with(char::is_uppercase))
        {
            self.sign('∨');
            return 2;
        }
        let after_number = matches!(self.tokens.last(), Some(Token::Number(_)));
        let lower = run.to_lowercase();
        let times = run == "x" && after_number && rest[1..].trim_start().starts_with("10^");
        if times {
            self.sign('*');
        } else if lower == "and" {
            self.sign('∧');
        } else if let Some(meaning) = names::plain(run) {
            self.push(meaning);
        } else if names::is_word(run, self.prose, after_number) {
            self.tokens.push(Token::Word(lower));
        } else {
            self.tokens.extend(run.chars().map(Token::Letter));
        }
        length
    }

    fn push(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Sign(sign) => self.sign(sign),
            Meaning::Letter(letter) => self.tokens.push(Token::Letter(letter)),
            Meaning::Command(name) => self.tokens.push(Token::Command(name.to_owned())),
            Meaning::Nothing | Meaning::Text | Meaning::Hidden(_) => {}
        }
    }

    /// A command and, where it takes text or is dropped with them, its arguments.
    fn command(&mut self, rest: &str) -> Result<usize, LatexError> {
        let name = &rest[1..];
        let letters = name.bytes().take_while(u8::is_ascii_alphabetic).count();
        if letters == 0 {
            let Some(symbol) = name.chars().next() else { return Ok(1) };
            match symbol {
                '{' => self.sign('⦃'),
                '}' => self.sign('⦄'),
                '|' => self.sign('‖'),
                '%' => self.sign('%'),
                '\\' => self.sign('¶'),
                _ => {}
            }
            return Ok(1 + symbol.len_utf8());
        }
        let (name, end) = (&name[..letters], 1 + letters);
        if matches!(name, "begin" | "end") {
            return Ok(end + self.environment(name, &rest[end..]));
        }
        let after = &rest[end..];
        match meaning(name) {
            Some(Meaning::Text) => return Ok(end + self.text(after)?),
            Some(Meaning::Hidden(arguments)) => {
                let mut at = 0;
                for _ in 0..arguments {
                    at += group(&after[at..]).map_or(0, |(_, length)| length);
                }
                return Ok(end + at);
            }
            Some(Meaning::Nothing) if matches!(name, "left" | "right") => {
                // "\left." is an absent bracket.
                return Ok(end + usize::from(after.starts_with('.')));
            }
            Some(known) => self.push(known),
            None if name == "mathbb" => {
                let (inside, length) = group(after).unwrap_or(("", 0));
                let bare = after.trim_start();
                let (inside, length) = match bare.chars().next() {
                    Some(letter) if length == 0 && letter.is_ascii_alphabetic() => {
                        (&bare[..1], after.len() - bare.len() + 1)
                    }
                    _ => (inside, length),
                };
                self.sign(match inside.trim() {
                    "R" => 'ℝ',
                    "N" => 'ℕ',
                    "Z" => 'ℤ',
                    "Q" => 'ℚ',
                    "C" => 'ℂ',
                    _ => '?',
                });
                return Ok(end + length);
            }
            None => self.tokens.push(Token::Command(name.to_owned())),
        }
        Ok(end)
    }

    fn environment(&mut self, command: &str, after: &str) -> usize {
        let Some((name, length)) = group(after) else { return 0 };
        let kind = match name.trim_end_matches('*') {
            "matrix" | "pmatrix" | "bmatrix" | "Bmatrix" | "smallmatrix" | "array" => "matrix",
            "vmatrix" | "Vmatrix" => "determinant",
            "cases" => "cases",
            _ => return length,
        };
        if command == "end" {
            self.tokens.push(Token::End);
            return length;
        }
        self.tokens.push(Token::Begin(kind));
        // The columns of an array.
        let columns = if name == "array" { group(&after[length..]) } else { None };
        length + columns.map_or(0, |(_, length)| length)
    }

    /// The argument of `\text{}` and the like.
    fn text(&mut self, after: &str) -> Result<usize, LatexError> {
        let Some((inside, length)) = group(after) else { return Ok(0) };
        let word = inside.trim_matches(|c: char| c.is_whitespace() || c == '~');
        if let "e" | "i" | "d" = word {
            self.tokens.extend(word.chars().map(Token::Letter));
            return Ok(length);
        }
        if self.depth == MAX_TEXT_DEPTH {
            return Err(LatexError::Nested);
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.prose, true);
        self.read(inside)?;
        self.prose = outer;
        self.depth -= 1;
        Ok(length)
    }
}

/// The inside of the braces that `text` begins with after spaces, and where they end.
pub(crate) fn group(text: &str) -> Option<(&str, usize)> {
    let start = text.len() - text.trim_start().len();
    let inside = text[start..].strip_prefix('{')?;
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, symbol) in inside.char_indices() {
        match symbol {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' if depth == 0 => return Some((&inside[..at], start + 1 + at + 1)),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The tokens as a text without spaces, in which equal token sequences are equal.
pub(crate) fn spelled(tokens: &[Token]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for token in tokens {
        // Writing to a string cannot fail.
        let _ = match token {
            Token::Number(value) => write!(text, "{value} "),
            Token::Letter(letter) => write!(text, "{letter}"),
            Token::Word(word) => write!(text, "{word}"),
            Token::Sign(sign) => write!(text, "{sign}"),
            Token::Command(name) => write!(text, "\\{name} "),
            Token::Begin(name) => write!(text, "\\begin{name} "),
            Token::End => write!(text, "\\end "),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spelled_of(text: &str) -> String {
        spelled(&tokens(text, Commas::List).unwrap())
    }

    #[test]
    fn spellings_of_one_thing_are_one() {
        for same in [
            &["x \\leq 2", "x \\le 2", "x <= 2", "x\\leqslant2", "$x ≤ 2$"][..],
            &["\\dfrac{1}{2}", "\\tfrac{1}{2}", "\\frac{1}{2}", "\\displaystyle\\frac{1}{2}"],
            &["10\\text{ cm}", "10 \\mathrm{~cm}", "10~\\text{cm}", "10 cm", "10\\,\\mathrm{cm}"],
            &["\\left( 1, \\infty \\right)", "(1,\\infty)", "\\bigl(1,∞\\bigr)"],
            &["1{,}000", "1 000", "1\\,000", "1,\\! 000", "1000"],
            &["30^\\circ", "30^{\\circ}", "30°", "30"],
            &["x != 5", "x \\neq 5", "x \\ne 5"],
            &["-2 \\\\le x", "-2 \\le x"],
            &["\\mathrm{e}", "\\text{e}", "e"],
            &["1 \\text{ or } 2", "1 or 2"],
            &["\\mathbb{R}", "\\mathbb R", "ℝ"],
            &["\\sin x", "\\operatorname{sin} x", "sin x"],
            &["\\text{(B) }2", "(\\text{B})2"],
        ] {
            for text in same {
                assert_eq!(spelled_of(text), spelled_of(same[0]), "{text:?} and {:?}", same[0]);
            }
        }
        for (left, right) in [("x<2", "x>2"), ("1 2", "12"), ("(1)", "[1]"), ("\\{1\\}", "{1}")] {
            assert_ne!(spelled_of(left), spelled_of(right));
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}|[0-9xy,. {}\\[\\]\\\\textfracmathbb$^_]{0,60}") {
            for commas in [Commas::List, Commas::Thousands, Commas::Decimal] {
                let _ = tokens(&text, commas).map(|tokens| spelled(&tokens));
            }
        }
    }
}
