//! The ways of training that are compared.

use super::settings::{K, N, Settings};

/// What a policy is trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Arm {
    /// The mean reward, with a leave-one-out baseline: `k = 1`.
    One,
    /// The best of so many at every step; more than one.
    Fixed(usize),
    /// The best of [`K`] first, then the mean reward.
    Annealed,
}

impl Arm {
    /// Every arm: the `k` of the grid in order, then the annealed one.
    pub(super) const ALL: [Self; 5] =
        [Self::One, Self::Fixed(4), Self::Fixed(K), Self::Fixed(N), Self::Annealed];

    /// The `k` it is trained for at every step, if there is one.
    pub(super) fn fixed_k(self) -> Option<usize> {
        match self {
            Self::One => Some(1),
            Self::Fixed(k) => Some(k),
            Self::Annealed => None,
        }
    }

    /// The name in folders and numbers.
    pub(super) fn name(self) -> String {
        self.fixed_k().map_or_else(|| "annealed".to_owned(), |k| format!("k{k}"))
    }

    /// The name on the page.
    pub(super) fn label(self) -> String {
        self.fixed_k().map_or_else(|| format!("k = {K}, then 1"), |k| format!("k = {k}"))
    }

    /// The `[objective]` section of its runs.
    pub(super) fn objective(self, settings: &Settings) -> String {
        let switch = settings.switch();
        match self {
            Self::One => "estimator = \"rloo\"\n".to_owned(),
            Self::Fixed(k) => format!("estimator = \"loo-minus-one\"\nk = {k}\n"),
            Self::Annealed => format!(
                "estimator = \"loo-minus-one\"\n\
                 k_schedule = {{ kind = \"step\", from = {K}, to = 1, at = {switch} }}\n"
            ),
        }
    }
}
