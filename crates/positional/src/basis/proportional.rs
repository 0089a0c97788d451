//! Proportional RoPE: some pairs rotate as in a full head, the rest do not.

use alloc::vec::Vec;

use super::linear::divide;
use crate::check::check_factor;
use crate::{RopeBasis, RopeError, RotaryShape};

/// The first share of the pairs turn at a full head's frequencies, the others not at all.
///
/// ```text
/// f'_j = theta^(-2j/h) / s   for j < floor(floor(p h) / 2),   0 for the other pairs
/// ```
///
/// `h` is the whole head dimension and `p` the share; unlike the other rules', this rule's
/// `partial_rotary_factor` does not shrink the table. Source: Hugging Face transformers 5
/// (`proportional`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportional {
    /// p: the share of the head that turns, in (0, 1].
    pub partial_rotary_factor: f64,
    /// s: divides every frequency, at least 1.
    pub factor: f64,
}

impl RopeBasis for Proportional {
    fn rope_type(&self) -> &'static str {
        "proportional"
    }

    fn check(&self, _shape: &RotaryShape) -> Result<(), RopeError> {
        let value = self.partial_rotary_factor;
        if !(value > 0.0 && value <= 1.0) {
            return Err(RopeError::PartialRotaryFactor { value });
        }
        check_factor(self.rope_type(), self.factor)
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        let turning = libm::floor(self.partial_rotary_factor * shape.rotary_dim() as f64 / 2.0);
        let mut table = shape.inv_freq();
        divide(&mut table, self.factor);
        table.iter_mut().skip(turning as usize).for_each(|f| *f = 0.0);
        table
    }
}
