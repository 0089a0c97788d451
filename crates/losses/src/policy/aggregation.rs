//! How the tokens of completions of different lengths add up.

use std::num::NonZeroUsize;

use crate::LossError;

/// What a completion's part of the loss is multiplied by for its length.
///
/// ```text
/// sum               1
/// token-mean        1 / mean length of all completions of the step
/// sequence-mean     1 / length of the completion
/// constant-length   1 / L
/// ```
/// The weights of a prompt's completions are made to be summed (see the
/// [module](crate::policy#convention)), so that `sum` is the gradient of the expected reward, or of
/// what the estimator of the weights estimates. `constant-length` is the same objective at another
/// learning rate; so, but for the chance in the mean length, is `token-mean`, whose rate falls where completions grow.
/// `sequence-mean` is *another objective*: a token of a long completion counts less than one of a
/// short completion, so that long failures are punished, and long successes rewarded, too little.
///
/// | here | TRL, `loss_type` | verl, `loss_agg_mode` |
/// |---|---|---|
/// | `sum` | | `seq-mean-token-sum` |
/// | `token-mean` | `dapo`, `cispo`; `bnpo` by micro-batch | `token-mean` |
/// | `sequence-mean` | `grpo` | `seq-mean-token-mean` |
/// | `constant-length` | `dr_grpo` | `seq-mean-token-sum-norm` |
///
/// These programs take the mean over all completions of a step, where here the weights are summed
/// over a prompt's `n` and the mean is over prompts. Weights of estimators that are divided by `n`
/// make the two the same.
///
/// Source: `sequence-mean` is Shao et al. 2024, arXiv:2402.03300, equation 3; `token-mean` Yu et al.
/// 2025, arXiv:2503.14476, equation 8; `constant-length` Liu et al. 2025, arXiv:2503.20783.
///
/// ```
/// use bestof_losses::Aggregation;
///
/// // Completions of 2 and 6 tokens.
/// let scales = |aggregation: Aggregation| [2, 6].map(|len| aggregation.scale(len, 4.0).unwrap());
/// assert_eq!(scales(Aggregation::Sum), [1.0, 1.0]);
/// assert_eq!(scales(Aggregation::TokenMean), [0.25, 0.25]);
/// assert_eq!(scales(Aggregation::SequenceMean), [1.0 / 2.0, 1.0 / 6.0]);
/// assert_eq!(scales(Aggregation::named("constant-length", Some(8))?), [0.125, 0.125]);
/// # Ok::<(), bestof_losses::LossError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Aggregation {
    /// Tokens are summed.
    #[default]
    Sum,
    /// Tokens are averaged over all completions of the step.
    TokenMean,
    /// Tokens are averaged over each completion.
    SequenceMean,
    /// Tokens are summed and divided by this number, say the longest completion allowed.
    ConstantLength(NonZeroUsize),
}

impl Aggregation {
    /// The names in configurations.
    pub const NAMES: [&'static str; 4] = ["sum", "token-mean", "sequence-mean", "constant-length"];

    /// Its name in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::TokenMean => "token-mean",
            Self::SequenceMean => "sequence-mean",
            Self::ConstantLength(_) => "constant-length",
        }
    }

    /// The aggregation of this name; `tokens` is the length of `constant-length`, and of nothing
    /// else.
    ///
    /// # Errors
    /// [`LossError::UnknownChoice`], [`LossError::Missing`] if `constant-length` has no length,
    /// [`LossError::Setting`] if it is 0, [`LossError::NotRead`] if another one has a length.
    pub fn named(name: &str, tokens: Option<usize>) -> Result<Self, LossError> {
        let plain = [Self::Sum, Self::TokenMean, Self::SequenceMean]
            .into_iter()
            .find(|aggregation| aggregation.as_str() == name);
        match (plain, tokens) {
            (Some(aggregation), None) => Ok(aggregation),
            (Some(aggregation), Some(_)) => {
                Err(LossError::NotRead { setting: "the constant length", by: aggregation.as_str() })
            }
            (None, _) if name != "constant-length" => Err(LossError::UnknownChoice {
                setting: "aggregation",
                found: name.to_owned(),
                known: "sum, token-mean, sequence-mean, constant-length",
            }),
            (None, None) => Err(LossError::Missing { field: "the constant length" }),
            (None, Some(tokens)) => match NonZeroUsize::new(tokens) {
                Some(tokens) => Ok(Self::ConstantLength(tokens)),
                None => Err(LossError::Setting {
                    setting: "the constant length",
                    found: 0.0,
                    expected: "at least 1",
                }),
            },
        }
    }

    /// Whether [`scale`](Self::scale) reads the mean length of the step's completions.
    pub fn needs_mean_length(self) -> bool {
        self == Self::TokenMean
    }

    /// The scale of a completion of `len` tokens, for
    /// [`SampledCompletion::scale`](super::SampledCompletion::scale). `mean_len` is the mean length
    /// over *all* completions of the step, not of a micro-batch, whose sizes would then matter.
    ///
    /// A completion without tokens has no loss, and is given the scale of one token.
    ///
    /// # Errors
    /// [`LossError::Setting`] if the mean length is read and is not a finite number above 0.
    pub fn scale(self, len: usize, mean_len: f64) -> Result<f64, LossError> {
        Ok(match self {
            Self::Sum => 1.0,
            Self::SequenceMean => 1.0 / len.max(1) as f64,
            Self::ConstantLength(tokens) => 1.0 / tokens.get() as f64,
            Self::TokenMean if mean_len > 0.0 && mean_len.is_finite() => 1.0 / mean_len,
            Self::TokenMean => {
                return Err(LossError::Setting {
                    setting: "the mean length of completions",
                    found: mean_len,
                    expected: "a finite number above 0",
                });
            }
        })
    }
}
