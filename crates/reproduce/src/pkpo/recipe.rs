//! How each arm is trained at the sizes of a study.

use bestof_trainer::reinforce::OffPolicyWeights;

use super::arm::{Arm, K, N, UPDATES, setting};
use super::settings::Settings;

impl Arm {
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
