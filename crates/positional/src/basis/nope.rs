//! No positions at all.

use alloc::vec;
use alloc::vec::Vec;

use crate::{RopeBasis, RopeError, RotaryShape};

/// Nothing rotates; the causal mask alone tells a decoder about order.
///
/// ```text
/// f_j = 0:  cos = 1, sin = 0 at every position
/// ```
///
/// Source: Kazemnejad et al. 2023, arXiv:2305.19466, where it is called `NoPE`. Of single layers
/// it is said by `no_rope_layers` (`hf::NoRope`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoPe;

impl RopeBasis for NoPe {
    fn rope_type(&self) -> &'static str {
        "nope"
    }

    fn check(&self, _shape: &RotaryShape) -> Result<(), RopeError> {
        Ok(())
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        vec![0.0; shape.pairs()]
    }
}
