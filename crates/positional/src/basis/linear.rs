//! Linear scaling, also called position interpolation.

use alloc::vec::Vec;

use crate::check::check_factor;
use crate::{RopeBasis, RopeError, RotaryShape};

/// Every frequency divided by one factor, which is the same as dividing positions by it.
///
/// ```text
/// f'_j = f_j / s
/// ```
///
/// Source: Chen et al. 2023, arXiv:2306.15595, section 2.3. Giraffe (arXiv:2308.10882) finds it the
/// best of the bases it compares, and that `s` may be raised again after training, to about twice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear {
    /// s: how many times longer the context gets, at least 1.
    pub factor: f64,
}

impl RopeBasis for Linear {
    fn rope_type(&self) -> &'static str {
        "linear"
    }

    fn check(&self, _shape: &RotaryShape) -> Result<(), RopeError> {
        check_factor(self.rope_type(), self.factor)
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        let mut table = shape.inv_freq();
        divide(&mut table, self.factor);
        table
    }
}

/// Divides a table in place.
pub(crate) fn divide(table: &mut [f64], factor: f64) {
    for frequency in table {
        *frequency /= factor;
    }
}
