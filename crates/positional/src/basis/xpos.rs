//! xPos: plain frequencies, with the amplitudes of [`XPos`].

use alloc::vec::Vec;

use super::RopeBasis;
use crate::check::{check_not_negative, check_positive};
use crate::decay::XPos;
use crate::error::RopeError;
use crate::shape::RotaryShape;

impl RopeBasis for XPos {
    fn rope_type(&self) -> &'static str {
        "xpos"
    }

    fn check(&self, _shape: &RotaryShape) -> Result<(), RopeError> {
        check_positive(self.rope_type(), "gamma", self.gamma)?;
        check_positive(self.rope_type(), "scale_base", self.scale_base)?;
        check_not_negative(self.rope_type(), "centre", self.centre)
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        shape.inv_freq()
    }

    fn decay(&self) -> Option<&XPos> {
        Some(self)
    }
}
