//! A `k` for each prompt, from how often the prompt was solved so far.

use core::num::NonZeroUsize;

use crate::EstimatorError;

/// A large `k` for prompts that are seldom solved and a small one for those that mostly are:
///
/// ```text
/// k = the least k' with 1 - (1 - p)^k' >= 1/2,   p = (passed + 1) / (samples + 2)
/// ```
/// kept between `to` and `from`; a prompt that was never sampled has `from`. `p` counts the prompt's
/// *earlier* completions only, so that `k` does not depend on the rewards it is used for and each
/// group's weights stay unbiased for its own `k`.
///
/// This is a heuristic: no published objective is the sum of max@k over prompts with such a `k`, and
/// the objective changes as pass rates are counted.
///
/// ```
/// use bestof_estimators::ByPassRate;
///
/// let schedule = ByPassRate::new(8, 1)?;
/// assert_eq!(schedule.k_of(0, 0), 8); // never sampled
/// assert_eq!(schedule.k_of(0, 16), 8); // never solved: p = 1/18
/// assert_eq!(schedule.k_of(4, 16), 3); // p = 5/18
/// assert_eq!(schedule.k_of(12, 16), 1);
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct ByPassRate {
    from: NonZeroUsize,
    to: NonZeroUsize,
}

impl ByPassRate {
    /// Between `from`, for prompts that are never solved, and `to`.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn new(from: usize, to: usize) -> Result<Self, EstimatorError> {
        let k = |k| NonZeroUsize::new(k).ok_or(EstimatorError::ZeroK);
        Ok(Self { from: k(from)?, to: k(to)? })
    }

    /// The `k` of prompts that are never solved, and that of those that always are.
    pub fn bounds(&self) -> (usize, usize) {
        (self.from.get(), self.to.get())
    }

    /// The `k` of a prompt of which `passed` of `samples` earlier completions passed.
    pub fn k_of(&self, passed: u64, samples: u64) -> usize {
        let (from, to) = self.bounds();
        if samples == 0 {
            return from;
        }
        let failure = 1.0 - (passed as f64 + 1.0) / (samples as f64 + 2.0);
        let (low, high) = (from.min(to), from.max(to));
        let mut none = 1.0;
        for k in 1..high {
            none *= failure;
            if none <= 0.5 {
                return k.max(low);
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k_falls_as_prompts_are_solved_and_stays_within_its_bounds() {
        let schedule = ByPassRate::new(16, 2).unwrap();
        let ks: std::vec::Vec<usize> = (0..=32).map(|passed| schedule.k_of(passed, 32)).collect();
        assert!(ks.windows(2).all(|pair| pair[0] >= pair[1]), "{ks:?}");
        assert_eq!((ks[0], ks[32]), (16, 2));
        assert_eq!(schedule.k_of(0, 0), 16);
        // p = 9/34, (25/34)^2 = 0.541, (25/34)^3 = 0.398.
        assert_eq!(schedule.k_of(8, 32), 3);
        assert!(ByPassRate::new(0, 1).is_err() && ByPassRate::new(1, 0).is_err());
    }
}
