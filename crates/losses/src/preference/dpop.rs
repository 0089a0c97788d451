//! DPO-Positive: DPO that may not pay for its margin with the chosen completion.

use super::dpo::{Anchored, smoothed};
use super::{
    PairLogps, PreferenceLoss, PreferenceTerms, non_negative_lambda, positive_beta,
    smoothing_below_half,
};
use crate::logistic::{sigmoid, softplus};
use crate::{LossError, LossName};

/// DPO-Positive (DPOP).
///
/// ```text
/// L = -log sigmoid(beta (h - lambda P))        P = max(0, log ref(y_w) - log policy(y_w))
///
/// dL/dlog policy(y_w) = -beta (1 + lambda [P > 0]) sigmoid(-z)        z = beta (h - lambda P)
/// dL/dlog policy(y_l) = +beta sigmoid(-z)
/// ```
/// Source: Pal et al. 2024, arXiv:2402.13228v2, eq. 3; `h` as in [`Dpo`](super::Dpo). The penalty
/// is inside the logarithm *and* inside the bracket that `beta` multiplies; version 1 of the paper
/// and several public programs place it elsewhere, which gives other losses.
///
/// # Numerics
/// At the kink, `policy = reference`, where every run starts, the penalty's gradient is 0: the
/// chosen completion is not yet less likely. With `lambda` 0 the results are the bits of DPO's.
/// The chosen gradient reaches `beta (1 + lambda)`, 15.3 with the defaults: clip gradients.
///
/// ```
/// use bestof_losses::{Dpo, Dpop, PairLogps, PreferenceLoss};
///
/// // Both completions lost probability, the rejected one more: DPO is content.
/// let displaced = PairLogps {
///     chosen: -24.0, ref_chosen: -20.0, rejected: -40.0, ref_rejected: -25.0,
///     ..PairLogps::default()
/// };
/// let dpo = Dpo::new(0.3)?.terms(&displaced)?;
/// let dpop = Dpop::new(0.3, 50.0)?.terms(&displaced)?;
/// assert!(dpo.loss < 0.04 && dpop.loss > 50.0);
/// assert_eq!(dpop.penalty, 4.0);
/// # Ok::<(), bestof_losses::LossError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dpop {
    beta: f64,
    lambda: f64,
}

impl Dpop {
    /// DPOP with `beta > 0` and `lambda >= 0`.
    ///
    /// # Errors
    /// [`LossError::Beta`], [`LossError::Lambda`].
    pub fn new(beta: f64, lambda: f64) -> Result<Self, LossError> {
        Ok(Self {
            beta: positive_beta(LossName::Dpop, beta)?,
            lambda: non_negative_lambda(LossName::Dpop, lambda)?,
        })
    }
}

impl PreferenceLoss for Dpop {
    fn name(&self) -> &'static str {
        LossName::Dpop.as_str()
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn needs_lengths(&self) -> bool {
        false
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        let anchored = Anchored::of(pair, self.beta, self.lambda)?;
        let z = anchored.logit;
        anchored.penalised_terms(self.name(), softplus(-z), -sigmoid(-z))
    }
}

/// DPOP with label smoothing: cDPO's loss of DPOP's logit, penalty included.
///
/// ```text
/// L = -(1 - e) log sigmoid(z) - e log sigmoid(-z)        z = beta (h - lambda P)
/// ```
/// The flipped term rewards a larger penalty, so that with a large `e` the gradient on the chosen
/// completion can point down. Not in the paper; public implementations smooth this way.
/// Source of the parts: [`Dpop`] (arXiv:2402.13228v2, eq. 3) and [`Cdpo`](super::Cdpo).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DpopCdpo {
    beta: f64,
    lambda: f64,
    label_smoothing: f64,
}

impl DpopCdpo {
    /// Smoothed DPOP with `beta > 0`, `lambda >= 0` and `label_smoothing` in `[0, 0.5)`.
    ///
    /// # Errors
    /// [`LossError::Beta`], [`LossError::Lambda`], [`LossError::LabelSmoothing`].
    pub fn new(beta: f64, lambda: f64, label_smoothing: f64) -> Result<Self, LossError> {
        Ok(Self {
            beta: positive_beta(LossName::DpopCdpo, beta)?,
            lambda: non_negative_lambda(LossName::DpopCdpo, lambda)?,
            label_smoothing: smoothing_below_half(LossName::DpopCdpo, label_smoothing)?,
        })
    }
}

impl PreferenceLoss for DpopCdpo {
    fn name(&self) -> &'static str {
        LossName::DpopCdpo.as_str()
    }

    fn needs_reference(&self) -> bool {
        true
    }

    fn needs_lengths(&self) -> bool {
        false
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        let anchored = Anchored::of(pair, self.beta, self.lambda)?;
        let (loss, slope) = smoothed(anchored.logit, self.label_smoothing);
        anchored.penalised_terms(self.name(), loss, slope)
    }
}
