//! Giraffe's power scaling.

use alloc::vec::Vec;

use super::linear::divide;
use crate::check::{check_factor, check_not_negative};
use crate::{RopeBasis, RopeError, RotaryShape};

/// Slow pairs slowed more than fast ones, by a power of their relative position.
///
/// ```text
/// f'_j = f_j / s * (1 - 2j/d)^k,  j = 0 .. d/2-1
/// ```
///
/// Source: Pal et al. 2023 (Giraffe), arXiv:2308.10882, section on power scaling.
///
/// # Differs from
/// Counting pairs from 1, as formulas in print do, would stop the last pair and slow the first. The
/// authors' released code counts from 0, and so does this.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    /// k: at least 0; 0.5 in the released results.
    pub power: f64,
    /// s: linear scaling applied first; 1 for none.
    pub factor: f64,
}

impl RopeBasis for Power {
    fn rope_type(&self) -> &'static str {
        "power"
    }

    fn check(&self, _shape: &RotaryShape) -> Result<(), RopeError> {
        check_factor(self.rope_type(), self.factor)?;
        check_not_negative(self.rope_type(), "power", self.power)
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        let mut table = shape.inv_freq();
        divide(&mut table, self.factor);
        raise(&mut table, self.power, shape);
        table
    }
}

/// Multiplies pair `j` by `(1 - 2j/d)^k` in place.
pub(crate) fn raise(table: &mut [f64], power: f64, shape: &RotaryShape) {
    for (j, frequency) in table.iter_mut().enumerate() {
        *frequency *= libm::pow(1.0 - shape.exponent(j), power);
    }
}
