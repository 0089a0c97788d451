//! Giraffe's truncated basis.

use alloc::vec::Vec;
use core::f64::consts::PI;

use super::linear::divide;
use crate::check::{check_factor, check_not_negative};
use crate::{RopeBasis, RopeError, RotaryShape};

/// The thresholds of a truncated basis, in radians per position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Frequencies at or below it become 0.
    pub a: f64,
    /// Frequencies at or above it are kept.
    pub b: f64,
    /// The one frequency given to those between.
    pub rho: f64,
}

impl Thresholds {
    /// The thresholds of the authors' released code for a model trained at `length` tokens: pairs
    /// that complete a turn within it are kept, pairs that need more than eight times as long get 0.
    ///
    /// ```text
    /// b = 2 pi / T,  a = b / 8,  rho = b / 16
    /// ```
    ///
    /// `T` is the length of pre-training (2048 for LLaMA 1), not the one to be reached. Note that
    /// rho lies below a. For T = 0 everything is infinite, which no basis accepts.
    pub fn for_length(length: usize) -> Self {
        let b = 2.0 * PI / length as f64;
        Self { a: b / 8.0, b, rho: b / 16.0 }
    }

    /// Truncates a table in place.
    pub(crate) fn truncate(&self, table: &mut [f64]) {
        for frequency in table {
            if *frequency < self.b {
                *frequency = if *frequency > self.a { self.rho } else { 0.0 };
            }
        }
    }

    /// Refuses bounds out of order and bounds that keep none of these frequencies.
    pub(crate) fn check(&self, rope_type: &'static str, table: &[f64]) -> Result<(), RopeError> {
        for (key, value) in [("a", self.a), ("b", self.b), ("rho", self.rho)] {
            check_not_negative(rope_type, key, value)?;
        }
        if self.a > self.b {
            return Err(RopeError::Order {
                rope_type,
                low: "a",
                low_value: self.a,
                relation: "at most",
                high: "b",
                high_value: self.b,
            });
        }
        // Said of what is kept: a comparison with NaN is false.
        if !table.iter().any(|frequency| *frequency >= self.b) {
            let highest = table.iter().copied().max_by(f64::total_cmp).unwrap_or(0.0);
            return Err(RopeError::TruncatesEverything { rope_type, b: self.b, highest });
        }
        Ok(())
    }
}

/// Fast pairs kept, slow pairs set to frequency 0, those between given one shared low frequency.
///
/// ```text
/// g = f_j / s,   f'_j = g if g >= b;  rho if a < g < b;  0 if g <= a
/// ```
///
/// A pair with frequency 0 still adds its unrotated dot product to the score. Source: Pal et al.
/// 2023 (Giraffe), arXiv:2308.10882, section on the truncated basis; thresholds from the authors'
/// released code, see [`Thresholds::for_length`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truncated {
    /// Which frequencies are kept, replaced and set to 0.
    pub thresholds: Thresholds,
    /// s: linear scaling applied first; 1 for none.
    pub factor: f64,
}

impl Truncated {
    fn scaled(&self, shape: &RotaryShape) -> Vec<f64> {
        let mut table = shape.inv_freq();
        divide(&mut table, self.factor);
        table
    }
}

impl RopeBasis for Truncated {
    fn rope_type(&self) -> &'static str {
        "truncated"
    }

    fn check(&self, shape: &RotaryShape) -> Result<(), RopeError> {
        check_factor(self.rope_type(), self.factor)?;
        self.thresholds.check(self.rope_type(), &self.scaled(shape))
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        let mut table = self.scaled(shape);
        self.thresholds.truncate(&mut table);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_number_is_not_kept() {
        for b in [0.0, 0.5] {
            let thresholds = Thresholds { a: 0.0, b, rho: 0.0 };
            let found = thresholds.check("truncated", &[f64::NAN, f64::NAN]);
            assert!(matches!(found, Err(RopeError::TruncatesEverything { .. })), "{found:?}");
            assert_eq!(thresholds.check("truncated", &[f64::NAN, 0.5]), Ok(()));
        }
    }
}
