//! Numbers in mathematical texts.

use crate::rational::Rational;

/// How commas between digits are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commas {
    /// They separate the parts of a list.
    List,
    /// They separate groups of three digits.
    Thousands,
    /// One is the decimal point.
    Decimal,
}

/// Separates groups of digits for certain: stands for `{,}` and `,\!`.
const SEPARATOR: char = '\u{2}';

/// Most digits of an exponent.
const MAX_EXPONENT_DIGITS: usize = 3;

/// Whether `text` begins with a number.
pub(super) fn starts(text: &str) -> bool {
    let digits = text.strip_prefix('.').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
}

/// The number that `text` begins with, and its length; `None` if it exceeds 128 bits.
pub(super) fn read(text: &str, commas: Commas) -> Option<(Rational, usize)> {
    let (mut plain, mut at) = whole(text, commas);
    let rest = &text[at..];
    let decimals = digits(rest.get(1..).unwrap_or_default());
    let point = rest.starts_with('.') && (decimals > 0 || rest[1..].starts_with("\\overline{"));
    let comma = commas == Commas::Decimal && rest.starts_with(',') && decimals > 0;
    if point || comma {
        plain.push('.');
        plain.push_str(&rest[1..=decimals]);
        at += 1 + decimals;
        if let Some((value, length)) = repeating(&plain, decimals, &text[at..]) {
            return Some((value, at + length));
        }
    }
    let value = Rational::from_decimal(&plain)?;
    match exponent(&text[at..]) {
        Some((power, length)) => {
            Some((value.times(Rational::from(10).power(power)?)?, at + length))
        }
        None => Some((value, at)),
    }
}

/// The whole part's digits without separators, and its length as written.
fn whole(text: &str, commas: Commas) -> (String, usize) {
    let first = digits(text);
    let mut plain = text[..first].to_owned();
    let mut at = first;
    if !(1..=3).contains(&first) {
        return (plain, at);
    }
    let grouped = |at: usize, length: usize| digits(&text[at + length..]) == 3;
    let commas_join = commas == Commas::Thousands && !plain.starts_with('0');
    loop {
        let rest = &text[at..];
        let certain = rest.starts_with(SEPARATOR);
        let spaces =
            if certain { rest[1..].len() - rest[1..].trim_start_matches(' ').len() } else { 0 };
        let spaced = [" ", "\\,", "\\ ", "~", "\u{a0}", "\u{2009}", "\u{202f}"]
            .into_iter()
            .find(|space| rest.starts_with(space) && grouped(at, space.len()))
            // "3 100/200" is a mixed number.
            .filter(|space| !text[at + space.len() + 3..].starts_with('/'));
        let length = match spaced {
            _ if certain && grouped(at, 1 + spaces) => 1 + spaces,
            _ if commas_join && rest.starts_with(',') && grouped(at, 1) => 1,
            Some(space) => space.len(),
            None => return (plain, at),
        };
        at += length;
        plain.push_str(&text[at..at + 3]);
        at += 3;
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// `0.1\overline{6}`, of which `plain` was read before the bar.
fn repeating(plain: &str, decimals: usize, rest: &str) -> Option<(Rational, usize)> {
    let inside = rest.strip_prefix("\\overline{")?;
    let length = digits(inside);
    if length == 0 || length + decimals > 30 || !inside[length..].starts_with('}') {
        return None;
    }
    let start = Rational::from_decimal(plain.trim_end_matches('.'))?;
    let ten = |places: usize| Rational::from(10).power(i64::try_from(places).ok()?);
    let period = Rational::from_decimal(&inside[..length])?
        .over(ten(length)?.minus(Rational::from(1))?)?
        .over(ten(decimals)?)?;
    Some((start.plus(period)?, rest.len() - inside.len() + length + 1))
}

/// `e-5` after a number.
fn exponent(rest: &str) -> Option<(i64, usize)> {
    let after = rest.strip_prefix(['e', 'E'])?;
    let sign = usize::from(after.starts_with(['-', '+']));
    let length = digits(&after[sign..]);
    if !(1..=MAX_EXPONENT_DIGITS).contains(&length) {
        return None;
    }
    let power = after[..sign + length].parse().ok()?;
    Some((power, 1 + sign + length))
}

const RAISED: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const SUNK: &str = "₀₁₂₃₄₅₆₇₈₉";

/// The text with raised and sunk digits as exponents and subscripts: `10⁻⁶` as `10^{-6}`.
pub(crate) fn lowered(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut open = None;
    for symbol in text.chars() {
        let digit = |digits: &str| digits.chars().position(|digit| digit == symbol);
        let (mark, written) = match (digit(RAISED), digit(SUNK), symbol) {
            (Some(value), ..) => (Some('^'), char::from_digit(value as u32, 10)),
            (_, Some(value), _) => (Some('_'), char::from_digit(value as u32, 10)),
            (.., '⁻') => (Some('^'), Some('-')),
            (.., '⁺') => (Some('^'), None),
            _ => (None, Some(symbol)),
        };
        if mark != open {
            if open.is_some() {
                plain.push('}');
            }
            if let Some(mark) = mark {
                plain.extend([mark, '{']);
            }
            open = mark;
        }
        plain.extend(written);
    }
    if open.is_some() {
        plain.push('}');
    }
    plain
}

/// A fraction that is one character.
pub(super) fn fraction(symbol: char) -> Option<Rational> {
    let (numerator, denominator) = match symbol {
        '½' => (1, 2),
        '⅓' => (1, 3),
        '⅔' => (2, 3),
        '¼' => (1, 4),
        '¾' => (3, 4),
        '⅕' => (1, 5),
        '⅖' => (2, 5),
        '⅗' => (3, 5),
        '⅘' => (4, 5),
        '⅙' => (1, 6),
        '⅚' => (5, 6),
        '⅛' => (1, 8),
        '⅜' => (3, 8),
        '⅝' => (5, 8),
        '⅞' => (7, 8),
        _ => return None,
    };
    Rational::new(numerator, denominator)
}
