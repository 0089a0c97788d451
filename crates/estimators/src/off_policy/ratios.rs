//! Ratios between the policy and the sampler: what is accepted, and how products of them stay in
//! range.

use alloc::vec::Vec;
use core::ops::Range;

use crate::EstimatorError;
use crate::numerics::{exp_parts, ln, parts, times_power_of_two};

/// Largest logarithm of a product of ratios times a reward.
const LARGEST_LOG: f64 = 700.0;

/// One ratio per sample: probability of the whole completion under the policy over that under the
/// sampler, `r_i = p(x_i) / q(x_i)`.
///
/// A ratio of 0, or a log-ratio of negative infinity, is a completion that the policy cannot make; it
/// is accepted. Products of ratios are formed with their common power of two set apart, so that a policy
/// that has moved away from every sample loses no accuracy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ratios<'a> {
    /// `log p(x_i) - log q(x_i)`, summed over the tokens of the completion. Below -700,000 it counts
    /// as negative infinity.
    Log(&'a [f64]),
    /// The ratios themselves, finite and not negative.
    Plain(&'a [f64]),
}

impl Ratios<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.values().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values().is_empty()
    }

    fn values(&self) -> &[f64] {
        match self {
            Self::Log(values) | Self::Plain(values) => values,
        }
    }

    /// The ratios of one group of a batch.
    pub(super) fn of(&self, range: Range<usize>) -> Self {
        match self {
            Self::Log(values) => Self::Log(&values[range]),
            Self::Plain(values) => Self::Plain(&values[range]),
        }
    }

    fn log(&self, index: usize) -> f64 {
        match self {
            Self::Log(values) => values[index],
            Self::Plain(values) => ln(values[index]),
        }
    }

    fn get(&self, index: usize) -> Ratio {
        let (mantissa, exponent) = match self {
            Self::Log(values) => exp_parts(values[index]),
            Self::Plain(values) => parts(values[index]),
        };
        Ratio { mantissa, exponent }
    }

    /// Rejects ratios that are none, and those whose products of `k`, times a reward of these,
    /// may leave the range of f64. Only partners are capped.
    pub(super) fn check(
        &self,
        rewards: &[f64],
        k: usize,
        partner_cap: Option<f64>,
    ) -> Result<(), EstimatorError> {
        if self.len() != rewards.len() {
            let (rewards, ratios) = (rewards.len(), self.len());
            return Err(EstimatorError::RatioCount { rewards, ratios });
        }
        let mut largest = 0;
        for (index, &value) in self.values().iter().enumerate() {
            match self {
                Self::Log(_) if value.is_nan() || value == f64::INFINITY => {
                    return Err(EstimatorError::BadLogRatio { index, value });
                }
                Self::Plain(_) if !value.is_finite() || value < 0.0 => {
                    return Err(EstimatorError::BadRatio { index, value });
                }
                _ => {}
            }
            if value > self.values()[largest] {
                largest = index;
            }
        }
        if self.is_empty() {
            return Ok(());
        }
        let own = self.log(largest);
        let partner = partner_cap.map_or(own, |cap| own.min(ln(cap)));
        let reward = rewards.iter().fold(1.0_f64, |m, g| m.max(g.abs()));
        let product = own + k.saturating_sub(1) as f64 * partner.max(0.0);
        if product.max(0.0) + ln(reward) > LARGEST_LOG {
            return Err(EstimatorError::ProductTooLarge { index: largest, log_ratio: own, k });
        }
        Ok(())
    }
}

/// A ratio as `mantissa * 2^exponent`; a mantissa of 0 is the ratio 0.
#[derive(Clone, Copy, Debug, Default)]
struct Ratio {
    mantissa: f64,
    exponent: i64,
}

impl Ratio {
    fn min(self, cap: Self) -> Self {
        // Neither form of mantissa is unique, hence the comparison on one scale.
        let scaled = |r: Self| times_power_of_two(r.mantissa, r.exponent - cap.exponent);
        if scaled(self) > scaled(cap) { cap } else { self }
    }
}

/// The ratios of one group: those of partners by rank on a common power of two, and the own ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Scaled {
    /// By rank: `min(r, cap) * 2^-exponent`.
    pub(super) partners: Vec<f64>,
    own: Vec<Ratio>,
    exponent: i64,
}

