//! NTK-aware scaling whose base grows with the sequence.

use alloc::vec;
use alloc::vec::Vec;

use crate::check::{check_factor, check_original};
use crate::{RopeBasis, RopeError, RotaryShape};

/// NTK-aware scaling by as much as the current length asks for.
///
/// ```text
/// n = max(length, M),  theta' = theta * (s n/M - (s-1))^(d/(d-2)),  f'_j = theta'^(-2j/d)
/// ```
///
/// Up to `M` nothing changes. Source: proposed by the Reddit user emozilla in 2023; formula as in
/// Hugging Face transformers 5 (`dynamic`), where `M` is `max_position_embeddings`.
///
/// # Differs from
/// transformers keeps the longest length seen until a sequence shorter than `M` arrives; here the
/// table depends on the present length alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DynamicNtk {
    /// s: how strongly the base follows the length, at least 1.
    pub factor: f64,
    /// M: the length the model was trained at.
    pub original_max_position_embeddings: usize,
}

impl RopeBasis for DynamicNtk {
    fn rope_type(&self) -> &'static str {
        "dynamic"
    }

    fn check(&self, shape: &RotaryShape) -> Result<(), RopeError> {
        check_factor(self.rope_type(), self.factor)?;
        check_original(self.rope_type(), self.original_max_position_embeddings)?;
        shape.check_ntk(self.rope_type())
    }

    fn inv_freq(&self, shape: &RotaryShape, seq_len: usize) -> Vec<f64> {
        let length = self.length_key(seq_len) as f64;
        let stretch = self.factor * length / self.original_max_position_embeddings as f64;
        shape.inv_freq_of(shape.ntk_theta(stretch - (self.factor - 1.0)))
    }

    fn length_key(&self, seq_len: usize) -> usize {
        seq_len.max(self.original_max_position_embeddings)
    }

    fn probe_lengths(&self) -> Vec<usize> {
        let original = self.original_max_position_embeddings;
        vec![original, original.saturating_mul(2)]
    }
}
