//! Values of expressions in a prime field, for exact comparison of large numbers and polynomials.

use super::{Expression, Function};
use crate::rational::Rational;

/// The prime 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;

/// Largest whole number whose factorial is worked out.
const MAX_FACTORIAL: i64 = 20_000;

/// Why an expression has no value in the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoResidue {
    /// It is no rational function with whole exponents.
    Unsupported,
    /// A division by zero.
    Undefined,
}

use NoResidue::{Undefined, Unsupported};

/// The value of `expression` modulo 2^61 - 1, where the variables have fixed pseudo-random values
/// that differ from point to point. `π`, `e` and `∞` count as variables, since no rational
/// relation holds between them.
pub(super) fn residue(expression: &Expression, point: usize) -> Result<u64, NoResidue> {
    let of = |part: &Expression| residue(part, point);
    match expression {
        Expression::Number(value) => rational(*value),
        Expression::Symbol(name) if name == "i" => Err(Unsupported),
        Expression::Symbol(name) => Ok(pseudo_random(name, point)),
        Expression::Sum(a, b) => Ok((of(a)? + of(b)?) % PRIME),
        Expression::Product(a, b) => Ok(times(of(a)?, of(b)?)),
        Expression::Quotient(a, b) => Ok(times(of(a)?, inverse(of(b)?)?)),
        Expression::Negative(a) => Ok((PRIME - of(a)?) % PRIME),
        Expression::Power(a, b) => {
            let exponent = b.exact().and_then(Rational::to_i64).ok_or(Unsupported)?;
            let raised = power(of(a)?, exponent.unsigned_abs());
            if exponent < 0 { inverse(raised) } else { Ok(raised) }
        }
        Expression::Function(Function::Factorial, a) => {
            factorial(a.exact().and_then(Rational::to_i64).ok_or(Unsupported)?)
        }
        Expression::Apply(name, parts) if name == "binom" => {
            let [n, k] = parts.as_slice() else { return Err(Unsupported) };
            let whole = |part: &Expression| part.exact().and_then(Rational::to_i64);
            let (n, k) = (whole(n).ok_or(Unsupported)?, whole(k).ok_or(Unsupported)?);
            if k > n {
                return Err(Unsupported);
            }
            Ok(times(factorial(n)?, inverse(times(factorial(k)?, factorial(n - k)?))?))
        }
        Expression::Apply(name, parts) => {
            let parts: Vec<u64> = parts.iter().map(of).collect::<Result<_, _>>()?;
            Ok(pseudo_random(&format!("{name}{parts:?}"), point))
        }
        Expression::Root(..) | Expression::Function(..) => {
            rational(expression.exact().ok_or(Unsupported)?)
        }
    }
}

fn pseudo_random(name: &str, point: usize) -> u64 {
    crate::rng::stable_hash(&format!("{name} {point}")) % PRIME
}

fn rational(value: Rational) -> Result<u64, NoResidue> {
    let prime = i128::from(PRIME);
    // Both remainders are below 2^61.
    let of = |part: i128| u64::try_from(part.rem_euclid(prime)).map_err(|_| Unsupported);
    Ok(times(of(value.numerator())?, inverse(of(value.denominator())?)?))
}

pub(super) fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b) % u128::from(PRIME);
    // The remainder is below 2^61.
    product as u64
}

fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = times(result, base);
        }
        base = times(base, base);
        exponent /= 2;
    }
    result
}

fn inverse(value: u64) -> Result<u64, NoResidue> {
    if value == 0 { Err(Undefined) } else { Ok(power(value, PRIME - 2)) }
}

fn factorial(n: i64) -> Result<u64, NoResidue> {
    if !(0..=MAX_FACTORIAL).contains(&n) {
        return Err(Unsupported);
    }
    Ok((1..=n.unsigned_abs()).fold(1, times))
}
