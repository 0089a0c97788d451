//! 95 % intervals: Wilson's for shares, the bootstrap for everything else.

use bestof_tasks::rng::SeededRng;
use serde::{Deserialize, Serialize};

/// Default number of resamples of a bootstrap.
pub(crate) const RESAMPLES: usize = 1000;

/// 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The value.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// Wilson's score interval of a share of `hits` in `n`; 0 to 1 without rows.
///
/// ```
/// use bestof_sentiment::metrics::wilson;
///
/// let share = wilson(8, 10);
/// assert_eq!(share.value, 0.8);
/// assert!((share.low - 0.4902).abs() < 1e-4 && (share.high - 0.9433).abs() < 1e-4);
/// ```
pub fn wilson(hits: u64, n: u64) -> Interval {
    if n == 0 {
        return Interval { value: 0.0, low: 0.0, high: 1.0 };
    }
    let n = n as f64;
    let share = hits as f64 / n;
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    Interval {
        value: share,
        low: ((centre - half) / whole).max(0.0),
        high: ((centre + half) / whole).min(1.0),
    }
}

/// Percentile bootstrap: `metric` of all `n` rows, with its 2.5 % and 97.5 % quantiles over `resamples`
/// samples of `n` rows with replacement. `metric` takes the indices of the rows.
///
/// Equal seeds give equal bounds.
pub(super) fn bootstrap(
    n: usize,
    resamples: usize,
    seed: u64,
    mut metric: impl FnMut(&[u32]) -> f64,
) -> Interval {
    let mut rows: Vec<u32> = (0..n as u32).collect();
    let value = metric(&rows);
    if n == 0 || resamples == 0 {
        return Interval { value, low: value, high: value };
    }
    let mut draw = SeededRng::new(seed, 0);
    let mut drawn: Vec<f64> = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        rows.fill_with(|| draw.index(n) as u32);
        drawn.push(metric(&rows));
    }
    drawn.sort_by(f64::total_cmp);
    Interval { value, low: quantile(&drawn, 0.025), high: quantile(&drawn, 0.975) }
}

/// Linear interpolation between the order statistics of `sorted`, which has at least one entry.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let part = position - below as f64;
    sorted[below] * (1.0 - part) + sorted[above] * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_at_the_ends() {
        assert_eq!(wilson(0, 20).low, 0.0);
        assert_eq!(wilson(20, 20).high, 1.0);
        // Of 20 misses: z^2 / (n + z^2).
        assert!((wilson(0, 20).high - Z * Z / (20.0 + Z * Z)).abs() < 1e-12);
        assert_eq!(wilson(0, 0).high, 1.0);
    }

    #[test]
    fn bootstrap_of_a_mean_is_near_the_normal_interval() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let mean = |rows: &[u32]| {
            rows.iter().map(|&r| values[r as usize]).sum::<f64>() / rows.len() as f64
        };
        let found = bootstrap(values.len(), 2000, 3, mean);
        // Population deviation of 0..20 is sqrt((400 - 1) / 12).
        let half = Z * (399.0_f64 / 12.0).sqrt() / 20.0;
        assert!((found.value - 9.5).abs() < 1e-12);
        assert!((found.low - (9.5 - half)).abs() < 0.1 && (found.high - (9.5 + half)).abs() < 0.1);
        assert_eq!(found, bootstrap(values.len(), 2000, 3, mean));
        assert_ne!(found, bootstrap(values.len(), 2000, 4, mean));
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.5), 3.0);
        assert!((quantile(&[0.0, 10.0], 0.25) - 2.5).abs() < 1e-12);
        assert_eq!(quantile(&[7.0], 0.9), 7.0);
    }
}
