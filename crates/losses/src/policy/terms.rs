//! The loss of one sampled completion, and its derivatives.

use super::kl::KlEstimator;
use super::ratio::RatioLevel;
use super::surrogate::{Sampled, Surrogate};
use crate::LossError;

/// A completion as a policy-gradient loss sees it. Lists have one entry a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledCompletion<'a> {
    /// The completion's weight in the sum over the samples of its prompt. It may differ from update
    /// to update. 0 is a weight like any other: its surrogate and its gradient are exactly 0.
    pub weight: f64,
    /// What the penalties of this completion are multiplied by: `1/n` for `n` samples.
    pub share: f64,
    /// What surrogate *and* penalties are multiplied by for the completion's length; see
    /// [`Aggregation::scale`](super::Aggregation::scale). Default 1.
    pub scale: f64,
    /// Log-probabilities under the policy being trained.
    pub logprobs: &'a [f64],
    /// Log-probabilities under the policy that sampled; `None` while it still is the one being
    /// trained, so that every ratio is exactly 1.
    pub old_logps: Option<&'a [f64]>,
    /// What each token's derivative of the surrogate is multiplied by, at least 0: a constant that
    /// makes up for a sampler which is not the policy that is trained, as
    /// [`truncated_sampler_weights`](super::truncated_sampler_weights) gives it. `None` is 1.
    pub sampler_weights: Option<&'a [f64]>,
    /// Log-probabilities under the reference; read only where there is a penalty on the KL
    /// divergence.
    pub reference: Option<&'a [f64]>,
    /// Entropies of the distributions that the tokens were drawn from; read only where there is
    /// an entropy bonus.
    pub entropies: Option<&'a [f64]>,
}

impl Default for SampledCompletion<'_> {
    /// No tokens, of weight and share 0 and scale 1.
    fn default() -> Self {
        Self {
            weight: 0.0,
            share: 0.0,
            scale: 1.0,
            logprobs: &[],
            old_logps: None,
            sampler_weights: None,
            reference: None,
            entropies: None,
        }
    }
}

/// What a loss says of one completion.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PolicyTerms {
    /// The completion's part of its prompt's loss, penalties included.
    pub loss: f64,
    /// The derivative of `loss` by each of the completion's entropies.
    pub by_entropy: f64,
    /// The estimate of the KL divergence from the reference, summed over tokens, before any scale; 0
    /// without one.
    pub kl: f64,
    /// Tokens whose ratio the lower bound changed: PPO's clip took their gradient away, the other
    /// surrogates made it larger.
    pub clipped_low: usize,
    /// Tokens whose ratio the upper bound changed: PPO's clip took their gradient away, the other
    /// surrogates made it smaller.
    pub clipped_high: usize,
}

