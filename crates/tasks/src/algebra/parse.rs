//! Reading expressions from tokens.

mod commands;

use super::{Expression, Function, MAX_DEPTH};
use crate::latex::Token;
use crate::rational::Rational;

/// Most operators in a row; the tree is as deep as they are many.
const MAX_CHAIN: usize = 500;

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AlgebraError {
    /// Something that cannot stand at its position.
    #[error("unexpected {found:?}")]
    Unexpected {
        /// The token.
        found: Token,
    },
    /// The text stops where something has to follow.
    #[error("the expression ends too early")]
    Incomplete,
    /// Too many nested brackets, signs or powers.
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// A number beyond 128 bits.
    #[error("a number is too large")]
    TooLarge,
}

/// The expression in `tokens`: numbers, variables of one letter with subscripts, `+ - * / ^ !`,
/// brackets, `|x|`, roundings, products without a sign, mixed numbers, fractions, roots, binomial
/// coefficients, the elementary functions and, as wholes, sums, products, integrals and limits.
pub(crate) fn parse(tokens: &[Token]) -> Result<Expression, AlgebraError> {
    let mut parser = Parser { tokens, at: 0, depth: 0, bars: 0, split: None };
    let expression = parser.sum()?;
    match parser.peek() {
        None => Ok(expression),
        Some(found) => Err(AlgebraError::Unexpected { found }),
    }
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    depth: usize,
    /// Open absolute values: inside one, a bar closes it.
    bars: usize,
    /// What is left of the number at `at`, of which `\frac12` has taken the first digit.
    split: Option<Rational>,
}

fn number(value: i64) -> Expression {
    Expression::Number(Rational::from(value))
}

