//! Losses of single completions that carry a label instead of standing in a pair.

use crate::LossError;
use crate::logistic::sigmoid;

/// What a completion was judged to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// To be made likelier; `true` in TRL's data files.
    Desirable,
    /// To be made less likely; `false` in TRL's data files.
    Undesirable,
}

/// The log-probabilities of one labelled completion, natural and summed over its tokens as in
/// [`PairLogps`](crate::PairLogps).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnpairedLogps {
    /// Under the policy.
    pub logp: f64,
    /// Under the reference.
    pub ref_logp: f64,
    /// What the completion was judged to be.
    pub label: Label,
}

impl UnpairedLogps {
    /// `log policy - log reference`.
    pub fn log_ratio(&self) -> f64 {
        self.logp - self.ref_logp
    }
}

/// What a loss says about one labelled completion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnpairedTerms {
    /// The loss of the completion.
    pub loss: f64,
    /// Its derivative by the policy's summed log-probability.
    pub grad: f64,
    /// Implicit reward, `beta (log policy - log reference)`.
    pub reward: f64,
}

/// Kahneman-Tversky optimisation of labelled completions.
///
/// ```text
/// desirable     L = w_d (1 - sigmoid(beta (r - z0)))     r = log policy(y | x) - log ref(y | x)
/// undesirable   L = w_u (1 - sigmoid(beta (z0 - r)))
/// z0 = max(0, mean_j (log policy(y'_j | x_j) - log ref(y'_j | x_j)))
/// ```
/// `z0` estimates the divergence of policy and reference from *mismatched* completions `y'`: those
/// of other prompts, say of the next row of the batch. It is one number for a step and is not
/// differentiated; [`reference_point`](Self::reference_point) makes it of their log-ratios.
///
/// The mean over the rows of a step is the caller's; class weights are not normalised. With many
/// more rows of one label, weights that make `w_d` times their number 1 to 4/3 of `w_u` times the
/// others' are TRL's advice. With `z0 = 0` this is APO-zero on unpaired rows, TRL's
/// `apo_zero_unpaired`, which reads no mismatched completions. [`KtoPair`](crate::KtoPair) is the form
/// for pairs.
///
/// Source: Ethayarajh et al. 2024, arXiv:2402.01306, equation 7; D'Oosterlinck et al. 2024,
/// arXiv:2408.06266, for APO-zero.
///
/// ```
/// use bestof_losses::{Kto, Label, UnpairedLogps};
///
/// let kto = Kto::new(0.1)?.with_weights(1.0, 0.5)?;
/// let z0 = Kto::reference_point(&[3.0, -1.0])?;
/// assert_eq!(z0, 1.0);
/// let bad = UnpairedLogps { logp: -19.0, ref_logp: -20.0, label: Label::Undesirable };
/// let terms = kto.terms(&bad, z0)?;
/// assert_eq!((terms.loss, terms.grad), (0.25, 0.0125)); // sigmoid(0) is 1/2
/// # Ok::<(), bestof_losses::LossError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kto {
    beta: f64,
    desirable_weight: f64,
    undesirable_weight: f64,
}

impl Kto {
    /// The scale where none is given, TRL's.
    pub const DEFAULT_BETA: f64 = 0.1;

    /// KTO with `beta > 0` and both weights 1.
    ///
    /// # Errors
    /// [`LossError::Beta`].
    pub fn new(beta: f64) -> Result<Self, LossError> {
        if beta.is_finite() && beta > 0.0 {
            Ok(Self { beta, desirable_weight: 1.0, undesirable_weight: 1.0 })
        } else {
            Err(LossError::Beta { loss: "kto", found: beta })
        }
    }

    /// The same with these weights of the two labels; a weight of 0 leaves its rows without effect.
    ///
    /// # Errors
    /// [`LossError::ClassWeight`] if a weight is negative or not finite.
    pub fn with_weights(self, desirable: f64, undesirable: f64) -> Result<Self, LossError> {
        for (field, found) in [("desirable_weight", desirable), ("undesirable_weight", undesirable)]
        {
            if !(found.is_finite() && found >= 0.0) {
                return Err(LossError::ClassWeight { field, found });
            }
        }
        Ok(Self { desirable_weight: desirable, undesirable_weight: undesirable, ..self })
    }

    /// `z0` of the log-ratios of mismatched completions, those of the whole step.
    ///
    /// # Errors
    /// [`LossError::EmptyBatch`], [`LossError::NotFinite`] if their mean is NaN or infinite.
    pub fn reference_point(log_ratios: &[f64]) -> Result<f64, LossError> {
        if log_ratios.is_empty() {
            return Err(LossError::EmptyBatch);
        }
        let mean = log_ratios.iter().sum::<f64>() / log_ratios.len() as f64;
        // Not left to max, which drops a NaN.
        if mean.is_finite() {
            Ok(mean.max(0.0))
        } else {
            Err(LossError::NotFinite { field: "mean of the mismatched log-ratios", found: mean })
        }
    }

    /// The loss of a completion and its derivative, with the reference point `z0` in nats.
    ///
    /// # Errors
    /// [`LossError::NotFinite`] if a log-probability is NaN or infinite,
    /// [`LossError::ReferencePoint`] if `z0` is, [`LossError::UnpairedOverflow`] if the result is not
    /// finite.
    pub fn terms(&self, row: &UnpairedLogps, z0: f64) -> Result<UnpairedTerms, LossError> {
        for (field, found) in [("logp", row.logp), ("ref_logp", row.ref_logp)] {
            if !found.is_finite() {
                return Err(LossError::NotFinite { field, found });
            }
        }
        if !z0.is_finite() {
            return Err(LossError::ReferencePoint { loss: "kto", found: z0 });
        }
        let x = self.beta * (row.log_ratio() - z0);
        let slope = self.beta * sigmoid(x) * sigmoid(-x);
        let (loss, grad) = match row.label {
            Label::Desirable => {
                (self.desirable_weight * sigmoid(-x), -self.desirable_weight * slope)
            }
            Label::Undesirable => {
                (self.undesirable_weight * sigmoid(x), self.undesirable_weight * slope)
            }
        };
        let terms = UnpairedTerms { loss, grad, reward: self.beta * row.log_ratio() };
        if [terms.loss, terms.grad, terms.reward].iter().all(|value| value.is_finite()) {
            Ok(terms)
        } else {
            Err(LossError::UnpairedOverflow { logp: row.logp, ref_logp: row.ref_logp })
        }
    }

    /// The terms of every completion of a batch, in order.
    ///
    /// # Errors
    /// [`LossError::InCompletion`] with the position of the first that cannot be evaluated.
    pub fn batch(&self, rows: &[UnpairedLogps], z0: f64) -> Result<Vec<UnpairedTerms>, LossError> {
        rows.iter()
            .enumerate()
            .map(|(index, row)| {
                self.terms(row, z0)
                    .map_err(|source| LossError::InCompletion { index, source: Box::new(source) })
            })
            .collect()
    }
}
