//! The divergences that keep DPO's policy near its reference.

use crate::LossError;
use crate::logistic::{sigmoid, softplus};

/// The f-divergence from the reference that is held against the reward.
///
/// ```text
/// z = beta (g(log policy(y_w) - log ref(y_w)) - g(log policy(y_l) - log ref(y_l)))
///
///                  f'(u)                    g(x) = f'(exp x), up to a constant   dg/dx
/// reverse-kl       log u + 1                x                                    1
/// forward-kl       -1 / u                   -exp(-x)                             exp(-x)
/// jensen-shannon   log(2u / (1 + u))        log sigmoid(x)                       sigmoid(-x)
/// alpha            (1 - u^-alpha) / alpha   (1 - exp(-alpha x)) / alpha          exp(-alpha x)
/// ```
/// `alpha` lies strictly between 0 and 1; its limits are `reverse-kl` at 0 and `forward-kl` at 1.
/// All but `reverse-kl` pull hardest where a completion has lost probability, on the rejected side
/// too, where the pull is downwards.
///
/// | here | TRL, `f_divergence_type` |
/// |---|---|
/// | `reverse-kl` | `reverse_kl` |
/// | `forward-kl` | `forward_kl` |
/// | `jensen-shannon` | `js_divergence` |
/// | `alpha` | `alpha_divergence`, `f_alpha_divergence_coef` |
///
/// Differs from TRL in what the coefficient is: here it is the paper's, as in TRL before 1.0; newer
/// versions write `f'(u) = (u^(a-1) - 1) / (a - 1)`, so that their `a` is `1 - alpha`. TRL clamps
/// exponents, here an overflow is an error.
///
/// Source: Wang et al. 2023, arXiv:2309.16240, table 1 and theorem 1.
///
/// ```
/// use bestof_losses::Divergence;
///
/// assert_eq!(Divergence::named("alpha", Some(0.3))?, Divergence::Alpha(0.3));
/// assert!(Divergence::named("forward-kl", Some(0.3)).is_err());
/// # Ok::<(), bestof_losses::LossError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Divergence {
    /// `KL(policy || reference)`, that of DPO.
    #[default]
    ReverseKl,
    /// `KL(reference || policy)`.
    ForwardKl,
    /// Jensen and Shannon's.
    JensenShannon,
    /// The alpha divergence, between the two KL divergences.
    Alpha(f64),
}

impl Divergence {
    /// The names in configurations.
    pub const NAMES: [&'static str; 4] = ["reverse-kl", "forward-kl", "jensen-shannon", "alpha"];

    /// The alpha of `alpha` where none is given.
    pub const DEFAULT_ALPHA: f64 = 0.5;

    /// Its name in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReverseKl => "reverse-kl",
            Self::ForwardKl => "forward-kl",
            Self::JensenShannon => "jensen-shannon",
            Self::Alpha(_) => "alpha",
        }
    }

    /// The divergence of this name; `alpha` belongs to the one of that name.
    ///
    /// # Errors
    /// [`LossError::UnknownChoice`], [`LossError::NotRead`] for an alpha of another divergence,
    /// [`LossError::DivergenceAlpha`].
    pub fn named(name: &str, alpha: Option<f64>) -> Result<Self, LossError> {
        let plain = [Self::ReverseKl, Self::ForwardKl, Self::JensenShannon]
            .into_iter()
            .find(|divergence| divergence.as_str() == name);
        match (plain, alpha) {
            (Some(divergence), None) => Ok(divergence),
            (Some(divergence), Some(_)) => {
                Err(LossError::NotRead { setting: "divergence_alpha", by: divergence.as_str() })
            }
            (None, alpha) if name == "alpha" => {
                Self::Alpha(alpha.unwrap_or(Self::DEFAULT_ALPHA)).checked()
            }
            (None, _) => Err(LossError::UnknownChoice {
                setting: "divergence",
                found: name.to_owned(),
                known: "reverse-kl, forward-kl, jensen-shannon, alpha",
            }),
        }
    }

    pub(super) fn checked(self) -> Result<Self, LossError> {
        match self {
            Self::Alpha(found) if !(found > 0.0 && found < 1.0) => {
                Err(LossError::DivergenceAlpha { found })
            }
            _ => Ok(self),
        }
    }

    /// `g(x)` and its derivative.
    pub(super) fn of_log_ratio(self, x: f64) -> (f64, f64) {
        match self {
            Self::ReverseKl => (x, 1.0),
            Self::ForwardKl => (-(-x).exp(), (-x).exp()),
            Self::JensenShannon => (-softplus(-x), sigmoid(-x)),
            // expm1 keeps the small differences of a small alpha.
            Self::Alpha(alpha) => (-(-alpha * x).exp_m1() / alpha, (-alpha * x).exp()),
        }
    }
}
