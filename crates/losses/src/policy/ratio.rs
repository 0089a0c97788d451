//! Importance ratios between the policy being trained and the one that sampled, and their clip.

use std::str::FromStr;

use crate::LossError;

/// What a ratio is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RatioLevel {
    /// Each token has its own ratio, as in PPO and GRPO.
    #[default]
    Token,
    /// One ratio a completion, the product over its tokens: unbiased, and large in variance for
    /// long completions.
    Sequence,
    /// One ratio a completion, the geometric mean over its tokens, as in GSPO.
    SequenceMean,
}

impl RatioLevel {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Token, Self::Sequence, Self::SequenceMean];

    /// Its name in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Sequence => "sequence",
            Self::SequenceMean => "sequence-mean",
        }
    }
}

impl FromStr for RatioLevel {
    type Err = LossError;

    fn from_str(name: &str) -> Result<Self, LossError> {
        Self::ALL.into_iter().find(|level| level.as_str() == name).ok_or_else(|| {
            LossError::UnknownChoice {
                setting: "ratio",
                found: name.to_owned(),
                known: "token, sequence, sequence-mean",
            }
        })
    }
}

/// Bounds of the ratio, beyond which a completion is not moved further in the same direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clip {
    /// Ratios below `1 - low` lose the gradient of negative weights.
    pub low: f64,
    /// Ratios above `1 + high` lose the gradient of positive weights.
    pub high: f64,
}

impl Default for Clip {
    /// 0.2 on both sides, as in PPO.
    fn default() -> Self {
        Self { low: 0.2, high: 0.2 }
    }
}

impl Clip {
    /// Whether the clip takes the gradient of a ratio with this logarithm, and on which side.
    fn cuts(self, log_ratio: f64, weight: f64) -> Option<f64> {
        if weight > 0.0 && log_ratio > self.high.ln_1p() {
            Some(1.0 + self.high)
        } else if weight < 0.0 && log_ratio < (-self.low).ln_1p() {
            Some(1.0 - self.low)
        } else {
            None
        }
    }
}

/// Value of the surrogate, and tokens that were clipped with the side: `true` for large ratios.
pub(super) struct Surrogate {
    pub(super) value: f64,
    pub(super) clipped: (usize, bool),
}

/// REINFORCE: `-w sum_t log p_t`.
pub(super) fn on_policy(weight: f64, logprobs: &[f64], gradient: &mut [f64]) -> Surrogate {
    gradient.fill(-weight);
    Surrogate { value: -weight * logprobs.iter().sum::<f64>(), clipped: (0, false) }
}

impl RatioLevel {
    /// The surrogate of a completion; `gradient` is overwritten.
    pub(super) fn surrogate(
        self,
        weight: f64,
        logprobs: &[f64],
        old_logps: &[f64],
        clip: Clip,
        gradient: &mut [f64],
    ) -> Surrogate {
        let side = weight > 0.0;
        if weight == 0.0 {
            gradient.fill(0.0);
            return Surrogate { value: 0.0, clipped: (0, side) };
        }
        let tokens = logprobs.len();
        let sampled: f64 = old_logps.iter().sum();
        let moved: f64 = logprobs.iter().zip(old_logps).map(|(now, then)| now - then).sum();
        let whole = |log_ratio: f64, count: f64, gradient: &mut [f64]| {
            let (ratio, clipped) = if let Some(bound) = clip.cuts(log_ratio, weight) {
                gradient.fill(0.0);
                (bound, tokens)
            } else {
                let ratio = log_ratio.exp();
                gradient.fill(-weight * ratio);
                (ratio, 0)
            };
            let value = -weight * (sampled + count * (ratio - 1.0));
            Surrogate { value, clipped: (clipped, side) }
        };
        match self {
            Self::Sequence => whole(moved, 1.0, gradient),
            Self::SequenceMean => whole(moved / tokens.max(1) as f64, tokens as f64, gradient),
            Self::Token => {
                let (mut sum, mut clipped) = (0.0, 0);
                for ((now, then), slope) in logprobs.iter().zip(old_logps).zip(gradient) {
                    let ratio = if let Some(bound) = clip.cuts(now - then, weight) {
                        *slope = 0.0;
                        clipped += 1;
                        bound
                    } else {
                        let ratio = (now - then).exp();
                        *slope = -weight * ratio;
                        ratio
                    };
                    sum += then + (ratio - 1.0);
                }
                Surrogate { value: -weight * sum, clipped: (clipped, side) }
            }
        }
    }
}
