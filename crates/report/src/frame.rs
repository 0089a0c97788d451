//! The frame of a plot: its size on the page, its axes, grid and labels.

use std::fmt::Write as _;

use crate::axis::Axis;
use crate::html::{Html, esc};

pub(crate) const WIDTH: f64 = 580.0;
pub(crate) const HEIGHT: f64 = 270.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 18.0;
const BOTTOM: f64 = 42.0;
/// Width of a digit of the tick labels.
const DIGIT: f64 = 6.9;

/// Axes and margins of a plot: turns values into coordinates on the page.
#[derive(Debug)]
pub(crate) struct Frame {
    x: Axis,
    y: Axis,
    left: f64,
}

impl Frame {
    pub(crate) fn new(x: Axis, y: Axis) -> Self {
        let longest = y.ticks.iter().map(|(_, label)| label.chars().count()).max().unwrap_or(1);
        Self { x, y, left: 16.0 + DIGIT * longest as f64 }
    }

    pub(crate) fn left(&self) -> f64 {
        self.left
    }

    pub(crate) fn right() -> f64 {
        WIDTH - RIGHT
    }

    pub(crate) fn top() -> f64 {
        TOP
    }

    pub(crate) fn bottom() -> f64 {
        HEIGHT - BOTTOM
    }

    /// Horizontal coordinate of `x` on the page; `None` if it cannot be drawn.
    pub(crate) fn at_x(&self, x: f64) -> Option<f64> {
        self.x.position(x).map(|share| self.left + share * (Self::right() - self.left))
    }

    /// Vertical coordinate of `y` on the page, clamped when it lies far outside the axis; `None` if it
    /// cannot be drawn.
    pub(crate) fn at_y(&self, y: f64) -> Option<f64> {
        let height = Self::bottom() - TOP;
        self.y.position(y).map(|share| Self::bottom() - share.clamp(-1.0, 2.0) * height)
    }

    /// Opens the drawing: grid, ticks and axis label.
    pub(crate) fn open(&self, title: &str, x_label: &str, out: &mut Html) {
        out.put(format_args!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n<g class=\"grid\">",
            esc(title)
        ));
        let (left, right, bottom) = (self.left, Self::right(), Self::bottom());
        for y in self.y.ticks.iter().filter_map(|(value, _)| self.at_y(*value)) {
            out.put(format_args!("<path d=\"M{left:.1} {y:.1}H{right:.1}\"/>"));
        }
        out.put(format_args!("</g>\n<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{right:.1}"));
        for x in self.x.ticks.iter().filter_map(|(value, _)| self.at_x(*value)) {
            out.put(format_args!("M{x:.1} {bottom:.1}v5"));
        }
        out.put(format_args!("\"/>\n<g class=\"ticks y\">"));
        for (value, label) in &self.y.ticks {
            if let Some(y) = self.at_y(*value) {
                let (x, y) = (left - 8.0, y + 4.0);
                out.put(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", esc(label)));
            }
        }
        out.put(format_args!("</g>\n<g class=\"ticks x\">"));
        let y = bottom + 18.0;
        for (value, label) in &self.x.ticks {
            if let Some(x) = self.at_x(*value) {
                out.put(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", esc(label)));
            }
        }
        let (x, y) = (f64::midpoint(left, right), HEIGHT - 6.0);
        out.put(format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text></g>\n", esc(x_label)));
    }

    /// A path through `points`, or nothing when none can be drawn.
    pub(crate) fn path(&self, points: &[(f64, f64)]) -> Option<String> {
        let mut path = String::new();
        for (x, y) in points.iter().filter_map(|&(x, y)| Some((self.at_x(x)?, self.at_y(y)?))) {
            path.push(if path.is_empty() { 'M' } else { ' ' });
            // Writing to a string cannot fail.
            let _ = write!(path, "{x:.1} {y:.1}");
        }
        (!path.is_empty()).then_some(path)
    }
}

/// Class and, past the palette, inline style that colour an element.
pub(crate) fn tint(index: usize) -> String {
    const PALETTE: usize = 8;
    if index < PALETTE {
        return format!("s{index}");
    }
    // The golden angle keeps further hues apart.
    let hue = (index - PALETTE) as f64 * 137.508 % 360.0;
    format!("sx\" style=\"--c:hsl({hue:.0} 60% 52%)")
}
