//! NTK-aware scaling with a fixed factor.

use alloc::vec::Vec;

use crate::check::check_factor;
use crate::{RopeBasis, RopeError, RotaryShape};

/// A larger base, so that the fastest pair keeps its speed and the slowest slows by the factor.
///
/// ```text
/// theta' = theta * s^(d/(d-2)),  f'_j = theta'^(-2j/d)
/// ```
///
/// Source: proposed by the Reddit user bloc97 in 2023; written down in Peng et al. 2023,
/// arXiv:2309.00071, section 3.1. Hugging Face has no type for it: it is `default` with `theta'`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ntk {
    /// s: how many times longer the context gets, at least 1.
    pub factor: f64,
}

impl Ntk {
    /// `theta'`, the base of plain RoPE with the same frequencies.
    pub fn theta(&self, shape: &RotaryShape) -> f64 {
        shape.ntk_theta(self.factor)
    }
}

impl RopeBasis for Ntk {
    fn rope_type(&self) -> &'static str {
        "ntk"
    }

    fn check(&self, shape: &RotaryShape) -> Result<(), RopeError> {
        check_factor(self.rope_type(), self.factor)?;
        shape.check_ntk(self.rope_type())
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        shape.inv_freq_of(self.theta(shape))
    }
}
