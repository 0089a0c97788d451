//! The learning rate at every step, in closed form: nothing to save, nothing to restore.

use serde::{Deserialize, Serialize};

/// How the learning rate moves after warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchedulerType {
    /// Stays, without warm-up.
    Constant,
    /// Stays after warm-up.
    ConstantWithWarmup,
    /// Falls on a straight line to zero.
    #[default]
    Linear,
    /// Falls along half a cosine to zero.
    Cosine,
}

/// What a [`Schedule`] is made of before the number of steps is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScheduleSettings {
    /// Shape after warm-up.
    pub kind: SchedulerType,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Steps that warm up.
    pub warmup_steps: u64,
    /// Share of the steps that warm up, in `[0, 1]`; used when `warmup_steps` is 0.
    pub warmup_ratio: f64,
}

impl Default for ScheduleSettings {
    /// From 5e-5 on a straight line to zero, without warm-up.
    fn default() -> Self {
        Self {
            kind: SchedulerType::default(),
            learning_rate: 5e-5,
            warmup_steps: 0,
            warmup_ratio: 0.0,
        }
    }
}

impl ScheduleSettings {
    /// The schedule over `total_steps`: it warms up for `warmup_steps` if above 0, else for
    /// `ceil(warmup_ratio · total_steps)`.
    pub fn over(&self, total_steps: u64) -> Schedule {
        let warmup_steps = if self.warmup_steps > 0 {
            self.warmup_steps
        } else {
            (self.warmup_ratio * total_steps as f64).ceil() as u64
        };
        Schedule::new(self.kind, self.learning_rate, warmup_steps, total_steps)
    }
}

/// Learning rate as a function of the step.
///
/// With `w` warm-up steps of `n`, step `t` counted from 0:
/// ```text
/// t < w:   lr · t / w                                        (not for `constant`)
/// else:    lr                                                constant, constant_with_warmup
///          lr · (n - t) / (n - w)                            linear
///          lr · (1 + cos(π (t - w) / (n - w))) / 2           cosine
/// ```
/// These are the formulas of `transformers`' schedulers of the same names.
///
/// ```
/// use bestof_trainer::schedule::{Schedule, SchedulerType};
///
/// let schedule = Schedule::new(SchedulerType::Linear, 1.0, 2, 10);
/// assert_eq!(schedule.learning_rate(1), 0.5);
/// assert_eq!(schedule.learning_rate(2), 1.0);
/// assert_eq!(schedule.learning_rate(6), 0.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    kind: SchedulerType,
    peak: f64,
    warmup_steps: u64,
    total_steps: u64,
}

impl Schedule {
    /// A schedule with its highest rate, warm-up steps and number of steps.
    pub fn new(kind: SchedulerType, peak: f64, warmup_steps: u64, total_steps: u64) -> Self {
        let warmup_steps = match kind {
            SchedulerType::Constant => 0,
            _ => warmup_steps,
        };
        Self { kind, peak, warmup_steps, total_steps }
    }

    /// Learning rate of step `step`, counted from 0.
    pub fn learning_rate(&self, step: u64) -> f64 {
        self.peak * self.multiplier(step)
    }

    fn multiplier(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps as f64;
        }
        let left = self.total_steps.saturating_sub(step) as f64;
        let length = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        match self.kind {
            SchedulerType::Constant | SchedulerType::ConstantWithWarmup => 1.0,
            SchedulerType::Linear => left / length,
            SchedulerType::Cosine => {
                let done = 1.0 - left / length;
                0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(kind: SchedulerType, warmup: u64, total: u64) -> Vec<f64> {
        let schedule = Schedule::new(kind, 2.0, warmup, total);
        (0..=total).map(|t| schedule.learning_rate(t)).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-12, "{found:?} against {expected:?}");
        }
    }

    #[test]
    fn constant_ignores_warm_up() {
        close(&rates(SchedulerType::Constant, 3, 4), &[2.0; 5]);
    }

    #[test]
    fn constant_with_warm_up() {
        close(&rates(SchedulerType::ConstantWithWarmup, 2, 4), &[0.0, 1.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn linear_reaches_zero_at_the_end() {
        close(&rates(SchedulerType::Linear, 1, 5), &[0.0, 2.0, 1.5, 1.0, 0.5, 0.0]);
        close(&rates(SchedulerType::Linear, 0, 4), &[2.0, 1.5, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn cosine_passes_through_known_angles() {
        // Angles 0, 60, 90, 120 and 180 degrees lie at 0, 1/3, 1/2, 2/3 and 1 of the way.
        let schedule = Schedule::new(SchedulerType::Cosine, 2.0, 4, 10);
        close(&[4, 6, 7, 8, 10].map(|t| schedule.learning_rate(t)), &[2.0, 1.5, 1.0, 0.5, 0.0]);
    }

    #[test]
    fn degenerate_lengths_stay_finite() {
        for kind in
            [SchedulerType::Linear, SchedulerType::Cosine, SchedulerType::ConstantWithWarmup]
        {
            for (warmup, total) in [(0, 0), (5, 5), (7, 3), (0, 1)] {
                let schedule = Schedule::new(kind, 1.0, warmup, total);
                for step in 0..12 {
                    let rate = schedule.learning_rate(step);
                    assert!((0.0..=1.0).contains(&rate), "{kind:?} {warmup} {total} {step}");
                }
            }
        }
    }

    #[test]
    fn the_ratio_rounds_up_and_steps_win() {
        let mut settings = ScheduleSettings {
            warmup_ratio: 0.1,
            learning_rate: 1.0,
            ..ScheduleSettings::default()
        };
        assert_eq!(settings.over(11).warmup_steps, 2);
        settings.warmup_steps = 5;
        assert_eq!(settings.over(11).warmup_steps, 5);
    }
}