impl Parser<'_> {
    fn peek(&self) -> Option<Token> {
        match self.split {
            Some(rest) => Some(Token::Number(rest)),
            None => self.tokens.get(self.at).cloned(),
        }
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek();
        self.split = None;
        self.at += 1;
        token
    }

    fn peek_sign(&self) -> Option<char> {
        match self.peek() {
            Some(Token::Sign(sign)) => Some(sign),
            _ => None,
        }
    }

    fn take_sign(&mut self, signs: &[char]) -> Option<char> {
        let sign = self.peek_sign().filter(|sign| signs.contains(sign))?;
        self.at += 1;
        Some(sign)
    }

    fn unexpected(&self) -> AlgebraError {
        self.peek().map_or(AlgebraError::Incomplete, |found| AlgebraError::Unexpected { found })
    }

    /// Runs `inner` one level deeper.
    fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, AlgebraError>,
    ) -> Result<T, AlgebraError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(AlgebraError::TooDeep);
        }
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn sum(&mut self) -> Result<Expression, AlgebraError> {
        let mut value = self.product()?;
        for _ in 0..MAX_CHAIN {
            let Some(sign) = self.take_sign(&['+', '-']) else { return Ok(value) };
            let next = self.product()?;
            let next = if sign == '-' { Expression::Negative(Box::new(next)) } else { next };
            value = Expression::Sum(Box::new(value), Box::new(next));
        }
        Err(AlgebraError::TooDeep)
    }

    fn product(&mut self) -> Result<Expression, AlgebraError> {
        let mut value = self.signed()?;
        for _ in 0..MAX_CHAIN {
            let Some(sign) = self.take_sign(&['*', '/']) else { return Ok(value) };
            if sign == '*' {
                value = Expression::Product(Box::new(value), Box::new(self.signed()?));
                continue;
            }
            let numbers = matches!(value, Expression::Number(_) | Expression::Negative(_))
                && matches!(self.peek(), Some(Token::Number(_)));
            // 1/2x is half of x, but 1/xy is one over xy.
            let divisor = if numbers { self.power()? } else { self.signed()? };
            value = Expression::Quotient(Box::new(value), Box::new(divisor));
            if numbers {
                value = self.factors(value)?;
            }
        }
        Err(AlgebraError::TooDeep)
    }

    fn signed(&mut self) -> Result<Expression, AlgebraError> {
        match self.take_sign(&['+', '-']) {
            Some('-') => Ok(Expression::Negative(Box::new(self.deeper(Self::signed)?))),
            Some(_) => self.deeper(Self::signed),
            None => {
                let first = self.power()?;
                let first = self.mixed(first)?;
                self.factors(first)
            }
        }
    }

    /// Factors without a sign after `value`. A number among them is refused instead of guessed.
    fn factors(&mut self, mut value: Expression) -> Result<Expression, AlgebraError> {
        for _ in 0..MAX_CHAIN {
            if !self.starts_factor() {
                return Ok(value);
            }
            let next = self.power()?;
            value = Expression::Product(Box::new(value), Box::new(next));
        }
        Err(AlgebraError::TooDeep)
    }

    /// `2\frac{1}{2}` and `3 1/2` after their whole number.
    fn mixed(&mut self, first: Expression) -> Result<Expression, AlgebraError> {
        let Expression::Number(whole) = first else { return Ok(first) };
        if !whole.is_integer() {
            return Ok(first);
        }
        let fraction = match self.peek() {
            Some(Token::Command(name)) if name == "frac" => {
                let before = (self.at, self.split);
                let fraction = self.power()?;
                let Some(fraction) = proper(&fraction) else {
                    (self.at, self.split) = before;
                    return Ok(first);
                };
                fraction
            }
            Some(Token::Number(numerator))
                if self.tokens.get(self.at + 1) == Some(&Token::Sign('/')) =>
            {
                self.at += 2;
                let Some(Token::Number(denominator)) = self.next() else {
                    return Err(self.unexpected());
                };
                let fraction = Expression::Quotient(
                    Box::new(Expression::Number(numerator)),
                    Box::new(Expression::Number(denominator)),
                );
                proper(&fraction).ok_or_else(|| self.unexpected())?
            }
            // "1½"
            Some(Token::Number(fraction))
                if !fraction.is_integer() && fraction < Rational::from(1) =>
            {
                self.at += 1;
                fraction
            }
            _ => return Ok(first),
        };
        whole.plus(fraction).map(Expression::Number).ok_or(AlgebraError::TooLarge)
    }

    fn starts_factor(&self) -> bool {
        match self.peek() {
            Some(
                Token::Letter(_)
                | Token::Command(_)
                | Token::Sign('(' | '[' | '{' | '⌊' | '⌈' | '∞'),
            ) => true,
            Some(Token::Sign('|')) => self.bars == 0,
            // "50!50!"
            Some(Token::Number(_)) => self.tokens.get(self.at - 1) == Some(&Token::Sign('!')),
            _ => false,
        }
    }

    /// An operand with its exponent and factorials.
    fn power(&mut self) -> Result<Expression, AlgebraError> {
        let mut value = self.operand()?;
        for _ in 0..MAX_DEPTH {
            value = match self.take_sign(&['^', '!']) {
                None => return Ok(value),
                Some('!') => Expression::Function(Function::Factorial, Box::new(value)),
                Some(_) => {
                    let exponent = self.deeper(Self::exponent)?;
                    Expression::Power(Box::new(value), Box::new(exponent))
                }
            };
        }
        Err(AlgebraError::TooDeep)
    }

    fn exponent(&mut self) -> Result<Expression, AlgebraError> {
        match self.take_sign(&['-', '+']) {
            Some('-') => Ok(Expression::Negative(Box::new(self.deeper(Self::exponent)?))),
            Some(_) => self.deeper(Self::exponent),
            None => {
                // The exponent's own exponent is taken first, its factorial afterwards.
                let base = self.operand()?;
                if self.take_sign(&['^']).is_none() {
                    return Ok(base);
                }
                let exponent = self.deeper(Self::exponent)?;
                Ok(Expression::Power(Box::new(base), Box::new(exponent)))
            }
        }
    }

    fn operand(&mut self) -> Result<Expression, AlgebraError> {
        let token = self.peek().ok_or(AlgebraError::Incomplete)?;
        self.next();
        match token {
            Token::Number(value) => self.with_base(Expression::Number(value)),
            Token::Letter(letter) => self.symbol(letter.to_string()),
            Token::Sign('∞') => Ok(Expression::Symbol("∞".to_owned())),
            Token::Sign('(') => self.enclosed(')'),
            Token::Sign('[') => self.enclosed(']'),
            Token::Sign('{') => self.enclosed('}'),
            Token::Sign('⌊') => {
                Ok(Expression::Function(Function::Floor, Box::new(self.enclosed('⌋')?)))
            }
            Token::Sign('⌈') => {
                Ok(Expression::Function(Function::Ceiling, Box::new(self.enclosed('⌉')?)))
            }
            Token::Sign('|') => {
                self.bars += 1;
                let inner = self.enclosed('|')?;
                self.bars -= 1;
                Ok(Expression::Function(Function::Abs, Box::new(inner)))
            }
            Token::Command(name) => self.command(&name),
            found => Err(AlgebraError::Unexpected { found }),
        }
    }

    /// `101_2`: a number in another base is no decimal number.
    fn with_base(&mut self, digits: Expression) -> Result<Expression, AlgebraError> {
        match self.take_sign(&['_']) {
            None => Ok(digits),
            Some(_) => Ok(Expression::Apply("base".to_owned(), vec![digits, self.argument()?])),
        }
    }

    /// A variable with its primes and subscript, or a function's value such as `f(x)`.
    fn symbol(&mut self, mut name: String) -> Result<Expression, AlgebraError> {
        while self.take_sign(&['\'']).is_some() {
            name.push('\'');
        }
        let mut parts = Vec::new();
        if self.take_sign(&['_']).is_some() {
            name.push('_');
            parts.push(self.argument()?);
        }
        let is_function = name.starts_with(['f', 'g', 'h']);
        if is_function && self.peek_sign() == Some('(') {
            self.at += 1;
            name.push('(');
            parts.push(self.enclosed(')')?);
        }
        if parts.is_empty() {
            Ok(Expression::Symbol(name))
        } else {
            Ok(Expression::Apply(name, parts))
        }
    }

    fn enclosed(&mut self, close: char) -> Result<Expression, AlgebraError> {
        let outer = if close == '|' { self.bars } else { std::mem::take(&mut self.bars) };
        let inner = self.deeper(Self::sum)?;
        self.bars = outer;
        match self.take_sign(&[close]) {
            Some(_) => Ok(inner),
            None => Err(self.unexpected()),
        }
    }

    /// What a LaTeX command applies to: a group in braces, or the next digit or letter alone.
    fn argument(&mut self) -> Result<Expression, AlgebraError> {
        if let Some(Token::Number(value)) = self.peek() {
            // "\frac12" is one half: the number's first digit is the argument.
            let text = value.to_string();
            if value.is_integer() && text.len() > 1 {
                let (first, rest) = text.split_at(1);
                let read = |digits| Rational::from_decimal(digits).ok_or(AlgebraError::TooLarge);
                self.split = Some(read(rest)?);
                return Ok(Expression::Number(read(first)?));
            }
        }
        match self.peek() {
            Some(Token::Letter(letter)) => {
                self.next();
                Ok(Expression::Symbol(letter.to_string()))
            }
            _ => self.deeper(Self::operand),
        }
    }
}

/// The value of a fraction of whole numbers between 0 and 1.
fn proper(fraction: &Expression) -> Option<Rational> {
    let Expression::Quotient(a, b) = fraction else { return None };
    match (&**a, &**b) {
        (Expression::Number(a), Expression::Number(b)) if a.is_integer() && b.is_integer() => {
            let value = a.over(*b)?;
            (Rational::from(0) < value && value < Rational::from(1)).then_some(value)
        }
        _ => None,
    }
}
