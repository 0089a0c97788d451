//! xPos: amplitudes that decay with distance.

use alloc::vec::Vec;

use crate::shape::RotaryShape;

/// RoPE with an amplitude per pair that decays exponentially with distance.
///
/// ```text
/// zeta_j  = (2j + gamma d) / ((1 + gamma) d)
/// query at n: pair j times zeta_j^((n-c)/S),   key at m: times zeta_j^(-(m-c)/S)
/// so pair j contributes to the score with factor zeta_j^((n-m)/S)
/// ```
///
/// `c` cancels in every score and only keeps amplitudes near 1; it must stay the same as long as
/// keys are cached. Apply it on the layout the model already has: see [`crate::RotaryLayout`].
/// Source: Sun et al. 2022, arXiv:2212.10554, section 2; studied in Giraffe, arXiv:2308.10882.
///
/// # Numerics
/// Amplitudes grow like `zeta_0^(-length/S)`: at gamma 0.4 and S 512 they leave f16 after about
/// 4500 positions from the centre, and f32 after about 36000. Keep them in f32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct XPos {
    /// gamma: how much the decay of the fast pairs is weakened; 0.4.
    pub gamma: f64,
    /// S: number of positions over which a pair decays by its zeta; 512, lowered from 8192 to 128 in Giraffe.
    pub scale_base: f64,
    /// c: the position whose amplitudes are 1.
    pub centre: f64,
}

impl Default for XPos {
    fn default() -> Self {
        Self { gamma: 0.4, scale_base: 512.0, centre: 0.0 }
    }
}

impl XPos {
    /// The centre the released code uses for a sequence of `length`: its first position gets
    /// `floor(-length/2)`.
    pub fn centre_of(length: usize) -> f64 {
        length.div_ceil(2) as f64
    }

    /// zeta of every pair, in (0, 1).
    pub fn zeta(&self, shape: &RotaryShape) -> Vec<f64> {
        let d = shape.rotary_dim() as f64;
        let zeta = |j: usize| ((2 * j) as f64 + self.gamma * d) / ((1.0 + self.gamma) * d);
        (0..shape.pairs()).map(zeta).collect()
    }

    /// What each pair of a query at `position` is multiplied by.
    pub fn query_scale(&self, shape: &RotaryShape, position: f64) -> Vec<f64> {
        let exponent = (position - self.centre) / self.scale_base;
        self.zeta(shape).into_iter().map(|zeta| libm::pow(zeta, exponent)).collect()
    }

    /// What each pair of a key at `position` is multiplied by: the inverse of a query's.
    pub fn key_scale(&self, shape: &RotaryShape, position: f64) -> Vec<f64> {
        let exponent = (self.centre - position) / self.scale_base;
        self.zeta(shape).into_iter().map(|zeta| libm::pow(zeta, exponent)).collect()
    }
}
