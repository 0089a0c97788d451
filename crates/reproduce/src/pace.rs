//! How long the rest of a study will take.

use std::time::Duration;

/// Costs of what is done and of what is to do, in any one unit.
///
/// ```
/// use std::time::Duration;
///
/// use bestof_reproduce::Pace;
///
/// let mut pace = Pace::new([5.0, 5.0, 20.0]);
/// pace.skip(5.0); // found done
/// pace.done(5.0);
/// assert_eq!(pace.left(Duration::from_secs(60)).unwrap(), "4 min");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    done: f64,
    left: f64,
}

impl Pace {
    /// Everything is to do.
    pub fn new(costs: impl IntoIterator<Item = f64>) -> Self {
        Self { done: 0.0, left: costs.into_iter().sum() }
    }

    /// Something is done.
    pub fn done(&mut self, cost: f64) {
        self.done += cost;
        self.skip(cost);
    }

    /// Something needs no doing.
    pub fn skip(&mut self, cost: f64) {
        self.left = (self.left - cost).max(0.0);
    }

    /// The time left, in words, at the pace of what is done, which `took` so long; `None` as long as
    /// nothing is, and where nothing is left.
    pub fn left(&self, took: Duration) -> Option<String> {
        if self.done <= 0.0 || self.left <= 0.0 {
            return None;
        }
        let seconds = took.as_secs_f64() * self.left / self.done;
        Some(match seconds {
            seconds if seconds < 90.0 => format!("{seconds:.0} s"),
            seconds if seconds < 90.0 * 60.0 => format!("{:.0} min", seconds / 60.0),
            seconds => format!("{:.1} hours", seconds / 3600.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_the_costs() {
        let mut pace = Pace::new([60.0, 2.0, 2.0, 8.0]);
        let left = |pace: &Pace, seconds| pace.left(Duration::from_secs(seconds));
        assert_eq!(left(&pace, 5), None, "nothing is done");
        pace.skip(8.0);
        pace.done(2.0);
        assert_eq!(left(&pace, 10).unwrap(), "5 min");
        assert_eq!(left(&pace, 1000).unwrap(), "8.6 hours");
        pace.done(60.0);
        assert_eq!(left(&pace, 620).unwrap(), "20 s");
        pace.done(2.0);
        assert_eq!(left(&pace, 640), None, "nothing is left");
    }
}
