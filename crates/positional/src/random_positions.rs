//! Randomised positions: train on uneven steps, evaluate on even ones.

use alloc::vec::Vec;

use crate::error::RopeError;

/// Plain or linearly scaled RoPE whose training positions are a random walk.
///
/// ```text
/// t_i = sum over the first i draws of (e + (2 - e) u),   u ~ U[0, 1)
/// position_i = t_i * L / max(t_L, L)
/// ```
///
/// The sum is shrunk where it overran `L`, never stretched. One draw serves all layers; each row of
/// a batch has its own. Evaluation uses 0, 1, 2, ... Source: Pal et al. 2023 (Giraffe),
/// arXiv:2308.10882, section on randomised positions.
///
/// # Differs from
/// The paper keeps steps above a small e, so that no two tokens meet; its released code has e = 0,
/// the default here. Note that the first position is then 2u, not 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Randomized {
    /// s: linear scaling of the frequencies, in training and after; 1 for none.
    pub factor: f64,
    /// e: the smallest step, in [0, 2).
    pub smallest_step: f64,
}

impl Default for Randomized {
    fn default() -> Self {
        Self { factor: 1.0, smallest_step: 0.0 }
    }
}

impl Randomized {
    /// Training positions of one sequence, one for each of the `uniforms`, within `length`.
    ///
    /// `length` is L, the context length; for a full sequence the number of draws.
    ///
    /// ```
    /// use bestof_positional::Randomized;
    /// let positions = Randomized::default().positions(&[0.5, 0.25, 0.75, 0.5], 4)?;
    /// assert_eq!(positions, [1.0, 1.5, 3.0, 4.0]);
    /// # Ok::<(), bestof_positional::RopeError>(())
    /// ```
    ///
    /// # Errors
    /// [`RopeError::Uniform`] for a draw outside [0, 1).
    pub fn positions(&self, uniforms: &[f64], length: usize) -> Result<Vec<f64>, RopeError> {
        if let Some(index) = uniforms.iter().position(|u| !(0.0..1.0).contains(u)) {
            return Err(RopeError::Uniform { index, value: uniforms[index] });
        }
        let mut sum = 0.0;
        let mut walk: Vec<f64> = uniforms
            .iter()
            .map(|u| {
                sum += self.smallest_step + (2.0 - self.smallest_step) * u;
                sum
            })
            .collect();
        let length = length as f64;
        if sum > length {
            for position in &mut walk {
                *position *= length / sum;
            }
        }
        Ok(walk)
    }
}
