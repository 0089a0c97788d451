//! Off-policy max@k: weights for samples that another policy drew.

mod evaluate;
mod few;
mod lower;
mod products;
mod ratios;
mod table;
mod value;
mod workspace;

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::baseline::GroupMean;
use crate::estimator::Estimator;
use crate::transform::{check_buffer, check_offsets, check_rewards};
use crate::{EstimatorError, RewardTransform, Target};
use evaluate::{Form, Plan};

pub use ratios::Ratios;
pub(crate) use value::capped_max_at_k;
pub use value::{OffPolicyValue, off_policy_max_at_k};
pub use workspace::OffPolicyWorkspace;

/// Weights whose expectation under the sampler `q` is the gradient of max@k under the policy `p`.
///
/// With `r_i = p(x_i)/q(x_i)` of the whole completion and `I` over the `k`-subsets of the group:
///
/// ```text
/// plain_i          = 1/C(n,k) sum_{I with i} prod_I r max_I g
/// loo_i            = plain_i - r_i k/(n-1) U(-i)
/// loo-minus-one_i  = 1/C(n,k) sum_{I with i} prod_I r (max_I g - max_{I without i} g)
/// centred_i        = plain_i - E_i U(-i)/M(-i),   E_i = 1/C(n,k) sum_{I with i} prod_I r
/// harmonic_i       = sum_{k<=T} centred_i(k) / k
/// reinforce, rloo, mean:  r_i times the on-policy weight
/// ```
///
/// `U(-i)` and `M(-i)` are value and mean product of the other `n - 1` samples, as in
/// [`off_policy_max_at_k`]. All are unbiased (`mean` for `1 - 1/n` times the gradient): the score of the
/// own sample has mean 0 under `r_i`, whatever function of the *other* samples and their ratios it is
/// multiplied with. At ratios of 1 they are the weights of the [`Estimator`] of the same name.
///
/// Every weight has its own ratio as a factor, `weight_i = r_i A_i`. A loss that multiplies by the
/// ratio itself takes the factors `A_i`. They change with every update of the policy, since `A_i` holds
/// the ratios of the partners.
///
/// Source: Bagirov et al. 2025, arXiv:2510.23393v1, equation 10 for `plain`. The baselines and the
/// evaluation in polynomial time are derived in `docs/estimators.md`.
///
/// # Numerics
/// No subtraction that one dominating ratio could ruin. Products of up to 16 ratios are summed over a
/// power of two and divided by one binomial; beyond, and near the limit of range, means of products take
/// their place and no binomial is formed. `loo-minus-one` takes
/// `O(n log n + n k)` time and `O(k)` memory beside the order, the others `O(n k)` memory. `harmonic`
/// of order `T` has a baseline for each `k` and takes `O(n T^2)`. What falls below the smallest normal
/// number becomes 0.
///
/// ```
/// use bestof_estimators::{Estimator, OffPolicy, Ratios};
///
/// let rule = OffPolicy::new(Estimator::LooMinusOne, 2)?;
/// let ratios = Ratios::Plain(&[0.5, 2.0, 1.0]);
/// // The pairs: (0, 1) with product 1, (0, 2) with 1/2, (1, 2) with 2; rewards 0, 1, 1/2.
/// let weights = rule.weights(&[0.0, 1.0, 0.5], ratios)?;
/// for (found, expected) in weights.iter().zip([0.0, (1.0 + 2.0 * 0.5) / 3.0, 0.5 * 0.5 / 3.0]) {
///     assert!((found - expected).abs() < 1e-15);
/// }
/// let factors = rule.factors(&[0.0, 1.0, 0.5], ratios)?;
/// assert!((factors[1] * 2.0 - weights[1]).abs() < 1e-15);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OffPolicy {
    estimator: Estimator,
    k: usize,
    order: Option<usize>,
    partner_cap: Option<f64>,
}

