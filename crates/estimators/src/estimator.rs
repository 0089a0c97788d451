//! The names of the transformations.

use core::fmt;

/// The name of a [`RewardTransform`](crate::RewardTransform), as written on a command line or in a configuration file.
///
/// ```
/// use bestof_estimators::{Estimator, RewardTransform};
///
/// let estimator: Estimator = "loo-minus-one".parse()?;
/// assert_eq!(estimator.build(4)?.min_samples(), 4);
/// assert!("loo-minus-two".parse::<Estimator>().is_err());
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Estimator {
    /// [`Plain`](crate::Plain)
    Plain,
    /// [`Loo`](crate::Loo)
    Loo,
    /// [`LooMinusOne`](crate::LooMinusOne), which the paper recommends
    #[default]
    LooMinusOne,
    /// [`Binary`](crate::Binary)
    Binary,
    /// [`Centred`](crate::Centred)
    Centred,
    /// [`Harmonic`](crate::Harmonic), of every order unless one is chosen
    Harmonic,
    /// [`Reinforce`](crate::Reinforce)
    Reinforce,
    /// [`GroupMean`](crate::GroupMean), also called `dr-grpo`
    #[cfg_attr(feature = "serde", serde(alias = "dr-grpo"))]
    Mean,
    /// [`Rloo`](crate::Rloo)
    Rloo,
    /// [`Grpo`](crate::Grpo) with its default settings
    Grpo,
    /// [`MaxAtN`](crate::MaxAtN)
    MaxAtN,
}

impl Estimator {
    /// Every estimator, PKPO's first.
    pub const ALL: [Self; 11] = [
        Self::Plain,
        Self::Loo,
        Self::LooMinusOne,
        Self::Binary,
        Self::Centred,
        Self::Harmonic,
        Self::Reinforce,
        Self::Mean,
        Self::Rloo,
        Self::Grpo,
        Self::MaxAtN,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Loo => "loo",
            Self::LooMinusOne => "loo-minus-one",
            Self::Binary => "binary",
            Self::Centred => "centred",
            Self::Harmonic => "harmonic",
            Self::Reinforce => "reinforce",
            Self::Mean => "mean",
            Self::Rloo => "rloo",
            Self::Grpo => "grpo",
            Self::MaxAtN => "max-at-n",
        }
    }

    /// Whether its weights depend on `k`. The others optimise the mean reward (`k = 1`), but for
    /// `max-at-n`, the maximum of the whole group, and `harmonic`, a sum over all `k`.
    pub const fn uses_k(self) -> bool {
        matches!(self, Self::Plain | Self::Loo | Self::LooMinusOne | Self::Binary | Self::Centred)
    }
}

impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