/// The policy-gradient loss of one completion.
///
/// ```text
/// on-policy          surrogate = -sum_t log p_t                       REINFORCE
/// token ratios       surrogate = -sum_t (b_t + m(r_t) - 1)            r_t = exp(log p_t - b_t)
/// sequence ratio     surrogate = -(B + m(R) - 1)                      R = exp(log p - B), sums
/// sequence mean      surrogate = -(B + T (m(s) - 1))                  s = R^(1/T), T tokens
/// w m(r) = min(w r, w clip(r, 1 - low, 1 + high))
/// ```
/// `b` are the log-probabilities of the policy that sampled. The constants `b - 1` make the loss,
/// and not only its gradient, that of REINFORCE where the two policies are the same; PPO leaves
/// them out. The product `R` is the unbiased importance ratio of whole completions, `s` is GSPO's.
/// These are the forms of [`Surrogate::PpoClip`]; [`Surrogate`] has the others, `-sum_t c log p_t`
/// with a bounded ratio `c` held constant. All agree where the two policies do.
///
/// Sampler weights `v_t` multiply the derivative of the surrogate by `log p_t`, whatever the ratio is
/// taken of, and the parts of its value: `-sum_t v_t (b_t + m(r_t) - 1)`. With one ratio a
/// completion and weights that differ, that is the derivative with the ratio held constant, as in
/// GSPO-token (equations 14 and 15 there), and not that of the value.
///
/// The loss of a completion is `scale (w surrogate + share (c_kl KL - c_H H))`. Its derivative by the
/// entropy of each token's distribution is `-entropy_coefficient * share * scale`:
/// the entropy at the prefixes that were visited is raised, how often they are visited is not
/// differentiated.
///
/// Source: Williams 1992; Schulman et al. 2017, arXiv:1707.06347, equation 7; the two bounds of
/// Yu et al. 2025, arXiv:2503.14476; the sequence mean of Zheng et al. 2025, arXiv:2507.18071.
///
/// ```
/// use bestof_losses::{PolicyLoss, SampledCompletion};
///
/// let loss = PolicyLoss::default();
/// let completion =
///     SampledCompletion { weight: 0.25, logprobs: &[-1.0, -2.0], ..Default::default() };
/// let mut gradient = [0.0; 2];
/// let terms = loss.terms(&completion, &mut gradient)?;
/// assert_eq!((terms.loss, gradient), (0.75, [-0.25; 2]));
/// # Ok::<(), bestof_losses::LossError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct PolicyLoss {
    /// Ratios of tokens, or of whole completions.
    pub ratio: RatioLevel,
    /// How ratios enter, and their bounds.
    pub surrogate: Surrogate,
    /// What a nat of divergence from the reference costs; 0 reads no reference.
    pub kl_coefficient: f64,
    /// How the divergence is estimated.
    pub kl: KlEstimator,
    /// What a nat of entropy is worth; 0 reads no entropies.
    pub entropy_coefficient: f64,
}

impl PolicyLoss {
    /// Sets [`ratio`](Self::ratio).
    #[must_use]
    pub const fn with_ratio(mut self, ratio: RatioLevel) -> Self {
        self.ratio = ratio;
        self
    }

    /// Sets [`surrogate`](Self::surrogate).
    #[must_use]
    pub const fn with_surrogate(mut self, surrogate: Surrogate) -> Self {
        self.surrogate = surrogate;
        self
    }

    /// Sets [`kl_coefficient`](Self::kl_coefficient).
    #[must_use]
    pub const fn with_kl_coefficient(mut self, kl_coefficient: f64) -> Self {
        self.kl_coefficient = kl_coefficient;
        self
    }

    /// Sets [`kl`](Self::kl).
    #[must_use]
    pub const fn with_kl(mut self, kl: KlEstimator) -> Self {
        self.kl = kl;
        self
    }

    /// Sets [`entropy_coefficient`](Self::entropy_coefficient).
    #[must_use]
    pub const fn with_entropy_coefficient(mut self, entropy_coefficient: f64) -> Self {
        self.entropy_coefficient = entropy_coefficient;
        self
    }

    /// Checks coefficients and bounds.
    ///
    /// # Errors
    /// [`LossError::Setting`] naming the first that is out of range.
    pub fn validate(&self) -> Result<(), LossError> {
        self.surrogate.check()?;
        for (setting, found) in [
            ("kl_coefficient", self.kl_coefficient),
            ("entropy_coefficient", self.entropy_coefficient),
        ] {
            if !(found.is_finite() && found >= 0.0) {
                let expected = "a finite number of at least 0";
                return Err(LossError::Setting { setting, found, expected });
            }
        }
        Ok(())
    }

    /// Whether the reference's log-probabilities are read.
    pub fn needs_reference(&self) -> bool {
        self.kl_coefficient > 0.0
    }

    /// Whether entropies are read, and have a derivative.
    pub fn needs_entropies(&self) -> bool {
        self.entropy_coefficient > 0.0
    }

