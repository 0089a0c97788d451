//! Which k at which step: fixed, annealed by the step, or lowered by a measurement.

use core::fmt::Debug;
use core::num::NonZeroUsize;

use crate::numerics::cos_pi;
use crate::{ByPassRate, EstimatorError};

/// Which `k` a training step optimises.
///
/// Steps count from 0. A schedule that depends on measurements stores them: saved with the run, it
/// gives the same `k` after resuming as in an uninterrupted run.
pub trait KSchedule: Debug + Send + Sync {
    /// The `k` of this step, at least 1.
    fn k(&self, step: u64) -> usize;

    /// The `k` of a prompt of which `passed` of `samples` earlier completions passed. Schedules that
    /// do not look at single prompts give that of the step.
    fn k_of_prompt(&self, step: u64, passed: u64, samples: u64) -> usize {
        let _ = (passed, samples);
        self.k(step)
    }

    /// Records a measured pass@k, or any other score that should rise. Schedules that depend on the
    /// step alone ignore it, and all ignore values that are not finite.
    fn observe(&mut self, pass_at_k: f64) {
        let _ = pass_at_k;
    }
}

/// One of the schedules of this crate, as a configuration file names it: the field `kind` is
/// `constant`, `step`, `linear`, `cosine`, `until-stall`, `until-threshold` or `by-pass-rate`, and the
/// others are those of the variant.
///
/// ```
/// use bestof_estimators::{KSchedule, Schedule};
///
/// let schedule = Schedule::paper();
/// assert_eq!((schedule.k(0), schedule.k(1499), schedule.k(1500)), (8, 8, 1));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Schedule {
    /// The same `k` at every step.
    Constant {
        /// That `k`.
        k: NonZeroUsize,
    },
    /// One `k` before step `at`, another from `at` on.
    Step {
        /// The `k` before `at`.
        from: NonZeroUsize,
        /// The `k` from `at` on.
        to: NonZeroUsize,
        /// The first step with `to`.
        at: u64,
    },
    /// From one `k` to another in a straight line, rounded to whole numbers.
    Linear {
        /// The `k` up to step `start`.
        from: NonZeroUsize,
        /// The `k` from step `end` on.
        to: NonZeroUsize,
        /// Step at which the ramp begins.
        start: u64,
        /// Step at which `to` is reached.
        end: u64,
    },
    /// As `Linear`, along half a cosine: slow at both ends.
    Cosine {
        /// The `k` up to step `start`.
        from: NonZeroUsize,
        /// The `k` from step `end` on.
        to: NonZeroUsize,
        /// Step at which the ramp begins.
        start: u64,
        /// Step at which `to` is reached.
        end: u64,
    },
    /// Changes `k` once the measured pass@k has stopped rising.
    UntilStall(UntilStall),
    /// Changes `k` once the measured pass@k has reached a threshold.
    UntilThreshold(UntilThreshold),
    /// Each prompt's own, from how often it was solved so far: a heuristic.
    ByPassRate(ByPassRate),
}

impl Schedule {
    /// The same `k` at every step.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn constant(k: usize) -> Result<Self, EstimatorError> {
        Ok(Self::Constant { k: non_zero(k)? })
    }

    /// `from` before step `at`, `to` from `at` on.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn step(from: usize, to: usize, at: u64) -> Result<Self, EstimatorError> {
        Ok(Self::Step { from: non_zero(from)?, to: non_zero(to)?, at })
    }

    /// The paper's schedule: 8 until step 1500, then 1. A hard switch, not a ramp.
    ///
    /// Source: Walder and Karkhanis 2025, arXiv:2505.15201v4, figure 3.
    pub const fn paper() -> Self {
        Self::Step { from: EIGHT, to: NonZeroUsize::MIN, at: 1500 }
    }

    /// From `from` at step `start` to `to` at step `end` in a straight line.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn linear(from: usize, to: usize, start: u64, end: u64) -> Result<Self, EstimatorError> {
        Ok(Self::Linear { from: non_zero(from)?, to: non_zero(to)?, start, end })
    }

    /// From `from` at step `start` to `to` at step `end` along half a cosine.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn cosine(from: usize, to: usize, start: u64, end: u64) -> Result<Self, EstimatorError> {
        Ok(Self::Cosine { from: non_zero(from)?, to: non_zero(to)?, start, end })
    }
}

