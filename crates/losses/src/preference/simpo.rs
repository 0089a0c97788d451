//! `SimPO`: length-averaged log-probabilities, no reference, a target margin.

use super::{PairLogps, PreferenceLoss, PreferenceTerms, positive_beta};
use crate::logistic::{sigmoid, softplus};
use crate::{LossError, LossName};

/// Simple preference optimisation.
///
/// ```text
/// L = -log sigmoid(beta (log policy(y_w) / n_w - log policy(y_l) / n_l) - gamma)
/// ```
/// Source: Meng, Xia, Chen 2024, arXiv:2405.14734. `gamma` is the margin of the logit, outside
/// the bracket of `beta`; programs that take `gamma / beta` give the same loss. Rewards are
/// `beta log policy / n`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Simpo {
    beta: f64,
    gamma: f64,
}

impl Simpo {
    /// `SimPO` with `beta > 0` and `gamma >= 0`.
    ///
    /// # Errors
    /// [`LossError::Beta`], [`LossError::Gamma`].
    pub fn new(beta: f64, gamma: f64) -> Result<Self, LossError> {
        let loss = LossName::Simpo;
        if !gamma.is_finite() || gamma < 0.0 {
            return Err(LossError::Gamma { loss: loss.as_str(), found: gamma });
        }
        Ok(Self { beta: positive_beta(loss, beta)?, gamma })
    }
}

impl PreferenceLoss for Simpo {
    fn name(&self) -> &'static str {
        LossName::Simpo.as_str()
    }

    fn needs_reference(&self) -> bool {
        false
    }

    fn needs_lengths(&self) -> bool {
        true
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        pair.checked(false, Some(self.name()))?;
        let (chosen_len, rejected_len) = (pair.chosen_len as f64, pair.rejected_len as f64);
        let (chosen, rejected) = (pair.chosen / chosen_len, pair.rejected / rejected_len);
        let z = self.beta * (chosen - rejected) - self.gamma;
        let pull = self.beta * sigmoid(-z);
        PreferenceTerms {
            loss: softplus(-z),
            grad_chosen: -pull / chosen_len,
            grad_rejected: pull / rejected_len,
            reward_chosen: self.beta * chosen,
            reward_rejected: self.beta * rejected,
            penalty: 0.0,
        }
        .finite(self.name(), pair)
    }
}
