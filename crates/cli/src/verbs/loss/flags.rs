//! The hyper-parameters of losses, as flags and as fields of a row.

use bestof_losses::{Divergence, LossError, LossName, LossParameters};
use serde::Deserialize;

/// Hyper-parameters; what is not given has the loss's published default.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
pub(super) struct Flags {
    /// Scale of the log-ratios
    #[arg(long, allow_negative_numbers = true)]
    pub(super) beta: Option<f64>,
    /// Weight of DPOP's penalty, or of ORPO's odds-ratio term
    #[arg(long, allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// `SimPO`'s target margin
    #[arg(long, allow_negative_numbers = true)]
    gamma: Option<f64>,
    /// Share of labels taken to be wrong
    #[arg(long, allow_negative_numbers = true)]
    label_smoothing: Option<f64>,
    /// kto-pair, kto: the reference point
    #[arg(long, allow_negative_numbers = true)]
    pub(super) kto_z0: Option<f64>,
    /// dpo: reverse-kl, forward-kl, jensen-shannon or alpha
    #[arg(long)]
    divergence: Option<String>,
    /// dpo: the alpha of the divergence `alpha`, between 0 and 1
    #[arg(long, allow_negative_numbers = true)]
    divergence_alpha: Option<f64>,
    /// Weight of the chosen answer's likelihood beside the loss
    #[arg(long, allow_negative_numbers = true)]
    sft_alpha: Option<f64>,
}

impl Flags {
    /// The parameters of a loss, these before those of `base`.
    pub(super) fn over(
        &self,
        name: LossName,
        base: LossParameters,
    ) -> Result<LossParameters, LossError> {
        // The older parameters are let through where they are not read, so that one row can be put
        // to every loss.
        for (setting, given) in [
            ("divergence", self.divergence.is_some() || self.divergence_alpha.is_some()),
            ("sft_alpha", self.sft_alpha.is_some()),
        ] {
            if given && !name.parameters().contains(&setting) {
                return Err(LossError::NotRead { setting, by: name.as_str() });
            }
        }
        let divergence = match (self.divergence.as_deref(), self.divergence_alpha) {
            (None, None) => base.divergence,
            (found, alpha) => Divergence::named(found.unwrap_or(base.divergence.as_str()), alpha)?,
        };
        Ok(base
            .with_beta(self.beta.unwrap_or(base.beta))
            .with_lambda(self.lambda.unwrap_or(base.lambda))
            .with_gamma(self.gamma.unwrap_or(base.gamma))
            .with_label_smoothing(self.label_smoothing.unwrap_or(base.label_smoothing))
            .with_kto_z0(self.kto_z0.unwrap_or(base.kto_z0))
            .with_divergence(divergence)
            .with_sft_alpha(self.sft_alpha.unwrap_or(base.sft_alpha)))
    }

    /// The flags that the loss of labelled answers does not read, and whether each was given.
    pub(super) fn not_of_kto(&self) -> [(&'static str, bool); 6] {
        [
            ("--lambda", self.lambda.is_some()),
            ("--gamma", self.gamma.is_some()),
            ("--label-smoothing", self.label_smoothing.is_some()),
            ("--divergence", self.divergence.is_some()),
            ("--divergence-alpha", self.divergence_alpha.is_some()),
            ("--sft-alpha", self.sft_alpha.is_some()),
        ]
    }
}
