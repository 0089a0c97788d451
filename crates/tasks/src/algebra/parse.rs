//! Reading expressions in plain notation and in LaTeX.

use super::{Expression, Function, MAX_DEPTH};
use crate::rational::Rational;

/// Longest text that is read, in bytes.
const MAX_LENGTH: usize = 2000;

/// Why a text is no expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum AlgebraError {
    /// A character that cannot stand at its position.
    #[error("unexpected `{found}`")]
    Unexpected {
        /// The character.
        found: char,
    },
    /// A LaTeX command that is no arithmetic.
    #[error("unknown command")]
    UnknownCommand,
    /// The text stops where something has to follow.
    #[error("the expression ends too early")]
    Incomplete,
    /// Too many nested brackets, signs or powers.
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// A text longer than is read.
    #[error("longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// A number beyond 128 bits.
    #[error("a number is too large")]
    TooLarge,
}

/// The expression in `text`: numbers, one-letter variables, `+ - * / ^`, brackets, `|x|`,
/// products without a sign, `\frac`, `\sqrt`, `\pi`, `\cdot`, `\times`, `\div`, and `\sin`,
/// `\cos`, `\tan`, `\ln`, `\log`, `\exp`.
pub(crate) fn parse(text: &str) -> Result<Expression, AlgebraError> {
    if text.len() > MAX_LENGTH {
        return Err(AlgebraError::TooLong);
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0, bars: 0 };
    let expression = parser.sum()?;
    match parser.peek() {
        None => Ok(expression),
        Some(token) => Err(token.unexpected()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    Number(Rational),
    Symbol(char),
    Sign(char),
    Fraction,
    Root,
    Function(Function),
}

impl Token {
    fn unexpected(self) -> AlgebraError {
        AlgebraError::Unexpected {
            found: match self {
                Self::Number(_) => '0',
                Self::Symbol(found) | Self::Sign(found) => found,
                Self::Fraction | Self::Root | Self::Function(_) => '\\',
            },
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, AlgebraError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(symbol) = text[at..].chars().next() {
        let mut end = at + symbol.len_utf8();
        match symbol {
            _ if symbol.is_whitespace() => {}
            '$' | '~' => {}
            '0'..='9' | '.' => {
                end = at
                    + text[at..].bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
                let value = Rational::from_decimal(&text[at..end]);
                tokens.push(Token::Number(value.ok_or(AlgebraError::TooLarge)?));
            }
            '\\' => {
                let name = &text[end..];
                let letters = name.bytes().take_while(u8::is_ascii_alphabetic).count();
                // Commands such as "\," have one character that is no letter.
                let length = letters.max(name.chars().next().map_or(0, char::len_utf8));
                tokens.extend(command(&name[..length])?);
                end += length;
            }
            '×' | '·' => tokens.push(Token::Sign('*')),
            '÷' => tokens.push(Token::Sign('/')),
            '−' | '–' => tokens.push(Token::Sign('-')),
            '√' => tokens.push(Token::Root),
            '+' | '-' | '*' | '/' | '^' | '(' | ')' | '[' | ']' | '{' | '}' | '|' => {
                tokens.push(Token::Sign(symbol));
            }
            _ if symbol.is_alphabetic() => tokens.push(Token::Symbol(symbol)),
            found => return Err(AlgebraError::Unexpected { found }),
        }
        at = end;
    }
    Ok(tokens)
}

fn command(name: &str) -> Result<Option<Token>, AlgebraError> {
    Ok(Some(match name {
        "frac" | "dfrac" | "tfrac" => Token::Fraction,
        "sqrt" => Token::Root,
        "cdot" | "times" => Token::Sign('*'),
        "div" => Token::Sign('/'),
        "pi" => Token::Symbol('π'),
        "sin" => Token::Function(Function::Sin),
        "cos" => Token::Function(Function::Cos),
        "tan" => Token::Function(Function::Tan),
        "ln" => Token::Function(Function::Ln),
        "log" => Token::Function(Function::Log),
        "exp" => Token::Function(Function::Exp),
        "{" | "lbrace" => Token::Sign('{'),
        "}" | "rbrace" => Token::Sign('}'),
        "theta" => Token::Symbol('θ'),
        "alpha" => Token::Symbol('α'),
        "beta" => Token::Symbol('β'),
        "left" | "right" | "displaystyle" | "," | "!" | ";" | ":" | " " | "quad" => {
            return Ok(None);
        }
        _ => return Err(AlgebraError::UnknownCommand),
    }))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Open absolute values: inside one, a bar closes it.
    bars: usize,
}

impl Parser {
    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.at).copied()
    }

    fn take_sign(&mut self, signs: &[char]) -> Option<char> {
        match self.peek() {
            Some(Token::Sign(sign)) if signs.contains(&sign) => {
                self.at += 1;
                Some(sign)
            }
            _ => None,
        }
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
        self.chain(&['+', '-'], Self::product, |sign, a, b| match sign {
            '+' => Expression::Sum(a, b),
            _ => Expression::Sum(a, Box::new(Expression::Negative(b))),
        })
    }

    /// A left-associative chain. Its length counts as depth, because the tree it makes is as deep.
    fn chain(
        &mut self,
        signs: &[char],
        part: fn(&mut Self) -> Result<Expression, AlgebraError>,
        join: fn(char, Box<Expression>, Box<Expression>) -> Expression,
    ) -> Result<Expression, AlgebraError> {
        let mut value = part(self)?;
        let mut length = 0;
        while let Some(sign) = self.take_sign(signs) {
            length += 1;
            if length > MAX_LENGTH / 4 {
                return Err(AlgebraError::TooDeep);
            }
            let next = part(self)?;
            value = join(sign, Box::new(value), Box::new(next));
        }
        Ok(value)
    }

    fn product(&mut self) -> Result<Expression, AlgebraError> {
        self.chain(&['*', '/'], Self::signed, |sign, a, b| match sign {
            '*' => Expression::Product(a, b),
            _ => Expression::Quotient(a, b),
        })
    }

    fn signed(&mut self) -> Result<Expression, AlgebraError> {
        match self.take_sign(&['+', '-']) {
            Some('-') => Ok(Expression::Negative(Box::new(self.deeper(Self::signed)?))),
            Some(_) => self.deeper(Self::signed),
            None => self.juxtaposed(),
        }
    }

    /// Factors without a sign between them bind tighter than division: `1/2x` is `1/(2x)`, but
    /// `1/2 x` cannot be told from it, so a number after a factor is refused instead of guessed.
    fn juxtaposed(&mut self) -> Result<Expression, AlgebraError> {
        let mut value = self.power()?;
        while self.starts_factor() {
            let next = self.power()?;
            value = Expression::Product(Box::new(value), Box::new(next));
        }
        Ok(value)
    }

    fn starts_factor(&self) -> bool {
        match self.peek() {
            Some(
                Token::Symbol(_)
                | Token::Fraction
                | Token::Root
                | Token::Function(_)
                | Token::Sign('(' | '[' | '{'),
            ) => true,
            Some(Token::Sign('|')) => self.bars == 0,
            _ => false,
        }
    }

    fn power(&mut self) -> Result<Expression, AlgebraError> {
        let base = self.operand()?;
        if self.take_sign(&['^']).is_none() {
            return Ok(base);
        }
        let exponent = self.deeper(Self::exponent)?;
        Ok(Expression::Power(Box::new(base), Box::new(exponent)))
    }

    fn exponent(&mut self) -> Result<Expression, AlgebraError> {
        match self.take_sign(&['-']) {
            Some(_) => Ok(Expression::Negative(Box::new(self.deeper(Self::exponent)?))),
            None => self.power(),
        }
    }

    fn operand(&mut self) -> Result<Expression, AlgebraError> {
        let token = self.peek().ok_or(AlgebraError::Incomplete)?;
        self.at += 1;
        match token {
            Token::Number(value) => Ok(Expression::Number(value)),
            Token::Symbol(name) => Ok(Expression::Symbol(name)),
            Token::Sign('(') => self.enclosed(')'),
            Token::Sign('[') => self.enclosed(']'),
            Token::Sign('{') => self.enclosed('}'),
            Token::Sign('|') => {
                self.bars += 1;
                let inner = self.enclosed('|')?;
                self.bars -= 1;
                Ok(Expression::Function(Function::Abs, Box::new(inner)))
            }
            Token::Fraction => {
                let (top, bottom) = (self.argument()?, self.argument()?);
                Ok(Expression::Quotient(Box::new(top), Box::new(bottom)))
            }
            Token::Root => {
                let degree = match self.take_sign(&['[']) {
                    Some(_) => self.enclosed(']')?,
                    None => Expression::Number(Rational::from(2)),
                };
                Ok(Expression::Root(Box::new(self.argument()?), Box::new(degree)))
            }
            Token::Function(function) => self.function(function),
            Token::Sign(found) => Err(AlgebraError::Unexpected { found }),
        }
    }

    /// `\sin x`, `\sin(x)`, `\sin^2 x`.
    fn function(&mut self, function: Function) -> Result<Expression, AlgebraError> {
        let exponent = match self.take_sign(&['^']) {
            Some(_) => Some(self.deeper(Self::exponent)?),
            None => None,
        };
        let argument = self.deeper(Self::power)?;
        let value = Expression::Function(function, Box::new(argument));
        Ok(match exponent {
            Some(exponent) => Expression::Power(Box::new(value), Box::new(exponent)),
            None => value,
        })
    }

    fn enclosed(&mut self, close: char) -> Result<Expression, AlgebraError> {
        let outer = if close == '|' { self.bars } else { std::mem::take(&mut self.bars) };
        let inner = self.deeper(Self::sum)?;
        self.bars = outer;
        match self.take_sign(&[close]) {
            Some(_) => Ok(inner),
            None => Err(self.peek().map_or(AlgebraError::Incomplete, Token::unexpected)),
        }
    }

    /// What a LaTeX command applies to: a group in braces, or the next digit or letter alone.
    fn argument(&mut self) -> Result<Expression, AlgebraError> {
        if let Some(Token::Number(value)) = self.peek() {
            // "\frac12" is one half: the number's first digit is the argument.
            let text = value.to_string();
            if value.is_integer() && text.len() > 1 {
                let (first, rest) = text.split_at(1);
                let number = |digits| Rational::from_decimal(digits).ok_or(AlgebraError::TooLarge);
                self.tokens[self.at] = Token::Number(number(rest)?);
                return Ok(Expression::Number(number(first)?));
            }
        }
        self.deeper(Self::operand)
    }
}
