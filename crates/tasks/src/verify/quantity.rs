//! Numbers as people and models write them: fractions, percentages, units, LaTeX.

use std::ops::Range;

use crate::extract::{is_operand, number_end};
use crate::latex::lowered;
use crate::rational::Rational;
use crate::units::{self, Unit, is_percent, unit};

/// A number with its percent sign and unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quantity {
    pub(super) value: Rational,
    pub(super) percent: bool,
    /// The unit, if it is one of the known ones.
    pub(super) unit: Option<Unit>,
}

impl Quantity {
    /// Whether both are the same amount: equal numbers in the same unit or without one, or equal
    /// amounts in units of one dimension. A percentage equals both its number and its share.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        if let (Some(left), Some(right)) = (self.unit, other.unit) {
            let scaled = |quantity: &Self, unit: Unit| {
                quantity.value.times(Rational::new(unit.factor.0.into(), unit.factor.1.into())?)
            };
            return left.dimension == right.dimension
                && scaled(self, left).is_some()
                && scaled(self, left) == scaled(other, right);
        }
        let differ = |one: &Self, other: &Self| one.percent && other.unit.is_some();
        if differ(self, other) || differ(other, self) {
            return false;
        }
        let share = |quantity: &Self| quantity.value.over(Rational::from(100));
        self.value == other.value
            || (self.percent && !other.percent && share(self) == Some(other.value))
            || (other.percent && !self.percent && share(other) == Some(self.value))
    }
}

/// Fractions that are one character.
const FRACTIONS: &[(char, &str)] = &[
    ('½', "1/2"),
    ('⅓', "1/3"),
    ('⅔', "2/3"),
    ('¼', "1/4"),
    ('¾', "3/4"),
    ('⅕', "1/5"),
    ('⅖', "2/5"),
    ('⅗', "3/5"),
    ('⅘', "4/5"),
    ('⅙', "1/6"),
    ('⅚', "5/6"),
    ('⅛', "1/8"),
    ('⅜', "3/8"),
    ('⅝', "5/8"),
    ('⅞', "7/8"),
];

/// The text in plain characters: LaTeX fractions as `(a)/(b)`, no spacing commands or fonts, ASCII
/// signs.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for symbol in lowered(text).chars() {
        match symbol {
            '−' | '–' => plain.push('-'),
            '\u{a0}' | '\u{2009}' | '\u{202f}' => plain.push(' '),
            '×' | '·' => plain.push('*'),
            _ => match FRACTIONS.iter().find(|(sign, _)| *sign == symbol) {
                Some((_, fraction)) => {
                    if plain.ends_with(|c: char| c.is_ascii_digit()) {
                        plain.push(' ');
                    }
                    plain.push_str(fraction);
                }
                None => plain.push(symbol),
            },
        }
    }
    plain = plain
        .replace("{, }", "{,}")
        .replace(" {,}", "{,}")
        .replace("{,}", ",")
        .replace("\\$", "$")
        .replace("\\%", "%");
    plain = plain.replace(",\\! ", ",").replace("\\!", "");
    for spacing in [
        "__",
        "\\,",
        "\\;",
        "\\:",
        "\\ ",
        "~",
        "\\left",
        "\\right",
        "**",
        "`",
        "\\(",
        "\\)",
        "\\[",
        "\\]",
        "\\displaystyle",
        "\\qquad",
        "\\quad",
    ] {
        plain = plain.replace(spacing, " ");
    }
    for fraction in ["\\dfrac", "\\tfrac", "\\cfrac"] {
        plain = plain.replace(fraction, "\\frac");
    }
    for words in [
        "\\textnormal{",
        "\\textbf{",
        "\\textrm{",
        "\\textit{",
        "\\text{",
        "\\mathrm{",
        "\\mathbf{",
        "\\mathit{",
        "\\mbox{",
        "\\operatorname{",
    ] {
        plain = plain.replace(words, " {");
    }
    for degrees in ["^{\\circ}", "^\\circ", "\\degree", "\\circ"] {
        plain = plain.replace(degrees, "°");
    }
    plain = plain.replace("\\times", "*").replace("\\cdot", "*");
    simple_fractions(&plain)
}

