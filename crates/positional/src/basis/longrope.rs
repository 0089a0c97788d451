//! `LongRoPE`: a divisor per pair, found by search.

use alloc::vec;
use alloc::vec::Vec;

use crate::check::{check_factor, check_original, check_positive};
use crate::{RopeBasis, RopeError, RotaryShape};

/// Each frequency divided by its own factor, from one of two lists.
///
/// ```text
/// f'_j = f_j / e_j,  e = long_factor if length > L0 else short_factor
/// factor on cos and sin = sqrt(1 + ln s / ln L0), or 1 if s <= 1
/// ```
///
/// Source: Ding et al. 2024, arXiv:2402.13753; choice of list and attention factor as in Hugging
/// Face transformers 5 (`longrope`, formerly `su`).
#[derive(Debug, Clone, PartialEq)]
pub struct LongRope {
    /// Divisors up to the original length, one per pair.
    pub short_factor: Vec<f64>,
    /// Divisors beyond it, one per pair.
    pub long_factor: Vec<f64>,
    /// L0: the length the model was trained at.
    pub original_max_position_embeddings: usize,
    /// s: extended over original length. Needed where `attention_factor` is not given.
    pub factor: Option<f64>,
    /// What cos and sin are multiplied by, where it is not to be derived from `factor`.
    pub attention_factor: Option<f64>,
}

impl LongRope {
    fn divisors(&self, seq_len: usize) -> &[f64] {
        if seq_len > self.original_max_position_embeddings {
            &self.long_factor
        } else {
            &self.short_factor
        }
    }
}

impl RopeBasis for LongRope {
    fn rope_type(&self) -> &'static str {
        "longrope"
    }

    fn check(&self, shape: &RotaryShape) -> Result<(), RopeError> {
        let rope_type = self.rope_type();
        check_original(rope_type, self.original_max_position_embeddings)?;
        check_list("short_factor", &self.short_factor, shape)?;
        check_list("long_factor", &self.long_factor, shape)?;
        match (self.factor, self.attention_factor) {
            (None, None) => return Err(RopeError::MissingKey { rope_type, key: "factor" }),
            (Some(factor), _) => check_factor(rope_type, factor)?,
            (None, Some(_)) => {}
        }
        if self.attention_factor.is_none() && self.original_max_position_embeddings < 2 {
            return Err(RopeError::OutOfRange {
                rope_type,
                key: "original_max_position_embeddings",
                value: self.original_max_position_embeddings as f64,
                expected: "at least 2, since the attention factor divides by its logarithm",
            });
        }
        check_positive(rope_type, "attention_factor", self.attention_factor())
    }

    fn inv_freq(&self, shape: &RotaryShape, seq_len: usize) -> Vec<f64> {
        let divisors = self.divisors(seq_len);
        shape.inv_freq().into_iter().zip(divisors).map(|(f, e)| f / e).collect()
    }

    fn attention_factor(&self) -> f64 {
        let original = self.original_max_position_embeddings as f64;
        match (self.attention_factor, self.factor) {
            (Some(given), _) => given,
            (None, Some(s)) if s > 1.0 => libm::sqrt(1.0 + libm::log(s) / libm::log(original)),
            _ => 1.0,
        }
    }

    fn length_key(&self, seq_len: usize) -> usize {
        usize::from(self.divisors(seq_len) != self.short_factor)
    }

    fn probe_lengths(&self) -> Vec<usize> {
        let original = self.original_max_position_embeddings;
        if self.short_factor == self.long_factor {
            vec![original]
        } else {
            vec![original, original.saturating_add(1)]
        }
    }
}

fn check_list(key: &'static str, list: &[f64], shape: &RotaryShape) -> Result<(), RopeError> {
    let (expected, rotary_dim) = (shape.pairs(), shape.rotary_dim());
    if list.len() != expected {
        return Err(RopeError::ListLength { key, found: list.len(), expected, rotary_dim });
    }
    match list.iter().position(|value| !(value.is_finite() && *value > 0.0)) {
        Some(index) => Err(RopeError::ListValue { key, index, value: list[index] }),
        None => Ok(()),
    }
}
