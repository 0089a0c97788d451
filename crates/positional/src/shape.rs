//! Which part of a head rotates, and the base its frequencies are powers of.

use alloc::vec::Vec;

use crate::RopeError;

/// Largest head dimension accepted; real ones are below 1024, and a table is allocated per pair.
pub const MAX_HEAD_DIM: usize = 1 << 16;

/// Head dimension, rotated part of it, and base: what every basis starts from.
///
/// ```
/// use bestof_positional::RotaryShape;
/// let shape = RotaryShape::new(8, 10_000.0)?;
/// assert_eq!(shape.pairs(), 4);
/// assert!((shape.inv_freq()[1] - 0.1).abs() < 1e-15);
/// # Ok::<(), bestof_positional::RopeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RotaryShape {
    head_dim: usize,
    rotary_dim: usize,
    theta: f64,
}

impl RotaryShape {
    /// A head that rotates whole.
    ///
    /// # Errors
    /// [`RopeError::HeadDim`] if `head_dim` is odd or out of range, [`RopeError::Theta`] if `theta`
    /// is not a finite number above 1.
    pub fn new(head_dim: usize, theta: f64) -> Result<Self, RopeError> {
        Self::partial(head_dim, theta, 1.0)
    }

    /// A head of which the first `floor(head_dim * partial_rotary_factor)` dimensions rotate.
    ///
    /// As in transformers, an odd rotated part keeps its odd size in the exponent and rounds the
    /// number of pairs up.
    ///
    /// # Errors
    /// As [`RotaryShape::new`], and [`RopeError::PartialRotaryFactor`] or
    /// [`RopeError::NothingRotates`] for a factor outside (0, 1] or too small for this head.
    pub fn partial(
        head_dim: usize,
        theta: f64,
        partial_rotary_factor: f64,
    ) -> Result<Self, RopeError> {
        if head_dim == 0 || !head_dim.is_multiple_of(2) || head_dim > MAX_HEAD_DIM {
            return Err(RopeError::HeadDim { head_dim, max: MAX_HEAD_DIM });
        }
        if !(theta.is_finite() && theta > 1.0) {
            return Err(RopeError::Theta { theta });
        }
        if !(partial_rotary_factor > 0.0 && partial_rotary_factor <= 1.0) {
            return Err(RopeError::PartialRotaryFactor { value: partial_rotary_factor });
        }
        let rotary_dim = libm::floor(head_dim as f64 * partial_rotary_factor) as usize;
        if rotary_dim == 0 {
            let least = 1.0 / head_dim as f64;
            return Err(RopeError::NothingRotates {
                head_dim,
                value: partial_rotary_factor,
                least,
            });
        }
        Ok(Self { head_dim, rotary_dim, theta })
    }

    /// The whole head's dimension.
    pub fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// How many dimensions rotate; the denominator of the exponents.
    pub fn rotary_dim(&self) -> usize {
        self.rotary_dim
    }

    /// The base (`rope_theta`).
    pub fn theta(&self) -> f64 {
        self.theta
    }

    /// Number of rotating pairs: the length of every frequency table.
    pub fn pairs(&self) -> usize {
        self.rotary_dim.div_ceil(2)
    }

    /// The unscaled inverse frequencies, highest first, in radians per position.
    ///
    /// ```text
    /// f_j = theta^(-2j/d),  j = 0 .. pairs-1,  d = rotary_dim
    /// ```
    ///
    /// Source: Su et al. 2021, arXiv:2104.09864, section 3.2.2 (there one-based).
    pub fn inv_freq(&self) -> Vec<f64> {
        self.inv_freq_of(self.theta)
    }

    /// The same with another base.
    pub(crate) fn inv_freq_of(&self, theta: f64) -> Vec<f64> {
        (0..self.pairs()).map(|j| 1.0 / libm::pow(theta, self.exponent(j))).collect()
    }

    /// `2j/d`: the relative position of pair `j` in the rotated part, in [0, 1).
    pub(crate) fn exponent(&self, pair: usize) -> f64 {
        (2 * pair) as f64 / self.rotary_dim as f64
    }

    /// `theta * multiplier^(d/(d-2))`: the base at which the slowest pair slows by `multiplier`.
    pub(crate) fn ntk_theta(&self, multiplier: f64) -> f64 {
        let d = self.rotary_dim as f64;
        self.theta * libm::pow(multiplier, d / (d - 2.0))
    }

    /// Refuses a shape with `d <= 2`, for which `d/(d-2)` is undefined.
    pub(crate) fn check_ntk(&self, rope_type: &'static str) -> Result<(), RopeError> {
        if self.rotary_dim > 2 {
            Ok(())
        } else {
            Err(RopeError::OnePair { rope_type, rotary_dim: self.rotary_dim })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_rotation_counts_as_transformers_does() {
        let shape = RotaryShape::partial(80, 10_000.0, 0.4).unwrap();
        assert_eq!((shape.rotary_dim(), shape.pairs(), shape.head_dim()), (32, 16, 80));
        // int(10 * 0.5) = 5 dimensions: arange(0, 5, 2) / 5 has three entries.
        let odd = RotaryShape::partial(10, 10_000.0, 0.5).unwrap();
        assert_eq!(odd.pairs(), 3);
        assert!((odd.inv_freq()[2] - libm::pow(10_000.0, -0.8)).abs() < 1e-18);
    }

    #[test]
    fn nonsense_is_refused_and_says_how_to_fix_it() {
        let odd = RotaryShape::new(7, 10_000.0).unwrap_err();
        assert_eq!(odd, RopeError::HeadDim { head_dim: 7, max: MAX_HEAD_DIM });
        assert!(odd.to_string().contains("must be even"), "{odd}");
        assert!(matches!(RotaryShape::new(0, 1e4), Err(RopeError::HeadDim { .. })));
        assert!(matches!(RotaryShape::new(usize::MAX - 1, 1e4), Err(RopeError::HeadDim { .. })));
        for theta in [0.0, -1.0, 1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(RotaryShape::new(8, theta), Err(RopeError::Theta { .. })), "{theta}");
        }
        for factor in [0.0, -0.5, 1.5, f64::NAN] {
            let error = RotaryShape::partial(8, 1e4, factor).unwrap_err();
            assert!(matches!(error, RopeError::PartialRotaryFactor { .. }), "{factor}");
        }
        let little = RotaryShape::partial(8, 1e4, 0.1).unwrap_err();
        assert!(little.to_string().contains("0.125 or more"), "{little}");
    }
}
