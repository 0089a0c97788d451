//! `YaRN`: interpolation by parts, with a temperature for attention.

use alloc::vec::Vec;
use core::f64::consts::PI;

use crate::check::{check_factor, check_not_negative, check_original, check_positive};
use crate::{RopeBasis, RopeError, RotaryShape};

/// Fast pairs kept, slow pairs divided by the factor, a ramp between, and an attention factor.
///
/// ```text
/// lo, hi = d ln(L0 / (2 pi beta)) / (2 ln theta)   at beta_fast, beta_slow
///          (floor, ceil if truncate), clamped to [0, d-1]
/// r_j    = clip((j - lo) / (hi - lo), 0, 1)        (hi + 0.001 if hi = lo)
/// f'_j   = r_j f_j / s + (1 - r_j) f_j
/// factor on cos and sin = 0.1 ln s + 1
///          or (0.1 m ln s + 1) / (0.1 m_all ln s + 1) with mscale m and mscale_all_dim m_all
/// ```
///
/// Source: Peng et al. 2023, arXiv:2309.00071, sections 3.2 and 3.4; constants and the two
/// `mscale`s as in Hugging Face transformers 5 (`yarn`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Yarn {
    /// s: how many times longer the context gets, at least 1.
    pub factor: f64,
    /// L0: the length the model was trained at.
    pub original_max_position_embeddings: usize,
    /// Turns within L0 from which on a pair is kept; 32.
    pub beta_fast: f64,
    /// Turns within L0 below which a pair is fully interpolated; 1.
    pub beta_slow: f64,
    /// Whether the ramp's ends are rounded outward to whole pairs; true.
    pub truncate: bool,
    /// What cos and sin are multiplied by, where it is not to be derived.
    pub attention_factor: Option<f64>,
    /// Weight of ln s above the fraction bar; counts only together with `mscale_all_dim`.
    pub mscale: Option<f64>,
    /// Weight of ln s below the fraction bar.
    pub mscale_all_dim: Option<f64>,
}

impl Yarn {
    /// `YaRN` with the paper's constants.
    pub fn new(factor: f64, original_max_position_embeddings: usize) -> Self {
        Self {
            factor,
            original_max_position_embeddings,
            beta_fast: 32.0,
            beta_slow: 1.0,
            truncate: true,
            attention_factor: None,
            mscale: None,
            mscale_all_dim: None,
        }
    }

    /// The pairs between which the ramp runs, before any widening of an empty one.
    pub fn correction_range(&self, shape: &RotaryShape) -> (f64, f64) {
        let d = shape.rotary_dim() as f64;
        let pair_of = |turns: f64| {
            let length = self.original_max_position_embeddings as f64;
            d * libm::log(length / (turns * 2.0 * PI)) / (2.0 * libm::log(shape.theta()))
        };
        let (mut low, mut high) = (pair_of(self.beta_fast), pair_of(self.beta_slow));
        if self.truncate {
            (low, high) = (libm::floor(low), libm::ceil(high));
        }
        (low.max(0.0), high.min(d - 1.0))
    }

    fn temperature(&self, mscale: f64) -> f64 {
        if self.factor <= 1.0 { 1.0 } else { 0.1 * mscale * libm::log(self.factor) + 1.0 }
    }
}

impl RopeBasis for Yarn {
    fn rope_type(&self) -> &'static str {
        "yarn"
    }

    fn check(&self, _shape: &RotaryShape) -> Result<(), RopeError> {
        let rope_type = self.rope_type();
        check_factor(rope_type, self.factor)?;
        check_original(rope_type, self.original_max_position_embeddings)?;
        check_positive(rope_type, "beta_fast", self.beta_fast)?;
        check_positive(rope_type, "beta_slow", self.beta_slow)?;
        if self.beta_slow > self.beta_fast {
            return Err(RopeError::Order {
                rope_type,
                low: "beta_slow",
                low_value: self.beta_slow,
                relation: "at most",
                high: "beta_fast",
                high_value: self.beta_fast,
            });
        }
        for (key, value) in [("mscale", self.mscale), ("mscale_all_dim", self.mscale_all_dim)] {
            check_not_negative(rope_type, key, value.unwrap_or(0.0))?;
        }
        check_positive(rope_type, "attention_factor", self.attention_factor())
    }

    fn inv_freq(&self, shape: &RotaryShape, _seq_len: usize) -> Vec<f64> {
        let (low, mut high) = self.correction_range(shape);
        if low == high {
            high += 0.001;
        }
        let blend = |(j, f): (usize, f64)| {
            let ramp = ((j as f64 - low) / (high - low)).clamp(0.0, 1.0);
            f / self.factor * ramp + f * (1.0 - ramp)
        };
        shape.inv_freq().into_iter().enumerate().map(blend).collect()
    }

    fn attention_factor(&self) -> f64 {
        let nonzero = |value: Option<f64>| value.filter(|m| *m != 0.0);
        match (self.attention_factor, nonzero(self.mscale), nonzero(self.mscale_all_dim)) {
            (Some(given), _, _) => given,
            (None, Some(m), Some(m_all)) => self.temperature(m) / self.temperature(m_all),
            _ => self.temperature(1.0),
        }
    }
}