impl OffPolicy {
    /// The off-policy form of an estimator; `k` is not read where [`Estimator::uses_k`] is false.
    ///
    /// # Errors
    /// `ZeroK`, `KTooSmall` for `loo-minus-one` with `k = 1`, and `NotOffPolicy` for `binary` (it is
    /// `plain`), `max-at-n` (it is `loo-minus-one` at `k = n`) and `grpo` (biased).
    pub fn new(estimator: Estimator, k: usize) -> Result<Self, EstimatorError> {
        let refuse =
            |instead| EstimatorError::NotOffPolicy { estimator: estimator.name(), instead };
        match estimator {
            Estimator::Binary => {
                return Err(refuse("use `plain`, which is the same on rewards 0 and 1"));
            }
            Estimator::MaxAtN => {
                return Err(refuse("use `loo-minus-one` with k = n, which is the same"));
            }
            Estimator::Grpo => {
                return Err(refuse(
                    "it is biased by its random divisor; use `rloo`, `mean` or `centred`",
                ));
            }
            _ => {}
        }
        if k == 0 && estimator.uses_k() {
            return Err(EstimatorError::ZeroK);
        }
        if k == 1 && estimator == Estimator::LooMinusOne {
            return Err(EstimatorError::KTooSmall { estimator: estimator.name(), k, min: 2 });
        }
        Ok(Self { estimator, k, order: None, partner_cap: None })
    }

    /// As [`new`](Self::new), for a `k` that a schedule lowers to 1, where `rloo` takes the place of
    /// `loo-minus-one` as in [`Estimator::build_annealed`].
    ///
    /// # Errors
    /// Those of [`new`](Self::new), without `KTooSmall`.
    pub fn annealed(estimator: Estimator, k: usize) -> Result<Self, EstimatorError> {
        let alone = estimator == Estimator::LooMinusOne && k == 1;
        Self::new(if alone { Estimator::Rloo } else { estimator }, k)
    }

    /// Bounds the sum of `harmonic` at `order`, for groups of more than `order` samples.
    ///
    /// # Errors
    /// `ZeroOrder`, `OrderNotUsed` for another estimator.
    pub fn with_order(self, order: usize) -> Result<Self, EstimatorError> {
        if self.estimator != Estimator::Harmonic {
            return Err(EstimatorError::OrderNotUsed { estimator: self.estimator.name() });
        }
        if order == 0 {
            return Err(EstimatorError::ZeroOrder);
        }
        Ok(Self { order: Some(order), ..self })
    }

    /// Puts `min(r, cap)` in the place of every partner's ratio; the own one stays as it is.
    ///
    /// The weights are then unbiased for another gradient, that of
    ///
    /// ```text
    /// k E[ max of one x ~ p and k - 1 others ~ min(p, cap q) ],   the others held fixed
    /// ```
    ///
    /// (for `harmonic` the sum of those over `k <= T`, each divided by `k`), where `min(p, cap q)` need
    /// not sum to 1. It is the gradient of max@k wherever no ratio exceeds the cap, and the noise
    /// that partners add stays bounded.
    ///
    /// # Errors
    /// `BadCap`, and `CapNotUsed` for `reinforce`, `mean` and `rloo`, which have no partners.
    pub fn with_partner_cap(self, cap: f64) -> Result<Self, EstimatorError> {
        if !(cap.is_finite() && cap > 0.0) {
            return Err(EstimatorError::BadCap { value: cap });
        }
        if !self.has_partners() {
            return Err(EstimatorError::CapNotUsed { estimator: self.estimator.name() });
        }
        Ok(Self { partner_cap: Some(cap), ..self })
    }

    /// The estimator it is a form of.
    pub const fn estimator(&self) -> Estimator {
        self.estimator
    }

    /// The `k` it was built with; `None` if it has none.
    pub const fn k(&self) -> Option<usize> {
        if self.estimator.uses_k() { Some(self.k) } else { None }
    }

    /// The largest ratio of a partner, if there is a bound.
    pub const fn partner_cap(&self) -> Option<f64> {
        self.partner_cap
    }

