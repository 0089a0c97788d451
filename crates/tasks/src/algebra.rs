//! Algebraic expressions of simple forms, in plain notation or LaTeX, and their equality.

mod parse;

pub(crate) use parse::parse;

use crate::rational::Rational;

/// Deepest nesting of brackets, signs and powers.
pub(crate) const MAX_DEPTH: usize = 40;

/// Relative difference below which two values at a sample point are equal.
const TOLERANCE: f64 = 1e-9;

/// Sample points of the test for identity.
const POINTS: usize = 12;

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    /// A number.
    Number(Rational),
    /// A constant such as `π`, or a variable.
    Symbol(char),
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
}

/// Functions of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    /// Sine, in radians.
    Sin,
    /// Cosine, in radians.
    Cos,
    /// Tangent, in radians.
    Tan,
    /// Natural logarithm.
    Ln,
    /// Decimal logarithm.
    Log,
    /// Exponential function.
    Exp,
    /// Absolute value.
    Abs,
}

impl Expression {
    /// The exact value, if it is made of numbers and the four operations, whole powers and exact
    /// square roots.
    pub(crate) fn exact(&self) -> Option<Rational> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Symbol(_) | Self::Function(..) => None,
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
        }
    }

    /// The value with each variable replaced by what `values` says; `NaN` where it is undefined.
    fn at(&self, values: &dyn Fn(char) -> f64) -> f64 {
        match self {
            Self::Number(value) => value.to_f64(),
            Self::Symbol('π') => std::f64::consts::PI,
            Self::Symbol('e') => std::f64::consts::E,
            Self::Symbol(name) => values(*name),
            Self::Sum(a, b) => a.at(values) + b.at(values),
            Self::Product(a, b) => a.at(values) * b.at(values),
            Self::Quotient(a, b) => a.at(values) / b.at(values),
            Self::Negative(a) => -a.at(values),
            Self::Power(a, b) => a.at(values).powf(b.at(values)),
            Self::Root(a, degree) => {
                let (value, degree) = (a.at(values), degree.at(values));
                if value < 0.0 && degree % 2.0 == 1.0 {
                    -(-value).powf(1.0 / degree)
                } else {
                    value.powf(1.0 / degree)
                }
            }
            Self::Function(function, a) => {
                let value = a.at(values);
                match function {
                    Function::Sin => value.sin(),
                    Function::Cos => value.cos(),
                    Function::Tan => value.tan(),
                    Function::Ln => value.ln(),
                    Function::Log => value.log10(),
                    Function::Exp => value.exp(),
                    Function::Abs => value.abs(),
                }
            }
        }
    }

    /// Whether it is made of numbers, the four operations and powers alone.
    fn is_arithmetic(&self) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Symbol(_) | Self::Function(..) | Self::Root(..) => false,
            Self::Negative(a) => a.is_arithmetic(),
            Self::Power(a, b) => a.is_arithmetic() && b.exact().is_none_or(Rational::is_integer),
            Self::Sum(a, b) | Self::Product(a, b) | Self::Quotient(a, b) => {
                a.is_arithmetic() && b.is_arithmetic()
            }
        }
    }

    /// How many operations it has; signs do not count.
    pub(crate) fn operations(&self) -> usize {
        match self {
            Self::Number(_) | Self::Symbol(_) => 0,
            Self::Negative(a) => a.operations(),
            Self::Function(_, a) => 1 + a.operations(),
            Self::Sum(a, b) | Self::Product(a, b) | Self::Quotient(a, b) | Self::Power(a, b) => {
                1 + a.operations() + b.operations()
            }
            Self::Root(a, degree) => 1 + a.operations() + degree.operations(),
        }
    }

    /// The variables in it, without the constants `π` and `e`.
    pub(crate) fn variables(&self) -> Vec<char> {
        let mut names = Vec::new();
        self.collect_variables(&mut names);
        names.sort_unstable();
        names.dedup();
        names
    }

    fn collect_variables(&self, names: &mut Vec<char>) {
        match self {
            Self::Symbol('π' | 'e') | Self::Number(_) => {}
            Self::Symbol(name) => names.push(*name),
            Self::Negative(a) | Self::Function(_, a) => a.collect_variables(names),
            Self::Sum(a, b)
            | Self::Product(a, b)
            | Self::Quotient(a, b)
            | Self::Power(a, b)
            | Self::Root(a, b) => {
                a.collect_variables(names);
                b.collect_variables(names);
            }
        }
    }
}

fn whole_root(value: i128) -> Option<i128> {
    let value = u128::try_from(value).ok()?;
    let root = value.isqrt();
    if root * root == value { i128::try_from(root).ok() } else { None }
}

