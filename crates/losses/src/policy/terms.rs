//! The loss of one sampled completion, and its derivatives.

use super::kl::KlEstimator;
use super::ratio::{self, Clip, RatioLevel, Surrogate};
use crate::LossError;

/// A completion as a policy-gradient loss sees it. Lists have one entry a token.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SampledCompletion<'a> {
    /// The completion's weight in the sum over the samples of its prompt.
    pub weight: f64,
    /// What the penalties of this completion are multiplied by: `1/n` for `n` samples.
    pub share: f64,
    /// Log-probabilities under the policy being trained.
    pub logprobs: &'a [f64],
    /// Log-probabilities under the policy that sampled; `None` while it still is the one being
    /// trained, so that every ratio is exactly 1.
    pub old_logps: Option<&'a [f64]>,
    /// Log-probabilities under the reference; read only where there is a penalty on the KL
    /// divergence.
    pub reference: Option<&'a [f64]>,
    /// Entropies of the distributions that the tokens were drawn from; read only where there is
    /// an entropy bonus.
    pub entropies: Option<&'a [f64]>,
}

/// What a loss says of one completion.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PolicyTerms {
    /// The completion's part of its prompt's loss, penalties included.
    pub loss: f64,
    /// The estimate of the KL divergence from the reference, summed over tokens; 0 without one.
    pub kl: f64,
    /// Tokens whose gradient the clip of small ratios took away.
    pub clipped_low: usize,
    /// Tokens whose gradient the clip of large ratios took away.
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
///
/// The derivative by the entropy of each token's distribution is `-entropy_coefficient * share`:
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
pub struct PolicyLoss {
    /// Ratios of tokens, or of whole completions.
    pub ratio: RatioLevel,
    /// How far a ratio may move a completion.
    pub clip: Clip,
    /// What a nat of divergence from the reference costs; 0 reads no reference.
    pub kl_coefficient: f64,
    /// How the divergence is estimated.
    pub kl: KlEstimator,
    /// What a nat of entropy is worth; 0 reads no entropies.
    pub entropy_coefficient: f64,
}

impl PolicyLoss {
    /// Checks coefficients and bounds.
    ///
    /// # Errors
    /// [`LossError::Setting`] naming the first that is out of range.
    pub fn validate(&self) -> Result<(), LossError> {
        let check = |setting, found: f64, ok: bool, expected| {
            if ok { Ok(()) } else { Err(LossError::Setting { setting, found, expected }) }
        };
        let low = self.clip.low;
        check("clip.low", low, low > 0.0 && low <= 1.0, "above 0, at most 1")?;
        let high = self.clip.high;
        check("clip.high", high, high > 0.0 && high.is_finite(), "a finite number above 0")?;
        for (setting, found) in [
            ("kl_coefficient", self.kl_coefficient),
            ("entropy_coefficient", self.entropy_coefficient),
        ] {
            let ok = found.is_finite() && found >= 0.0;
            check(setting, found, ok, "a finite number of at least 0")?;
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

    /// Derivative of a completion's part of the loss by each of its entropies.
    pub fn entropy_gradient(&self, share: f64) -> f64 {
        -self.entropy_coefficient * share
    }

    /// The loss of a completion; its derivative by every log-probability is written to
    /// `gradient`.
    ///
    /// # Errors
    /// [`LossError::TokenCount`] if a list has another length than `logprobs`,
    /// [`LossError::Missing`] if a list that is read is absent, [`LossError::NotFinite`] if one of
    /// its entries, or the weight, is NaN or infinite, [`LossError::PolicyOverflow`] if the result
    /// is not finite.
    pub fn terms(
        &self,
        completion: &SampledCompletion<'_>,
        gradient: &mut [f64],
    ) -> Result<PolicyTerms, LossError> {
        self.check(completion, gradient.len())?;
        let &SampledCompletion { weight, share, logprobs, old_logps, .. } = completion;
        let Surrogate { value, clipped } = match old_logps {
            None => ratio::on_policy(weight, logprobs, gradient),
            Some(old_logps) => {
                self.ratio.surrogate(weight, logprobs, old_logps, self.clip, gradient)
            }
        };
        let mut terms = PolicyTerms { loss: value, ..PolicyTerms::default() };
        match clipped {
            (tokens, true) => terms.clipped_high = tokens,
            (tokens, false) => terms.clipped_low = tokens,
        }
        if let (true, Some(reference)) = (self.needs_reference(), completion.reference) {
            let scale = self.kl_coefficient * share;
            terms.kl = self.kl.add(logprobs, reference, scale, gradient);
            terms.loss += scale * terms.kl;
        }
        if let (true, Some(entropies)) = (self.needs_entropies(), completion.entropies) {
            terms.loss += self.entropy_gradient(share) * entropies.iter().sum::<f64>();
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
        finite("weight", &[completion.weight, completion.share])?;
        finite("logprobs", completion.logprobs)?;
        let expected = completion.logprobs.len();
        let lists = [
            ("old_logps", completion.old_logps, false),
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
