//! Reading values from text.

use super::amount::amount;
use super::brackets::{encloses_all, split, trimmed};
use super::relations::relation;
use super::{Kind, MAX_PARTS, Value};
use crate::algebra::MAX_DEPTH;
use crate::latex::{Commas, LatexError, Token, spelled, tokens};

/// The ways in which `text` can be read: with its commas as separators of a list, and with those
/// between digits as separators of thousands or as a decimal point.
pub(crate) fn readings(text: &str) -> Result<Vec<Value>, LatexError> {
    let list = tokens(text, Commas::List);
    let mut all: Vec<Vec<Token>> = Vec::new();
    let thousands = tokens(text, Commas::Thousands);
    let decimal = is_decimal_comma(text).then(|| tokens(text, Commas::Decimal));
    let error = list.as_ref().err().copied();
    // "1,000" is no list of 1 and 0.
    let list = Some(list).filter(|_| !has_zero_group(text));
    for tokens in [list, Some(thousands), decimal].into_iter().flatten().flatten() {
        if !all.contains(&tokens) {
            all.push(tokens);
        }
    }
    match (all.is_empty(), error) {
        (true, Some(error)) => Err(error),
        _ => Ok(all.iter().map(|tokens| answer(tokens)).collect()),
    }
}

/// Whether a group of three digits after a digit and a comma begins with zero.
fn has_zero_group(text: &str) -> bool {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    text.as_bytes().windows(5).enumerate().any(|(at, window)| {
        let group = window[1..].starts_with(b",0") && window[2..].iter().all(u8::is_ascii_digit);
        let whole = (at.saturating_sub(2)..=at).any(|first| {
            let before = first.checked_sub(1).and_then(|before| text.as_bytes().get(before));
            !digit(before) && text.as_bytes()[first] != b'0'
        });
        group && digit(window.first()) && whole && !digit(text.as_bytes().get(at + 5))
    })
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

/// A list, or its only element.
fn list(tokens: &[Token], depth: usize) -> Value {
    let tokens = trimmed(tokens);
    if depth > MAX_DEPTH {
        return Value::of(tokens, Kind::Text);
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
            Value::of(&[], Kind::Sequence { open: '(', parts, close: ')' })
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
            Value::of(tokens, Kind::Union(flat_union(parts)))
        }
        Err(parts) if parts.is_empty() => Value::of(tokens, Kind::Text),
        Err(parts) => Value::of(tokens, Kind::Set(parts)),
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
        return vec![related(tokens, depth)];
    }
    let with = |upper: char, lower: char| -> Vec<Token> {
        let replaced = |token: &Token| match token {
            Token::Sign('±') => Token::Sign(upper),
            Token::Sign('∓') => Token::Sign(lower),
            other => other.clone(),
        };
        tokens.iter().map(replaced).collect()
    };
    vec![related(&with('+', '-'), depth), related(&with('-', '+'), depth)]
}

/// A relation, or what stands alone.
fn related(tokens: &[Token], depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::of(tokens, Kind::Text);
    }
    let side = |side: &[Token]| list(side, depth + 1);
    relation(tokens, &side).unwrap_or_else(|| sets(tokens, depth))
}

/// A set, or what operations on sets make of several.
fn sets(tokens: &[Token], depth: usize) -> Value {
    if depth > MAX_DEPTH {
        return Value::of(tokens, Kind::Text);
    }
    let union = split(tokens, &['∪']);
    if union.len() > 1 {
        let parts = union.into_iter().map(|part| sets(part, depth + 1)).collect();
        return Value::of(tokens, Kind::Union(flat_union(parts)));
    }
    for sign in ['∖', '∩'] {
        let operands = split(tokens, &[sign]);
        if operands.len() > 1 {
            let parts = operands.into_iter().map(|part| sets(part, depth + 1)).collect();
            return Value::of(tokens, Kind::Operation(sign, parts));
        }
    }
    atom(tokens, depth)
}

fn parts_of(parts: Vec<&[Token]>, depth: usize) -> Vec<Value> {
    parts.into_iter().flat_map(|part| elements(part, depth + 1)).collect()
}

fn atom(tokens: &[Token], depth: usize) -> Value {
    match tokens {
        [Token::Sign('∅')] => return Value::of(tokens, Kind::Set(Vec::new())),
        [Token::Sign('ℝ')] => {
            let end = |sign: char| list(&[Token::Sign(sign), Token::Sign('∞')], depth + 1);
            let parts = vec![end('-'), end('+')];
            return Value::of(tokens, Kind::Sequence { open: '(', parts, close: ')' });
        }
        [Token::Begin(kind), inner @ .., Token::End] if encloses_all(tokens) => {
            return matrix(tokens, kind, inner, depth);
        }
        [Token::Sign('⦃'), inner @ .., Token::Sign('⦄')] if encloses_all(tokens) => {
            return set(tokens, inner, depth);
        }
        [Token::Sign('{'), inner @ .., Token::Sign('}')] if encloses_all(tokens) => {
            return match split(inner, &[',', ';', '∧']) {
                parts if parts.len() > 1 => Value::of(tokens, Kind::Set(parts_of(parts, depth))),
                _ => list(inner, depth + 1),
            };
        }
        [Token::Sign(open @ ('(' | '[')), inner @ .., Token::Sign(close @ (')' | ']'))]
            if encloses_all(tokens) =>
        {
            let parts = split(inner, &[',', ';']);
            if parts.len() > 1 {
                let parts = parts_of(parts, depth);
                return Value::of(tokens, Kind::Sequence { open: *open, parts, close: *close });
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
        let ratio = Value::of(tokens, Kind::Ratio(parts));
        return if ratio.is_mathematical() { ratio } else { Value::of(tokens, Kind::Text) };
    }
    match amount(tokens) {
        Some(amount) => Value::of(tokens, Kind::Amount(amount)),
        None => Value::of(tokens, Kind::Text),
    }
}

/// `\{1, 2\}` and `\{x \mid x > 2\}`.
fn set(tokens: &[Token], inner: &[Token], depth: usize) -> Value {
    if inner.is_empty() {
        return Value::of(tokens, Kind::Set(Vec::new()));
    }
    for sign in ['|', ':'] {
        if let [subject, condition] = split(inner, &[sign]).as_slice() {
            let subject = split(subject, &['∈'])[0];
            if super::is_name(subject) && !condition.is_empty() {
                return Value { text: spelled(tokens), ..list(condition, depth + 1) };
            }
        }
    }
    Value::of(tokens, Kind::Set(parts_of(split(inner, &[',', ';', '∧']), depth)))
}

fn matrix(tokens: &[Token], kind: &'static str, inner: &[Token], depth: usize) -> Value {
    let mut rows = split(inner, &['¶']);
    rows.retain(|row| !row.is_empty());
    if rows.len() > MAX_PARTS {
        return Value::of(tokens, Kind::Text);
    }
    if kind == "cases" && rows.iter().all(|row| !row.contains(&Token::Sign('&'))) {
        return Value::of(tokens, Kind::Set(parts_of(rows, depth)));
    }
    let cells = |row: &[Token]| -> Vec<Value> {
        split(row, &['&']).into_iter().map(|cell| list(cell, depth + 1)).collect()
    };
    let rows = rows.into_iter().map(cells).collect();
    Value::of(tokens, Kind::Matrix { kind, rows })
}
