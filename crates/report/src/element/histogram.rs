//! Bars of counts.

use std::collections::BTreeMap;

use crate::axis::{Axis, AxisOptions, Scale};
use crate::frame::{Frame, tint};
use crate::html::{Html, esc};
use crate::number::format_number;

const MOST_BARS: u64 = 40;

/// How many things have which whole-number size.
///
/// Few sizes get a bar each; many are gathered into at most forty bars of equal width.
#[derive(Debug, Clone)]
pub struct Histogram {
    title: String,
    x_label: String,
    counts: BTreeMap<u64, u64>,
    tint: usize,
}

impl Histogram {
    /// A histogram of `counts`: size to number of things of that size.
    pub fn new(
        title: impl Into<String>,
        x_label: impl Into<String>,
        counts: impl IntoIterator<Item = (u64, u64)>,
    ) -> Self {
        let mut histogram =
            Self { title: title.into(), x_label: x_label.into(), counts: BTreeMap::new(), tint: 0 };
        for (size, count) in counts {
            let sum = histogram.counts.entry(size).or_default();
            *sum = sum.saturating_add(count);
        }
        histogram
    }

    /// The histogram in colour `index` of the palette.
    #[must_use]
    pub fn tint(mut self, index: usize) -> Self {
        self.tint = index;
        self
    }

    /// First size, width in sizes and count of each bar.
    fn bars(&self) -> Vec<(u64, u64, u64)> {
        let (Some((&low, _)), Some((&high, _))) =
            (self.counts.first_key_value(), self.counts.last_key_value())
        else {
            return Vec::new();
        };
        let width = ((high - low) / MOST_BARS).saturating_add(1);
        let mut bars: BTreeMap<u64, u64> = BTreeMap::new();
        for (&size, &count) in &self.counts {
            let sum = bars.entry((size - low) / width).or_default();
            *sum = sum.saturating_add(count);
        }
        bars.into_iter().map(|(bar, count)| (low + bar * width, width, count)).collect()
    }

    pub(crate) fn render(&self, out: &mut Html) {
        out.put(format_args!(
            "<figure class=\"plot\"><figcaption>{}</figcaption>",
            esc(&self.title)
        ));
        let bars = self.bars();
        let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
            out.put(format_args!("<p class=\"remark\">nothing was counted</p></figure>\n"));
            return;
        };
        // A bar of one size is centred over it.
        let shift = if first.1 == 1 { 0.5 } else { 0.0 };
        let ends = [first.0 as f64 - shift, last.0 as f64 + last.1 as f64 - shift];
        let options = AxisOptions {
            scale: Scale::Linear,
            round_out: false,
            whole: true,
            percent: false,
            ticks: 8,
        };
        let counts = bars.iter().map(|(.., count)| *count as f64);
        let frame = Frame::new(
            Axis::new(ends.into_iter(), options),
            Axis::new(counts.chain([0.0]), AxisOptions { round_out: true, ticks: 5, ..options }),
        );
        frame.open(&self.title, &self.x_label, out);
        for (start, width, count) in bars {
            let (from, to) = (start as f64 - shift, start as f64 + width as f64 - shift);
            let (Some(x), Some(end), Some(y)) =
                (frame.at_x(from), frame.at_x(to), frame.at_y(count as f64))
            else {
                continue;
            };
            let gap = ((end - x) * 0.12).min(2.0);
            let sizes = if width == 1 {
                format_number(start as f64)
            } else {
                let last = start.saturating_add(width - 1);
                format!("{} to {}", format_number(start as f64), format_number(last as f64))
            };
            out.put(format_args!(
                "<rect class=\"bar {}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"1.5\"><title>{} {sizes}: {}</title></rect>\n",
                tint(self.tint),
                x + gap,
                (end - x - 2.0 * gap).max(0.5),
                (Frame::bottom() - y).max(0.0),
                esc(&self.x_label),
                format_number(count as f64),
            ));
        }
        out.put(format_args!("</svg></figure>\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_hold_every_count_once() {
        let narrow = Histogram::new("d", "edit distance", [(1, 5), (3, 2), (1, 1)]);
        assert_eq!(narrow.bars(), [(1, 1, 6), (3, 1, 2)]);
        let wide = Histogram::new("d", "edit distance", (0..1000).map(|size| (size, 1)));
        let bars = wide.bars();
        assert!(bars.len() <= MOST_BARS as usize + 1);
        assert_eq!(bars.iter().map(|bar| bar.2).sum::<u64>(), 1000);
        assert!(Histogram::new("d", "x", []).bars().is_empty());
        assert_eq!(Histogram::new("d", "x", [(0, 1), (u64::MAX, u64::MAX)]).bars().len(), 2);
    }
}
