//! What stands for the log-probability of a completion once the policy has moved from the one that
//! sampled.

use super::ratio::{Clip, Place, RatioLevel, check_cap};
use crate::LossError;

/// How an importance ratio enters the loss. `w` is the completion's weight, `r` its ratio or that of
/// one of its tokens, `sg` holds what it is given constant.
///
/// ```text
///                value of a token                      derivative by log p
/// ppo-clip       -min(w r, w clip(r, 1-low, 1+high))   -w r, or 0 where the bound is the smaller
/// cispo          -w sg(clip(r, 1-low, 1+high)) log p   -w clip(r, 1-low, 1+high)
/// truncated-is   -w sg(min(r, C)) log p                -w min(r, C)
/// ```
/// PPO's clip takes a token out of the gradient that has moved beyond the bound in the direction of
/// its weight. The two others keep every token and bound how much it counts: their derivative is that
/// of REINFORCE with a bounded importance weight. They exist for every [`RatioLevel`]; with one
/// ratio a completion all its tokens have the same factor. For the constants in the value of
/// `ppo-clip` see [`PolicyLoss`](super::PolicyLoss).
///
/// With `ratio = sequence`, `truncated-is` and a large `C`, or `ppo-clip` with wide bounds, a loss is
/// the unbiased off-policy gradient; weights that are themselves computed again at every update then
/// come *without* the completion's own ratio, which the loss brings.
///
/// | here | TRL | verl |
/// |---|---|---|
/// | `ppo-clip` | `epsilon`, `epsilon_high` | `clip_ratio_low`, `clip_ratio_high` |
/// | `cispo` | `loss_type = cispo`, whose `epsilon_high` is the bound itself, here `1 + high` | |
///
/// Source: Schulman et al. 2017, arXiv:1707.06347, equation 7; `MiniMax` 2025, arXiv:2506.13585,
/// equations 4 and 5, who leave ratios unbounded below, `low = 1`; Ionides 2008, "Truncated
/// importance sampling".
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Surrogate {
    /// PPO's clip.
    PpoClip(Clip),
    /// CISPO: clipped importance weights.
    Cispo(Clip),
    /// Truncated importance weights.
    TruncatedIs {
        /// The greatest weight, at least 1.
        cap: f64,
    },
}

impl Default for Surrogate {
    /// PPO's clip at 0.2 on both sides.
    fn default() -> Self {
        Self::PpoClip(Clip::default())
    }
}

impl Surrogate {
    /// The names in configurations.
    pub const NAMES: [&'static str; 3] = ["ppo-clip", "cispo", "truncated-is"];

    /// The cap of `truncated-is` where none is given.
    pub const DEFAULT_CAP: f64 = 2.0;

    /// Its name in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PpoClip(_) => "ppo-clip",
            Self::Cispo(_) => "cispo",
            Self::TruncatedIs { .. } => "truncated-is",
        }
    }

    /// The surrogate of this name. `low` and `high` belong to the two that clip, and are those of
    /// [`RatioLevel::default_clip`] if both are absent; `low` alone stands for both. `cap` belongs
    /// to `truncated-is`.
    ///
    /// # Errors
    /// [`LossError::UnknownChoice`], [`LossError::NotRead`] for a bound of another surrogate,
    /// [`LossError::Setting`] for one that is out of range.
    ///
    /// ```
    /// use bestof_losses::{Clip, LossError, RatioLevel, Surrogate};
    ///
    /// let gspo = Surrogate::named("ppo-clip", RatioLevel::SequenceMean, None, None, None)?;
    /// assert_eq!(gspo, Surrogate::PpoClip(Clip { low: 3e-4, high: 4e-4 }));
    /// let capped = Surrogate::named("cispo", RatioLevel::Token, None, None, Some(2.0));
    /// assert_eq!(capped, Err(LossError::NotRead { setting: "cap", by: "cispo" }));
    /// # Ok::<(), LossError>(())
    /// ```
    pub fn named(
        name: &str,
        ratio: RatioLevel,
        low: Option<f64>,
        high: Option<f64>,
        cap: Option<f64>,
    ) -> Result<Self, LossError> {
        let default = ratio.default_clip();
        let clip =
            Clip { low: low.unwrap_or(default.low), high: high.or(low).unwrap_or(default.high) };
        let surrogate = match name {
            "ppo-clip" => Self::PpoClip(clip),
            "cispo" => Self::Cispo(clip),
            "truncated-is" => Self::TruncatedIs { cap: cap.unwrap_or(Self::DEFAULT_CAP) },
            _ => {
                return Err(LossError::UnknownChoice {
                    setting: "surrogate",
                    found: name.to_owned(),
                    known: "ppo-clip, cispo, truncated-is",
                });
            }
        };
        let foreign = match surrogate {
            Self::PpoClip(_) | Self::Cispo(_) => cap.map(|_| "cap"),
            Self::TruncatedIs { .. } => low.map(|_| "clip.low").or(high.map(|_| "clip.high")),
        };
        if let Some(setting) = foreign {
            return Err(LossError::NotRead { setting, by: surrogate.as_str() });
        }
        surrogate.check()?;
        Ok(surrogate)
    }

    pub(super) fn check(self) -> Result<(), LossError> {
        match self {
            Self::PpoClip(clip) | Self::Cispo(clip) => clip.check(),
            Self::TruncatedIs { cap } => check_cap(cap),
        }
    }

    fn bounded(self, log_ratio: f64, weight: f64) -> Bounded {
        let at = |ratio: f64, slope: f64, place: Place| Bounded { ratio, slope, place };
        let inside = || {
            let ratio = log_ratio.exp();
            at(ratio, ratio, Place::Inside)
        };
        match self {
            Self::PpoClip(clip) => match clip.place(log_ratio) {
                Place::Above if weight > 0.0 => at(1.0 + clip.high, 0.0, Place::Above),
                Place::Below if weight < 0.0 => at(1.0 - clip.low, 0.0, Place::Below),
                _ => inside(),
            },
            Self::Cispo(clip) => match clip.place(log_ratio) {
                Place::Above => at(1.0 + clip.high, 1.0 + clip.high, Place::Above),
                Place::Below => at(1.0 - clip.low, 1.0 - clip.low, Place::Below),
                Place::Inside => inside(),
            },
            Self::TruncatedIs { cap } if log_ratio > cap.ln() => at(cap, cap, Place::Above),
            Self::TruncatedIs { .. } => inside(),
        }
    }
}

