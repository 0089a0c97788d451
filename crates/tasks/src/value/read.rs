//! Reading values from text.

use super::relations::relation;
use super::{Amount, Kind, MAX_PARTS, Value};
use crate::algebra::{Expression, MAX_DEPTH, parse};
use crate::latex::{Commas, LatexError, Token, spelled, tokens};
use crate::rational::Rational;
use crate::units::{changes, scale, unit};

/// Words before a number that do not change it.
const NEUTRAL: [&str; 6] = ["about", "approximately", "approx", "exactly", "roughly", "nearly"];

/// The ways in which `text` can be read: with its commas as separators of a list, and with those
/// between digits as separators of thousands or as a decimal point.
pub(crate) fn readings(text: &str) -> Result<Vec<Value>, LatexError> {
    let list = tokens(text, Commas::List);
    let mut all: Vec<Vec<Token>> = Vec::new();
    let other = match Commas::Thousands {
        commas => tokens(text, commas),
    };
    let decimal = is_decimal_comma(text).then(|| tokens(text, Commas::Decimal));
    let error = list.as_ref().err().copied();
    for tokens in [Some(list), Some(other), decimal].into_iter().flatten().flatten() {
        if !all.contains(&tokens) {
            all.push(tokens);
        }
    }
    match (all.is_empty(), error) {
        (true, Some(error)) => Err(error),
        _ => Ok(all.iter().map(|tokens| answer(tokens)).collect()),
    }
}

/// Whether the only comma is between digits that are no thousands.
fn is_decimal_comma(text: &str) -> bool {
    let Some((before, after)) = text.split_once(',') else { return false };
    if text.contains(['(', '[', '{']) {
        return false;
    }
    let whole = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let decimals = after.bytes().take_while(u8::is_ascii_digit).count();
    let first = before[before.len() - whole..].bytes().next();
    let thousands = decimals == 3 && whole <= 3 && first != Some(b'0');
    whole > 0 && decimals > 0 && !thousands && !after.contains(',')
}

fn answer(tokens: &[Token]) -> Value {
    let tokens = trimmed(tokens);
    let tokens = option_label(tokens).map_or(tokens, |(_, rest)| rest);
    list(tokens, 0)
}

/// The letter of an option that stands before its content, as in `\text{(B) } 2`, and the content.
pub(crate) fn option_label(tokens: &[Token]) -> Option<(char, &[Token])> {
    let [Token::Sign('('), letter, Token::Sign(')'), rest @ ..] = tokens else { return None };
    let letter = match letter {
        Token::Letter(letter @ 'A'..='F') => *letter,
        Token::Word(word) => match word.chars().next() {
            Some(letter @ 'a'..='f') if word.len() == 1 => letter.to_ascii_uppercase(),
            _ => return None,
        },
        _ => return None,
    };
    let content = match rest.first()? {
        Token::Number(_) | Token::Word(_) | Token::Command(_) => true,
        Token::Sign(sign) => *sign == '-',
        _ => false,
    };
    content.then_some((letter, rest))
}

/// Tokens without the full stop and comma at their end.
fn trimmed(mut tokens: &[Token]) -> &[Token] {
    while let [rest @ .., Token::Sign('.' | ',' | ';' | ':')] = tokens {
        tokens = rest;
    }
    tokens
}

/// The parts of `tokens` between the separators that are in no bracket.
pub(super) fn split<'t>(tokens: &'t [Token], separators: &[char]) -> Vec<&'t [Token]> {
    let (mut depth, mut start) = (0_usize, 0);
    let mut parts = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{' | '⦃' | '⌊' | '⌈') | Token::Begin(_) => depth += 1,
            Token::Sign(')' | ']' | '}' | '⦄' | '⌋' | '⌉') | Token::End => {
                depth = depth.saturating_sub(1);
            }
            Token::Sign(sign) if depth == 0 && separators.contains(sign) => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

/// Whether the first bracket is closed by the last one.
pub(super) fn encloses_all(tokens: &[Token]) -> bool {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{' | '⦃' | '⌊' | '⌈') | Token::Begin(_) => depth += 1,
            Token::Sign(')' | ']' | '}' | '⦄' | '⌋' | '⌉') | Token::End => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1 == tokens.len();
                }
            }
            _ => {}
        }
    }
    false
}

pub(super) fn of_kind(tokens: &[Token], kind: Kind) -> Value {
    Value { name: None, text: spelled(tokens), relation: None, kind }
}

