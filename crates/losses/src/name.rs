//! The names losses go by on the command line and in files, and the parameters each reads.

use std::fmt;

/// The name of a preference loss.
///
/// ```
/// use bestof_losses::{LossError, LossName};
///
/// assert_eq!("ipo-avg".parse(), Ok(LossName::IpoAvg));
/// let error = "dppo".parse::<LossName>().unwrap_err();
/// assert!(error.to_string().contains("did you mean `dpop`"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossName {
    /// [`Dpo`](crate::Dpo).
    Dpo,
    /// [`Dpop`](crate::Dpop).
    Dpop,
    /// [`Ipo`](crate::Ipo) on summed log-probabilities.
    Ipo,
    /// [`Ipo`](crate::Ipo) on log-probabilities averaged over tokens.
    IpoAvg,
    /// [`Hinge`](crate::Hinge).
    Hinge,
    /// [`Cdpo`](crate::Cdpo).
    Cdpo,
    /// [`RobustDpo`](crate::RobustDpo).
    Robust,
    /// [`DpopCdpo`](crate::DpopCdpo).
    DpopCdpo,
    /// [`Simpo`](crate::Simpo).
    Simpo,
    /// [`Orpo`](crate::Orpo).
    Orpo,
    /// [`KtoPair`](crate::KtoPair), KTO of both halves of a pair. [`Kto`](crate::Kto) of labelled
    /// completions is not a loss of pairs and has no name here.
    KtoPair,
}

impl LossName {
    /// Every name, in the order in which they are listed to users.
    pub const ALL: [Self; 11] = [
        Self::Dpo,
        Self::Dpop,
        Self::Ipo,
        Self::IpoAvg,
        Self::Hinge,
        Self::Cdpo,
        Self::Robust,
        Self::Simpo,
        Self::Orpo,
        Self::KtoPair,
        Self::DpopCdpo,
    ];

    /// The name as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dpo => "dpo",
            Self::Dpop => "dpop",
            Self::Ipo => "ipo",
            Self::IpoAvg => "ipo-avg",
            Self::Hinge => "hinge",
            Self::Cdpo => "cdpo",
            Self::Robust => "robust",
            Self::DpopCdpo => "dpop-cdpo",
            Self::Simpo => "simpo",
            Self::Orpo => "orpo",
            Self::KtoPair => "kto-pair",
        }
    }

    /// The parameters the loss reads, by the names of [`LossParameters`](crate::LossParameters)' fields.
    pub const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Dpo => &["beta", "divergence", "sft_alpha"],
            Self::Ipo | Self::IpoAvg | Self::Hinge => &["beta", "sft_alpha"],
            Self::Dpop => &["beta", "lambda", "sft_alpha"],
            Self::Cdpo | Self::Robust => &["beta", "label_smoothing", "sft_alpha"],
            Self::DpopCdpo => &["beta", "lambda", "label_smoothing", "sft_alpha"],
            Self::Simpo => &["beta", "gamma", "sft_alpha"],
            // Its likelihood term is part of the loss.
            Self::Orpo => &["lambda"],
            Self::KtoPair => &["beta", "kto_z0", "sft_alpha"],
        }
    }
}

impl fmt::Display for LossName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
