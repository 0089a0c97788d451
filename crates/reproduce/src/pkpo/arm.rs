//! The ways of training that are compared.

use bestof_trainer::reinforce::OffPolicyWeights;

/// Completions of a prompt in training, as in the paper.
pub(super) const N: usize = 16;
/// The fixed `k`, and where the annealed one begins, as in the paper.
pub(super) const K: usize = 8;
/// Updates of each batch where there are several.
pub(super) const UPDATES: usize = 4;

/// What a policy is trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    /// Nothing: the base model, measured once more with other draws.
    Frozen,
    /// The mean reward, with a leave-one-out baseline: `k = 1`.
    One,
    /// The same, and entropy.
    Entropy,
    /// The best of so many at every step; more than one.
    Fixed(usize),
    /// The best of [`K`] first, then the mean reward.
    Annealed,
    /// Every `k` at once, each by the weight `1/k`.
    Harmonic,
    /// The best of [`K`], by weights that sum to 0.
    Centred,
    /// The best of [`K`], with [`UPDATES`] updates of each batch, weighed in one of two ways.
    Several(OffPolicyWeights),
}

impl Arm {
    /// The ways to a better best of many.
    pub(super) const WAYS: [Self; 9] = [
        Self::Frozen,
        Self::One,
        Self::Entropy,
        Self::Fixed(4),
        Self::Fixed(K),
        Self::Fixed(N),
        Self::Annealed,
        Self::Harmonic,
        Self::Centred,
    ];

    /// One update of each batch, and several.
    pub(super) const UPDATES: [Self; 4] = [
        Self::Frozen,
        Self::Fixed(K),
        Self::Several(OffPolicyWeights::OwnRatio),
        Self::Several(OffPolicyWeights::Exact),
    ];

    /// The name in folders and numbers.
    pub(super) fn name(self) -> String {
        match self {
            Self::Frozen => "frozen".to_owned(),
            Self::One => "k1".to_owned(),
            Self::Entropy => "k1-entropy".to_owned(),
            Self::Fixed(k) => format!("k{k}"),
            Self::Annealed => "annealed".to_owned(),
            Self::Harmonic => "harmonic".to_owned(),
            Self::Centred => format!("centred-k{K}"),
            Self::Several(weights) => format!("k{K}-{UPDATES}-updates-{}", setting(weights)),
        }
    }

    /// The name on the page.
    pub(super) fn label(self) -> String {
        match self {
            Self::Frozen => "frozen".to_owned(),
            Self::One => "k = 1".to_owned(),
            Self::Entropy => "k = 1, entropy bonus".to_owned(),
            Self::Fixed(k) => format!("k = {k}"),
            Self::Annealed => format!("k = {K}, then 1"),
            Self::Harmonic => "harmonic".to_owned(),
            Self::Centred => format!("centred, k = {K}"),
            Self::Several(OffPolicyWeights::OwnRatio) => format!("{UPDATES} updates, own ratio"),
            Self::Several(OffPolicyWeights::Exact) => format!("{UPDATES} updates, exact"),
        }
    }
}

/// The value of `objective.off_policy`.
pub(super) fn setting(weights: OffPolicyWeights) -> &'static str {
    match weights {
        OffPolicyWeights::Exact => "exact",
        OffPolicyWeights::OwnRatio => "own-ratio",
    }
}
