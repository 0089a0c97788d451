//! `DroPE`: positions dropped from a trained model.

use alloc::vec;
use alloc::vec::Vec;

use crate::check::{check_factor, check_not_negative, check_positive};
use crate::{RopeBasis, RopeError, RotaryShape};

/// A model that was trained with RoPE and goes on without: RoPE is dropped from all layers, the
/// model is trained a little more at the length it had, and then used at longer ones.
///
/// ```text
/// f_j = 0,    scores = beta q.k / sqrt(d),    beta = 1 + c ln s,    s = length / trained length
/// ```
///
/// `beta` sharpens attention over more tokens than in training; it is 1 at the trained length
/// (`s = 1`), where recalibration happens. It is applied as an attention factor of `sqrt(beta)` on
/// cosine and sine, since scores get its square.
///
/// Source: Gelberg et al. 2025, arXiv:2512.12167; in the authors' code the rotation is the identity
/// (cosine 1, sine 0) and `softmax_scale` of the model's config takes the place of `d^-1/2`, so
/// `softmax_scale = beta d^-1/2`. The logarithmic law for `beta` is that of `YaRN`'s attention factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DroPe {
    /// The length the model was trained, and is recalibrated, at, in tokens.
    pub original_max_position_embeddings: usize,
    /// s: at least 1.
    pub factor: f64,
    /// c: at least 0; 0 leaves scores as they are at every length.
    pub logit_slope: f64,
}

impl DroPe {
    /// `beta`: what attention scores are multiplied by.
    pub fn logit_scale(&self) -> f64 {
        1.0 + self.logit_slope * libm::log(self.factor)
    }
}

impl RopeBasis for DroPe {
    fn rope_type(&self) -> &'static str {
        "drope"
    }

    fn check(&self, _shape: &RotaryShape) -> Result<(), RopeError> {
        check_factor(self.rope_type(), self.factor)?;
        check_not_negative(self.rope_type(), "logit_slope", self.logit_slope)?;
        let original = self.original_max_position_embeddings as f64;
        check_positive(self.rope_type(), "original_max_position_embeddings", original)
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        vec![0.0; shape.pairs()]
    }

    fn attention_factor(&self) -> f64 {
        libm::sqrt(self.logit_scale())
    }
}
