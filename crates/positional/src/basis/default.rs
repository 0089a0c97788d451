//! Plain RoPE.

use alloc::vec::Vec;

use crate::{RopeBasis, RopeError, RotaryShape};

/// RoPE as published: no scaling.
///
/// ```text
/// f_j = theta^(-2j/d)
/// ```
///
/// Source: Su et al. 2021, arXiv:2104.09864, section 3.2.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unscaled;

impl RopeBasis for Unscaled {
    fn rope_type(&self) -> &'static str {
        "default"
    }

    fn check(&self, _shape: &RotaryShape) -> Result<(), RopeError> {
        Ok(())
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        shape.inv_freq()
    }
}
