#![doc = include_str!("../README.md")]

use std::fmt;

/// One number or a list of numbers, as f64.
pub trait Numbers {
    /// The numbers in order.
    fn numbers(&self) -> Vec<f64>;
}

impl Numbers for f64 {
    fn numbers(&self) -> Vec<f64> {
        vec![*self]
    }
}

impl Numbers for f32 {
    fn numbers(&self) -> Vec<f64> {
        vec![f64::from(*self)]
    }
}

impl<T: Numbers> Numbers for [T] {
    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(T::numbers).collect()
    }
}

impl<T: Numbers, const N: usize> Numbers for [T; N] {
    fn numbers(&self) -> Vec<f64> {
        self.as_slice().numbers()
    }
}

impl<T: Numbers> Numbers for Vec<T> {
    fn numbers(&self) -> Vec<f64> {
        self.as_slice().numbers()
    }
}

impl<T: Numbers + ?Sized> Numbers for &T {
    fn numbers(&self) -> Vec<f64> {
        T::numbers(self)
    }
}

/// How far a found value may be from the expected one: at most
/// `absolute + relative * max(|expected|, floor)`.
///
/// A bare f64 is an absolute tolerance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    absolute: f64,
    relative: f64,
    floor: f64,
}

impl Tolerance {
    /// The same for every value.
    pub const fn absolute(tolerance: f64) -> Self {
        Self { absolute: tolerance, relative: 0.0, floor: 0.0 }
    }

    /// A share of the expected value's magnitude. An expected 0 must be met exactly.
    pub const fn relative(share: f64) -> Self {
        Self { absolute: 0.0, relative: share, floor: 0.0 }
    }

    /// Relative, as if no expected magnitude were below `floor`.
    #[must_use]
    pub const fn with_floor(self, floor: f64) -> Self {
        Self { floor, ..self }
    }

    /// Adds an absolute part.
    #[must_use]
    pub const fn plus(self, absolute: f64) -> Self {
        Self { absolute: self.absolute + absolute, ..self }
    }

    fn around(&self, expected: f64) -> f64 {
        if expected.is_infinite() {
            return self.absolute;
        }
        self.absolute + self.relative * expected.abs().max(self.floor)
    }
}

impl From<f64> for Tolerance {
    fn from(absolute: f64) -> Self {
        Self::absolute(absolute)
    }
}

/// Why two lists are not close.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Mismatch {
    /// The lists have different lengths.
    Length {
        /// Values found.
        found: usize,
        /// Values expected.
        expected: usize,
    },
    /// The pair that is furthest beyond its tolerance, or the first that cannot be compared.
    Value {
        /// Where in the lists, from 0.
        index: usize,
        /// How many values each list has.
        length: usize,
        /// The value found.
        found: f64,
        /// The value expected.
        expected: f64,
        /// The difference allowed there.
        allowed: f64,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { found, expected } => {
                write!(f, "found {found} values, expected {expected}")
            }
            Self::Value { index, length, found, expected, allowed } => write!(
                f,
                "index {index} of {length}: found {found:?}, expected {expected:?}, \
                 difference {:e}, allowed {allowed:e}",
                difference(found, expected)
            ),
        }
    }
}

impl std::error::Error for Mismatch {}

/// `|found - expected|`: 0 for two equal infinities, NaN where either is NaN or only one is infinite.
fn difference(found: f64, expected: f64) -> f64 {
    if found == expected {
        0.0
    } else if found.is_infinite() || expected.is_infinite() {
        f64::NAN
    } else {
        (found - expected).abs()
    }
}

/// The largest, or NaN if there is one.
fn maximum(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(
        0.0,
        |largest, value| {
            if value > largest || value.is_nan() { value } else { largest }
        },
    )
}

/// The largest `|found - expected|`.
///
/// NaN if a pair cannot be compared (NaN on either side, infinite on one side only) or if the lengths
/// differ: then neither `< tolerance` nor `> tolerance` holds. Two empty lists differ by 0.
pub fn largest_difference(found: impl Numbers, expected: impl Numbers) -> f64 {
    let (found, expected) = (found.numbers(), expected.numbers());
    if found.len() != expected.len() {
        return f64::NAN;
    }
    maximum(found.iter().zip(&expected).map(|(f, e)| difference(*f, *e)))
}

/// The largest `|found - expected| / max(|expected|, floor)`, where 0 / 0 is 0.
///
/// NaN as in [`largest_difference`]. With `floor` 0 a value that differs from an expected 0 gives
/// infinity.
pub fn largest_relative_difference(found: impl Numbers, expected: impl Numbers, floor: f64) -> f64 {
    let (found, expected) = (found.numbers(), expected.numbers());
    if found.len() != expected.len() {
        return f64::NAN;
    }
    maximum(found.iter().zip(&expected).map(|(f, e)| {
        let difference = difference(*f, *e);
        if difference == 0.0 { 0.0 } else { difference / e.abs().max(floor) }
    }))
}

/// The largest magnitude, NaN if a value is NaN: the scale of a list whose entries cancel.
pub fn largest_magnitude(values: impl Numbers) -> f64 {
    maximum(values.numbers().into_iter().map(f64::abs))
}

