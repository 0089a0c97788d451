//! Complex values of expressions with a bound of their rounding error.

use std::f64::consts::{E, PI};
use std::fmt::Write as _;

use super::{Expression, Function};

/// Relative rounding error of one operation, with room for the functions' own errors.
const EPSILON: f64 = 4.0 * f64::EPSILON;

/// Largest whole exponent that is worked out by multiplication.
const MAX_WHOLE_EXPONENT: f64 = 64.0;

/// From this sample point on, coordinates may be negative.
pub(super) const SIGNED: usize = 1000;

/// A complex number and how far it may be from the exact value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Approximate {
    pub(super) re: f64,
    pub(super) im: f64,
    pub(super) error: f64,
}

const UNDEFINED: Approximate = Approximate { re: f64::NAN, im: f64::NAN, error: f64::NAN };

/// The value of `expression` where the variables have fixed irregular values between 0.3 and 2.3
/// that differ from point to point, from point [`SIGNED`] on of either sign; not finite where it is undefined.
pub(super) fn value(expression: &Expression, point: usize) -> Approximate {
    let of = |part: &Expression| value(part, point);
    match expression {
        Expression::Number(number) => real(number.to_f64()),
        Expression::Symbol(name) => match name.as_str() {
            "π" => real(PI),
            "e" => real(E),
            "i" => Approximate { re: 0.0, im: 1.0, error: 0.0 },
            _ => exactly(coordinate(name, point)),
        },
        Expression::Sum(a, b) => of(a).plus(of(b)),
        Expression::Product(a, b) => of(a).times(of(b)),
        Expression::Quotient(a, b) => of(a).times(of(b).inverse()),
        Expression::Negative(a) => of(a).negated(),
        Expression::Power(a, b) => of(a).power(of(b)),
        Expression::Root(a, degree) => of(a).root(of(degree)),
        Expression::Function(function, a) => of(a).function(*function),
        Expression::Apply(name, parts) => {
            opaque(name, &parts.iter().map(of).collect::<Vec<_>>(), point)
        }
    }
}

fn real(re: f64) -> Approximate {
    Approximate { re, im: 0.0, error: re.abs() * EPSILON }
}

fn exactly(re: f64) -> Approximate {
    Approximate { re, im: 0.0, error: 0.0 }
}

