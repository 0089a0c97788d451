//! Exact fractions of 128-bit integers, and their decimal notation.

use std::cmp::Ordering;
use std::fmt;

/// Exact fraction in lowest terms with a positive denominator.
///
/// Every operation returns `None` instead of wrapping when a value exceeds 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rational {
    numerator: i128,
    denominator: i128,
}

impl Rational {
    /// `numerator / denominator` in lowest terms; `None` for a zero denominator.
    pub fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 || numerator == i128::MIN || denominator == i128::MIN {
            return None;
        }
        let divisor = greatest_common_divisor(numerator.unsigned_abs(), denominator.unsigned_abs());
        let divisor = i128::try_from(divisor).ok()? * denominator.signum();
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// The numerator, which carries the sign.
    pub fn numerator(self) -> i128 {
        self.numerator
    }

    /// The denominator, at least 1.
    pub fn denominator(self) -> i128 {
        self.denominator
    }

    /// Whether it is a whole number.
    pub fn is_integer(self) -> bool {
        self.denominator == 1
    }

    /// The value, if it is a whole number that fits 64 bits.
    pub fn to_i64(self) -> Option<i64> {
        if self.is_integer() { i64::try_from(self.numerator).ok() } else { None }
    }

    /// The nearest binary floating-point number, up to rounding of both parts.
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// Sum.
    pub fn plus(self, other: Self) -> Option<Self> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Self::new(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    /// Difference.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negated())
    }

    /// Product.
    pub fn times(self, other: Self) -> Option<Self> {
        // Cross-reducing first keeps products of large reduced fractions inside the range.
        let left = Self::new(self.numerator, other.denominator)?;
        let right = Self::new(other.numerator, self.denominator)?;
        Self::new(
            left.numerator.checked_mul(right.numerator)?,
            left.denominator.checked_mul(right.denominator)?,
        )
    }

    /// Quotient; `None` also for division by zero.
    pub fn over(self, other: Self) -> Option<Self> {
        self.times(Self::new(other.denominator, other.numerator)?)
    }

    /// The negated value.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { numerator: -self.numerator, denominator: self.denominator }
    }

    /// The value without its sign.
    #[must_use]
    pub fn magnitude(self) -> Self {
        Self { numerator: self.numerator.abs(), denominator: self.denominator }
    }

    /// `self` to a whole power; negative powers of zero are `None`.
    pub fn power(self, exponent: i64) -> Option<Self> {
        let magnitude = u32::try_from(exponent.unsigned_abs()).ok()?;
        let raised = Self::new(
            self.numerator.checked_pow(magnitude)?,
            self.denominator.checked_pow(magnitude)?,
        )?;
        if exponent < 0 { Self::from(1).over(raised) } else { Some(raised) }
    }

    /// Reads a plain decimal number: an optional sign, digits with an optional point, and no
    /// thousands separators (`-12`, `0.5`, `.5`, `3.`).
    pub fn from_decimal(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        // Digits that cannot change the value must not make it overflow.
        let fraction = fraction.trim_end_matches('0');
        let mut numerator: i128 = 0;
        let mut denominator: i128 = 1;
        for (digit, after_point) in
            whole.bytes().map(|b| (b, false)).chain(fraction.bytes().map(|b| (b, true)))
        {
            let digit = i128::from(char::from(digit).to_digit(10)?);
            numerator = numerator.checked_mul(10)?.checked_add(digit)?;
            if after_point {
                denominator = denominator.checked_mul(10)?;
            }
        }
        Self::new(if negative { -numerator } else { numerator }, denominator)
    }
}

impl From<i64> for Rational {
    fn from(value: i64) -> Self {
        Self { numerator: i128::from(value), denominator: 1 }
    }
}

impl PartialOrd for Rational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rational {
    fn cmp(&self, other: &Self) -> Ordering {
        // Comparing whole parts and then the reciprocals of the remainders cannot overflow.
        let (mut left, mut right) = (*self, *other);
        let mut reversed = false;
        loop {
            let whole_left = left.numerator.div_euclid(left.denominator);
            let whole_right = right.numerator.div_euclid(right.denominator);
            let rest_left = left.numerator.rem_euclid(left.denominator);
            let rest_right = right.numerator.rem_euclid(right.denominator);
            let order = match (whole_left.cmp(&whole_right), rest_left, rest_right) {
                (Ordering::Equal, 0, 0) => Ordering::Equal,
                (Ordering::Equal, 0, _) => Ordering::Less,
                (Ordering::Equal, _, 0) => Ordering::Greater,
                (Ordering::Equal, _, _) => {
                    left = Self { numerator: left.denominator, denominator: rest_left };
                    right = Self { numerator: right.denominator, denominator: rest_right };
                    reversed = !reversed;
                    continue;
                }
                (unequal, _, _) => unequal,
            };
            return if reversed { order.reverse() } else { order };
        }
    }
}

