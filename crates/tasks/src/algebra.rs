//! Algebraic expressions in plain notation or LaTeX, and their equality.

mod approximate;
mod equality;
mod modular;
mod parse;

pub(crate) use equality::{equal, proportional};
pub(crate) use parse::parse;

use crate::rational::Rational;

/// Deepest nesting of brackets, signs and powers.
pub(crate) const MAX_DEPTH: usize = 40;

/// Largest whole number whose factorial is worked out exactly.
const MAX_EXACT_FACTORIAL: i64 = 33;

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    /// A number.
    Number(Rational),
    /// A constant (`π`, `e`, `i`, `∞`) or a variable.
    Symbol(String),
    /// The sum of two.
    Sum(Box<Expression>, Box<Expression>),
    /// The product of two.
    Product(Box<Expression>, Box<Expression>),
    /// The first divided by the second.
    Quotient(Box<Expression>, Box<Expression>),
    /// The first to the power of the second.
    Power(Box<Expression>, Box<Expression>),
    /// The negated expression.
    Negative(Box<Expression>),
    /// The root of the first with the degree of the second.
    Root(Box<Expression>, Box<Expression>),
    /// A named function of one argument.
    Function(Function, Box<Expression>),
    /// Something else that its parts determine: a sequence's element, a sum over an index, a
    /// binomial coefficient.
    Apply(String, Vec<Expression>),
}

/// Functions of one argument; angles are in radians.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Tangent.
    Tan,
    /// Inverse sine.
    Arcsin,
    /// Inverse cosine.
    Arccos,
    /// Inverse tangent.
    Arctan,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// Hyperbolic tangent.
    Tanh,
    /// Natural logarithm.
    Ln,
    /// Exponential function.
    Exp,
    /// Absolute value.
    Abs,
    /// Largest whole number that is not larger.
    Floor,
    /// Smallest whole number that is not smaller.
    Ceiling,
    /// Factorial.
    Factorial,
}

impl Expression {
    /// The exact value, if it is made of numbers and the four operations, whole powers, exact
    /// square roots, absolute values, roundings, small factorials and binomial coefficients.
    pub(crate) fn exact(&self) -> Option<Rational> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Sum(a, b) => a.exact()?.plus(b.exact()?),
            Self::Product(a, b) => a.exact()?.times(b.exact()?),
            Self::Quotient(a, b) => a.exact()?.over(b.exact()?),
            Self::Negative(a) => Some(a.exact()?.negated()),
            Self::Power(a, b) => {
                let exponent = b.exact()?.to_i64().filter(|exponent| exponent.abs() <= 1000)?;
                a.exact()?.power(exponent)
            }
            Self::Root(a, degree) => {
                if degree.exact()?.to_i64()? != 2 {
                    return None;
                }
                let value = a.exact()?;
                Rational::new(whole_root(value.numerator())?, whole_root(value.denominator())?)
            }
            Self::Function(Function::Abs, a) => Some(a.exact()?.magnitude()),
            Self::Function(Function::Floor, a) => {
                let value = a.exact()?;
                Rational::new(value.numerator().div_euclid(value.denominator()), 1)
            }
            Self::Function(Function::Ceiling, a) => {
                let value = a.exact()?.negated();
                let down = Rational::new(value.numerator().div_euclid(value.denominator()), 1)?;
                Some(down.negated())
            }
            Self::Function(Function::Factorial, a) => factorial(a.exact()?.to_i64()?),
            Self::Apply(name, parts) if name == "binom" => {
                let [n, k] = parts.as_slice() else { return None };
                binomial(n.exact()?.to_i64()?, k.exact()?.to_i64()?)
            }
            Self::Symbol(_) | Self::Function(..) | Self::Apply(..) => None,
        }
    }

    /// The parts of which it is made.
    fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Number(_) | Self::Symbol(_) => Vec::new(),
            Self::Negative(a) | Self::Function(_, a) => vec![a],
            Self::Sum(a, b)
            | Self::Product(a, b)
            | Self::Quotient(a, b)
            | Self::Power(a, b)
            | Self::Root(a, b) => vec![a, b],
            Self::Apply(_, parts) => parts.iter().collect(),
        }
    }

    /// How many operations it is made of; a sign is none.
    pub(crate) fn operations(&self) -> usize {
        let own = !matches!(self, Self::Number(_) | Self::Symbol(_) | Self::Negative(_));
        usize::from(own) + self.parts().into_iter().map(Self::operations).sum::<usize>()
    }

    /// Whether something in it stands for no fixed value.
    pub(crate) fn has_variables(&self) -> bool {
        match self {
            Self::Symbol(name) => !matches!(name.as_str(), "π" | "e" | "i" | "∞"),
            Self::Apply(name, _) if name != "binom" => true,
            _ => self.parts().into_iter().any(Self::has_variables),
        }
    }

    /// Whether an absolute value is in it.
    fn has_absolute_values(&self) -> bool {
        matches!(self, Self::Function(Function::Abs, _))
            || self.parts().into_iter().any(Self::has_absolute_values)
    }

    /// Whether it is a written number or a calculation with `+ - * /` alone, of at most
    /// `operations` operations. A power of ten as in `5.4 * 10^6` is a part of a number.
    pub(crate) fn is_worked_out(&self, operations: usize) -> bool {
        self.is_calculation() && (self.is_written_number() || self.operations() <= operations)
    }

    fn is_calculation(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Sum(a, b) | Self::Product(a, b) | Self::Quotient(a, b) => {
                a.is_calculation() && b.is_calculation()
            }
            Self::Negative(a) => a.is_calculation(),
            _ => self.is_power_of_ten(),
        }
    }

    fn is_written_number(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Negative(a) => a.is_written_number(),
            Self::Quotient(a, b) => a.is_written_number() && matches!(**b, Self::Number(_)),
            Self::Product(a, b) => matches!(**a, Self::Number(_)) && b.is_power_of_ten(),
            _ => self.is_power_of_ten(),
        }
    }

    fn is_power_of_ten(&self) -> bool {
        let Self::Power(base, exponent) = self else { return false };
        let exponent = match &**exponent {
            Self::Negative(exponent) => exponent,
            exponent => exponent,
        };
        **base == Self::Number(Rational::from(10)) && matches!(exponent, Self::Number(_))
    }
}

fn whole_root(value: i128) -> Option<i128> {
    let value = u128::try_from(value).ok()?;
    let root = value.isqrt();
    if root * root == value { i128::try_from(root).ok() } else { None }
}

fn factorial(n: i64) -> Option<Rational> {
    if !(0..=MAX_EXACT_FACTORIAL).contains(&n) {
        return None;
    }
    (1..=n).try_fold(Rational::from(1), |product, factor| product.times(Rational::from(factor)))
}

fn binomial(n: i64, k: i64) -> Option<Rational> {
    if n < 0 || k < 0 {
        return None;
    }
    // More steps than this exceed 128 bits.
    let steps = k.min(n - k);
    if steps > 200 {
        return None;
    }
    (1..=steps).try_fold(Rational::from(1), |product, step| {
        product.times(Rational::from(n - steps + step))?.over(Rational::from(step))
    })
}