/// A ratio after its bounds.
#[derive(Clone, Copy)]
struct Bounded {
    ratio: f64,
    /// What the derivative `-w` of REINFORCE is multiplied by.
    slope: f64,
    place: Place,
}

/// Value of the surrogate, and how many tokens a bound has changed.
#[derive(Default)]
pub(super) struct Evaluated {
    pub(super) value: f64,
    pub(super) clipped_low: usize,
    pub(super) clipped_high: usize,
}

/// One completion as the surrogate reads it; lists have one entry a token.
pub(super) struct Sampled<'a> {
    pub(super) weight: f64,
    pub(super) logprobs: &'a [f64],
    pub(super) old_logps: Option<&'a [f64]>,
    pub(super) sampler_weights: Option<&'a [f64]>,
}

impl Surrogate {
    /// The surrogate of a completion; `gradient` is overwritten.
    pub(super) fn evaluate(
        self,
        level: RatioLevel,
        sampled: &Sampled<'_>,
        gradient: &mut [f64],
    ) -> Evaluated {
        let &Sampled { weight, logprobs, old_logps, .. } = sampled;
        // Not computed as 0 times something, which may overflow.
        if weight == 0.0 {
            gradient.fill(0.0);
            return Evaluated::default();
        }
        match old_logps {
            None => sampled.on_policy(gradient),
            Some(old_logps) => {
                let moved: f64 = logprobs.iter().zip(old_logps).map(|(now, then)| now - then).sum();
                let tokens = logprobs.len().max(1) as f64;
                let (whole, share) = match level {
                    RatioLevel::Token => {
                        let ratio = |t: usize| self.bounded(logprobs[t] - old_logps[t], weight);
                        return sampled.off_policy(self, old_logps, 1.0, gradient, ratio);
                    }
                    RatioLevel::Sequence => (self.bounded(moved, weight), 1.0 / tokens),
                    RatioLevel::SequenceMean => (self.bounded(moved / tokens, weight), 1.0),
                };
                sampled.off_policy(self, old_logps, share, gradient, |_| whole)
            }
        }
    }
}

impl Sampled<'_> {
    fn factor(&self, token: usize) -> f64 {
        self.sampler_weights.map_or(1.0, |weights| weights[token])
    }

    /// REINFORCE: `-w sum_t v_t log p_t`.
    fn on_policy(&self, gradient: &mut [f64]) -> Evaluated {
        let mut sum = 0.0;
        for (t, (slope, logp)) in gradient.iter_mut().zip(self.logprobs).enumerate() {
            *slope = -self.weight * self.factor(t);
            sum += self.factor(t) * logp;
        }
        Evaluated { value: -self.weight * sum, ..Evaluated::default() }
    }

    /// `share` is the part of `m(r) - 1` that is a token's.
    fn off_policy(
        &self,
        surrogate: Surrogate,
        old_logps: &[f64],
        share: f64,
        gradient: &mut [f64],
        ratio: impl Fn(usize) -> Bounded,
    ) -> Evaluated {
        let (mut sum, mut found) = (0.0, Evaluated::default());
        for (t, slope) in gradient.iter_mut().enumerate() {
            let (factor, bounded) = (self.factor(t), ratio(t));
            match bounded.place {
                Place::Below => found.clipped_low += 1,
                Place::Above => found.clipped_high += 1,
                Place::Inside => {}
            }
            *slope = 0.0;
            if factor > 0.0 {
                *slope = -self.weight * factor * bounded.slope;
                sum += factor
                    * match surrogate {
                        Surrogate::PpoClip(_) => old_logps[t] + share * (bounded.ratio - 1.0),
                        Surrogate::Cispo(_) | Surrogate::TruncatedIs { .. } => {
                            bounded.ratio * self.logprobs[t]
                        }
                    };
            }
        }
        found.value = -self.weight * sum;
        found
    }
}