/// Whether two expressions are equal; `None` if that cannot be decided.
///
/// Numbers are compared as exact fractions. Anything else is compared at twelve fixed points with
/// coordinates between 0.3 and 2.3, to a relative 1e-9: different expressions of the size of an
/// answer practically never agree at all of them, and equal ones always do.
/// At least three points have to lie where both are defined. A decimal that agrees with an
/// irrational number to nine digits therefore counts as equal to it.
pub(crate) fn equal(left: &Expression, right: &Expression) -> Option<bool> {
    if let (Some(left), Some(right)) = (left.exact(), right.exact()) {
        return Some(left == right);
    }
    if left == right {
        return Some(true);
    }
    // Plain arithmetic without an exact value exceeded 128 bits, and rounded values cannot
    // distinguish such large numbers.
    if left.is_arithmetic() && right.is_arithmetic() {
        return None;
    }
    let mut compared = 0;
    for point in 0..POINTS {
        let values = |name: char| coordinate(name, point);
        let (a, b) = (left.at(&values), right.at(&values));
        if !a.is_finite() || !b.is_finite() {
            // Defined on one side only: not the same expression.
            if a.is_finite() != b.is_finite() {
                return Some(false);
            }
            continue;
        }
        if (a - b).abs() > TOLERANCE * a.abs().max(b.abs()).max(1e-3) {
            return Some(false);
        }
        compared += 1;
    }
    (compared >= 3).then_some(true)
}

/// Coordinate of variable `name` at sample point `point`: fixed, irregular, away from 0 and 1.
fn coordinate(name: char, point: usize) -> f64 {
    let mixed = crate::rng::stable_hash(&format!("{name}{point}"));
    0.3 + 2.0 * (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(left: &str, right: &str) -> Option<bool> {
        equal(&parse(left).unwrap(), &parse(right).unwrap())
    }

    #[test]
    fn equal_and_unequal_expressions() {
        for (left, right, expected) in [
            ("2\\sqrt{3}", "\\sqrt{12}", true),
            ("\\frac{\\sqrt{3}}{3}", "\\frac{1}{\\sqrt{3}}", true),
            ("(x-1)(x+1)", "x^2-1", true),
            ("(x-1)(x+1)", "x^2+1", false),
            ("\\frac{x^2-1}{x-1}", "x+1", true),
            ("3xy", "3yx", true),
            ("3xy", "3x+y", false),
            ("2^{10}", "1024", true),
            ("2\\pi r", "2r\\pi", true),
            ("\\pi", "3.14159", false),
            ("\\sqrt{2}", "1.41421356", false),
            ("\\frac12", "0.5", true),
            ("-\\frac{1}{2}", "\\frac{-1}{2}", true),
            ("x^{-1}", "1/x", true),
            ("e^{2}", "\\exp(2)", true),
            ("\\ln e", "1", true),
            ("\\sqrt[3]{27}", "3", true),
            ("\\sqrt{x^2}", "x", true),
            ("|{-3}|", "3", true),
            ("\\sin^2 x + \\cos^2 x", "1", true),
            ("0.1+0.2", "0.3", true),
            ("\\sqrt{x-5}", "\\sqrt{x-6}", false),
        ] {
            let found = same(left, right);
            assert!(
                found == Some(expected) || (found.is_none() && !expected),
                "{left} and {right}: {found:?}"
            );
        }
        assert_eq!(same("10^{60}", "10^{60}+1"), None);
        assert_eq!(same("10^{60}", "10^{60}"), Some(true));
        assert_eq!(parse("\\sqrt{\\frac{9}{4}}").unwrap().exact(), Rational::new(3, 2));
        assert_eq!(parse("x y + 2^z").unwrap().variables(), ['x', 'y', 'z']);
        assert_eq!(parse("-\\frac{1}{2}").unwrap().operations(), 1);
    }

    proptest! {
        #[test]
        fn expansion_is_an_identity(a in -9_i32..9, b in -9_i32..9) {
            let factored = format!("(x + {a})(x - {b})").replace("+ -", "- ").replace("- -", "+ ");
            let (sum, product) = (a - b, -a * b);
            let expanded = format!("x^2 + ({sum})x + ({product})");
            prop_assert_eq!(same(&factored, &expanded), Some(true), "{} {}", factored, expanded);
            let wrong = format!("x^2 + ({})x + ({product})", sum + 1);
            prop_assert_eq!(same(&factored, &wrong), Some(false));
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,30}|[0-9xy+*/^(){}|\\\\fracsqrt. -]{0,40}") {
            if let Ok(expression) = parse(&text) {
                let _ = equal(&expression, &expression);
                let _ = expression.exact();
            }
        }
    }
}
