//! The hinge on DPO's logit.

use super::{PairLogps, PreferenceLoss, PreferenceTerms, positive_beta};
use crate::{LossError, LossName};

/// Hinge loss of DPO's logit: zero once the margin reaches 1.
///
/// ```text
/// L = max(0, 1 - beta h)
/// ```
/// `h` as in [`Dpo`](super::Dpo). At the kink the gradient is 0.
/// Source: the normalised hinge of Liu et al. 2023 (RSO), arXiv:2309.06657, after `SLiC-HF`, Zhao et
/// al. 2023, arXiv:2305.10425; the original `SLiC-HF` has no reference and adds a supervised term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hinge {
    beta: f64,
}

impl Hinge {
    /// The hinge loss with the scale `beta > 0`.
    ///
    /// # Errors
    /// [`LossError::Beta`].
    pub fn new(beta: f64) -> Result<Self, LossError> {
        Ok(Self { beta: positive_beta(LossName::Hinge, beta)? })
    }
}

impl PreferenceLoss for Hinge {
    fn name(&self) -> &'static str {
        LossName::Hinge.as_str()
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn needs_lengths(&self) -> bool {
        false
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        pair.checked(true, None)?;
        let short_of_margin = 1.0 - self.beta * pair.log_ratio_difference();
        let slope = if short_of_margin > 0.0 { self.beta } else { 0.0 };
        PreferenceTerms {
            loss: short_of_margin.max(0.0),
            grad_chosen: -slope,
            grad_rejected: slope,
            reward_chosen: self.beta * pair.chosen_log_ratio(),
            reward_rejected: self.beta * pair.rejected_log_ratio(),
            penalty: 0.0,
        }
        .finite(self.name(), pair)
    }
}
