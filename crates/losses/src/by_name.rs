//! Losses by their names: reading a name, default parameters, building the loss.

use std::str::FromStr;

use crate::error::LossError;
use crate::name::LossName;
use crate::preference::{
    Averaging, Cdpo, Divergence, Dpo, Dpop, DpopCdpo, Hinge, Ipo, KtoPair, Orpo, PreferenceLoss,
    RobustDpo, SftMixed, Simpo,
};

impl LossName {
    /// The loss, with the [`parameters`](Self::parameters) that it reads; the others are not looked
    /// at. With an `sft_alpha` other than 0 it is an [`SftMixed`] one.
    ///
    /// # Errors
    /// The variant of [`LossError`] named by the parameter that is out of range.
    pub fn build(self, with: &LossParameters) -> Result<Box<dyn PreferenceLoss>, LossError> {
        let loss: Box<dyn PreferenceLoss> = match self {
            Self::Dpo => Box::new(Dpo::new(with.beta)?.with_divergence(with.divergence)?),
            Self::Dpop => Box::new(Dpop::new(with.beta, with.lambda)?),
            Self::Ipo => Box::new(Ipo::new(with.beta, Averaging::Sum)?),
            Self::IpoAvg => Box::new(Ipo::new(with.beta, Averaging::PerToken)?),
            Self::Hinge => Box::new(Hinge::new(with.beta)?),
            Self::Cdpo => Box::new(Cdpo::new(with.beta, with.label_smoothing)?),
            Self::Robust => Box::new(RobustDpo::new(with.beta, with.label_smoothing)?),
            Self::DpopCdpo => {
                Box::new(DpopCdpo::new(with.beta, with.lambda, with.label_smoothing)?)
            }
            Self::Simpo => Box::new(Simpo::new(with.beta, with.gamma)?),
            Self::Orpo => Box::new(Orpo::new(with.lambda)?),
            Self::KtoPair => Box::new(KtoPair::new(with.beta, with.kto_z0)?),
        };
        if with.sft_alpha == 0.0 || !self.parameters().contains(&"sft_alpha") {
            return Ok(loss);
        }
        Ok(Box::new(SftMixed::new(loss, with.sft_alpha)?))
    }
}

impl FromStr for LossName {
    type Err = LossError;

    /// Reads a name; case does not matter, and `_` may stand for `-`.
    fn from_str(text: &str) -> Result<Self, LossError> {
        let typed = text.trim().to_lowercase().replace('_', "-");
        let named = |name: &str| Self::ALL.into_iter().find(|loss| loss.as_str() == name);
        named(&typed).ok_or_else(|| LossError::UnknownLoss {
            found: text.to_owned(),
            nearest: bestof_suggest::nearest(&typed, Self::ALL.map(Self::as_str)).and_then(named),
        })
    }
}

/// The hyper-parameters of all losses in one plain record; each loss reads those it has.
///
/// ```
/// use bestof_losses::{LossName, LossParameters};
///
/// let defaults = LossParameters::of(LossName::Dpop);
/// assert_eq!((defaults.beta, defaults.lambda), (0.3, 50.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LossParameters {
    /// Scale of the log-ratios (`SimPO`: of the averaged log-probabilities).
    pub beta: f64,
    /// Weight of DPOP's penalty, or of ORPO's odds-ratio term.
    pub lambda: f64,
    /// Target margin of `SimPO`, in units of the logit.
    pub gamma: f64,
    /// Share of labels assumed to be wrong (cDPO, robust DPO).
    pub label_smoothing: f64,
    /// The reference point of KTO on pairs.
    pub kto_z0: f64,
    /// The divergence from the reference (DPO).
    pub divergence: Divergence,
    /// Weight of the chosen completion's likelihood beside the loss; 0 leaves it out. Every loss but
    /// ORPO reads it, whose likelihood term is its own.
    pub sft_alpha: f64,
}

impl LossParameters {
    /// Sets [`beta`](Self::beta).
    #[must_use]
    pub const fn with_beta(mut self, beta: f64) -> Self {
        self.beta = beta;
        self
    }

