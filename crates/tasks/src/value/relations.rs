//! Equations, inequalities and memberships.

use super::brackets::split;
use super::names::{between_bars, head};
use super::{Kind, Value, is_name};
use crate::algebra::{Expression, equal, parse};
use crate::latex::{Token, spelled};
use crate::rational::Rational;

const SIGNS: [char; 7] = ['=', '<', '>', '≤', '≥', '≠', '≡'];

/// Reads a side of a relation.
type Side<'r> = &'r dyn Fn(&[Token]) -> Value;

/// A relation whose sides `side` reads; `None` if there is none.
pub(super) fn relation(tokens: &[Token], side: Side<'_>) -> Option<Value> {
    // "x ≈ 11" says what x is; behind anything else the rounded value is left out.
    if let [exact, rest, ..] = split(tokens, &['≈']).as_slice() {
        return Some(if is_name(exact) { named_value(exact, side(rest)) } else { side(exact) });
    }
    if let [subject, set] = split(tokens, &['∈']).as_slice()
        && is_name(subject)
    {
        return Some(named_value(subject, side(set)));
    }
    let sides = split(tokens, &SIGNS);
    if sides.len() == 1 {
        return None;
    }
    // The separators, in order: what lies between the sides.
    let mut signs = Vec::new();
    let mut at = 0;
    for part in &sides[..sides.len() - 1] {
        at += part.len();
        match tokens.get(at) {
            Some(Token::Sign(sign)) => signs.push(*sign),
            _ => return Some(Value::of(tokens, Kind::Text)),
        }
        at += 1;
    }
    let value = match (sides.as_slice(), signs.as_slice()) {
        ([left, right], ['=' | '≡']) => equation(tokens, left, right, side),
        ([left, right], ['≠']) => unequal(left, right, side),
        (_, signs) if signs.iter().all(|sign| *sign == '=') => {
            // A chain ends in the value.
            sides.last().map(|last| {
                let value = side(last);
                if is_name(sides[0]) { named_value(sides[0], value) } else { value }
            })
        }
        (sides, signs) => range(sides, signs, side),
    };
    Some(match value {
        Some(value) => Value { text: spelled(tokens), ..value },
        None => Value::of(tokens, Kind::Text),
    })
}

fn named_value(name: &[Token], value: Value) -> Value {
    Value { name: head(name), ..value }
}

fn difference(left: &[Token], right: &[Token]) -> Option<Expression> {
    let (left, right) = (parse(left).ok()?, parse(right).ok()?);
    Some(Expression::Sum(Box::new(left), Box::new(Expression::Negative(Box::new(right)))))
}

fn equation(tokens: &[Token], left: &[Token], right: &[Token], side: Side<'_>) -> Option<Value> {
    let difference = difference(left, right);
    // "5 = x" gives x, but "a + b = c" is an equation.
    let reversed = is_name(right) && parse(left).is_ok_and(|left| !left.has_variables());
    if is_name(left) || reversed {
        let (name, value) = if is_name(left) { (left, right) } else { (right, left) };
        let value = named_value(name, side(value));
        return Some(Value { relation: difference.map(|difference| ('=', difference)), ..value });
    }
    let difference = difference?;
    if difference.has_variables() {
        return Some(Value::of(tokens, Kind::Relation { sign: '=', difference }));
    }
    // A calculation and its result, which has to be right.
    let zero = Expression::Number(Rational::from(0));
    let right_result = equal(&difference, &zero) != Some(false);
    right_result.then(|| side(right))
}

fn unequal(left: &[Token], right: &[Token], side: Side<'_>) -> Option<Value> {
    if is_name(left) {
        let not = Value::of(&[], Kind::Not(Box::new(side(right))));
        return Some(named_value(left, not));
    }
    Some(Value::of(&[], Kind::Relation { sign: '≠', difference: difference(left, right)? }))
}

