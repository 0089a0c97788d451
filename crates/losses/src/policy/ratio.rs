//! Importance ratios between the policy being trained and the one that sampled, and their bounds.

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

    /// The published bounds: 0.2 on both sides for tokens and products; for the mean over a
    /// completion, which moves far less, GSPO's 3e-4 below and 4e-4 above.
    ///
    /// Source: Schulman et al. 2017, arXiv:1707.06347, section 6.1; Zheng et al. 2025,
    /// arXiv:2507.18071, section 5.1.
    pub const fn default_clip(self) -> Clip {
        match self {
            Self::Token | Self::Sequence => Clip { low: 0.2, high: 0.2 },
            Self::SequenceMean => Clip { low: 3e-4, high: 4e-4 },
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

/// Bounds of the ratio around 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clip {
    /// The lower bound is `1 - low`; `low = 1` leaves ratios unbounded below.
    pub low: f64,
    /// The upper bound is `1 + high`.
    pub high: f64,
}

impl Default for Clip {
    /// That of [`RatioLevel::Token`], 0.2 on both sides as in PPO.
    fn default() -> Self {
        RatioLevel::Token.default_clip()
    }
}

/// Where a ratio lies between its bounds.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Below,
    Inside,
    Above,
}

impl Clip {
    /// Compared as logarithms, so that a ratio which overflows still has its place.
    pub(super) fn place(self, log_ratio: f64) -> Place {
        if log_ratio > self.high.ln_1p() {
            Place::Above
        } else if log_ratio < (-self.low).ln_1p() {
            Place::Below
        } else {
            Place::Inside
        }
    }

    pub(super) fn check(self) -> Result<(), LossError> {
        let Self { low, high } = self;
        if !(low > 0.0 && low <= 1.0) {
            let expected = "above 0, at most 1";
            return Err(LossError::Setting { setting: "clip.low", found: low, expected });
        }
        if !(high > 0.0 && high.is_finite()) {
            let expected = "a finite number above 0";
            return Err(LossError::Setting { setting: "clip.high", found: high, expected });
        }
        Ok(())
    }
}

/// A cap below 1 would cut the ratios of a policy that has not moved.
pub(super) fn check_cap(cap: f64) -> Result<(), LossError> {
    if cap >= 1.0 && cap.is_finite() {
        Ok(())
    } else {
        let expected = "a finite number of at least 1";
        Err(LossError::Setting { setting: "cap", found: cap, expected })
    }
}
