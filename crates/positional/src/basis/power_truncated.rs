//! Giraffe's three rules combined.

use alloc::vec::Vec;

use super::linear::divide;
use super::power::raise;
use crate::check::{check_factor, check_not_negative};
use crate::{RopeBasis, RopeError, RotaryShape, Thresholds};

/// Linear scaling, then power scaling, then truncation, in the order of the released code.
///
/// ```text
/// g = f_j / s * (1 - 2j/d)^k,   f'_j = g if g >= b;  rho if a < g < b;  0 if g <= a
/// ```
///
/// Source: Pal et al. 2023 (Giraffe), arXiv:2308.10882, and the authors' released code for the order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerTruncated {
    /// k: at least 0.
    pub power: f64,
    /// Which of the scaled frequencies are kept, replaced and set to 0.
    pub thresholds: Thresholds,
    /// s: linear scaling applied first; 1 for none.
    pub factor: f64,
}

impl PowerTruncated {
    fn scaled(&self, shape: &RotaryShape) -> Vec<f64> {
        let mut table = shape.inv_freq();
        divide(&mut table, self.factor);
        raise(&mut table, self.power, shape);
        table
    }
}

impl RopeBasis for PowerTruncated {
    fn rope_type(&self) -> &'static str {
        "power_truncated"
    }

    fn check(&self, shape: &RotaryShape) -> Result<(), RopeError> {
        check_factor(self.rope_type(), self.factor)?;
        check_not_negative(self.rope_type(), "power", self.power)?;
        self.thresholds.check(self.rope_type(), &self.scaled(shape))
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        let mut table = self.scaled(shape);
        self.thresholds.truncate(&mut table);
        table
    }
}
