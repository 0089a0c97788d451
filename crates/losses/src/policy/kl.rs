//! Estimators of the KL divergence from the reference, from sampled tokens alone.

use std::str::FromStr;

use crate::LossError;

/// How the divergence `KL(policy || reference)` is estimated, and what its gradient is.
///
/// With `d_t = log p_t - log ref_t` of the sampled tokens:
///
/// ```text
///      value of a token          derivative by log p_t
/// k1   d_t                       sum_{s >= t} d_s
/// k2   d_t^2 / 2                 d_t
/// k3   exp(-d_t) - 1 + d_t       1 - exp(-d_t)
/// ```
///
/// - `k1`, summed over a completion, is unbiased for the divergence of whole completions. Its own
///   derivative by `log p_t` is 1, whose expectation is 0: as a loss it would be noise. Here it
///   has the *score-function* gradient instead, as where it is subtracted from a reward, with the
///   terms before `t` left out, which do not depend on token `t`. In expectation that is the exact
///   gradient of the divergence of whole completions. It stands beside the reward
///   transformation, not inside: a maximum of penalised rewards would be another objective.
/// - `k2` has, token by token, the expected gradient of `KL(policy || ref)` at the prefix; its
///   value is biased.
/// - `k3` is unbiased and never negative; differentiated as a loss its expected gradient at a
///   prefix is that of `KL(ref || policy)`, the other direction. Programs with a "KL penalty"
///   mostly mean this one.
///
/// The last two leave out how the policy changes which prefixes are visited.
///
/// Source: Schulman 2020, "Approximating KL divergence", for the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KlEstimator {
    /// The log-ratio, with its score-function gradient.
    K1,
    /// Half the squared log-ratio.
    K2,
    /// The log-ratio with the control variate that keeps it positive.
    #[default]
    K3,
}

impl KlEstimator {
    /// Every estimator.
    pub const ALL: [Self; 3] = [Self::K1, Self::K2, Self::K3];

    /// Its name in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::K1 => "k1",
            Self::K2 => "k2",
            Self::K3 => "k3",
        }
    }

    /// Adds `scale` times the derivative to `gradient`; the estimate, summed over tokens.
    pub(super) fn add(
        self,
        logprobs: &[f64],
        reference: &[f64],
        scale: f64,
        gradient: &mut [f64],
    ) -> f64 {
        let mut total = 0.0;
        for ((now, anchor), slope) in logprobs.iter().zip(reference).zip(gradient).rev() {
            let d = now - anchor;
            let (value, derivative) = match self {
                Self::K1 => (d, total + d),
                Self::K2 => (0.5 * d * d, d),
                // expm1 keeps what is left where policy and reference nearly agree.
                Self::K3 => ((-d).exp_m1() + d, -(-d).exp_m1()),
            };
            total += value;
            *slope += scale * derivative;
        }
        total
    }
}

impl FromStr for KlEstimator {
    type Err = LossError;

    fn from_str(name: &str) -> Result<Self, LossError> {
        Self::ALL.into_iter().find(|estimator| estimator.as_str() == name).ok_or_else(|| {
            LossError::UnknownChoice {
                setting: "kl_estimator",
                found: name.to_owned(),
                known: "k1, k2, k3",
            }
        })
    }
}