    /// Whether its factors depend on the ratios at all; those of `reinforce`, `mean` and `rloo` do not.
    pub const fn has_partners(&self) -> bool {
        self.estimator.uses_k() || matches!(self.estimator, Estimator::Harmonic)
    }

    /// The smallest group it is defined for.
    pub fn min_samples(&self) -> usize {
        match self.estimator {
            Estimator::Loo | Estimator::Centred => self.k.saturating_add(1),
            Estimator::Harmonic => self.order.unwrap_or(1).saturating_add(1),
            Estimator::Mean | Estimator::Rloo => 2,
            Estimator::Reinforce => 1,
            _ => self.k,
        }
    }

    /// What its expected gradient is, for groups of `n` samples. With a
    /// [partner cap](Self::with_partner_cap) that holds where no ratio exceeds the cap.
    pub fn target(&self, n: usize) -> Target {
        match self.estimator {
            Estimator::Harmonic => Target::Harmonic { order: self.degree(n) },
            Estimator::Mean => GroupMean.target(n),
            _ => Target::unbiased(self.degree(n)),
        }
    }

    /// The largest number of ratios in a product, own one included.
    fn degree(&self, n: usize) -> usize {
        match self.estimator {
            Estimator::Harmonic => self.order.unwrap_or(n.saturating_sub(1)),
            _ if self.estimator.uses_k() => self.k,
            _ => 1,
        }
    }

    /// Rejects a group that the weights are not defined for.
    ///
    /// # Errors
    /// `KExceedsSamples`, `TooFewSamples`, `NonFiniteReward`, `RewardTooLarge`; `RatioCount`,
    /// `BadRatio`, `BadLogRatio`, `ProductTooLarge`.
    pub fn check(&self, rewards: &[f64], ratios: Ratios<'_>) -> Result<(), EstimatorError> {
        self.log_size(rewards, ratios).map(|_| ())
    }

    /// A bound of the logarithm of products of ratios times a reward, for a group that is sound.
    fn log_size(&self, rewards: &[f64], ratios: Ratios<'_>) -> Result<f64, EstimatorError> {
        let n = rewards.len();
        if let Some(k) = self.k().filter(|&k| k > n) {
            return Err(EstimatorError::KExceedsSamples { k, n });
        }
        let needed = self.min_samples();
        if n < needed {
            let estimator = self.estimator.name();
            return Err(EstimatorError::TooFewSamples { estimator, needed, n });
        }
        check_rewards(rewards)?;
        // The baseline of `loo` is the own ratio times a product of k others.
        let product = self.degree(n) + usize::from(self.estimator == Estimator::Loo);
        ratios.log_size(rewards, product, self.partner_cap)
    }

    /// Writes `r_i A_i`, one weight per reward and in their order, to be summed over samples; allocates
    /// nothing once the workspace has held a group of this size.
    ///
    /// # Errors
    /// `WrongBufferLength`, those of [`check`](Self::check), and `NoOverlap` for `centred` and
    /// `harmonic`; the buffer is then untouched.
    pub fn weights_into(
        &self,
        rewards: &[f64],
        ratios: Ratios<'_>,
        weights: &mut [f64],
        workspace: &mut OffPolicyWorkspace,
    ) -> Result<(), EstimatorError> {
        self.group_into(Form::Weight, rewards, ratios, weights, workspace)
    }

    /// Writes the factors `A_i`, as [`weights_into`](Self::weights_into) writes the weights: for a
    /// loss that multiplies by the own ratio itself.
    ///
    /// # Errors
    /// As [`weights_into`](Self::weights_into).
    pub fn factors_into(
        &self,
        rewards: &[f64],
        ratios: Ratios<'_>,
        factors: &mut [f64],
        workspace: &mut OffPolicyWorkspace,
    ) -> Result<(), EstimatorError> {
        self.group_into(Form::Factor, rewards, ratios, factors, workspace)
    }