    /// Sets [`lambda`](Self::lambda).
    #[must_use]
    pub const fn with_lambda(mut self, lambda: f64) -> Self {
        self.lambda = lambda;
        self
    }

    /// Sets [`gamma`](Self::gamma).
    #[must_use]
    pub const fn with_gamma(mut self, gamma: f64) -> Self {
        self.gamma = gamma;
        self
    }

    /// Sets [`label_smoothing`](Self::label_smoothing).
    #[must_use]
    pub const fn with_label_smoothing(mut self, label_smoothing: f64) -> Self {
        self.label_smoothing = label_smoothing;
        self
    }

    /// Sets [`kto_z0`](Self::kto_z0).
    #[must_use]
    pub const fn with_kto_z0(mut self, kto_z0: f64) -> Self {
        self.kto_z0 = kto_z0;
        self
    }

    /// Sets [`divergence`](Self::divergence).
    #[must_use]
    pub const fn with_divergence(mut self, divergence: Divergence) -> Self {
        self.divergence = divergence;
        self
    }

    /// Sets [`sft_alpha`](Self::sft_alpha).
    #[must_use]
    pub const fn with_sft_alpha(mut self, sft_alpha: f64) -> Self {
        self.sft_alpha = sft_alpha;
        self
    }

    /// The published defaults of a loss; parameters it does not read are 0, and so is `sft_alpha`.
    /// The divergence is the reverse KL.
    ///
    /// | loss | defaults |
    /// |---|---|
    /// | dpo, ipo, ipo-avg, hinge | `beta` 0.1 |
    /// | dpop, dpop-cdpo | `beta` 0.3, `lambda` 50 (Pal et al. 2024) |
    /// | cdpo, robust, dpop-cdpo | `label_smoothing` 0.1 |
    /// | simpo | `beta` 2, `gamma` 1 (Meng et al. 2024 keep `gamma / beta` near 0.5) |
    /// | orpo | `lambda` 0.1 |
    /// | kto-pair | `beta` 0.1, `kto_z0` 0 |
    pub const fn of(name: LossName) -> Self {
        let none = Self {
            beta: 0.0,
            lambda: 0.0,
            gamma: 0.0,
            label_smoothing: 0.0,
            kto_z0: 0.0,
            divergence: Divergence::ReverseKl,
            sft_alpha: 0.0,
        };
        match name {
            LossName::Dpo
            | LossName::Ipo
            | LossName::IpoAvg
            | LossName::Hinge
            | LossName::KtoPair => Self { beta: 0.1, ..none },
            LossName::Dpop => Self { beta: 0.3, lambda: 50.0, ..none },
            LossName::DpopCdpo => Self { beta: 0.3, lambda: 50.0, label_smoothing: 0.1, ..none },
            LossName::Cdpo | LossName::Robust => Self { beta: 0.1, label_smoothing: 0.1, ..none },
            LossName::Simpo => Self { beta: 2.0, gamma: 1.0, ..none },
            LossName::Orpo => Self { lambda: 0.1, ..none },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_builds_with_its_defaults() {
        for name in LossName::ALL {
            assert_eq!(name.as_str().parse(), Ok(name));
            assert_eq!(name.as_str().replace('-', "_").to_uppercase().parse(), Ok(name));
            let loss = name.build(&LossParameters::of(name)).unwrap();
            assert_eq!(loss.name(), name.as_str());
        }
    }

    #[test]
    fn a_wrong_name_lists_the_names_and_hints_only_when_close() {
        let hint = |text: &str| match text.parse::<LossName>() {
            Err(LossError::UnknownLoss { nearest, .. }) => nearest,
            other => panic!("{other:?}"),
        };
        assert_eq!(hint("dpoo"), Some(LossName::Dpo));
        assert_eq!(hint("kto"), Some(LossName::KtoPair));
        assert_eq!(hint("hinged"), Some(LossName::Hinge));
        assert_eq!(hint("xyzzy"), None);
        assert_eq!(hint(""), None);
        let message = "zzz".parse::<LossName>().unwrap_err().to_string();
        for name in LossName::ALL {
            assert!(message.contains(name.as_str()));
        }
    }
}
