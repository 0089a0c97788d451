//! DPO, under any f-divergence, and its two forms for noisy labels.

use super::divergence::Divergence;
use super::{PairLogps, PreferenceLoss, PreferenceTerms, positive_beta, smoothing_below_half};
use crate::logistic::{sigmoid, softplus};
use crate::{LossError, LossName};

/// Direct preference optimisation.
///
/// ```text
/// L = -log sigmoid(beta h)
/// h = (log policy(y_w) - log ref(y_w)) - (log policy(y_l) - log ref(y_l))
/// ```
/// With another [`Divergence`] than the reverse KL, `h` is a difference of a function of the two
/// log-ratios. Rewards stay `beta` times the log-ratios themselves.
///
/// Source: Rafailov et al. 2023, arXiv:2305.18290, eq. 7; for the other divergences Wang et al. 2023,
/// arXiv:2309.16240, theorem 1.
///
/// ```
/// use bestof_losses::{Dpo, PairLogps, PreferenceLoss};
///
/// let at_start = PairLogps {
///     chosen: -20.0, ref_chosen: -20.0, rejected: -25.0, ref_rejected: -25.0,
///     ..PairLogps::default()
/// };
/// let terms = Dpo::new(0.1)?.terms(&at_start)?;
/// assert_eq!(terms.loss, std::f64::consts::LN_2);
/// assert_eq!(terms.grad_chosen, -0.05);
/// # Ok::<(), bestof_losses::LossError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dpo {
    beta: f64,
    divergence: Divergence,
}

impl Dpo {
    /// DPO with the scale `beta > 0`.
    ///
    /// # Errors
    /// [`LossError::Beta`].
    pub fn new(beta: f64) -> Result<Self, LossError> {
        Ok(Self { beta: positive_beta(LossName::Dpo, beta)?, divergence: Divergence::ReverseKl })
    }

    /// The same under another divergence.
    ///
    /// # Errors
    /// [`LossError::DivergenceAlpha`].
    pub fn with_divergence(self, divergence: Divergence) -> Result<Self, LossError> {
        Ok(Self { divergence: divergence.checked()?, ..self })
    }

    fn of_divergence(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        pair.checked(true, None)?;
        let (of_chosen, by_chosen) = self.divergence.of_log_ratio(pair.chosen_log_ratio());
        let (of_rejected, by_rejected) = self.divergence.of_log_ratio(pair.rejected_log_ratio());
        let z = self.beta * (of_chosen - of_rejected);
        let pull = self.beta * sigmoid(-z);
        // A pair far beyond its margin has no gradient, however steep the divergence is there.
        let times = |slope: f64| if pull == 0.0 { 0.0 } else { pull * slope };
        PreferenceTerms {
            loss: softplus(-z),
            grad_chosen: -times(by_chosen),
            grad_rejected: times(by_rejected),
            reward_chosen: self.beta * pair.chosen_log_ratio(),
            reward_rejected: self.beta * pair.rejected_log_ratio(),
            penalty: 0.0,
        }
        .finite(self.name(), pair)
    }
}

impl PreferenceLoss for Dpo {
    fn name(&self) -> &'static str {
        LossName::Dpo.as_str()
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn needs_lengths(&self) -> bool {
        false
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        if self.divergence != Divergence::ReverseKl {
            return self.of_divergence(pair);
        }
        let anchored = Anchored::of(pair, self.beta, 0.0)?;
        anchored.terms(self.name(), softplus(-anchored.logit), -sigmoid(-anchored.logit))
    }
}

/// Conservative DPO: a share of the labels is taken to be flipped.
///
/// ```text
/// L = -(1 - e) log sigmoid(beta h) - e log sigmoid(-beta h)
/// ```
/// Source: Mitchell 2023, "A note on DPO with noisy preferences & relationship to IPO"; `h` as in
/// [`Dpo`]. Unlike [`RobustDpo`] it is biased towards small margins: its minimum lies at
/// `beta h = log((1 - e) / e)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cdpo {
    beta: f64,
    label_smoothing: f64,
}

impl Cdpo {
    /// Conservative DPO with `beta > 0` and `label_smoothing` in `[0, 0.5)`.
    ///
    /// # Errors
    /// [`LossError::Beta`], [`LossError::LabelSmoothing`].
    pub fn new(beta: f64, label_smoothing: f64) -> Result<Self, LossError> {
        Ok(Self {
            beta: positive_beta(LossName::Cdpo, beta)?,
            label_smoothing: smoothing_below_half(LossName::Cdpo, label_smoothing)?,
        })
    }
}

