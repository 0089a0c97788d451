//! Randomised positions: linearly scaled frequencies, evaluated on even positions.

use alloc::vec::Vec;

use super::RopeBasis;
use super::linear::divide;
use crate::check::check_factor;
use crate::error::RopeError;
use crate::random_positions::Randomized;
use crate::shape::RotaryShape;

impl RopeBasis for Randomized {
    fn rope_type(&self) -> &'static str {
        "randomized"
    }

    fn check(&self, _shape: &RotaryShape) -> Result<(), RopeError> {
        check_factor(self.rope_type(), self.factor)?;
        if (0.0..2.0).contains(&self.smallest_step) {
            return Ok(());
        }
        Err(RopeError::OutOfRange {
            rope_type: self.rope_type(),
            key: "smallest_step",
            value: self.smallest_step,
            expected: "in [0, 2), since steps are drawn between it and 2",
        })
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        let mut table = shape.inv_freq();
        divide(&mut table, self.factor);
        table
    }

    fn training_positions(&self) -> Option<&Randomized> {
        Some(self)
    }
}