/// Coordinate of variable `name` at sample point `point`: fixed, irregular, away from 0.
fn coordinate(name: &str, point: usize) -> f64 {
    let mixed = crate::rng::stable_hash(&format!("{name}{point}"));
    let size = 0.3 + 2.0 * (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    if point >= SIGNED && mixed % 2 == 1 { -size } else { size }
}

/// A value that the name and the values of the parts determine.
fn opaque(name: &str, parts: &[Approximate], point: usize) -> Approximate {
    let mut key = format!("{name}(");
    for part in parts {
        // Nine digits have to be sure, because other digits make another value.
        if !part.is_finite() || part.error > 1e-11 * part.modulus().max(1e-3) {
            return UNDEFINED;
        }
        // Adding zero makes a negative zero positive.
        let clean = |value: f64| if value.abs() <= part.error { 0.0 } else { value + 0.0 };
        // Writing to a string cannot fail.
        let _ = write!(key, "{:.8e} {:.8e},", clean(part.re), clean(part.im));
    }
    exactly(coordinate(&key, point))
}

impl Approximate {
    pub(super) fn is_finite(self) -> bool {
        self.re.is_finite() && self.im.is_finite() && self.error.is_finite()
    }

    pub(super) fn modulus(self) -> f64 {
        self.re.hypot(self.im)
    }

    fn rounded(re: f64, im: f64, error: f64) -> Self {
        Self { re, im, error: error + EPSILON * re.hypot(im) }
    }

    fn is_real(self) -> bool {
        self.im.abs() <= self.error
    }

    fn plus(self, other: Self) -> Self {
        Self::rounded(self.re + other.re, self.im + other.im, self.error + other.error)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        self.plus(other.negated())
    }

    pub(super) fn negated(self) -> Self {
        Self { re: -self.re, im: -self.im, ..self }
    }

    pub(super) fn times(self, other: Self) -> Self {
        let error =
            self.modulus() * other.error + other.modulus() * self.error + self.error * other.error;
        let re = self.re * other.re - self.im * other.im;
        let im = self.re * other.im + self.im * other.re;
        let scale = EPSILON * self.modulus() * other.modulus();
        Self { re, im, error: error + scale }
    }

    pub(super) fn inverse(self) -> Self {
        let square = self.re * self.re + self.im * self.im;
        if square == 0.0 || self.modulus() <= 2.0 * self.error {
            return UNDEFINED;
        }
        Self::rounded(self.re / square, -self.im / square, 2.0 * self.error / square)
    }

    fn power(self, exponent: Self) -> Self {
        let whole = exponent.is_real() && exponent.re.fract() == 0.0;
        if whole && exponent.re.abs() <= MAX_WHOLE_EXPONENT {
            let mut result = exactly(1.0);
            for _ in 0..exponent.re.abs() as u32 {
                result = result.times(self);
            }
            return if exponent.re < 0.0 { result.inverse() } else { result };
        }
        if self.modulus() == 0.0 {
            return if exponent.re > 0.0 { self } else { UNDEFINED };
        }
        exponent.times(self.ln()).exp()
    }

    /// The principal root, or the real one of a negative number with an odd degree.
    fn root(self, degree: Self) -> Self {
        if self.modulus() == 0.0 {
            return self;
        }
        if self.is_real() && self.re < 0.0 && degree.is_real() && degree.re.rem_euclid(2.0) == 1.0 {
            return self.negated().power(degree.inverse()).negated();
        }
        if self.is_real() && self.re > 0.0 && degree.re == 2.0 {
            let root = self.re.sqrt();
            return Self::rounded(root, 0.0, self.error / root);
        }
        self.power(degree.inverse())
    }

    fn ln(self) -> Self {
        let modulus = self.modulus();
        if modulus <= 2.0 * self.error {
            return UNDEFINED;
        }
        // Rounding must not choose the side of the branch cut.
        let im = if self.is_real() { 0.0 } else { self.im };
        let error = 2.0 * self.error / modulus + EPSILON;
        Self::rounded(modulus.ln(), im.atan2(self.re), error)
    }

    fn exp(self) -> Self {
        let scale = self.re.exp();
        let error = scale * (2.0 * self.error + EPSILON * (1.0 + self.modulus()));
        Self::rounded(scale * self.im.cos(), scale * self.im.sin(), error)
    }

    fn sin(self) -> Self {
        let error = (self.error + EPSILON * (1.0 + self.modulus())) * self.im.cosh();
        Self::rounded(self.re.sin() * self.im.cosh(), self.re.cos() * self.im.sinh(), 2.0 * error)
    }

    fn cos(self) -> Self {
        let error = (self.error + EPSILON * (1.0 + self.modulus())) * self.im.cosh();
        Self::rounded(self.re.cos() * self.im.cosh(), -self.re.sin() * self.im.sinh(), 2.0 * error)
    }

    /// A function of a real number with the slope at it.
    fn of_real(self, function: fn(f64) -> f64, slope: fn(f64) -> f64) -> Self {
        if !self.is_real() {
            return UNDEFINED;
        }
        let error = (2.0 * self.error * slope(self.re)).abs() + EPSILON;
        Self::rounded(function(self.re), 0.0, error)
    }

    fn function(self, function: Function) -> Self {
        match function {
            Function::Sin => self.sin(),
            Function::Cos => self.cos(),
            Function::Tan => self.sin().times(self.cos().inverse()),
            Function::Arcsin => self.of_real(f64::asin, |x| 1.0 / (1.0 - x * x).sqrt()),
            Function::Arccos => self.of_real(f64::acos, |x| 1.0 / (1.0 - x * x).sqrt()),
            Function::Arctan => self.of_real(f64::atan, |x| 1.0 / (1.0 + x * x)),
            Function::Sinh => self.exp().minus(self.negated().exp()).times(exactly(0.5)),
            Function::Cosh => self.exp().plus(self.negated().exp()).times(exactly(0.5)),
            Function::Tanh => {
                let (grows, falls) = (self.exp(), self.negated().exp());
                grows.minus(falls).times(grows.plus(falls).inverse())
            }
            Function::Ln => self.ln(),
            Function::Exp => self.exp(),
            Function::Abs => Self { re: self.modulus(), im: 0.0, error: self.error },
            Function::Floor => self.step(f64::floor),
            Function::Ceiling => self.step(f64::ceil),
            Function::Factorial => self.factorial(),
        }
    }

    fn step(self, round: fn(f64) -> f64) -> Self {
        let near = self.re.round();
        if !self.is_real() || (self.error > 0.0 && (self.re - near).abs() <= 2.0 * self.error) {
            return UNDEFINED;
        }
        exactly(round(self.re))
    }

    fn factorial(self) -> Self {
        let whole = self.is_real() && self.re >= 0.0 && self.re.fract() == 0.0;
        if !whole || self.re > 170.0 {
            return opaque("!", &[self], 0);
        }
        let product: f64 = (1..=self.re as u32).map(f64::from).product();
        Self::rounded(product, 0.0, product * self.re * f64::EPSILON)
    }
}