/// Compares two lists of numbers.
///
/// Equal infinities are close; NaN is close to nothing, not even to NaN.
pub fn close(
    found: impl Numbers,
    expected: impl Numbers,
    tolerance: impl Into<Tolerance>,
) -> Result<(), Mismatch> {
    let (found, expected, tolerance) = (found.numbers(), expected.numbers(), tolerance.into());
    let length = expected.len();
    if found.len() != length {
        return Err(Mismatch::Length { found: found.len(), expected: length });
    }
    let mut worst = None;
    for (index, (&found, &expected)) in found.iter().zip(&expected).enumerate() {
        let (difference, allowed) = (difference(found, expected), tolerance.around(expected));
        let mismatch = Mismatch::Value { index, length, found, expected, allowed };
        if difference.is_nan() || allowed.is_nan() {
            return Err(mismatch);
        }
        let excess = difference - allowed;
        if excess > worst.map_or(0.0, |(excess, _)| excess) {
            worst = Some((excess, mismatch));
        }
    }
    worst.map_or(Ok(()), |(_, mismatch)| Err(mismatch))
}

/// Panics unless the two lists are close, with the index and both values in the message.
///
/// # Panics
/// As [`close`] fails.
#[track_caller]
pub fn assert_close(found: impl Numbers, expected: impl Numbers, tolerance: impl Into<Tolerance>) {
    if let Err(mismatch) = close(found, expected, tolerance) {
        panic!("{mismatch}");
    }
}

/// [`assert_close`] that names what is compared.
///
/// # Panics
/// As [`close`] fails.
#[track_caller]
pub fn assert_close_in(
    what: impl fmt::Display,
    found: impl Numbers,
    expected: impl Numbers,
    tolerance: impl Into<Tolerance>,
) {
    if let Err(mismatch) = close(found, expected, tolerance) {
        panic!("{what}: {mismatch}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f64 = f64::NAN;
    const INFINITY: f64 = f64::INFINITY;

    #[test]
    fn nan_is_close_to_nothing() {
        for (found, expected) in [
            (vec![NAN; 3], vec![NAN; 3]),
            (vec![NAN; 3], vec![0.0; 3]),
            (vec![0.0; 3], vec![NAN; 3]),
            (vec![1.0, NAN, 1.0], vec![1.0, 0.0, 1.0]),
            (vec![1.0, 0.0, NAN], vec![1.0, 0.0, 5.0]),
            (vec![NAN, 9.0], vec![0.0, 0.0]),
        ] {
            assert!(largest_difference(&found, &expected).is_nan(), "{found:?} {expected:?}");
            assert!(largest_relative_difference(&found, &expected, 1.0).is_nan());
            assert!(close(&found, &expected, INFINITY).is_err(), "{found:?} {expected:?}");
            assert!(close(&found, &expected, Tolerance::relative(INFINITY)).is_err());
        }
        assert!(largest_difference([f32::NAN; 2], [f32::NAN; 2]).is_nan());
        assert!(close(1.0, 1.0, NAN).is_err(), "a tolerance of NaN allows nothing");
        assert!(largest_magnitude([3.0, NAN, 4.0]).is_nan());
    }

    #[test]
    fn only_equal_infinities_are_close() {
        for (found, expected) in [(INFINITY, 1.0), (1.0, INFINITY), (INFINITY, -INFINITY)] {
            assert!(largest_difference(found, expected).is_nan());
            assert!(close(found, expected, 1.0).is_err());
            assert!(close(found, expected, Tolerance::relative(1.0)).is_err());
        }
        assert_eq!(largest_difference([-INFINITY, 1.0], [-INFINITY, 1.5]), 0.5);
        assert_eq!(largest_relative_difference(INFINITY, INFINITY, 1.0), 0.0);
        assert_close(-INFINITY, -INFINITY, 0.0);
        assert_close(INFINITY, INFINITY, Tolerance::relative(1e-3));
    }

    #[test]
    fn lengths_are_compared() {
        assert!(largest_difference([1.0; 2], [1.0; 3]).is_nan());
        assert!(largest_relative_difference([1.0; 3], [1.0; 2], 1.0).is_nan());
        assert_eq!(close([1.0; 2], [1.0; 3], 1.0), Err(Mismatch::Length { found: 2, expected: 3 }));
        assert_eq!(largest_difference(Vec::<f32>::new(), [0.0_f64; 0]), 0.0);
    }

    #[test]
    fn tolerances_by_hand() {
        assert_eq!(largest_difference([1.0, -2.0], [1.5, 2.0]), 4.0);
        assert_eq!(largest_relative_difference([1.0, 9.0], [2.0, 10.0], 0.0), 0.5);
        assert_eq!(largest_relative_difference([0.5], [0.25], 1.0), 0.25);
        assert_eq!(largest_relative_difference([0.0, 1.0], [0.0, 0.0], 0.0), INFINITY);
        assert_eq!(largest_magnitude([1.0_f32, -3.0]), 3.0);
        assert!(close([1.0, 2.0], [1.0, 2.5], 0.5).is_ok(), "the bound itself is allowed");
        assert!(close(8.0, 10.0, Tolerance::relative(0.2)).is_ok());
        assert!(close(8.0, 10.0, Tolerance::relative(0.1)).is_err());
        assert!(close(8.0, 10.0, Tolerance::relative(0.1).plus(1.0)).is_ok());
        assert!(close(0.1, 0.0, Tolerance::relative(0.1)).is_err());
        assert!(close(0.1, 0.0, Tolerance::relative(0.1).with_floor(1.0)).is_ok());
    }

    #[test]
    #[should_panic(
        expected = "logits: index 2 of 3: found 7.0, expected 3.0, difference 4e0, allowed 5e-1"
    )]
    fn the_message_names_the_worst_pair() {
        assert_close_in("logits", [1.0, 3.0, 7.0], [1.0, 2.0, 3.0], 0.5);
    }

    #[test]
    #[should_panic(expected = "index 0 of 2: found NaN, expected NaN")]
    fn the_message_names_the_pair_that_cannot_be_compared() {
        assert_close([NAN; 2], [NAN; 2], 0.5);
    }
}