/// A list, or its only element.
pub(super) fn list(tokens: &[Token], depth: usize) -> Value {
    let tokens = trimmed(tokens);
    if depth > MAX_DEPTH {
        return of_kind(tokens, Kind::Text);
    }
    let inner = |tokens| -> Vec<&[Token]> {
        split(tokens, &[',', '∧']).into_iter().filter(|part| !part.is_empty()).collect()
    };
    let outer: Vec<Vec<&[Token]>> = split(tokens, &[';', '∨']).into_iter().map(inner).collect();
    let first = outer.first().map_or(0, Vec::len);
    let equations = outer.iter().flatten().all(|part| part.contains(&Token::Sign('=')));
    let tuples = outer.len() > 1
        && first > 1
        && outer.iter().all(|parts| parts.len() == first)
        && (equations || tokens.contains(&Token::Sign(';')));
    let parts: Vec<Value> = if tuples {
        let tuple = |parts: Vec<&[Token]>| {
            let parts = parts.into_iter().flat_map(|part| elements(part, depth)).collect();
            of_kind(&[], Kind::Sequence { open: '(', parts, close: ')' })
        };
        outer.into_iter().map(tuple).collect()
    } else {
        outer.into_iter().flatten().flat_map(|part| elements(part, depth)).collect()
    };
    let is_range = |value: &Value| {
        matches!(value.kind, Kind::Sequence { .. } | Kind::Union(_))
            && value.text.contains(['<', '>', '≤', '≥'])
    };
    match <[Value; 1]>::try_from(parts) {
        Ok([only]) => only,
        // "x < 1 or x > 3"
        Err(parts) if parts.iter().all(is_range) && split(tokens, &['∨']).len() > 1 => {
            of_kind(tokens, Kind::Union(flat_union(parts)))
        }
        Err(parts) if parts.is_empty() => of_kind(tokens, Kind::Text),
        Err(parts) => of_kind(tokens, Kind::Set(parts)),
    }
}

fn flat_union(parts: Vec<Value>) -> Vec<Value> {
    parts
        .into_iter()
        .flat_map(|part| match part.kind {
            Kind::Union(inner) => inner,
            _ => vec![part],
        })
        .collect()
}

/// An element of a list; two of them if it has a sign such as ±.
fn elements(tokens: &[Token], depth: usize) -> Vec<Value> {
    let doubled = |token: &Token| matches!(token, Token::Sign('±' | '∓'));
    let nested = tokens.iter().any(|token| matches!(token, Token::Sign('⦃')));
    let group = matches!(tokens.first(), Some(Token::Sign('{'))) && encloses_all(tokens);
    if !tokens.iter().any(doubled) || nested || group {
        return vec![relation(tokens, depth)];
    }
    let with = |upper: char, lower: char| -> Vec<Token> {
        let replaced = |token: &Token| match token {
            Token::Sign('±') => Token::Sign(upper),
            Token::Sign('∓') => Token::Sign(lower),
            other => other.clone(),
        };
        tokens.iter().map(replaced).collect()
    };
    vec![relation(&with('+', '-'), depth), relation(&with('-', '+'), depth)]
}

/// A set, or what operations on sets make of several.
pub(super) fn sets(tokens: &[Token], depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return of_kind(tokens, Kind::Text);
    }
    let union = split(tokens, &['∪']);
    if union.len() > 1 {
        let parts = union.into_iter().map(|part| sets(part, depth + 1)).collect();
        return of_kind(tokens, Kind::Union(flat_union(parts)));
    }
    for sign in ['∖', '∩'] {
        let operands = split(tokens, &[sign]);
        if operands.len() > 1 {
            let parts = operands.into_iter().map(|part| sets(part, depth + 1)).collect();
            return of_kind(tokens, Kind::Operation(sign, parts));
        }
    }
    atom(tokens, depth)
}

fn parts_of(parts: Vec<&[Token]>, depth: usize) -> Vec<Value> {
    parts.into_iter().flat_map(|part| elements(part, depth + 1)).collect()
}

fn atom(tokens: &[Token], depth: usize) -> Value {
    match tokens {
        [Token::Sign('∅')] => return of_kind(tokens, Kind::Set(Vec::new())),
        [Token::Sign('ℝ')] => {
            let end = |sign: char| list(&[Token::Sign(sign), Token::Sign('∞')], depth + 1);
            let parts = vec![end('-'), end('+')];
            return of_kind(tokens, Kind::Sequence { open: '(', parts, close: ')' });
        }
        [Token::Begin(kind), inner @ .., Token::End] if encloses_all(tokens) => {
            return matrix(tokens, kind, inner, depth);
        }
        [Token::Sign('⦃'), inner @ .., Token::Sign('⦄')] if encloses_all(tokens) => {
            return set(tokens, inner, depth);
        }
        [Token::Sign('{'), inner @ .., Token::Sign('}')] if encloses_all(tokens) => {
            return match split(inner, &[',', ';', '∧']) {
                parts if parts.len() > 1 => of_kind(tokens, Kind::Set(parts_of(parts, depth))),
                _ => list(inner, depth + 1),
            };
        }
        [Token::Sign(open @ ('(' | '[')), inner @ .., Token::Sign(close @ (')' | ']'))]
            if encloses_all(tokens) =>
        {
            let parts = split(inner, &[',', ';']);
            if parts.len() > 1 {
                let parts = parts_of(parts, depth);
                return of_kind(tokens, Kind::Sequence { open: *open, parts, close: *close });
            }
            if (*open == '(') == (*close == ')') && !inner.is_empty() {
                return list(inner, depth + 1);
            }
        }
        _ => {}
    }
    let ratio = split(tokens, &[':']);
    if ratio.len() > 1 && ratio.iter().all(|part| !part.is_empty()) {
        let parts = ratio.into_iter().map(|part| atom(part, depth + 1)).collect();
        let ratio = of_kind(tokens, Kind::Ratio(parts));
        return if ratio.is_mathematical() { ratio } else { of_kind(tokens, Kind::Text) };
    }
    match amount(tokens) {
        Some(amount) => of_kind(tokens, Kind::Amount(amount)),
        None => of_kind(tokens, Kind::Text),
    }
}

