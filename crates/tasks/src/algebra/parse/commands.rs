//! Reading what a LaTeX command says.

use super::{AlgebraError, Parser, number};
use crate::algebra::{Expression, Function, MAX_DEPTH};
use crate::latex::{ACCENTS, Token};

/// Commands that read conditions below and above them and then what they apply to.
const OVER_INDEX: [&str; 6] = ["sum", "prod", "int", "lim", "iint", "oint"];

impl Parser<'_> {
    pub(super) fn command(&mut self, name: &str) -> Result<Expression, AlgebraError> {
        match name {
            "frac" => {
                let (top, bottom) = (self.argument()?, self.argument()?);
                Ok(Expression::Quotient(Box::new(top), Box::new(bottom)))
            }
            "sqrt" => {
                let degree = match self.take_sign(&['[']) {
                    Some(_) => self.enclosed(']')?,
                    None => number(2),
                };
                // "\sqrt12" is set as a root of 1 and meant as one of 12: not guessed.
                if let Some(Token::Number(value)) = self.peek()
                    && value.is_integer()
                    && value.numerator() > 9
                {
                    return Err(self.unexpected());
                }
                Ok(Expression::Root(Box::new(self.argument()?), Box::new(degree)))
            }
            "binom" => {
                let parts = vec![self.argument()?, self.argument()?];
                Ok(Expression::Apply("binom".to_owned(), parts))
            }
            _ if OVER_INDEX.contains(&name) => self.over_index(name),
            _ if ACCENTS.contains(&name) => {
                let argument = self.argument()?;
                Ok(Expression::Apply(name.to_owned(), vec![argument]))
            }
            _ => match function(name) {
                Some(function) => self.function(function),
                None if matches!(name, "log" | "lg") => self.logarithm(),
                None if name == "sec" => self.reciprocal(Function::Cos),
                None if name == "csc" => self.reciprocal(Function::Sin),
                None if name == "cot" => self.reciprocal(Function::Tan),
                None if name == "mod" => {
                    Err(AlgebraError::Unexpected { found: Token::Command(name.to_owned()) })
                }
                None => self.symbol(format!("\\{name}")),
            },
        }
    }

    /// The exponent of a function's name, as in `\sin^2 x`.
    fn name_exponent(&mut self) -> Result<Option<Expression>, AlgebraError> {
        match self.take_sign(&['^']) {
            Some(_) => Ok(Some(self.deeper(Self::exponent)?)),
            None => Ok(None),
        }
    }

    /// `\sin x`, `\sin(x)`, `\sin 2x`, `\sin^2 x`, and the inverse function `\sin^{-1} x`.
    fn function(&mut self, function: Function) -> Result<Expression, AlgebraError> {
        let exponent = self.name_exponent()?;
        let argument = Box::new(self.function_argument()?);
        let inverse = match function {
            Function::Sin => Some(Function::Arcsin),
            Function::Cos => Some(Function::Arccos),
            Function::Tan => Some(Function::Arctan),
            _ => None,
        };
        let minus_one = Expression::Negative(Box::new(number(1)));
        Ok(match (exponent, inverse) {
            (Some(exponent), Some(inverse)) if exponent == minus_one => {
                Expression::Function(inverse, argument)
            }
            (exponent, _) => raised(Expression::Function(function, argument), exponent),
        })
    }

    /// `\log x` to base 10, and `\log_b x`.
    fn logarithm(&mut self) -> Result<Expression, AlgebraError> {
        let base = match self.take_sign(&['_']) {
            Some(_) => self.argument()?,
            None => number(10),
        };
        let exponent = self.name_exponent()?;
        let argument = self.function_argument()?;
        let ln = |of| Box::new(Expression::Function(Function::Ln, Box::new(of)));
        Ok(raised(Expression::Quotient(ln(argument), ln(base)), exponent))
    }

    /// The reciprocals of functions: `\sec x`, `\csc x` and `\cot x`.
    fn reciprocal(&mut self, function: Function) -> Result<Expression, AlgebraError> {
        let exponent = self.name_exponent()?;
        let argument = self.function_argument()?;
        let below = Expression::Function(function, Box::new(argument));
        let value = Expression::Quotient(Box::new(number(1)), Box::new(below));
        Ok(raised(value, exponent))
    }

    /// What a function is applied to: brackets, or the factors up to the next function.
    fn function_argument(&mut self) -> Result<Expression, AlgebraError> {
        if matches!(self.peek_sign(), Some('(' | '[' | '{' | '|')) {
            return self.deeper(Self::operand);
        }
        let mut value = self.deeper(Self::power)?;
        for _ in 0..MAX_DEPTH {
            let next = match self.peek() {
                Some(Token::Letter(_)) => true,
                Some(Token::Command(name)) => matches!(name.as_str(), "frac" | "sqrt"),
                _ => false,
            };
            if !next {
                break;
            }
            let factor = self.power()?;
            value = Expression::Product(Box::new(value), Box::new(factor));
        }
        Ok(value)
    }

    /// `\sum_{k=1}^{n} a_k` and the like as a whole that its conditions and its term determine.
    fn over_index(&mut self, name: &str) -> Result<Expression, AlgebraError> {
        let mut below = Vec::new();
        let mut above = Vec::new();
        while let Some(sign) = self.take_sign(&['_', '^']) {
            let condition = self.condition()?;
            let place = if sign == '_' { &mut below } else { &mut above };
            if !place.is_empty() {
                return Err(self.unexpected());
            }
            *place = condition;
        }
        let term = self.deeper(Self::product)?;
        let name = format!("{name} {} {}", below.len(), above.len());
        below.append(&mut above);
        below.push(term);
        Ok(Expression::Apply(name, below))
    }

    /// A group such as `{k=1}` or `{x \to 0}`, or a single operand.
    fn condition(&mut self) -> Result<Vec<Expression>, AlgebraError> {
        if self.peek_sign() != Some('{') {
            return Ok(vec![self.argument()?]);
        }
        self.at += 1;
        let mut parts = vec![self.deeper(Self::sum)?];
        while parts.len() < MAX_DEPTH
            && let Some(sign) = self.take_sign(&['=', '→', ',', '≤', '<', '≥', '>', '∈'])
        {
            parts.push(Expression::Symbol(sign.to_string()));
            parts.push(self.deeper(Self::sum)?);
        }
        match self.take_sign(&['}']) {
            Some(_) => Ok(parts),
            None => Err(self.unexpected()),
        }
    }
}

fn raised(value: Expression, exponent: Option<Expression>) -> Expression {
    match exponent {
        Some(exponent) => Expression::Power(Box::new(value), Box::new(exponent)),
        None => value,
    }
}

fn function(name: &str) -> Option<Function> {
    Some(match name {
        "sin" => Function::Sin,
        "cos" => Function::Cos,
        "tan" => Function::Tan,
        "arcsin" => Function::Arcsin,
        "arccos" => Function::Arccos,
        "arctan" => Function::Arctan,
        "sinh" => Function::Sinh,
        "cosh" => Function::Cosh,
        "tanh" => Function::Tanh,
        "ln" => Function::Ln,
        "exp" => Function::Exp,
        _ => return None,
    })
}
