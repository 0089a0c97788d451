//! Exact value of an arithmetic expression.

use crate::rational::Rational;

/// Deepest nesting of brackets and signs.
const MAX_DEPTH: usize = 64;

/// Why an expression has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ExpressionError {
    /// A character that is not allowed in expressions, or not at this position.
    #[error("unexpected `{found}` at character {position}; use numbers, + - * / ^ % and brackets")]
    Unexpected {
        /// The character found.
        found: char,
        /// Its position in characters, counted from 1.
        position: usize,
    },
    /// The text ends where an operand or a closing bracket must follow.
    #[error("the expression ends too early")]
    Incomplete,
    /// A division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A value outside 128-bit fractions.
    #[error("the value does not fit 128-bit fractions")]
    TooLarge,
    /// Brackets or signs nested too deeply.
    #[error("brackets are nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

/// An expression's value and the number literals in it, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evaluation {
    /// The exact value.
    pub(crate) value: Rational,
    /// Every number written in the expression.
    pub(crate) literals: Vec<Rational>,
}

/// Exact value of `text`: `+ - * / ^`, `%` (per cent, after a number), `×`, `x` between
/// numbers, `÷`, `−`, brackets, decimals and thousands separators.
pub(crate) fn evaluate(text: &str) -> Result<Evaluation, ExpressionError> {
    let mut parser =
        Parser { symbols: text.chars().collect(), offset: 0, depth: 0, literals: Vec::new() };
    let value = parser.sum()?;
    match parser.peek() {
        None => Ok(Evaluation { value, literals: parser.literals }),
        Some(found) => Err(ExpressionError::Unexpected { found, position: parser.offset + 1 }),
    }
}

struct Parser {
    symbols: Vec<char>,
    offset: usize,
    depth: usize,
    literals: Vec<Rational>,
}

impl Parser {
    /// The next symbol, spaces and dollar signs skipped.
    fn peek(&mut self) -> Option<char> {
        while self.symbols.get(self.offset).is_some_and(|c| c.is_whitespace() || *c == '$') {
            self.offset += 1;
        }
        self.symbols.get(self.offset).copied()
    }

    fn take_if(&mut self, symbols: &[char]) -> Option<char> {
        let found = self.peek().filter(|c| symbols.contains(c))?;
        self.offset += 1;
        Some(found)
    }

