//! Identity preference optimisation: a squared distance to a finite margin.

use super::{PairLogps, PreferenceLoss, PreferenceTerms, positive_beta};
use crate::{LossError, LossName};

/// Whether log-probabilities enter a loss as sums over tokens or as means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Averaging {
    /// Summed over the completion, as the papers write it.
    Sum,
    /// Divided by the number of tokens, as TRL computes IPO.
    PerToken,
}

/// Identity preference optimisation (IPO): the margin is drawn to `1 / (2 beta)`.
///
/// ```text
/// L = (h - 1 / (2 beta))^2
/// h = (log policy(y_w) - log ref(y_w)) / n_w - (log policy(y_l) - log ref(y_l)) / n_l
/// ```
/// with `n = 1` under [`Averaging::Sum`] and the number of tokens under [`Averaging::PerToken`].
/// Source: Azar et al. 2023, arXiv:2310.12036 (their tau is beta). Rewards are reported from the
/// sums in both cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ipo {
    beta: f64,
    averaging: Averaging,
}

impl Ipo {
    /// IPO with `beta > 0`, on sums or on means.
    ///
    /// # Errors
    /// [`LossError::Beta`].
    pub fn new(beta: f64, averaging: Averaging) -> Result<Self, LossError> {
        let name = match averaging {
            Averaging::Sum => LossName::Ipo,
            Averaging::PerToken => LossName::IpoAvg,
        };
        Ok(Self { beta: positive_beta(name, beta)?, averaging })
    }
}

impl PreferenceLoss for Ipo {
    fn name(&self) -> &'static str {
        match self.averaging {
            Averaging::Sum => LossName::Ipo.as_str(),
            Averaging::PerToken => LossName::IpoAvg.as_str(),
        }
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn needs_lengths(&self) -> bool {
        self.averaging == Averaging::PerToken
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        pair.checked(true, self.needs_lengths().then(|| self.name()))?;
        let (chosen_len, rejected_len) = match self.averaging {
            Averaging::Sum => (1.0, 1.0),
            Averaging::PerToken => (pair.chosen_len as f64, pair.rejected_len as f64),
        };
        let h = pair.chosen_log_ratio() / chosen_len - pair.rejected_log_ratio() / rejected_len;
        let off_target = h - 1.0 / (2.0 * self.beta);
        PreferenceTerms {
            loss: off_target * off_target,
            grad_chosen: 2.0 * off_target / chosen_len,
            grad_rejected: -2.0 * off_target / rejected_len,
            reward_chosen: self.beta * pair.chosen_log_ratio(),
            reward_rejected: self.beta * pair.rejected_log_ratio(),
            penalty: 0.0,
        }
        .finite(self.name(), pair)
    }
}
