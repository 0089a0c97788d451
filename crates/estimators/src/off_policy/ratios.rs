//! Ratios between the policy and the sampler: what is accepted, and how products of them stay in
//! range.

use alloc::vec::Vec;
use core::ops::Range;

use crate::EstimatorError;
use crate::numerics::{exp_parts, larger, ln, parts, times_power_of_two};

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

    fn log(&self, value: f64) -> f64 {
        match self {
            Self::Log(_) => value,
            Self::Plain(_) => ln(value),
        }
    }

    /// A bound of the logarithm of products of `k` ratios times a reward. Rejects ratios that are none,
    /// and those whose products may leave the range of f64. Only partners are capped.
    pub(super) fn log_size(
        &self,
        rewards: &[f64],
        k: usize,
        partner_cap: Option<f64>,
    ) -> Result<f64, EstimatorError> {
        if self.len() != rewards.len() {
            let (rewards, ratios) = (rewards.len(), self.len());
            return Err(EstimatorError::RatioCount { rewards, ratios });
        }
        let (values, found) = (self.values(), |index: usize| (index, self.values()[index]));
        match self {
            Self::Log(_) => {
                if let Some((index, value)) =
                    values.iter().position(|&v| v.is_nan() || v == f64::INFINITY).map(found)
                {
                    return Err(EstimatorError::BadLogRatio { index, value });
                }
            }
            Self::Plain(_) => {
                let is_ratio = |v| (0.0..f64::INFINITY).contains(v);
                if let Some((index, value)) = values.iter().position(|v| !is_ratio(v)).map(found) {
                    return Err(EstimatorError::BadRatio { index, value });
                }
            }
        }
        let Some(largest) = values.iter().copied().reduce(larger) else { return Ok(0.0) };
        let own = self.log(largest);
        let partner = partner_cap.map_or(own, |cap| own.min(ln(cap)));
        let product = (own + k.saturating_sub(1) as f64 * partner.max(0.0)).max(0.0);
        let reward = rewards.iter().fold(1.0, |m, g| larger(m, g.abs()));
        // The logarithm itself is needed near the limit only.
        let above = (parts(reward).1 + 1) as f64 * core::f64::consts::LN_2;
        if product + above > LARGEST_LOG && product + ln(reward) > LARGEST_LOG {
            let index = values.iter().position(|v| *v == largest).unwrap_or(0);
            return Err(EstimatorError::ProductTooLarge { index, log_ratio: own, k });
        }
        Ok(product + above)
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
    /// By rank: `min(r, cap) * 2^-(exponent + shift)`.
    pub(super) partners: Vec<f64>,
    mantissas: Vec<f64>,
    exponents: Vec<i64>,
    exponent: i64,
    shift: u32,
}

impl Scaled {
    pub(super) fn with_capacity(samples: usize) -> Self {
        Self {
            partners: Vec::with_capacity(samples),
            mantissas: Vec::with_capacity(samples),
            exponents: Vec::with_capacity(samples),
            ..Self::default()
        }
    }

    pub(super) fn capacity(&self) -> usize {
        let own = self.mantissas.capacity().min(self.exponents.capacity());
        self.partners.capacity().min(own)
    }

    /// Takes checked ratios; `order` is the index of each rank.
    pub(super) fn set(
        &mut self,
        ratios: Ratios<'_>,
        partner_cap: Option<f64>,
        shift: u32,
        order: impl Iterator<Item = usize>,
    ) {
        let values = ratios.values();
        self.mantissas.clear();
        self.mantissas.extend(order.map(|index| values[index]));
        self.exponents.resize(values.len(), 0);
        let own = self.mantissas.iter_mut().zip(&mut self.exponents);
        match ratios {
            Ratios::Log(_) => own.for_each(|(m, e)| (*m, *e) = exp_parts(*m)),
            Ratios::Plain(_) => own.for_each(|(m, e)| (*m, *e) = parts(*m)),
        }
        let cap = partner_cap.map(|cap| {
            let (mantissa, exponent) = parts(cap);
            Ratio { mantissa, exponent }
        });
        let own = self.mantissas.iter().zip(&self.exponents);
        let partners = own.map(|(&mantissa, &exponent)| {
            let own = Ratio { mantissa, exponent };
            cap.map_or(own, |cap| own.min(cap))
        });
        let held = partners.clone().filter(|r| r.mantissa > 0.0);
        // Only upwards: a partner far below the largest must not be pushed out of range.
        self.exponent = held.map(|r| r.exponent).max().unwrap_or(0).min(0);
        self.shift = shift;
        let exponent = self.exponent + i64::from(shift);
        self.partners.clear();
        self.partners
            .extend(partners.map(|r| times_power_of_two(r.mantissa, r.exponent - exponent)));
    }