impl PreferenceLoss for Cdpo {
    fn name(&self) -> &'static str {
        LossName::Cdpo.as_str()
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn needs_lengths(&self) -> bool {
        false
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        let anchored = Anchored::of(pair, self.beta, 0.0)?;
        let (loss, slope) = smoothed(anchored.logit, self.label_smoothing);
        anchored.terms(self.name(), loss, slope)
    }
}

/// Robust DPO: an unbiased estimate of the loss under clean labels. It can be negative.
///
/// ```text
/// L = [-(1 - e) log sigmoid(beta h) + e log sigmoid(-beta h)] / (1 - 2e)
/// ```
/// Source: Ray Chowdhury, Kini, Natarajan 2024, arXiv:2403.00409; `h` as in [`Dpo`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RobustDpo {
    beta: f64,
    label_smoothing: f64,
}

impl RobustDpo {
    /// Robust DPO with `beta > 0` and `label_smoothing` in `[0, 0.5)`.
    ///
    /// # Errors
    /// [`LossError::Beta`], [`LossError::LabelSmoothing`].
    pub fn new(beta: f64, label_smoothing: f64) -> Result<Self, LossError> {
        Ok(Self {
            beta: positive_beta(LossName::Robust, beta)?,
            label_smoothing: smoothing_below_half(LossName::Robust, label_smoothing)?,
        })
    }
}

impl PreferenceLoss for RobustDpo {
    fn name(&self) -> &'static str {
        LossName::Robust.as_str()
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn needs_lengths(&self) -> bool {
        false
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        let anchored = Anchored::of(pair, self.beta, 0.0)?;
        let (z, e) = (anchored.logit, self.label_smoothing);
        let loss = ((1.0 - e) * softplus(-z) - e * softplus(z)) / (1.0 - 2.0 * e);
        let slope = (-(1.0 - e) * sigmoid(-z) - e * sigmoid(z)) / (1.0 - 2.0 * e);
        anchored.terms(self.name(), loss, slope)
    }
}

/// Loss and derivative by the logit of the label-smoothed logistic loss.
pub(super) fn smoothed(z: f64, e: f64) -> (f64, f64) {
    ((1.0 - e) * softplus(-z) + e * softplus(z), -(1.0 - e) * sigmoid(-z) + e * sigmoid(z))
}

/// The logit `beta (h - lambda P)` of a pair and how it moves with the chosen log-probability.
pub(super) struct Anchored<'a> {
    pair: &'a PairLogps,
    beta: f64,
    /// `beta (h - lambda P)`.
    pub(super) logit: f64,
    penalty: f64,
    /// `1 + lambda` where the penalty is active, else 1.
    pull: f64,
}

impl<'a> Anchored<'a> {
    /// With `lambda` 0 every operation below returns the bits of plain DPO.
    pub(super) fn of(pair: &'a PairLogps, beta: f64, lambda: f64) -> Result<Self, LossError> {
        pair.checked(true, None)?;
        let penalty = pair.displacement();
        Ok(Self {
            pair,
            beta,
            logit: beta * (pair.log_ratio_difference() - lambda * penalty),
            penalty,
            pull: if penalty > 0.0 { 1.0 + lambda } else { 1.0 },
        })
    }

    /// The terms of a loss of the logit alone, given its value and slope; reports no penalty.
    pub(super) fn terms(
        &self,
        name: &'static str,
        loss: f64,
        slope: f64,
    ) -> Result<PreferenceTerms, LossError> {
        PreferenceTerms {
            loss,
            grad_chosen: self.beta * self.pull * slope,
            grad_rejected: -self.beta * slope,
            reward_chosen: self.beta * self.pair.chosen_log_ratio(),
            reward_rejected: self.beta * self.pair.rejected_log_ratio(),
            penalty: 0.0,
        }
        .finite(name, self.pair)
    }

    /// As [`terms`](Self::terms), with the penalty reported.
    pub(super) fn penalised_terms(
        &self,
        name: &'static str,
        loss: f64,
        slope: f64,
    ) -> Result<PreferenceTerms, LossError> {
        Ok(PreferenceTerms { penalty: self.penalty, ..self.terms(name, loss, slope)? })
    }
}