impl Scaled {
    pub(super) fn with_capacity(samples: usize) -> Self {
        Self {
            partners: Vec::with_capacity(samples),
            own: Vec::with_capacity(samples),
            exponent: 0,
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.partners.capacity().min(self.own.capacity())
    }

    /// Takes checked ratios; `order` is the index of each rank.
    pub(super) fn set(
        &mut self,
        ratios: Ratios<'_>,
        partner_cap: Option<f64>,
        order: impl Iterator<Item = usize>,
    ) {
        let cap = partner_cap.map(|cap| {
            let (mantissa, exponent) = parts(cap);
            Ratio { mantissa, exponent }
        });
        let partner = |ratio: Ratio| cap.map_or(ratio, |cap| ratio.min(cap));
        self.own.clear();
        self.own.extend(order.map(|index| ratios.get(index)));
        let held = self.own.iter().map(|&r| partner(r)).filter(|r| r.mantissa > 0.0);
        // Only upwards: a partner far below the largest must not be pushed out of range.
        self.exponent = held.map(|r| r.exponent).max().unwrap_or(0).min(0);
        let exponent = self.exponent;
        self.partners.clear();
        self.partners.extend(self.own.iter().map(|&r| {
            let r = partner(r);
            times_power_of_two(r.mantissa, r.exponent - exponent)
        }));
    }

    /// A mean of products of `degree` partners, off the common power of two.
    pub(super) fn unscaled(&self, mean: f64, degree: usize) -> f64 {
        times_power_of_two(mean, self.exponent * degree as i64)
    }

    /// [`unscaled`](Self::unscaled) times the own ratio of a rank.
    pub(super) fn with_own(&self, rank: usize, mean: f64, degree: usize) -> f64 {
        let own = self.own[rank];
        times_power_of_two(mean * own.mantissa, own.exponent + self.exponent * degree as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_powers_of_two_change_no_digit() {
        let mut scaled = Scaled::default();
        scaled.set(Ratios::Plain(&[0.3, 0.0, 2e-300]), None, 0..3);
        assert_eq!(scaled.partners[0], 1.2);
        assert_eq!(scaled.unscaled(1.2, 1), 0.3);
        assert_eq!(scaled.with_own(2, 1.0, 0), 2e-300);
        assert_eq!(scaled.partners[1], 0.0);
        scaled.set(Ratios::Plain(&[3.0, 0.5]), None, 0..2);
        assert_eq!(scaled.partners, [3.0, 0.5]);
        // Far below the range of f64, products keep their digits.
        scaled.set(Ratios::Log(&[-5000.0, -5000.5]), None, 0..2);
        let ratio = scaled.partners[1] / scaled.partners[0];
        assert!((ratio - (-0.5_f64).exp()).abs() < 1e-12, "{ratio}");
    }

    #[test]
    fn caps_are_exact_and_spare_the_own_ratio() {
        let mut scaled = Scaled::default();
        scaled.set(Ratios::Plain(&[1.2, 1.200_000_1, 0.7]), Some(1.2), 0..3);
        assert_eq!(scaled.partners, [1.2, 1.2, 0.7]);
        assert_eq!(scaled.with_own(1, 1.0, 0), 1.200_000_1);
        scaled.set(Ratios::Log(&[0.0, -0.1, 650.0]), Some(1.0), 0..3);
        assert_eq!(scaled.partners[0], 1.0);
        assert_eq!(scaled.partners[2], 1.0);
        assert!(scaled.partners[1] < 1.0);
    }

    #[test]
    fn what_is_no_ratio_is_named() {
        let check = |ratios: Ratios<'_>, k| ratios.check(&[0.0; 2], k, None);
        assert_eq!(
            check(Ratios::Log(&[0.0]), 2),
            Err(EstimatorError::RatioCount { rewards: 2, ratios: 1 })
        );
        for value in [f64::NAN, f64::INFINITY] {
            assert!(matches!(
                check(Ratios::Log(&[0.0, value]), 2),
                Err(EstimatorError::BadLogRatio { index: 1, .. })
            ));
            assert!(matches!(
                check(Ratios::Plain(&[value, 0.0]), 2),
                Err(EstimatorError::BadRatio { index: 0, .. })
            ));
        }
        assert!(check(Ratios::Plain(&[1.0, -1e-9]), 2).is_err());
        assert_eq!(check(Ratios::Plain(&[1.0, 0.0]), 2), Ok(()));
        assert_eq!(check(Ratios::Log(&[f64::NEG_INFINITY; 2]), 2), Ok(()));
        assert_eq!(check(Ratios::Log(&[350.0, 0.0]), 2), Ok(()));
        assert_eq!(
            check(Ratios::Log(&[0.0, 350.5]), 2),
            Err(EstimatorError::ProductTooLarge { index: 1, log_ratio: 350.5, k: 2 })
        );
        assert_eq!(Ratios::Log(&[690.0, 0.0]).check(&[0.0; 2], 2, Some(1.5)), Ok(()));
        assert!(Ratios::Log(&[20.0, 0.0]).check(&[1e300, 0.0], 2, None).is_err());
    }
}