/// `\frac{1}{2}` and `\frac12` as `1/2`, where both parts are plain numbers.
fn simple_fractions(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\frac") {
        let (before, after) = (&rest[..at], &rest[at + 5..]);
        result.push_str(before);
        let parts = fraction_part(after).and_then(|(top, after)| {
            let (bottom, after) = fraction_part(after)?;
            Some((top, bottom, after))
        });
        let Some((top, bottom, after)) = parts else {
            result.push_str("\\frac");
            rest = after;
            continue;
        };
        // "2\frac{1}{2}" is a mixed number.
        if before.ends_with(|c: char| c.is_ascii_digit()) {
            result.push(' ');
        }
        result.extend([top.as_str(), "/", bottom.as_str()]);
        rest = after;
    }
    result + rest
}

fn fraction_part(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    if let Some(inside) = text.strip_prefix('{') {
        let (part, rest) = inside.split_once('}')?;
        let part = part.trim().to_owned();
        return part.chars().all(|c| c.is_ascii_digit()).then_some((part, rest));
    }
    let digit = text.chars().next().filter(char::is_ascii_digit)?;
    Some((digit.to_string(), &text[1..]))
}

/// A quantity in a text, and its byte range with sign, percent sign and known unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundQuantity {
    /// `None` if it exceeds 128 bits.
    pub(super) quantity: Option<Quantity>,
    pub(super) range: Range<usize>,
}

/// Every quantity of a text in [`plain`] characters, in order, each in its longest form:
/// `1,200`, `-3/4`, `2 1/2`, `1.5e3`, `3 * 10^5`, `50%`, `$12`, `7 km`, `3 million`, `negative 5`.
pub(super) fn quantities(text: &str) -> Vec<FoundQuantity> {
    let bytes = text.as_bytes();
    let mut all = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let starts_number = bytes[at].is_ascii_digit()
            || (bytes[at] == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit));
        if !starts_number {
            at += 1;
            continue;
        }
        let (start, negative) = sign(text, at);
        let dollars = text[..at].trim_end().ends_with('$');
        let (value, end) = number(text, at);
        let (scale, end) = scale(text, end);
        let (percent, unit, end) = suffix(text, end);
        let unit = unit.or(dollars.then_some(Unit { dimension: "money", factor: (1, 1) }));
        let value = value.and_then(|value| value.times(Rational::from(scale)));
        let quantity = value.map(|value| Quantity {
            value: if negative { value.negated() } else { value },
            percent,
            unit,
        });
        all.push(FoundQuantity { quantity, range: start..end });
        at = end;
    }
    all
}

/// Where the sign of the number at `at` begins, and whether it makes the number negative.
fn sign(text: &str, at: usize) -> (usize, bool) {
    let before = text[..at].trim_end_matches(['$', '(', '{']);
    if let Some(rest) = before.strip_suffix(['+', '-']) {
        let negative = before.ends_with('-');
        return if is_operand(rest) { (at, false) } else { (rest.len(), negative) };
    }
    let before = before.trim_end();
    // "- 5" alone, or after an opening sign.
    if let Some(rest) = before.strip_suffix('-')
        && (rest.trim_end().is_empty() || rest.trim_end().ends_with(['=', '(', '{', '[', ':', '$']))
    {
        return (rest.len(), true);
    }
    for word in ["negative", "minus", "Negative", "Minus"] {
        if let Some(rest) = before.strip_suffix(word)
            && (word.starts_with(['n', 'N']) || !rest.trim_end().ends_with(char::is_alphanumeric))
        {
            return (rest.len(), true);
        }
    }
    (at, false)
}

/// The factor of a word such as "million" at byte `at`, and where it ends.
fn scale(text: &str, at: usize) -> (i64, usize) {
    let rest = text[at..].trim_start_matches([' ', '{', '-']);
    let length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let word = rest[..length].to_lowercase();
    match units::scale(&word) {
        Some(factor) => (factor, text.len() - rest.len() + length),
        None => (1, at),
    }
}

/// The number that begins at `start`, in its longest form, and where it ends.
fn number(text: &str, start: usize) -> (Option<Rational>, usize) {
    let (value, end) = digits(text, start);
    let Some(value) = value else { return (None, end) };
    // 3/4
    if let Some((denominator, end)) = after(text, end, "/") {
        return (value.over(denominator), end);
    }
    // 2 1/2, whose fraction has to be a proper one.
    if value.is_integer() && text[end..].starts_with(' ') {
        let (numerator, slash) =
            digits(text, end + text[end..].len() - text[end..].trim_start().len());
        if let (Some(numerator), Some((denominator, end))) = (numerator, after(text, slash, "/")) {
            let part = numerator.over(denominator).filter(|part| *part < Rational::from(1));
            return (part.and_then(|part| value.plus(part)), end);
        }
    }
    // 1.5e3 and 3 * 10^5
    for mark in ["e", "E"] {
        if let Some((exponent, end)) = exponent(text, end, mark) {
            return (powers_of_ten(value, exponent), end);
        }
    }
    for mark in ["* 10^", "*10^", "* 10 ^", "x 10^", "x10^"] {
        if let Some((exponent, end)) = exponent(text, end, mark) {
            return (powers_of_ten(value, exponent), end);
        }
    }
    (Some(value), end)
}