impl KSchedule for Schedule {
    fn k(&self, step: u64) -> usize {
        match self {
            Self::Constant { k } => k.get(),
            Self::Step { from, to, at } => (if step < *at { from } else { to }).get(),
            Self::Linear { from, to, start, end } => {
                between(*from, *to, progress(step, *start, *end))
            }
            Self::Cosine { from, to, start, end } => {
                let t = progress(step, *start, *end);
                between(*from, *to, 0.5 * (1.0 - cos_pi(t)))
            }
            Self::UntilStall(schedule) => schedule.k(step),
            Self::UntilThreshold(schedule) => schedule.k(step),
            Self::ByPassRate(schedule) => schedule.k_of(0, 0),
        }
    }

    fn k_of_prompt(&self, step: u64, passed: u64, samples: u64) -> usize {
        match self {
            Self::ByPassRate(schedule) => schedule.k_of(passed, samples),
            _ => self.k(step),
        }
    }

    fn observe(&mut self, pass_at_k: f64) {
        match self {
            Self::UntilStall(schedule) => schedule.observe(pass_at_k),
            Self::UntilThreshold(schedule) => schedule.observe(pass_at_k),
            Self::Constant { .. }
            | Self::Step { .. }
            | Self::Linear { .. }
            | Self::Cosine { .. }
            | Self::ByPassRate(_) => {}
        }
    }
}

/// Uses `from` until the measured pass@k has not risen for `patience` measurements, then `to`
/// permanently.
///
/// ```
/// use bestof_estimators::{KSchedule, UntilStall};
///
/// let mut schedule = UntilStall::new(8, 1, 2, 0.01)?;
/// for (measured, k) in [(0.30, 8), (0.40, 8), (0.405, 8), (0.39, 1), (0.60, 1)] {
///     schedule.observe(measured);
///     assert_eq!(schedule.k(0), k);
/// }
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct UntilStall {
    from: NonZeroUsize,
    to: NonZeroUsize,
    patience: u32,
    #[cfg_attr(feature = "serde", serde(default))]
    min_gain: f64,
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    best: Option<f64>,
    #[cfg_attr(feature = "serde", serde(default))]
    stalled_for: u32,
}

impl UntilStall {
    /// A measurement counts as a rise when it exceeds the best so far by more than `min_gain`.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn new(
        from: usize,
        to: usize,
        patience: u32,
        min_gain: f64,
    ) -> Result<Self, EstimatorError> {
        let (from, to) = (non_zero(from)?, non_zero(to)?);
        Ok(Self { from, to, patience, min_gain, best: None, stalled_for: 0 })
    }

    fn has_stalled(&self) -> bool {
        self.best.is_some() && self.stalled_for >= self.patience
    }
}

impl KSchedule for UntilStall {
    fn k(&self, _step: u64) -> usize {
        (if self.has_stalled() { self.to } else { self.from }).get()
    }

    fn observe(&mut self, pass_at_k: f64) {
        if !pass_at_k.is_finite() || self.has_stalled() {
            return;
        }
        if self.best.is_none_or(|best| pass_at_k > best + self.min_gain) {
            self.best = Some(pass_at_k);
            self.stalled_for = 0;
        } else {
            self.stalled_for = self.stalled_for.saturating_add(1);
        }
    }
}

/// Uses `from` until a measured pass@k reaches `threshold`, then `to` permanently.
///
/// ```
/// use bestof_estimators::{KSchedule, UntilThreshold};
///
/// let mut schedule = UntilThreshold::new(8, 1, 0.9)?;
/// for (measured, k) in [(0.5, 8), (0.9, 1), (0.2, 1)] {
///     schedule.observe(measured);
///     assert_eq!(schedule.k(0), k);
/// }
/// # Ok::<(), bestof_estimators::EstimatorError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct UntilThreshold {
    from: NonZeroUsize,
    to: NonZeroUsize,
    threshold: f64,
    #[cfg_attr(feature = "serde", serde(default))]
    reached: bool,
}

impl UntilThreshold {
    /// The switch happens at the first measurement of at least `threshold`.
    ///
    /// # Errors
    /// `ZeroK`.
    pub fn new(from: usize, to: usize, threshold: f64) -> Result<Self, EstimatorError> {
        Ok(Self { from: non_zero(from)?, to: non_zero(to)?, threshold, reached: false })
    }
}

impl KSchedule for UntilThreshold {
    fn k(&self, _step: u64) -> usize {
        (if self.reached { self.to } else { self.from }).get()
    }