    /// A mean of products of `degree` partners, off the common power of two; the shift is left to
    /// the lead.
    pub(super) fn unscaled(&self, mean: f64, degree: usize) -> f64 {
        times_power_of_two(mean, self.exponent * degree as i64)
    }

    /// A factor of means of products that have one more ratio than the lead makes up for.
    pub(super) fn of_one_more(&self, factor: f64) -> f64 {
        times_power_of_two(factor, self.exponent + i64::from(self.shift))
    }

    /// [`unscaled`](Self::unscaled) for the mean of each rank.
    pub(super) fn unscale(&self, means: &mut [f64], degree: usize) {
        for mean in means {
            *mean = self.unscaled(*mean, degree);
        }
    }

    /// [`unscaled`](Self::unscaled) times the own ratio of each rank.
    pub(super) fn unscale_with_own(&self, means: &mut [f64], degree: usize) {
        let common = self.exponent * degree as i64;
        let own = self.mantissas.iter().zip(&self.exponents);
        for (mean, (&mantissa, &exponent)) in means.iter_mut().zip(own) {
            *mean = times_power_of_two(*mean * mantissa, exponent + common);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_own(scaled: &Scaled, rank: usize) -> f64 {
        let mut ones = std::vec![1.0; scaled.partners.len()];
        scaled.unscale_with_own(&mut ones, 0);
        ones[rank]
    }

    #[test]
    fn common_powers_of_two_change_no_digit() {
        let mut scaled = Scaled::default();
        scaled.set(Ratios::Plain(&[0.3, 0.0, 2e-300]), None, 0, 0..3);
        assert_eq!(scaled.partners[0], 1.2);
        assert_eq!(scaled.unscaled(1.2, 1), 0.3);
        assert_eq!(with_own(&scaled, 2), 2e-300);
        assert_eq!(scaled.partners[1], 0.0);
        scaled.set(Ratios::Plain(&[3.0, 0.5]), None, 0, 0..2);
        assert_eq!(scaled.partners, [3.0, 0.5]);
        // Far below the range of f64, products keep their digits.
        scaled.set(Ratios::Log(&[-5000.0, -5000.5]), None, 0, 0..2);
        let ratio = scaled.partners[1] / scaled.partners[0];
        assert!((ratio - (-0.5_f64).exp()).abs() < 1e-12, "{ratio}");
    }

    #[test]
    fn caps_are_exact_and_spare_the_own_ratio() {
        let mut scaled = Scaled::default();
        scaled.set(Ratios::Plain(&[1.2, 1.200_000_1, 0.7]), Some(1.2), 0, 0..3);
        assert_eq!(scaled.partners, [1.2, 1.2, 0.7]);
        assert_eq!(with_own(&scaled, 1), 1.200_000_1);
        scaled.set(Ratios::Log(&[0.0, -0.1, 650.0]), Some(1.0), 0, 0..3);
        assert_eq!(scaled.partners[0], 1.0);
        assert_eq!(scaled.partners[2], 1.0);
        assert!(scaled.partners[1] < 1.0);
    }

    #[test]
    fn what_is_no_ratio_is_named() {
        let check = |ratios: Ratios<'_>, k| ratios.log_size(&[0.0; 2], k, None).map(|_| ());
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
        assert!(Ratios::Log(&[690.0, 0.0]).log_size(&[0.0; 2], 2, Some(1.5)).is_ok());
        assert!(Ratios::Log(&[20.0, 0.0]).log_size(&[1e300, 0.0], 2, None).is_err());
    }
}
