//! How long the rest of a study will take.

use std::time::Duration;

/// Costs of what is done and what is to do, in any unit, and the time that the first part took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    done: f64,
    left: f64,
}

impl Pace {
    /// Everything is to do.
    pub(super) fn new(costs: impl IntoIterator<Item = f64>) -> Self {
        Self { done: 0.0, left: costs.into_iter().sum() }
    }

    /// Something is done.
    pub(super) fn done(&mut self, cost: f64) {
        self.done += cost;
        self.left = (self.left - cost).max(0.0);
    }

    /// The time left at the pace since the start, in words.
    pub(super) fn left(&self, since: Duration) -> String {
        if self.done <= 0.0 {
            return "time left unknown".to_owned();
        }
        let seconds = since.as_secs_f64() * self.left / self.done;
        if seconds < 90.0 {
            format!("{seconds:.0} s left")
        } else {
            format!("{:.0} min left", seconds / 60.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_the_costs() {
        let mut pace = Pace::new([60.0, 2.0, 2.0]);
        assert_eq!(pace.left(Duration::from_secs(5)), "time left unknown");
        pace.done(2.0);
        assert_eq!(pace.left(Duration::from_secs(10)), "5 min left");
        pace.done(60.0);
        assert_eq!(pace.left(Duration::from_secs(620)), "20 s left");
    }
}
