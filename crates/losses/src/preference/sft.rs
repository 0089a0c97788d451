//! A preference loss with the likelihood of the chosen completion beside it.

use super::{PairLogps, PreferenceLoss, PreferenceTerms};
use crate::LossError;

/// Any preference loss plus supervised fine-tuning on the chosen completion.
///
/// ```text
/// L + sft_alpha (-log policy(y_w) / n_w)
/// ```
/// with `n_w` the tokens of the chosen completion. Name, rewards and penalty are those of the loss
/// inside. Given sums that [`length_desensitised`](super::length_desensitised) has weighted, the
/// likelihood is that of the weighted sum.
///
/// Source: Pang et al. 2024, arXiv:2404.19733, equation 1. TRL's `rpo_alpha`
/// divides by the tokens of all chosen completions of a batch; here, as in the paper, every
/// completion counts the same.
///
/// ```
/// use bestof_losses::{Dpo, PairLogps, PreferenceLoss, SftMixed};
///
/// let pair = PairLogps { chosen: -20.0, ref_chosen: -20.0, chosen_len: 10, ..PairLogps::default() };
/// let terms = SftMixed::new(Box::new(Dpo::new(0.1)?), 0.5)?.terms(&pair)?;
/// assert_eq!(terms.loss, std::f64::consts::LN_2 + 1.0);
/// assert_eq!(terms.grad_chosen, -0.05 - 0.05);
/// # Ok::<(), bestof_losses::LossError>(())
/// ```
#[derive(Debug)]
pub struct SftMixed {
    loss: Box<dyn PreferenceLoss>,
    sft_alpha: f64,
}

impl SftMixed {
    /// A loss with `sft_alpha >= 0` times the likelihood term.
    ///
    /// # Errors
    /// [`LossError::SftAlpha`].
    pub fn new(loss: Box<dyn PreferenceLoss>, sft_alpha: f64) -> Result<Self, LossError> {
        if sft_alpha.is_finite() && sft_alpha >= 0.0 {
            Ok(Self { loss, sft_alpha })
        } else {
            Err(LossError::SftAlpha { loss: loss.name(), found: sft_alpha })
        }
    }
}

impl PreferenceLoss for SftMixed {
    fn name(&self) -> &'static str {
        self.loss.name()
    }

    fn needs_reference(&self) -> bool {
        self.loss.needs_reference()
    }

    fn needs_lengths(&self) -> bool {
        true
    }

    fn terms(&self, pair: &PairLogps) -> Result<PreferenceTerms, LossError> {
        let terms = self.loss.terms(pair)?;
        if pair.chosen_len == 0 {
            return Err(LossError::ZeroLength { loss: self.name(), field: "chosen_len" });
        }
        let per_nat = self.sft_alpha / pair.chosen_len as f64;
        PreferenceTerms {
            loss: terms.loss - per_nat * pair.chosen,
            grad_chosen: terms.grad_chosen - per_nat,
            ..terms
        }
        .finite(self.name(), pair)
    }
}