    fn observe(&mut self, pass_at_k: f64) {
        self.reached |= pass_at_k.is_finite() && pass_at_k >= self.threshold;
    }
}

const EIGHT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

fn non_zero(k: usize) -> Result<NonZeroUsize, EstimatorError> {
    NonZeroUsize::new(k).ok_or(EstimatorError::ZeroK)
}

/// The completed fraction of the ramp from `start` to `end`, 0 to 1; a ramp without length is a
/// switch at `start`.
fn progress(step: u64, start: u64, end: u64) -> f64 {
    if step >= end.max(start) {
        return 1.0;
    }
    step.saturating_sub(start) as f64 / end.saturating_sub(start).max(1) as f64
}

/// The integer nearest to the fraction `t` of the way from `from` to `to`; halves round up.
fn between(from: NonZeroUsize, to: NonZeroUsize, t: f64) -> usize {
    let (from, to) = (from.get() as f64, to.get() as f64);
    (from + (to - from) * t + 0.5) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramps_start_and_end_where_they_should_and_are_monotonic() {
        for schedule in [Schedule::linear(16, 1, 10, 110), Schedule::cosine(16, 1, 10, 110)] {
            let schedule = schedule.unwrap();
            assert_eq!((schedule.k(0), schedule.k(10)), (16, 16));
            assert_eq!((schedule.k(110), schedule.k(u64::MAX)), (1, 1));
            assert!((10..110).all(|step| schedule.k(step + 1) <= schedule.k(step)));
            assert!((1..=16).all(|k| (0..=110).any(|step| schedule.k(step) == k)));
        }
    }

    #[test]
    fn ramps_pass_through_known_points() {
        let linear = Schedule::linear(1, 9, 0, 8).unwrap();
        assert!((0..=8).all(|step| linear.k(step) == step as usize + 1));
        let cosine = Schedule::cosine(101, 1, 0, 6).unwrap();
        // 1 + 50 (1 + cos(pi t)) at t = 1/6, 1/3, 1/2, 2/3.
        assert_eq!((cosine.k(1), cosine.k(2), cosine.k(3), cosine.k(4)), (94, 76, 51, 26));
    }

    #[test]
    fn ramps_without_length_are_switches() {
        for (start, end) in [(5, 5), (5, 3)] {
            let schedule = Schedule::linear(4, 2, start, end).unwrap();
            assert_eq!((schedule.k(4), schedule.k(5)), (4, 2));
        }
    }

    #[test]
    fn zero_is_refused_everywhere() {
        assert_eq!(Schedule::constant(0), Err(EstimatorError::ZeroK));
        assert_eq!(Schedule::step(8, 0, 1), Err(EstimatorError::ZeroK));
        assert_eq!(UntilStall::new(0, 1, 1, 0.0), Err(EstimatorError::ZeroK));
        assert_eq!(UntilThreshold::new(1, 0, 0.0), Err(EstimatorError::ZeroK));
    }

    #[test]
    fn measurements_that_are_not_finite_change_nothing() {
        let mut stall = UntilStall::new(4, 1, 1, 0.0).unwrap();
        let mut threshold = UntilThreshold::new(4, 1, 0.5).unwrap();
        for measured in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            stall.observe(measured);
            threshold.observe(measured);
        }
        assert_eq!((stall.k(0), threshold.k(0)), (4, 4));
    }

    #[cfg(feature = "serde")]
    #[test]
    fn files_round_trip_with_what_was_measured() {
        let text = r#"{"kind":"until-stall","from":8,"to":1,"patience":2,"min_gain":0.01}"#;
        let mut schedule: Schedule = serde_json::from_str(text).unwrap();
        for measured in [0.5, 0.5, 0.4] {
            let saved = serde_json::to_string(&schedule).unwrap();
            schedule = serde_json::from_str(&saved).unwrap();
            schedule.observe(measured);
        }
        assert_eq!(schedule.k(0), 1);
        let paper: Schedule =
            serde_json::from_str(r#"{"kind":"step","from":8,"to":1,"at":1500}"#).unwrap();
        assert_eq!(paper, Schedule::paper());
        for wrong in [
            r#"{"kind":"constant","k":0}"#,
            r#"{"kind":"constant","k":1,"at":2}"#,
            r#"{"kind":"until-threshold","from":8,"to":1,"treshold":0.5}"#,
        ] {
            assert!(serde_json::from_str::<Schedule>(wrong).is_err(), "{wrong}");
        }
    }
}
