//! The off-policy weights of one group that was found to be sound.

use super::lower;
use super::products::{Means, Sums};
use super::ratios::{Ratios, Scaled};
use super::table::{Split, Splits};
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
    /// Means of products of `degree` partners in this form, by rank.
    fn complete(self, ratios: &Scaled, means: &mut [f64], degree: usize) {
        match self {
            Self::Factor => ratios.unscale(means, degree),
            Self::Weight => ratios.unscale_with_own(means, degree),
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
    /// Appends one number per sample to the results of the workspace. `log_size` bounds the logarithm
    /// of products of ratios times a reward.
    pub(super) fn append(
        &self,
        rewards: &[f64],
        ratios: Ratios<'_>,
        log_size: f64,
        workspace: &mut OffPolicyWorkspace,
    ) -> Result<(), EstimatorError> {
        let OffPolicyWorkspace { ranking, ratios: scaled, results, .. } = workspace;
        let (first, n) = (results.len(), rewards.len());
        results.resize(first + n, 0.0);
        let alone: Option<&dyn RewardTransform> = match self.estimator {
            Estimator::Mean => Some(&GroupMean),
            Estimator::Rloo => Some(&Rloo),
            Estimator::Reinforce => Some(&Reinforce),
            _ => None,
        };
        if let Some(transform) = alone {
            let out = &mut results[first..];
            transform.fill(rewards, out, ranking);
            scaled.set(ratios, None, 0, 0..n);
            self.form.complete(scaled, out, 0);
            return Ok(());
        }
        ranking.sort(rewards);
        if Sums::suffice(self.degree, log_size) {
            self.fill::<Sums>(ratios, first, workspace)
        } else {
            self.fill::<Means>(ratios, first, workspace)
        }
    }

    /// Fills the results from `first` on, for the group whose order the ranking holds.
    fn fill<S: Splits>(
        &self,
        ratios: Ratios<'_>,
        first: usize,
        workspace: &mut OffPolicyWorkspace,
    ) -> Result<(), EstimatorError> {
        let OffPolicyWorkspace { ranking, ratios: scaled, row, table, means, results } = workspace;
        let (out, degree) = (&mut results[first..], self.degree);
        let n = out.len();
        scaled.set(ratios, self.partner_cap, S::shift(n), ranking.order().places());
        means.resize(n, 0.0);
        let smallest = if self.estimator == Estimator::Harmonic { 1 } else { degree };
        // The widest rows serve the others too.
        for k in (smallest..=degree).rev() {
            let (order, leads) = S::leads(ranking, k);
            let (rewards, partners) = (order.rewards(), &scaled.partners);
            // An offset is cancelled before anything is summed; `plain` keeps it.
            let base = rewards.first().copied().unwrap_or(0.0);
            let led = |i: usize| [leads[i] * (rewards[i] - base), leads[i]];
            let mut lonely = None;
            match self.estimator {
                Estimator::LooMinusOne => {
                    lower::minus_one::<S>(rewards, leads, partners, row, k, means);
                }
                Estimator::Plain => {
                    let led = |i: usize| [leads[i] * rewards[i]];
                    let give = |i: usize, [reward]: [Split; 1]| means[i] = reward.inside;
                    S::splits(table, partners, k, led, give);
                }
                Estimator::Loo => {
                    // The k-subsets of the others are fewer by n/(n-k).
                    let (n, k_) = (n as f64, k as f64);
                    let level = scaled.of_one_more(k_ / (n - 1.0) * (n / (n - k_)));
                    S::splits(table, partners, k, led, |i, [reward, one]| {
                        let above = |split: Split| split.inside - level * split.outside;
                        means[i] = above(reward) + base * above(one);
                    });
                }
                _ => {
                    let give = |i: usize, [reward, one]: [Split; 2]| {
                        means[i] = centred(reward, one).unwrap_or_else(|| {
                            lonely = Some(order.place(i));
                            0.0
                        });
                    };
                    if smallest == degree {
                        S::splits(table, partners, k, led, give);
                    } else {
                        if k == degree {
                            table.set::<S, 2>(partners, k, led);
                        } else {
                            table.narrow(partners, k, led);
                        }
                        table.split::<S, 2>(partners, k, led, give);
                    }
                }
            }
            if let Some(index) = lonely {
                return Err(EstimatorError::NoOverlap { index, k });
            }
            self.form.complete(scaled, means, k - 1);
            let share = if self.estimator == Estimator::Harmonic { 1.0 / k as f64 } else { 1.0 };
            for (place, mean) in order.places().zip(&*means) {
                out[place] += share * mean;
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn weights<S: Splits>(plan: &Plan, rewards: &[f64], logs: &[f64]) -> Vec<f64> {
        let mut workspace = OffPolicyWorkspace::new();
        workspace.ranking.sort(rewards);
        workspace.results.resize(rewards.len(), 0.0);
        plan.fill::<S>(Ratios::Log(logs), 0, &mut workspace).unwrap();
        workspace.results
    }

    /// Lanes beyond `k` hold products of more ratios than were asked for.
    #[test]
    fn sums_stay_in_range_where_lanes_are_more_than_ratios() {
        for degree in 1..=16 {
            let rewards: Vec<f64> = (0..degree + 2).map(|i| i as f64).collect();
            let largest = vec![590.0 / degree as f64; rewards.len()];
            let plan =
                Plan { form: Form::Factor, estimator: Estimator::Plain, degree, partner_cap: None };
            let log_size = Ratios::Log(&largest).log_size(&rewards, degree, None).unwrap();
            let mut workspace = OffPolicyWorkspace::new();
            plan.append(&rewards, Ratios::Log(&largest), log_size, &mut workspace).unwrap();
            for (found, mean) in
                workspace.results.iter().zip(weights::<Means>(&plan, &rewards, &largest))
            {
                assert!((found - mean).abs() <= 1e-12 * mean, "{degree}: {found} {mean}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Enumeration sees few samples, where sums are used: this holds the means to them.
        #[test]
        fn sums_and_means_are_the_same(
            samples in prop::collection::vec((-2.0..3.0_f64, -3.0..3.0_f64), 3..60),
            degree in 2_usize..=16,
            kind in 0_usize..5,
            factors in prop::bool::ANY,
            capped in prop::bool::ANY,
        ) {
            let (rewards, logs): (Vec<f64>, Vec<f64>) = samples.into_iter().unzip();
            let estimator = [
                Estimator::Plain,
                Estimator::Loo,
                Estimator::LooMinusOne,
                Estimator::Centred,
                Estimator::Harmonic,
            ][kind];
            let plan = Plan {
                form: if factors { Form::Factor } else { Form::Weight },
                estimator,
                degree: degree.min(rewards.len() - 1),
                partner_cap: capped.then_some(1.5),
            };
            let sums = weights::<Sums>(&plan, &rewards, &logs);
            let means = weights::<Means>(&plan, &rewards, &logs);
            // A weight is a difference, and as exact as what it is the difference of: the terms of the same rewards
            // at their largest, all positive, and of the same estimator.
            let flat = vec![2.0 * rewards.iter().fold(0.0_f64, |m, g| m.max(g.abs())); rewards.len()];
            let smallest = if estimator == Estimator::Harmonic { 1 } else { plan.degree };
            let flat_weights = weights::<Means>(&plan, &flat, &logs);
            let mut terms: Vec<f64> = flat_weights.iter().map(|weight| weight.abs()).collect();
            for degree in smallest..=plan.degree {
                let of_degree = Plan { estimator: Estimator::Plain, degree, ..plan };
                for (term, positive) in terms.iter_mut().zip(weights::<Means>(&of_degree, &flat, &logs)) {
                    *term += positive;
                }
            }
            for (i, term) in terms.iter().enumerate() {
                let (sum, mean) = (sums[i], means[i]);
                prop_assert!((sum - mean).abs() <= 1e-14 * term, "{plan:?}: {sum} {mean} of terms {term}");
            }
        }
    }
}
