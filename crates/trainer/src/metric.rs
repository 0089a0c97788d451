//! Sums of metrics over rows, micro-batches, ranks and steps, turned into means when they are written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Weighted sums by metric name.
///
/// ```
/// use bestof_trainer::metric::MetricSums;
///
/// let mut sums = MetricSums::default();
/// sums.add("loss", 3.0, 2.0);
/// sums.add("loss", 1.0, 2.0);
/// assert_eq!(sums.mean("loss"), Some(1.0));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricSums(BTreeMap<String, (f64, f64)>);

impl MetricSums {
    /// Adds a sum over items of this total weight.
    pub fn add(&mut self, name: &str, sum: f64, weight: f64) {
        if let Some((total, weights)) = self.0.get_mut(name) {
            *total += sum;
            *weights += weight;
        } else {
            self.0.insert(name.to_owned(), (sum, weight));
        }
    }

    /// Adds one item's value.
    pub fn observe(&mut self, name: &str, value: f64) {
        self.add(name, value, 1.0);
    }

    /// Adds all sums of another.
    pub fn merge(&mut self, other: &Self) {
        for (name, (sum, weight)) in &other.0 {
            self.add(name, *sum, *weight);
        }
    }

    /// The mean of a metric; `None` if nothing was added to it.
    pub fn mean(&self, name: &str) -> Option<f64> {
        self.0.get(name).map(|(sum, weight)| sum / weight)
    }

    /// Names, sorted, with their means.
    pub fn means(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, (sum, weight))| (name.as_str(), sum / weight))
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets one metric.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