    /// Whether a completion of weight 0 has no gradient, and can be left out.
    pub fn ignores_zero_weights(&self) -> bool {
        !self.needs_reference() && !self.needs_entropies()
    }

    /// The loss of a completion; its derivative by every log-probability is written to
    /// `gradient`.
    ///
    /// # Errors
    /// [`LossError::TokenCount`] if a list has another length than `logprobs`,
    /// [`LossError::Missing`] if a list that is read is absent, [`LossError::NotFinite`] if one of
    /// its entries, or the weight, is NaN or infinite, [`LossError::Setting`] if the scale is negative, [`LossError::SamplerWeight`] if a sampler
    /// weight is not a finite number of at least 0, [`LossError::PolicyOverflow`] if the result is
    /// not finite.
    pub fn terms(
        &self,
        completion: &SampledCompletion<'_>,
        gradient: &mut [f64],
    ) -> Result<PolicyTerms, LossError> {
        self.check(completion, gradient.len())?;
        let &SampledCompletion { weight, share, scale, logprobs, .. } = completion;
        let sampled = Sampled {
            weight: weight * scale,
            logprobs,
            old_logps: completion.old_logps,
            sampler_weights: completion.sampler_weights,
        };
        let found = self.surrogate.evaluate(self.ratio, &sampled, gradient);
        let mut terms = PolicyTerms {
            loss: found.value,
            clipped_low: found.clipped_low,
            clipped_high: found.clipped_high,
            ..PolicyTerms::default()
        };
        let share = share * scale;
        if let (true, Some(reference)) = (self.needs_reference(), completion.reference) {
            let cost = self.kl_coefficient * share;
            terms.kl = self.kl.add(logprobs, reference, cost, gradient);
            terms.loss += cost * terms.kl;
        }
        if let (true, Some(entropies)) = (self.needs_entropies(), completion.entropies) {
            terms.by_entropy = -self.entropy_coefficient * share;
            terms.loss += terms.by_entropy * entropies.iter().sum::<f64>();
        }
        if terms.loss.is_finite() && gradient.iter().all(|slope| slope.is_finite()) {
            Ok(terms)
        } else {
            Err(LossError::PolicyOverflow { logprob: logprobs.iter().sum() })
        }
    }

    fn check(&self, completion: &SampledCompletion<'_>, slopes: usize) -> Result<(), LossError> {
        let finite = |field, values: &[f64]| match values.iter().find(|value| !value.is_finite()) {
            Some(&found) => Err(LossError::NotFinite { field, found }),
            None => Ok(()),
        };
        finite("weight", &[completion.weight, completion.share, completion.scale])?;
        if completion.scale < 0.0 {
            let expected = "at least 0";
            return Err(LossError::Setting { setting: "scale", found: completion.scale, expected });
        }
        finite("logprobs", completion.logprobs)?;
        let expected = completion.logprobs.len();
        let lists = [
            ("old_logps", completion.old_logps, false),
            ("sampler_weights", completion.sampler_weights, false),
            ("reference", completion.reference, self.needs_reference()),
            ("entropies", completion.entropies, self.needs_entropies()),
        ];
        for (field, list, needed) in lists {
            match list {
                None if needed => return Err(LossError::Missing { field }),
                None => {}
                Some(list) if list.len() != expected => {
                    return Err(LossError::TokenCount { field, found: list.len(), expected });
                }
                Some(list) if field == "sampler_weights" => non_negative(list)?,
                Some(list) => finite(field, list)?,
            }
        }
        if slopes == expected {
            Ok(())
        } else {
            Err(LossError::TokenCount { field: "gradient", found: slopes, expected })
        }
    }
}

fn non_negative(sampler_weights: &[f64]) -> Result<(), LossError> {
    let wrong = |weight: &f64| !(weight.is_finite() && *weight >= 0.0);
    match sampler_weights.iter().position(wrong) {
        Some(token) => Err(LossError::SamplerWeight { token, found: sampler_weights[token] }),
        None => Ok(()),
    }
}
