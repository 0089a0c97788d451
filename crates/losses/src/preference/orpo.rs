//! ORPO: supervised fine-tuning with an odds-ratio term, no reference.

use super::{PairLogps, PreferenceLoss, PreferenceTerms, non_negative_lambda};
use crate::logistic::{ln_one_minus_exp, sigmoid, softplus};
use crate::{LossError, LossName};

/// Odds-ratio preference optimisation.
///
/// ```text
/// L = -log P_w - lambda log sigmoid(log odds_w - log odds_l)
/// log P = log policy(y) / n        odds = P / (1 - P)
/// ```
/// Source: Hong, Lee, Thorne 2024, arXiv:2403.07691. The likelihood term covers the chosen
/// completion only, not the prompt. Rewards are `lambda log P`, as TRL reports them.
///
/// # Numerics
/// A chosen completion of probability 1 takes the limit, which is finite; a rejected one has an
/// infinite loss and is refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orpo {
    lambda: f64,
}

impl Orpo {
    /// ORPO with the weight `lambda >= 0` on the odds-ratio term.
    ///
    /// # Errors
    /// [`LossError::Lambda`].
    pub fn new(lambda: f64) -> Result<Self, LossError> {
        Ok(Self { lambda: non_negative_lambda(LossName::Orpo, lambda)? })
    }
}

impl PreferenceLoss for Orpo {
    fn name(&self) -> &'static str {
        LossName::Orpo.as_str()
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
        let rejected = pair.rejected / rejected_len;
        if rejected >= 0.0 {
            return Err(LossError::InfiniteOdds { found: rejected });
        }
        // 1e-300 below certainty: (1 - P) stays a number, and the quotient below is at its limit.
        let chosen = (pair.chosen / chosen_len).min(-1e-300);
        let (ln_miss_chosen, ln_miss_rejected) =
            (ln_one_minus_exp(chosen), ln_one_minus_exp(rejected));
        let z = (chosen - ln_miss_chosen) - (rejected - ln_miss_rejected);
        let pull = self.lambda * sigmoid(-z);
        // d log odds / d log P = 1 / (1 - P)
        let grad_chosen = -(1.0 + self.lambda * (-softplus(z) - ln_miss_chosen).exp());
        PreferenceTerms {
            loss: -chosen + self.lambda * softplus(-z),
            grad_chosen: grad_chosen / chosen_len,
            grad_rejected: pull * (-ln_miss_rejected).exp() / rejected_len,
            reward_chosen: self.lambda * chosen,
            reward_rejected: self.lambda * rejected,
            penalty: 0.0,
        }
        .finite(self.name(), pair)
    }
}
