//! What corrects a completion that was sampled from another distribution than the one trained.

use super::ratio::check_cap;
use crate::LossError;

/// Truncated importance weights of a completion's tokens.
///
/// ```text
/// v_t = min(exp(log p_t - log q_t), C)
/// ```
/// `p` is the policy that is trained, as the trainer computes it *when the completion was sampled*,
/// and `q` the distribution that the token was really drawn from: that of another program, of lower
/// precision, of another temperature, or cut by top-k or top-p and normalised again. They are
/// constants, for [`SampledCompletion::sampler_weights`](super::SampledCompletion::sampler_weights);
/// how the policy has moved since is the business of the [ratios](super::RatioLevel).
///
/// The truncation bounds the variance at the price of a bias. Where `q` is a cut distribution its
/// tokens have `v_t <= 1`, and no weight brings back the tokens that were cut.
///
/// Source: Ionides 2008, "Truncated importance sampling"; between sampler and trainer Yao et al.
/// 2025, "Your efficient RL framework secretly brings you off-policy RL training" (`C = 2`). TRL calls
/// `C` `vllm_importance_sampling_cap`, verl `tis_imp_ratio_cap`.
///
/// # Errors
/// [`LossError::TokenCount`], [`LossError::NotFinite`], [`LossError::Setting`] if `cap` is not a
/// finite number of at least 1.
///
/// ```
/// use bestof_losses::truncated_sampler_weights;
///
/// let weights = truncated_sampler_weights(&[-1.0, -2.0], &[-1.0, -4.0], 2.0)?;
/// assert_eq!(weights, [1.0, 2.0]); // exp(2) is above the cap
/// # Ok::<(), bestof_losses::LossError>(())
/// ```
pub fn truncated_sampler_weights(
    trained: &[f64],
    sampled: &[f64],
    cap: f64,
) -> Result<Vec<f64>, LossError> {
    check_cap(cap)?;
    if sampled.len() != trained.len() {
        return Err(LossError::TokenCount {
            field: "the sampler's log-probabilities",
            found: sampled.len(),
            expected: trained.len(),
        });
    }
    for (field, list) in
        [("the trainer's log-probability", trained), ("the sampler's log-probability", sampled)]
    {
        if let Some(&found) = list.iter().find(|logp| !logp.is_finite()) {
            return Err(LossError::NotFinite { field, found });
        }
    }
    Ok(trained.iter().zip(sampled).map(|(p, q)| (p - q).exp().min(cap)).collect())
}
