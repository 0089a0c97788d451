//! Sums of preference losses.

use super::{PairLogps, PreferenceLoss, PreferenceTerms};
use crate::{LossError, LossName, LossParameters};

/// One part of a [`WeightedSum`], as a configuration gives it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightedLoss {
    /// Which loss.
    pub name: LossName,
    /// What it is multiplied by, above 0.
    pub weight: f64,
    /// Its parameters.
    pub parameters: LossParameters,
}

/// A sum of preference losses, each by its weight.
///
/// ```text
/// L = sum_j weight_j L_j
/// ```
/// The weights need not add up to 1. Rewards are those of the first part that reads the reference, or
/// of the first part if none does: rewards of losses are on different scales, and a sum of them would
/// mean nothing. The penalty is the largest of the parts', which is DPOP's wherever it takes part.
///
/// Source: Wang et al. 2024, arXiv:2411.10442 (mixed preference optimisation); TRL's
/// `loss_type` and `loss_weights`, where their `sft` is here the `sft_alpha` of any part.
///
/// ```
/// use bestof_losses::{
///     LossName, LossParameters, PairLogps, PreferenceLoss, WeightedLoss, WeightedSum,
/// };
///
/// let part = |name, weight| WeightedLoss { name, weight, parameters: LossParameters::of(name) };
/// let sum = WeightedSum::build(&[part(LossName::Dpo, 1.0), part(LossName::Hinge, 0.5)])?;
/// let at_start = PairLogps { chosen: -20.0, ref_chosen: -20.0, ..PairLogps::default() };
/// assert_eq!(sum.terms(&at_start)?.loss, std::f64::consts::LN_2 + 0.5);
/// # Ok::<(), bestof_losses::LossError>(())
/// ```
#[derive(Debug)]
pub struct WeightedSum {
    parts: Vec<(f64, Box<dyn PreferenceLoss>)>,
}

impl WeightedSum {
    /// The sum of losses, each with its weight.
    ///
    /// # Errors
    /// [`LossError::EmptySum`] without any part, [`LossError::SumWeight`] if a weight is not a finite
    /// number above 0.
    pub fn new(parts: Vec<(f64, Box<dyn PreferenceLoss>)>) -> Result<Self, LossError> {
        if parts.is_empty() {
            return Err(LossError::EmptySum);
        }
        for (weight, loss) in &parts {
            if !(weight.is_finite() && *weight > 0.0) {
                return Err(LossError::SumWeight { loss: loss.name(), found: *weight });
            }
        }
        Ok(Self { parts })
    }

    /// The sum of losses by their names.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`LossName::build`].
    pub fn build(parts: &[WeightedLoss]) -> Result<Self, LossError> {
        let built = parts
            .iter()
            .map(|part| Ok((part.weight, part.name.build(&part.parameters)?)))
            .collect::<Result<_, LossError>>()?;
        Self::new(built)
    }
}

impl PreferenceLoss for WeightedSum {
    fn name(&self) -> &'static str {
        "weighted-sum"
    }

    fn needs_reference(&self) -> bool {
        self.parts.iter().any(|(_, loss)| loss.needs_reference())
    }

    fn needs_lengths(&self) -> bool {
        self.parts.iter().any(|(_, loss)| loss.needs_lengths())
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        let mut sum = PreferenceTerms {
            loss: 0.0,
            grad_chosen: 0.0,
            grad_rejected: 0.0,
            reward_chosen: 0.0,
            reward_rejected: 0.0,
            penalty: 0.0,
        };
        let rewarding = self.parts.iter().position(|(_, loss)| loss.needs_reference()).unwrap_or(0);
        for (index, (weight, loss)) in self.parts.iter().enumerate() {
            let terms = loss.terms(pair)?;
            sum.loss += weight * terms.loss;
            sum.grad_chosen += weight * terms.grad_chosen;
            sum.grad_rejected += weight * terms.grad_rejected;
            sum.penalty = sum.penalty.max(terms.penalty);
            if index == rewarding {
                sum.reward_chosen = terms.reward_chosen;
                sum.reward_rejected = terms.reward_rejected;
            }
        }
        sum.finite(self.name(), pair)
    }
}
