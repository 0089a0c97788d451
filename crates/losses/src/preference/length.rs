//! Log-probabilities in which the tokens that only the longer completion has count less.

use crate::LossError;

/// What the token log-probabilities of a pair are multiplied by before they are summed.
#[derive(Debug, Clone, PartialEq)]
pub struct LengthFactors {
    /// One for each token of the chosen completion.
    pub chosen: Vec<f64>,
    /// One for each token of the rejected completion.
    pub rejected: Vec<f64>,
}

/// The factors of length-desensitised preference optimisation (LD-DPO).
///
/// ```text
/// log p'(y) = sum_{t <= l} log p_t + ld_alpha sum_{t > l} log p_t        l = min(n_w, n_l)
/// ```
/// The sums take the place of the summed log-probabilities in
/// [`PairLogps`](super::PairLogps), of the policy *and* of the reference, for any preference loss; the
/// derivative by a token's log-probability is the loss's by the sum times the token's factor. The
/// numbers of tokens stay what they are. `ld_alpha = 1` changes nothing, 0 cuts the longer
/// completion to the length of the shorter one.
///
/// Source: Liu et al. 2024, arXiv:2409.06411; TRL's `ld_alpha`.
///
/// # Errors
/// [`LossError::LdAlpha`] if `ld_alpha` does not lie in `[0, 1]`.
///
/// ```
/// use bestof_losses::length_desensitised;
///
/// let factors = length_desensitised(2, 4, 0.5)?;
/// assert_eq!(factors.chosen, [1.0, 1.0]);
/// assert_eq!(factors.rejected, [1.0, 1.0, 0.5, 0.5]);
/// # Ok::<(), bestof_losses::LossError>(())
/// ```
pub fn length_desensitised(
    chosen_len: usize,
    rejected_len: usize,
    ld_alpha: f64,
) -> Result<LengthFactors, LossError> {
    if !(0.0..=1.0).contains(&ld_alpha) {
        return Err(LossError::LdAlpha { found: ld_alpha });
    }
    let shared = chosen_len.min(rejected_len);
    let factors = |len: usize| {
        let mut factors = vec![1.0; len];
        factors[shared..].fill(ld_alpha);
        factors
    };
    Ok(LengthFactors { chosen: factors(chosen_len), rejected: factors(rejected_len) })
}