/// `\{1, 2\}` and `\{x \mid x > 2\}`.
fn set(tokens: &[Token], inner: &[Token], depth: usize) -> Value {
    if inner.is_empty() {
        return of_kind(tokens, Kind::Set(Vec::new()));
    }
    for sign in ['|', ':'] {
        if let [subject, condition] = split(inner, &[sign]).as_slice() {
            let subject = split(subject, &['∈'])[0];
            if super::is_name(subject) && !condition.is_empty() {
                return Value { text: spelled(tokens), ..list(condition, depth + 1) };
            }
        }
    }
    of_kind(tokens, Kind::Set(parts_of(split(inner, &[',', ';', '∧']), depth)))
}

fn matrix(tokens: &[Token], kind: &'static str, inner: &[Token], depth: usize) -> Value {
    let mut rows = split(inner, &['¶']);
    rows.retain(|row| !row.is_empty());
    if rows.len() > MAX_PARTS {
        return of_kind(tokens, Kind::Text);
    }
    if kind == "cases" && rows.iter().all(|row| !row.contains(&Token::Sign('&'))) {
        return of_kind(tokens, Kind::Set(parts_of(rows, depth)));
    }
    let cells = |row: &[Token]| -> Vec<Value> {
        split(row, &['&']).into_iter().map(|cell| list(cell, depth + 1)).collect()
    };
    let rows = rows.into_iter().map(cells).collect();
    of_kind(tokens, Kind::Matrix { kind, rows })
}

/// A number or expression with a percent sign or a unit.
fn amount(tokens: &[Token]) -> Option<Amount> {
    let mut tokens = tokens;
    while let [Token::Word(word), rest @ ..] = tokens
        && NEUTRAL.contains(&word.as_str())
        && !rest.is_empty()
    {
        tokens = rest;
    }
    let negative = matches!(tokens, [Token::Word(word), _, ..] if matches!(word.as_str(), "negative" | "minus"));
    tokens = if negative { &tokens[1..] } else { tokens };
    let at = tokens.iter().position(is_qualifier).unwrap_or(tokens.len());
    let (number, rest) = tokens.split_at(at);
    let percent = match rest.first() {
        Some(Token::Sign('%')) => true,
        Some(Token::Word(word)) => matches!(word.as_str(), "pct" | "percent" | "percentage"),
        _ => false,
    };
    let mut qualifier = None;
    match rest.first() {
        None => {}
        Some(Token::Command(_)) => qualifier = Some(spelled(rest)),
        Some(_) if is_unit_of(rest) => {
            let spelled: String = spelled(rest).replace('.', "");
            qualifier = Some(spelled).filter(|text| matches!(text.as_str(), "am" | "pm"));
        }
        Some(_) => return None,
    }
    let unit = match rest {
        [Token::Word(word)] => unit(word),
        _ => None,
    };
    let mut expression = parse(number).ok()?;
    if let Some(Token::Word(word)) = rest.first()
        && let Some(factor) = scale(word)
    {
        expression = Expression::Number(expression.exact()?.times(Rational::from(factor))?);
    }
    if negative {
        expression = Expression::Number(expression.exact()?.negated());
    }
    Some(Amount { expression, percent, unit, qualifier })
}

/// Whether a unit, a percent sign or a modulus begins with this token.
fn is_qualifier(token: &Token) -> bool {
    match token {
        Token::Word(_) | Token::Sign('%') => true,
        Token::Command(name) => name == "mod",
        _ => false,
    }
}

/// Whether the tokens after a number are a unit, as `cm^2`, `m / s`, `a.m.`, or other words that
/// do not change the number.
fn is_unit_of(tokens: &[Token]) -> bool {
    let mut previous = None;
    tokens.iter().all(|token| {
        let exponent = matches!(previous, Some(Token::Sign('^' | '{' | '-')));
        previous = Some(token.clone());
        match token {
            Token::Word(word) => !changes(word),
            Token::Number(_) => exponent,
            Token::Sign(sign) => matches!(sign, '/' | '^' | '.' | '*' | '{' | '}' | '-' | '%'),
            _ => false,
        }
    })
}