    fn sum(&mut self) -> Result<Rational, ExpressionError> {
        let mut value = self.product()?;
        while let Some(sign) = self.take_if(&['+', '-', '−', '–']) {
            let next = self.product()?;
            let result = if sign == '+' { value.plus(next) } else { value.minus(next) };
            value = result.ok_or(ExpressionError::TooLarge)?;
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Rational, ExpressionError> {
        let mut value = self.signed()?;
        while let Some(sign) = self.take_if(&['*', '/', '×', '÷', '·', 'x', 'X']) {
            let next = self.signed()?;
            value = if matches!(sign, '/' | '÷') {
                if next == Rational::from(0) {
                    return Err(ExpressionError::DivisionByZero);
                }
                value.over(next)
            } else {
                value.times(next)
            }
            .ok_or(ExpressionError::TooLarge)?;
        }
        Ok(value)
    }

    fn signed(&mut self) -> Result<Rational, ExpressionError> {
        match self.take_if(&['+', '-', '−', '–']) {
            Some(sign) => {
                self.enter()?;
                let value = self.signed()?;
                self.depth -= 1;
                Ok(if sign == '+' { value } else { value.negated() })
            }
            None => self.raised(),
        }
    }

    fn raised(&mut self) -> Result<Rational, ExpressionError> {
        let base = self.operand()?;
        if self.take_if(&['^']).is_none() {
            return Ok(base);
        }
        self.enter()?;
        let exponent = self.signed()?.to_i64().ok_or(ExpressionError::TooLarge)?;
        self.depth -= 1;
        if base == Rational::from(0) && exponent < 0 {
            return Err(ExpressionError::DivisionByZero);
        }
        base.power(exponent).ok_or(ExpressionError::TooLarge)
    }

    fn operand(&mut self) -> Result<Rational, ExpressionError> {
        let mut value = match self.peek() {
            None => return Err(ExpressionError::Incomplete),
            Some(open @ ('(' | '[' | '{')) => {
                self.offset += 1;
                self.enter()?;
                let inner = self.sum()?;
                self.depth -= 1;
                let close = match open {
                    '(' => ')',
                    '[' => ']',
                    _ => '}',
                };
                match self.peek() {
                    Some(found) if found == close => self.offset += 1,
                    Some(found) => {
                        return Err(ExpressionError::Unexpected {
                            found,
                            position: self.offset + 1,
                        });
                    }
                    None => return Err(ExpressionError::Incomplete),
                }
                inner
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number()?,
            Some(found) => {
                return Err(ExpressionError::Unexpected { found, position: self.offset + 1 });
            }
        };
        while self.take_if(&['%']).is_some() {
            value = value.over(Rational::from(100)).ok_or(ExpressionError::TooLarge)?;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Rational, ExpressionError> {
        let start = self.offset;
        let mut digits = String::new();
        while let Some(&symbol) = self.symbols.get(self.offset) {
            let groups_thousands = symbol == ','
                && self.symbols.get(self.offset + 1..self.offset + 4).is_some_and(|next| {
                    next.iter().all(char::is_ascii_digit)
                        && !self.symbols.get(self.offset + 4).is_some_and(char::is_ascii_digit)
                });
            match symbol {
                '0'..='9' | '.' => digits.push(symbol),
                _ if groups_thousands => {}
                _ => break,
            }
            self.offset += 1;
        }
        let well_formed = digits.matches('.').count() <= 1 && digits != ".";
        if !well_formed {
            return Err(ExpressionError::Unexpected { found: '.', position: start + 1 });
        }
        let value = Rational::from_decimal(&digits).ok_or(ExpressionError::TooLarge)?;
        self.literals.push(value);
        Ok(value)
    }

    fn enter(&mut self) -> Result<(), ExpressionError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(ExpressionError::TooDeep) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_exact() {
        for (text, expected) in [
            ("1 + 2 * 3", "7"),
            ("(1 + 2) * 3", "9"),
            ("-2 ^ 2", "-4"),
            ("2 ^ 3 ^ 2", "512"),
            ("2 ^ -1", "0.5"),
            ("10 - 4 - 3", "3"),
            ("100 / 8 / 5", "2.5"),
            ("1 / 3", "1/3"),
            ("20% * 50", "10"),
            ("12 × 3 ÷ 4 − 1", "8"),
            ("0.2x50", "10"),
            ("$1,200 * 2", "2400"),
            ("[(3)] - {2}", "1"),
            ("- - 3", "3"),
            (".5 * 4.", "2"),
        ] {
            assert_eq!(evaluate(text).unwrap().value.to_string(), expected, "{text}");
        }
        let literals = evaluate("94*4 - 61 - 6").unwrap().literals;
        assert_eq!(literals, [94, 4, 61, 6].map(Rational::from));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (text, expected) in [
            ("", ExpressionError::Incomplete),
            ("1 +", ExpressionError::Incomplete),
            ("(1", ExpressionError::Incomplete),
            ("(1]", ExpressionError::Unexpected { found: ']', position: 3 }),
            ("1 2", ExpressionError::Unexpected { found: '2', position: 3 }),
            ("1.2.3", ExpressionError::Unexpected { found: '.', position: 1 }),
            ("1 = 1", ExpressionError::Unexpected { found: '=', position: 3 }),
            ("1 / (2 - 2)", ExpressionError::DivisionByZero),
            ("0 ^ -1", ExpressionError::DivisionByZero),
            ("9^9^9", ExpressionError::TooLarge),
            ("1,00 + 2", ExpressionError::Unexpected { found: ',', position: 2 }),
        ] {
            assert_eq!(evaluate(text), Err(expected), "{text}");
        }
        assert_eq!(evaluate(&"(".repeat(100_000)), Err(ExpressionError::TooDeep));
        assert_eq!(evaluate(&"-".repeat(100_000)), Err(ExpressionError::TooDeep));
        assert_eq!(evaluate(&"2^".repeat(100_000)), Err(ExpressionError::TooDeep));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "[0-9+*/^().%,x= -]{0,40}|\\PC{0,20}") {
            let _ = evaluate(&text);
        }
    }
}
