//! A curve of a plot.

use crate::curve::smoothed;

/// One curve of a [`Plot`](super::Plot).
#[derive(Debug, Clone)]
pub struct Series {
    pub(super) label: String,
    pub(super) points: Vec<(f64, f64)>,
    pub(super) band: Vec<(f64, f64, f64)>,
    pub(super) tint: Option<usize>,
    pub(super) dashed: bool,
    pub(super) marked: bool,
    pub(super) smoothing: Option<f64>,
    pub(super) unlisted: bool,
}

impl Series {
    /// A plain curve through `points`, which are in the order of x.
    pub fn new(label: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            label: label.into(),
            points,
            band: Vec::new(),
            tint: None,
            dashed: false,
            marked: false,
            smoothing: None,
            unlisted: false,
        }
    }

    /// The curve in colour `index` of the palette instead of the next free one.
    #[must_use]
    pub fn tint(mut self, index: usize) -> Self {
        self.tint = Some(index);
        self
    }

    /// The curve dashed, as references are.
    #[must_use]
    pub fn dashed(mut self) -> Self {
        self.dashed = true;
        self
    }

    /// The curve with a mark on each point, as evaluations have.
    #[must_use]
    pub fn marked(mut self) -> Self {
        self.marked = true;
        self
    }

    /// The curve as a thick moving average (weight in `[0, 1)` on the past) over thin raw values.
    #[must_use]
    pub fn smoothed(mut self, weight: f64) -> Self {
        self.smoothing = Some(weight);
        self
    }

    /// The curve without an entry of its own in the legend.
    #[must_use]
    pub fn unlisted(mut self) -> Self {
        self.unlisted = true;
        self
    }

    /// The curve with a band of `(x, low, high)` around it, such as a confidence interval.
    #[must_use]
    pub fn band(mut self, band: Vec<(f64, f64, f64)>) -> Self {
        self.band = band;
        self
    }

    /// The line that is drawn thick: the moving average where there is one.
    pub(super) fn main_line(&self) -> Vec<(f64, f64)> {
        match self.smoothing {
            Some(weight) => smoothed(&self.points, weight),
            None => self.points.clone(),
        }
    }

    /// Points that cannot be drawn.
    pub(super) fn broken_at(&self) -> impl Iterator<Item = (f64, f64)> {
        self.points.iter().copied().filter(|(_, y)| !y.is_finite())
    }
}

/// The point of `line` with the x nearest to `x`.
pub(super) fn nearest(line: &[(f64, f64)], x: f64) -> Option<(f64, f64)> {
    let after = line.partition_point(|point| point.0 < x);
    let candidates = [after.checked_sub(1), Some(after)];
    candidates
        .into_iter()
        .flatten()
        .filter_map(|i| line.get(i).copied())
        .min_by(|a, b| (a.0 - x).abs().total_cmp(&(b.0 - x).abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_point_is_found_on_both_sides() {
        let line = [(0.0, 1.0), (10.0, 2.0)];
        assert_eq!(nearest(&line, 4.0), Some((0.0, 1.0)));
        assert_eq!(nearest(&line, 6.0), Some((10.0, 2.0)));
        assert_eq!(nearest(&line, 99.0), Some((10.0, 2.0)));
        assert_eq!(nearest(&[], 1.0), None);
    }
}