/// An inequality or a chain of two: an interval of its subject if the bounds are numbers.
fn range(sides: &[&[Token]], signs: &[char], side: Side<'_>) -> Option<Value> {
    let falling = signs.iter().all(|sign| matches!(sign, '>' | '≥'));
    let rising = signs.iter().all(|sign| matches!(sign, '<' | '≤'));
    if !falling && !rising {
        return None;
    }
    let (mut sides, mut strict): (Vec<&[Token]>, Vec<bool>) =
        (sides.to_vec(), signs.iter().map(|sign| matches!(sign, '<' | '>')).collect());
    if falling {
        sides.reverse();
        strict.reverse();
    }
    let fixed = |bound: &[Token]| {
        parse(bound).is_ok_and(|expression| !expression.has_variables())
            || matches!(bound.last(), Some(Token::Sign('%') | Token::Word(_)))
    };
    let (low, subject, high) = match sides.as_slice() {
        [subject, high] if is_name(subject) && fixed(high) => {
            (None, *subject, Some((*high, strict[0])))
        }
        [low, subject] if is_name(subject) && fixed(low) => {
            (Some((*low, strict[0])), *subject, None)
        }
        [low, subject, high] if is_name(subject) && fixed(low) && fixed(high) => {
            (Some((*low, strict[0])), *subject, Some((*high, strict[1])))
        }
        sides => return comparisons(sides, &strict),
    };
    let value = match between_bars(subject) {
        Some(inner) => absolute(low, inner, high, side)?,
        None => named_value(subject, interval(low, high, side)),
    };
    let relation = match sides.as_slice() {
        [left, right] => difference(left, right).map(|difference| (sign_of(strict[0]), difference)),
        _ => None,
    };
    Some(Value { relation, ..value })
}

/// A bound, and whether it is excluded.
type Bound<'t> = Option<(&'t [Token], bool)>;

fn interval(low: Bound<'_>, high: Bound<'_>, side: Side<'_>) -> Value {
    let infinite = |sign: char| side(&[Token::Sign(sign), Token::Sign('∞')]);
    let end = |bound: Bound<'_>, sign| bound.map_or_else(|| infinite(sign), |(end, _)| side(end));
    let excluded = |bound: Bound<'_>| bound.is_none_or(|(_, excluded)| excluded);
    Value::of(
        &[],
        Kind::Sequence {
            open: if excluded(low) { '(' } else { '[' },
            parts: vec![end(low, '-'), end(high, '+')],
            close: if excluded(high) { ')' } else { ']' },
        },
    )
}

fn borrowed(bound: Option<&(Vec<Token>, bool)>) -> Bound<'_> {
    bound.map(|(tokens, excluded)| (tokens.as_slice(), *excluded))
}

/// Bounds of an absolute value as an interval around zero, or as two.
fn absolute(low: Bound<'_>, subject: &[Token], high: Bound<'_>, side: Side<'_>) -> Option<Value> {
    let negated = |bound: Bound<'_>| {
        bound.map(|(end, excluded)| {
            let mut tokens = vec![Token::Sign('-'), Token::Sign('(')];
            tokens.extend_from_slice(end);
            tokens.push(Token::Sign(')'));
            (tokens, excluded)
        })
    };
    let not_negative = |(bound, _): (&[Token], bool)| {
        parse(bound)
            .ok()
            .and_then(|bound| bound.exact())
            .is_some_and(|bound| bound >= Rational::from(0))
    };
    let (minus_low, minus_high) = (negated(low), negated(high));
    let value = match low {
        None => interval(borrowed(minus_high.as_ref()), high, side),
        Some(bound) if not_negative(bound) => {
            let parts = vec![
                interval(borrowed(minus_high.as_ref()), borrowed(minus_low.as_ref()), side),
                interval(low, high, side),
            ];
            Value::of(&[], Kind::Union(parts))
        }
        Some(_) => return None,
    };
    Some(named_value(subject, value))
}

fn sign_of(strict: bool) -> char {
    if strict { '<' } else { '≤' }
}

/// Inequalities between expressions, each as what is below zero.
fn comparisons(sides: &[&[Token]], strict: &[bool]) -> Option<Value> {
    let mut parts = Vec::new();
    for (pair, strict) in sides.windows(2).zip(strict) {
        let difference = difference(pair[0], pair[1])?;
        parts.push(Value::of(&[], Kind::Relation { sign: sign_of(*strict), difference }));
    }
    match <[Value; 1]>::try_from(parts) {
        Ok([only]) => Some(only),
        Err(parts) => Some(Value::of(&[], Kind::Set(parts))),
    }
}
