//! KTO on pairs: each completion is judged alone against a reference point.

use super::{PairLogps, PreferenceLoss, PreferenceTerms, positive_beta};
use crate::logistic::sigmoid;
use crate::{LossError, LossName};

/// Kahneman-Tversky optimisation of both halves of a pair, with weights 1.
///
/// ```text
/// L = (1 - sigmoid(beta (u - z0))) + (1 - sigmoid(beta (z0 - v)))
/// u = log policy(y_w) - log ref(y_w)        v = log policy(y_l) - log ref(y_l)
/// ```
/// Source: Ethayarajh et al. 2024, arXiv:2402.01306. `z0` is a constant given from outside: the
/// paper estimates it from other rows of the batch, without gradient, which one pair cannot do.
/// The paper's own form, of single completions with labels, class weights and that estimate, is
/// [`Kto`](crate::Kto).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KtoPair {
    beta: f64,
    z0: f64,
}

impl KtoPair {
    /// KTO with `beta > 0` and the reference point `z0`, in nats.
    ///
    /// # Errors
    /// [`LossError::Beta`], [`LossError::ReferencePoint`].
    pub fn new(beta: f64, z0: f64) -> Result<Self, LossError> {
        let loss = LossName::KtoPair;
        if !z0.is_finite() {
            return Err(LossError::ReferencePoint { loss: loss.as_str(), found: z0 });
        }
        Ok(Self { beta: positive_beta(loss, beta)?, z0 })
    }
}

impl PreferenceLoss for KtoPair {
    fn name(&self) -> &'static str {
        LossName::KtoPair.as_str()
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn needs_lengths(&self) -> bool {
        false
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        pair.checked(true, None)?;
        let above = self.beta * (pair.chosen_log_ratio() - self.z0);
        let below = self.beta * (self.z0 - pair.rejected_log_ratio());
        let slope = |x: f64| self.beta * sigmoid(x) * sigmoid(-x);
        PreferenceTerms {
            loss: sigmoid(-above) + sigmoid(-below),
            grad_chosen: -slope(above),
            grad_rejected: slope(below),
            reward_chosen: self.beta * pair.chosen_log_ratio(),
            reward_rejected: self.beta * pair.rejected_log_ratio(),
            penalty: 0.0,
        }
        .finite(self.name(), pair)
    }
}
