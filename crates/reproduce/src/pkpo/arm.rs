//! The ways of training that are compared.

use bestof_trainer::reinforce::OffPolicyWeights;

use super::settings::{K, N, Settings, UPDATES};

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

    /// What its runs optimise, in words.
    pub(super) fn about(self, settings: &Settings) -> String {
        match self {
            Self::Frozen => "nothing: the base model, measured with other draws".to_owned(),
            Self::One => "the mean reward, leave-one-out baseline".to_owned(),
            Self::Entropy => {
                format!("the same, and {} for every nat of entropy", settings.entropy_bonus)
            }
            Self::Fixed(k) => format!("max@{k}, loo-minus-one"),
            Self::Annealed => format!(
                "max@{K}, loo-minus-one; the mean reward, leave-one-out, from step {}",
                settings.switch()
            ),
            Self::Harmonic => format!("the sum of max@k / k for k below {N}"),
            Self::Centred => format!("max@{K}, centred weights"),
            Self::Several(OffPolicyWeights::OwnRatio) => format!(
                "max@{K}, loo-minus-one, {UPDATES} updates of each batch, weights those of the first"
            ),
            Self::Several(OffPolicyWeights::Exact) => format!(
                "max@{K}, loo-minus-one, {UPDATES} updates of each batch, weights by the ratios of all completions"
            ),
        }
    }

    /// The learning rates of its runs; one that never moves has a single, idle one.
    pub(super) fn rates(self, settings: &Settings) -> Vec<f64> {
        match self {
            Self::Frozen => vec![0.0],
            Self::One | Self::Entropy => settings.rates.to_vec(),
            _ => settings.other_rates.to_vec(),
        }
    }

    /// The `[objective]` section of its runs.
    pub(super) fn objective(self, settings: &Settings) -> String {
        let switch = settings.switch();
        match self {
            Self::Frozen => String::new(),
            Self::One => "estimator = \"rloo\"\n".to_owned(),
            Self::Entropy => format!(
                "estimator = \"rloo\"\nentropy_coefficient = {:?}\n",
                settings.entropy_bonus
            ),
            Self::Fixed(k) => format!("estimator = \"loo-minus-one\"\nk = {k}\n"),
            Self::Annealed => format!(
                "estimator = \"loo-minus-one\"\n\
                 k_schedule = {{ kind = \"step\", from = {K}, to = 1, at = {switch} }}\n"
            ),
            Self::Harmonic => "estimator = \"harmonic\"\n".to_owned(),
            Self::Centred => format!("estimator = \"centred\"\nk = {K}\n"),
            Self::Several(weights) => format!(
                "estimator = \"loo-minus-one\"\nk = {K}\nupdates_per_batch = {UPDATES}\nratio = \"sequence\"\n\
                 off_policy = \"{}\"\n",
                setting(weights)
            ),
        }
    }
}

/// The value of `objective.off_policy`.
fn setting(weights: OffPolicyWeights) -> &'static str {
    match weights {
        OffPolicyWeights::Exact => "exact",
        OffPolicyWeights::OwnRatio => "own-ratio",
    }
}
