//! Numbers with their percent signs and units.

use super::Amount;
use crate::algebra::{Expression, parse};
use crate::latex::{Token, spelled};
use crate::rational::Rational;
use crate::units::{changes, is_percent, scale, unit};

/// Words before a number that do not change it.
const NEUTRAL: [&str; 6] = ["about", "approximately", "approx", "exactly", "roughly", "nearly"];

/// A number or expression with a percent sign or a unit.
pub(super) fn amount(tokens: &[Token]) -> Option<Amount> {
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
        Some(Token::Word(word)) => is_percent(word),
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