    /// Weights of consecutive groups of any sizes: group `j` is `offsets[j]..offsets[j + 1]` of rewards
    /// and ratios.
    ///
    /// # Errors
    /// `WrongBufferLength`, `RatioCount`, `BadOffset`, `OffsetsEnd`, and `InGroup` around an error of
    /// one group; the buffer is then untouched.
    pub fn weights_groups_into(
        &self,
        rewards: &[f64],
        ratios: Ratios<'_>,
        offsets: &[usize],
        weights: &mut [f64],
        workspace: &mut OffPolicyWorkspace,
    ) -> Result<(), EstimatorError> {
        self.groups_into(Form::Weight, rewards, ratios, offsets, weights, workspace)
    }

    /// Factors of consecutive groups, as [`weights_groups_into`](Self::weights_groups_into).
    ///
    /// # Errors
    /// As [`weights_groups_into`](Self::weights_groups_into).
    pub fn factors_groups_into(
        &self,
        rewards: &[f64],
        ratios: Ratios<'_>,
        offsets: &[usize],
        factors: &mut [f64],
        workspace: &mut OffPolicyWorkspace,
    ) -> Result<(), EstimatorError> {
        self.groups_into(Form::Factor, rewards, ratios, offsets, factors, workspace)
    }

    /// One weight `r_i A_i` per reward, in a new vector.
    ///
    /// # Errors
    /// As [`weights_into`](Self::weights_into).
    pub fn weights(&self, rewards: &[f64], ratios: Ratios<'_>) -> Result<Vec<f64>, EstimatorError> {
        let mut weights = vec![0.0; rewards.len()];
        self.weights_into(rewards, ratios, &mut weights, &mut OffPolicyWorkspace::new())?;
        Ok(weights)
    }

    /// One factor `A_i` per reward, in a new vector.
    ///
    /// # Errors
    /// As [`weights_into`](Self::weights_into).
    pub fn factors(&self, rewards: &[f64], ratios: Ratios<'_>) -> Result<Vec<f64>, EstimatorError> {
        let mut factors = vec![0.0; rewards.len()];
        self.factors_into(rewards, ratios, &mut factors, &mut OffPolicyWorkspace::new())?;
        Ok(factors)
    }
}

/// Evaluation of checked groups.
impl OffPolicy {
    fn group_into(
        &self,
        form: Form,
        rewards: &[f64],
        ratios: Ratios<'_>,
        out: &mut [f64],
        workspace: &mut OffPolicyWorkspace,
    ) -> Result<(), EstimatorError> {
        check_buffer(rewards, out)?;
        let log_size = self.log_size(rewards, ratios)?;
        workspace.results.clear();
        self.plan(form, rewards.len()).append(rewards, ratios, log_size, workspace)?;
        out.copy_from_slice(&workspace.results);
        Ok(())
    }

    fn groups_into(
        &self,
        form: Form,
        rewards: &[f64],
        ratios: Ratios<'_>,
        offsets: &[usize],
        out: &mut [f64],
        workspace: &mut OffPolicyWorkspace,
    ) -> Result<(), EstimatorError> {
        check_buffer(rewards, out)?;
        if ratios.len() != rewards.len() {
            let (rewards, ratios) = (rewards.len(), ratios.len());
            return Err(EstimatorError::RatioCount { rewards, ratios });
        }
        check_offsets(rewards.len(), offsets)?;
        workspace.results.clear();
        for (group, bounds) in offsets.windows(2).enumerate() {
            let range = bounds[0]..bounds[1];
            let (rewards, ratios) = (&rewards[range.clone()], ratios.of(range));
            let plan = self.plan(form, rewards.len());
            self.log_size(rewards, ratios)
                .and_then(|log_size| plan.append(rewards, ratios, log_size, workspace))
                .map_err(|error| EstimatorError::InGroup { group, source: Box::new(error) })?;
        }
        out.copy_from_slice(&workspace.results);
        Ok(())
    }

    fn plan(&self, form: Form, n: usize) -> Plan {
        let (estimator, partner_cap) = (self.estimator, self.partner_cap);
        Plan { form, estimator, degree: self.degree(n), partner_cap }
    }
}