impl fmt::Display for Rational {
    /// Writes a whole number or a terminating decimal as such (`12`, `-0.25`), anything else as a
    /// fraction (`1/3`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.denominator;
        let (mut twos, mut fives) = (0_u32, 0_u32);
        while rest % 2 == 0 {
            rest /= 2;
            twos += 1;
        }
        while rest % 5 == 0 {
            rest /= 5;
            fives += 1;
        }
        let places = twos.max(fives);
        let scaled = 10_i128
            .checked_pow(places)
            .filter(|_| rest == 1)
            .and_then(|power| self.numerator.checked_mul(power / self.denominator));
        match scaled {
            Some(scaled) if places > 0 => {
                let sign = if scaled < 0 { "-" } else { "" };
                let digits = format!("{:0>1$}", scaled.unsigned_abs(), places as usize + 1);
                let (whole, fraction) = digits.split_at(digits.len() - places as usize);
                write!(f, "{sign}{whole}.{fraction}")
            }
            Some(scaled) => write!(f, "{scaled}"),
            None => write!(f, "{}/{}", self.numerator, self.denominator),
        }
    }
}

fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ratio(numerator: i128, denominator: i128) -> Rational {
        Rational::new(numerator, denominator).unwrap()
    }

    #[test]
    fn decimals_are_read_and_written() {
        for (text, numerator, denominator, shown) in [
            ("12", 12, 1, "12"),
            ("-0.25", -1, 4, "-0.25"),
            (".5", 1, 2, "0.5"),
            ("3.", 3, 1, "3"),
            ("+1.50", 3, 2, "1.5"),
            ("0.000", 0, 1, "0"),
            ("0.05", 1, 20, "0.05"),
        ] {
            let value = Rational::from_decimal(text).unwrap();
            assert_eq!((value.numerator(), value.denominator()), (numerator, denominator));
            assert_eq!(value.to_string(), shown);
        }
        for text in ["", ".", "-", "1e5", "1,000", "--1", "1.2.3", "٣"] {
            assert_eq!(Rational::from_decimal(text), None, "{text:?}");
        }
        assert_eq!(ratio(-2, 6).to_string(), "-1/3");
        let zeros = format!("1.{}", "0".repeat(300));
        assert_eq!(Rational::from_decimal(&zeros), Some(Rational::from(1)));
        assert_eq!(Rational::from_decimal(&"9".repeat(60)), None);
    }

    #[test]
    fn overflow_is_none_and_not_a_panic() {
        let big = ratio(i128::MAX, 1);
        assert_eq!(big.plus(big), None);
        assert_eq!(big.times(big), None);
        assert_eq!(ratio(3, 1).power(200), None);
        assert_eq!(ratio(0, 1).power(-1), None);
        assert_eq!(ratio(1, 1).over(ratio(0, 1)), None);
        assert_eq!(Rational::new(i128::MIN, 1), None);
        assert!(ratio(i128::MAX, 2) < ratio(i128::MAX, 1));
    }

    proptest! {
        #[test]
        fn field_laws(a in -999_i64..999, b in 1_i64..999, c in -999_i64..999, d in 1_i64..999) {
            let (x, y) = (ratio(a.into(), b.into()), ratio(c.into(), d.into()));
            prop_assert_eq!(x.plus(y).unwrap().minus(y).unwrap(), x);
            if c != 0 {
                prop_assert_eq!(x.times(y).unwrap().over(y).unwrap(), x);
            }
            prop_assert_eq!(x.cmp(&y), (a * d).cmp(&(c * b)));
        }

        #[test]
        fn writing_then_reading_gives_the_value(n in -100_000_i64..100_000, places in 0_u32..6) {
            let value = ratio(n.into(), 10_i128.pow(places));
            prop_assert_eq!(Rational::from_decimal(&value.to_string()), Some(value));
        }
    }
}
