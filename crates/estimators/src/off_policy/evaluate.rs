//! The off-policy weights of one group that was found to be sound.

use super::lower;
use super::ratios::{Ratios, Scaled};
use super::table::Split;
use super::workspace::OffPolicyWorkspace;
use crate::baseline::{GroupMean, Reinforce, Rloo};
use crate::estimator::Estimator;
use crate::{EstimatorError, RewardTransform};

/// What is asked for: `A_i`, or `r_i A_i`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    Factor,
    Weight,
}

impl Form {
    /// A mean of products of `degree` partners in this form, for the sample of a rank.
    fn of(self, ratios: &Scaled, rank: usize, mean: f64, degree: usize) -> f64 {
        match self {
            Self::Factor => ratios.unscaled(mean, degree),
            Self::Weight => ratios.with_own(rank, mean, degree),
        }
    }
}

/// An estimator for groups of one size: `degree` is its `k`, or its order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) form: Form,
    pub(super) estimator: Estimator,
    pub(super) degree: usize,
    pub(super) partner_cap: Option<f64>,
}

impl Plan {
    /// Appends one number per sample to the results of the workspace.
    pub(super) fn append(
        &self,
        rewards: &[f64],
        ratios: Ratios<'_>,
        workspace: &mut OffPolicyWorkspace,
    ) -> Result<(), EstimatorError> {
        let OffPolicyWorkspace { ranking, ratios: scaled, row, table, results } = workspace;
        let first = results.len();
        results.resize(first + rewards.len(), 0.0);
        let out = &mut results[first..];
        let alone: Option<&dyn RewardTransform> = match self.estimator {
            Estimator::Mean => Some(&GroupMean),
            Estimator::Rloo => Some(&Rloo),
            Estimator::Reinforce => Some(&Reinforce),
            _ => None,
        };
        if let Some(transform) = alone {
            transform.fill(rewards, out, ranking);
            scaled.set(ratios, None, 0..rewards.len());
            for (i, slot) in out.iter_mut().enumerate() {
                *slot = self.form.of(scaled, i, *slot, 0);
            }
            return Ok(());
        }
        ranking.sort(rewards);
        scaled.set(ratios, self.partner_cap, ranking.order().places());
        let k = self.degree;
        if self.estimator == Estimator::LooMinusOne {
            let (order, leads) = ranking.leads(k);
            lower::minus_one(order.rewards(), leads, &scaled.partners, row, k, |i, factor| {
                out[order.place(i)] = self.form.of(scaled, i, factor, k - 1);
            });
            return Ok(());
        }
        table.set(&scaled.partners, k, row);
        let lowest = ranking.order().rewards().first().copied().unwrap_or(0.0);
        // An offset is cancelled before anything is summed; `plain` keeps it.
        let base = if self.estimator == Estimator::Plain { 0.0 } else { lowest };
        let smallest = if self.estimator == Estimator::Harmonic { 1 } else { k };
        for k in smallest..=k {
            let (order, leads) = ranking.leads(k);
            let mut lonely = None;
            table.split((order.rewards(), leads), &scaled.partners, k, base, |i, reward, one| {
                let index = order.place(i);
                match self.weight(scaled, (i, k), base, reward, one) {
                    Some(weight) => out[index] += weight,
                    None => lonely = Some(index),
                }
            });
            if let Some(index) = lonely {
                return Err(EstimatorError::NoOverlap { index, k });
            }
        }
        Ok(())
    }

    /// What one `k` adds to the sample of a rank, from its subsets for rewards above `base` and for
    /// rewards of 1; nothing where the others have no level.
    fn weight(
        &self,
        scaled: &Scaled,
        (rank, k): (usize, usize),
        base: f64,
        reward: Split,
        one: Split,
    ) -> Option<f64> {
        let n = scaled.partners.len() as f64;
        let inside = |mean| self.form.of(scaled, rank, mean, k - 1);
        match self.estimator {
            Estimator::Plain => Some(inside(reward.inside)),
            Estimator::Loo => {
                // The k-subsets of the others are fewer by n/(n-k).
                let level = k as f64 / (n - 1.0) * (n / (n - k as f64));
                let part = |split: Split| {
                    inside(split.inside) - level * self.form.of(scaled, rank, split.outside, k)
                };
                Some(part(reward) + base * part(one))
            }
            Estimator::Harmonic => Some(inside(centred(reward, one)?) / k as f64),
            _ => Some(inside(centred(reward, one)?)),
        }
    }
}

/// `inside - E level`, where the level of the others is defined or not needed.
fn centred(reward: Split, one: Split) -> Option<f64> {
    if one.outside >= f64::MIN_POSITIVE {
        Some(reward.inside - one.inside * (reward.outside / one.outside))
    } else {
        (one.inside == 0.0).then_some(0.0)
    }
}
