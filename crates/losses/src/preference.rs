//! One pair in, its loss and both gradients out: the trait every preference loss implements.

mod divergence;
mod dpo;
mod dpop;
mod hinge;
mod ipo;
mod kto;
mod length;
mod orpo;
mod sft;
mod simpo;
mod sum;

use std::fmt::Debug;

pub use divergence::Divergence;
pub use dpo::{Cdpo, Dpo, RobustDpo};
pub use dpop::{Dpop, DpopCdpo};
pub use hinge::Hinge;
pub use ipo::{Averaging, Ipo};
pub use kto::KtoPair;
pub use length::{LengthFactors, length_desensitised};
pub use orpo::Orpo;
pub use sft::SftMixed;
pub use simpo::Simpo;
pub use sum::{WeightedLoss, WeightedSum};

use crate::{LossError, LossName};

/// The log-probabilities of one preference pair.
///
/// Each is natural, and *summed* over the tokens of the completion: the prompt and padding are
/// outside, the end-of-text token is inside when it was trained on. The reference's values are not
/// looked at by losses without a reference, the lengths only by losses that average.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PairLogps {
    /// Policy, chosen completion.
    pub chosen: f64,
    /// Policy, rejected completion.
    pub rejected: f64,
    /// Reference, chosen completion.
    pub ref_chosen: f64,
    /// Reference, rejected completion.
    pub ref_rejected: f64,
    /// Tokens of the chosen completion that the sum runs over.
    pub chosen_len: usize,
    /// Tokens of the rejected completion that the sum runs over.
    pub rejected_len: usize,
}

impl PairLogps {
    /// `log policy - log reference` of the chosen completion; negative means displaced.
    pub fn chosen_log_ratio(&self) -> f64 {
        self.chosen - self.ref_chosen
    }

    /// `log policy - log reference` of the rejected completion.
    pub fn rejected_log_ratio(&self) -> f64 {
        self.rejected - self.ref_rejected
    }

    /// How much more the policy prefers the chosen completion than the reference does: `h`.
    pub fn log_ratio_difference(&self) -> f64 {
        self.chosen_log_ratio() - self.rejected_log_ratio()
    }

    /// Nats by which the chosen completion is *less* likely than under the reference, or 0.
    ///
    /// ```text
    /// P = max(0, log ref(y_w) - log policy(y_w))
    /// ```
    pub fn displacement(&self) -> f64 {
        (self.ref_chosen - self.chosen).max(0.0)
    }

    /// The same pair, checked for what a loss of this kind needs.
    fn checked(
        &self,
        reference: bool,
        averaging: Option<&'static str>,
    ) -> Result<&Self, LossError> {
        let policy = [("chosen", self.chosen), ("rejected", self.rejected)];
        let anchor = [("ref_chosen", self.ref_chosen), ("ref_rejected", self.ref_rejected)];
        let anchor = if reference { &anchor[..] } else { &[] };
        for &(field, found) in policy.iter().chain(anchor) {
            if !found.is_finite() {
                return Err(LossError::NotFinite { field, found });
            }
        }
        if let Some(loss) = averaging {
            for (field, len) in
                [("chosen_len", self.chosen_len), ("rejected_len", self.rejected_len)]
            {
                if len == 0 {
                    return Err(LossError::ZeroLength { loss, field });
                }
            }
        }
        Ok(self)
    }
}

/// What a loss says about one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PreferenceTerms {
    /// The loss of the pair.
    pub loss: f64,
    /// Its derivative by the policy's summed log-probability of the chosen completion.
    pub grad_chosen: f64,
    /// Its derivative by the policy's summed log-probability of the rejected completion.
    pub grad_rejected: f64,
    /// Implicit reward of the chosen completion, `beta (log policy - log reference)` of the sums.
    ///
    /// DPOP's penalty is *not* included, so that rewards of different losses can be compared.
    /// Losses without a reference report their scaled, averaged log-probability instead.
    pub reward_chosen: f64,
    /// Implicit reward of the rejected completion, as [`reward_chosen`](Self::reward_chosen).
    pub reward_rejected: f64,
    /// DPOP's penalty `max(0, log ref - log policy)` in nats, before `lambda` and `beta`; 0 for
    /// losses without one.
    pub penalty: f64,
}

impl PreferenceTerms {
    /// `reward_chosen - reward_rejected`.
    pub fn margin(&self) -> f64 {
        self.reward_chosen - self.reward_rejected
    }

    /// Whether the chosen completion has the larger implicit reward.
    pub fn is_accurate(&self) -> bool {
        self.margin() > 0.0
    }

    fn finite(self, loss: &'static str, pair: &PairLogps) -> Result<Self, LossError> {
        let outputs = [
            self.loss,
            self.grad_chosen,
            self.grad_rejected,
            self.reward_chosen,
            self.reward_rejected,
            self.penalty,
        ];
        if outputs.iter().all(|value| value.is_finite()) {
            Ok(self)
        } else {
            Err(LossError::Overflow { loss, chosen: pair.chosen, rejected: pair.rejected })
        }
    }
}

/// A loss of one preference pair, as a function of its summed log-probabilities.
///
/// Reduction is the caller's: a mean over pairs multiplies each gradient by `1 / pairs`.
pub trait PreferenceLoss: Debug + Send + Sync {
    /// The name users know the loss by.
    fn name(&self) -> &'static str;

    /// Whether the reference's log-probabilities are read.
    fn needs_reference(&self) -> bool;

    /// Whether the completions' lengths are read.
    fn needs_lengths(&self) -> bool;

    /// The loss of a pair and its derivatives.
    ///
    /// # Errors
    /// [`LossError::NotFinite`] if a log-probability that is read is NaN or infinite,
    /// [`LossError::ZeroLength`] if a length that is read is 0, [`LossError::Overflow`] if the
    /// result is not finite.
    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError>;
}

/// The terms of every pair of a batch, in order.
///
/// # Errors
/// [`LossError::InPair`] with the position of the first pair that cannot be evaluated.
pub fn terms_of_batch(
    loss: &dyn PreferenceLoss,
    pairs: &[PairLogps],
) -> Result<Vec<PreferenceTerms>, LossError> {
    pairs
        .iter()
        .enumerate()
        .map(|(index, pair)| {
            loss.terms(pair).map_err(|source| LossError::InPair { index, source: Box::new(source) })
        })
        .collect()
}

fn positive_beta(loss: LossName, beta: f64) -> Result<f64, LossError> {
    if beta.is_finite() && beta > 0.0 {
        Ok(beta)
    } else {
        Err(LossError::Beta { loss: loss.as_str(), found: beta })
    }
}

fn non_negative_lambda(loss: LossName, lambda: f64) -> Result<f64, LossError> {
    if lambda.is_finite() && lambda >= 0.0 {
        Ok(lambda)
    } else {
        Err(LossError::Lambda { loss: loss.as_str(), found: lambda })
    }
}

fn smoothing_below_half(loss: LossName, label_smoothing: f64) -> Result<f64, LossError> {
    if (0.0..0.5).contains(&label_smoothing) {
        Ok(label_smoothing)
    } else {
        Err(LossError::LabelSmoothing { loss: loss.as_str(), found: label_smoothing })
    }
}
