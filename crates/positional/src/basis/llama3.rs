//! The rule LLaMA 3.1 was extended with.

use alloc::vec::Vec;
use core::f64::consts::PI;

use crate::check::{check_factor, check_original, check_positive};
use crate::{RopeBasis, RopeError, RotaryShape};

/// Pairs with many turns kept, pairs with few divided by the factor, a blend between.
///
/// ```text
/// turns = L0 f_j / (2 pi)
/// f'_j  = f_j                                 if turns > high
///         f_j / s                             if turns < low
///         (1-g) f_j / s + g f_j,  g = (turns - low) / (high - low)   otherwise
/// ```
///
/// Source: Meta's LLaMA 3.1 release (2024); formula as in Hugging Face transformers 5 (`llama3`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Llama3 {
    /// s: how much the slow pairs are slowed, at least 1; 8 in LLaMA 3.1, 32 in 3.2.
    pub factor: f64,
    /// Turns within L0 below which a pair is divided; 1.
    pub low_freq_factor: f64,
    /// Turns within L0 above which a pair is kept; 4.
    pub high_freq_factor: f64,
    /// L0: the length the model was trained at; 8192.
    pub original_max_position_embeddings: usize,
}

impl RopeBasis for Llama3 {
    fn rope_type(&self) -> &'static str {
        "llama3"
    }

    fn check(&self, _shape: &RotaryShape) -> Result<(), RopeError> {
        let rope_type = self.rope_type();
        check_factor(rope_type, self.factor)?;
        check_original(rope_type, self.original_max_position_embeddings)?;
        check_positive(rope_type, "low_freq_factor", self.low_freq_factor)?;
        check_positive(rope_type, "high_freq_factor", self.high_freq_factor)?;
        if self.low_freq_factor < self.high_freq_factor {
            return Ok(());
        }
        Err(RopeError::Order {
            rope_type,
            low: "low_freq_factor",
            low_value: self.low_freq_factor,
            relation: "below",
            high: "high_freq_factor",
            high_value: self.high_freq_factor,
        })
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        let (low, high) = (self.low_freq_factor, self.high_freq_factor);
        let scale = |f: f64| {
            let turns = self.original_max_position_embeddings as f64 * f / (2.0 * PI);
            let keep = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            (1.0 - keep) * f / self.factor + keep * f
        };
        shape.inv_freq().into_iter().map(scale).collect()
    }
}