fn powers_of_ten(value: Rational, exponent: i64) -> Option<Rational> {
    value.times(Rational::from(10).power(exponent)?)
}

/// Plain digits at `start`; the end equals `start` when there are none.
fn digits(text: &str, start: usize) -> (Option<Rational>, usize) {
    if !text[start..].starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return (None, start);
    }
    let end = number_end(text, start);
    if let Some(end) = spaced_end(text, start, end) {
        let plain: String = text[start..end].chars().filter(|c| *c != ' ').collect();
        return (Rational::from_decimal(&plain), end);
    }
    if let Some(end) = decimal_comma_end(text, start, end) {
        return (Rational::from_decimal(&text[start..end].replace(',', ".")), end);
    }
    let plain: String = text[start..end].chars().filter(|c| *c != ',').collect();
    (Rational::from_decimal(&plain), end)
}

/// The end of `1 000 000` and `1 000.5`, whose first group of digits ends at `end`.
fn spaced_end(text: &str, start: usize, end: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let count = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    if end - start > 3 || bytes[start] == b'0' || count(start) != end - start {
        return None;
    }
    let mut last = end;
    while bytes.get(last) == Some(&b' ') && count(last + 1) == 3 {
        last += 4;
    }
    // "3 100/200" is a mixed number.
    if last == end || bytes.get(last) == Some(&b'/') {
        return None;
    }
    if bytes.get(last) == Some(&b'.') && count(last + 1) > 0 {
        last += 1 + count(last + 1);
    }
    Some(last)
}

/// The end of `2,74`, a number with a decimal comma, whose whole part ends at `end`.
fn decimal_comma_end(text: &str, start: usize, end: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let decimals = bytes.get(end + 1..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    let last = end + 1 + decimals;
    let whole = bytes[start..end].iter().all(u8::is_ascii_digit);
    let listed = text[..start].ends_with(',') || bytes.get(last) == Some(&b',');
    (bytes[end] == b',' && whole && !listed && (1..=2).contains(&decimals)).then_some(last)
}

/// The digits after `mark`, which follows at byte `at` after optional spaces.
fn after(text: &str, at: usize, mark: &str) -> Option<(Rational, usize)> {
    let rest = text[at..].trim_start_matches(' ').strip_prefix(mark)?.trim_start_matches(' ');
    let (value, end) = digits(text, text.len() - rest.len());
    Some((value?, end))
}

fn exponent(text: &str, at: usize, mark: &str) -> Option<(i64, usize)> {
    let rest = text[at..].trim_start_matches(' ').strip_prefix(mark)?.trim_start_matches('{');
    let (negative, rest) = match rest.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, rest.strip_prefix('+').unwrap_or(rest)),
    };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let magnitude: i64 = rest[..length].parse().ok()?;
    let end = text.len() - rest.len() + length;
    Some((
        if negative { -magnitude } else { magnitude },
        end + usize::from(rest[length..].starts_with('}')),
    ))
}

/// A percent sign or a known unit after a number, and where they end.
fn suffix(text: &str, end: usize) -> (bool, Option<Unit>, usize) {
    let rest = text[end..].trim_start_matches([' ', '{', '-']);
    if rest.starts_with('%') {
        return (true, None, text.len() - rest.len() + 1);
    }
    let length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let word = rest[..length].to_lowercase();
    if is_percent(&word) || word == "per" {
        return (word != "per", None, text.len() - rest.len() + length);
    }
    let unit = unit(&word);
    // Squares and cubes of a unit are other units, and their exponents are not numbers.
    let behind = &rest[length..];
    let behind = if length > 0 { behind.trim_start_matches('}') } else { behind };
    if length > 0 && behind.starts_with(['^', '²', '³']) {
        let exponent = behind.len() - behind.trim_start_matches(['^', '{', '2', '3', '}']).len();
        return (false, None, text.len() - behind.len() + exponent);
    }
    let unit = unit.filter(|_| !behind.starts_with('/'));
    let end = if unit.is_some() { text.len() - behind.len() } else { end };
    (false, unit, end)
}
