//! Curves over an axis, with raw values, smoothing, bands, references and readings on hover.

use super::series::{Series, nearest};
use crate::axis::{Axis, AxisOptions, Scale};
use crate::curve::thinned;
use crate::frame::{Frame, tint};
use crate::html::{Html, esc};
use crate::number::{format_number, format_percent};

/// Points a line is thinned to.
const MOST_POINTS: usize = 600;
/// Series with no more points than this show each of them.
const MOST_DOTS: usize = 40;
/// A logarithmic axis with at most this many distinct values labels each of them.
const MOST_NAMED: usize = 8;
/// Columns that show their values on hover.
const READINGS: usize = 48;

/// Curves over a common axis.
///
/// ```
/// use bestof_report::{Plot, Report, Section, Series};
///
/// let loss = Series::new("loss", vec![(1.0, 0.69), (2.0, 0.5), (3.0, 0.4)]).smoothed(0.6);
/// let plot = Plot::new("Loss").x_label("step").series(loss).reference("chance", 0.6931);
/// let page = Report::new("A run").section(Section::new("Curves").element(plot)).to_html();
/// assert!(page.contains("<svg"));
/// ```
#[derive(Debug, Clone)]
pub struct Plot {
    title: String,
    x_label: String,
    x_scale: Scale,
    y_scale: Scale,
    percent: bool,
    series: Vec<Series>,
    references: Vec<(String, f64)>,
    marks: Option<String>,
}

impl Plot {
    /// A plot without curves over steps.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            x_label: "step".into(),
            x_scale: Scale::Linear,
            y_scale: Scale::Linear,
            percent: false,
            series: Vec::new(),
            references: Vec::new(),
            marks: None,
        }
    }

    /// The plot with this word under its horizontal axis.
    #[must_use]
    pub fn x_label(mut self, label: impl Into<String>) -> Self {
        self.x_label = label.into();
        self
    }

    /// The plot with this scale of its horizontal axis.
    #[must_use]
    pub fn x_scale(mut self, scale: Scale) -> Self {
        self.x_scale = scale;
        self
    }

    /// The plot with this scale of its vertical axis.
    #[must_use]
    pub fn y_scale(mut self, scale: Scale) -> Self {
        self.y_scale = scale;
        self
    }

    /// The plot of shares, labelled as percentages.
    #[must_use]
    pub fn percent(mut self) -> Self {
        self.percent = true;
        self
    }

    /// The plot with one more curve; one without points is left out.
    #[must_use]
    pub fn series(mut self, series: Series) -> Self {
        if !series.points.is_empty() {
            self.series.push(series);
        }
        self
    }

    /// The plot with a dashed horizontal line at `y`.
    #[must_use]
    pub fn reference(mut self, label: impl Into<String>, y: f64) -> Self {
        self.references.push((label.into(), y));
        self
    }

    /// The plot with one legend entry for the marks of all its unlisted curves.
    #[must_use]
    pub fn marks_mean(mut self, label: impl Into<String>) -> Self {
        self.marks = Some(label.into());
        self
    }

    /// Whether there is no curve.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    fn tint_of(&self, index: usize) -> String {
        tint(self.series[index].tint.unwrap_or(index))
    }

    fn frame(&self) -> Frame {
        let xs = || {
            self.series.iter().flat_map(|series| {
                let band = series.band.iter().map(|(x, ..)| *x);
                series.points.iter().map(|(x, _)| *x).chain(band)
            })
        };
        let ys = self.series.iter().flat_map(|series| {
            let band = series.band.iter().flat_map(|(_, low, high)| [*low, *high]);
            series.points.iter().map(|(_, y)| *y).chain(band)
        });
        let ys = ys.chain(self.references.iter().map(|(_, y)| *y));
        let whole = xs().all(|x| x.fract() == 0.0);
        let x_options =
            AxisOptions { scale: self.x_scale, round_out: false, whole, percent: false, ticks: 7 };
        let y_options = AxisOptions {
            scale: self.y_scale,
            round_out: true,
            whole: false,
            percent: self.percent,
            ticks: 5,
        };
        let x = Axis::new(xs(), x_options);
        let mut measured: Vec<f64> = xs().filter(|x| x.is_finite()).collect();
        measured.sort_by(f64::total_cmp);
        measured.dedup();
        // A few measured lengths are better ticks than powers of ten.
        let x = if self.x_scale == Scale::Log && (2..=MOST_NAMED).contains(&measured.len()) {
            x.with_ticks(&measured)
        } else {
            x
        };
        Frame::new(x, Axis::new(ys, y_options))
    }

    fn reading(&self, value: f64) -> String {
        if self.percent { format_percent(value) } else { format_number(value) }
    }

    pub(crate) fn render(&self, out: &mut Html) {
        out.put(format_args!(
            "<figure class=\"plot\"><figcaption>{}</figcaption>",
            esc(&self.title)
        ));
        if self.series.iter().all(|series| series.points.is_empty()) {
            out.put(format_args!("<p class=\"remark\">nothing was measured</p></figure>\n"));
            return;
        }
        self.render_legend(out);
        let frame = self.frame();
        frame.open(&self.title, &self.x_label, out);
        for (label, y) in &self.references {
            if let Some(y) = frame.at_y(*y) {
                let (left, right) = (frame.left(), Frame::right());
                out.put(format_args!(
                    "<path class=\"reference\" d=\"M{left:.1} {y:.1}H{right:.1}\"><title>{}</title></path>\n",
                    esc(label)
                ));
            }
        }
        for index in 0..self.series.len() {
            self.render_raw(index, &frame, out);
        }
        let lines: Vec<_> = self.series.iter().map(Series::main_line).collect();
        for (index, line) in lines.iter().enumerate() {
            self.render_line(index, line, &frame, out);
        }
        self.render_readings(&lines, &frame, out);
        self.render_broken(&frame, out);
        out.put(format_args!("</svg></figure>\n"));
    }

    fn render_legend(&self, out: &mut Html) {
        if self.series.len() < 2 && self.references.is_empty() {
            return;
        }
        out.put(format_args!("<ul class=\"legend\">"));
        for (index, series) in self.series.iter().enumerate().filter(|(_, s)| !s.unlisted) {
            let kind = match (series.dashed, series.marked) {
                (true, _) => "dashed ",
                (false, true) => "marked ",
                (false, false) => "",
            };
            out.put(format_args!(
                "<li><i class=\"{kind}{}\"></i>{}</li>",
                self.tint_of(index),
                esc(&series.label)
            ));
        }
        if let Some(label) = &self.marks
            && self.series.iter().any(|series| series.marked && series.unlisted)
        {
            out.put(format_args!("<li><i class=\"marked ref\"></i>{}</li>", esc(label)));
        }
        for (label, _) in &self.references {
            out.put(format_args!("<li><i class=\"dashed ref\"></i>{}</li>", esc(label)));
        }
        out.put(format_args!("</ul>"));
    }

    /// Bands and unsmoothed values lie under every line.
    fn render_raw(&self, index: usize, frame: &Frame, out: &mut Html) {
        let series = &self.series[index];
        let colour = self.tint_of(index);
        let there = series.band.iter().map(|&(x, low, _)| (x, low));
        let back = series.band.iter().rev().map(|&(x, _, high)| (x, high));
        if let Some(path) = frame.path(&there.chain(back).collect::<Vec<_>>()) {
            out.put(format_args!("<path d=\"{path}Z\" class=\"band {colour}\"/>\n"));
        }
        if series.smoothing.is_some()
            && !series.dashed
            && let Some(path) = frame.path(&thinned(&series.points, MOST_POINTS))
        {
            out.put(format_args!("<path d=\"{path}\" class=\"raw {colour}\"/>\n"));
        }
    }

    fn render_line(&self, index: usize, line: &[(f64, f64)], frame: &Frame, out: &mut Html) {
        let series = &self.series[index];
        let colour = self.tint_of(index);
        let kind = match (series.dashed, series.marked) {
            (true, _) => " dashed",
            (false, true) => " light",
            (false, false) => "",
        };
        // A gap in the values is a gap in the line.
        for run in line.split(|(x, y)| !x.is_finite() || !y.is_finite()) {
            if let Some(path) = frame.path(&thinned(run, MOST_POINTS)) {
                out.put(format_args!("<path d=\"{path}\" class=\"line{kind} {colour}\"/>\n"));
            }
        }
        if (series.marked || line.len() == 1) && line.len() <= MOST_DOTS {
            for &(x, y) in line {
                if let (Some(x), Some(y)) = (frame.at_x(x), frame.at_y(y)) {
                    out.put(format_args!(
                        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" class=\"dot {colour}\"/>"
                    ));
                }
            }
        }
    }

    /// Invisible columns that on hover show a guide, the points within and their values.
    fn render_readings(&self, lines: &[Vec<(f64, f64)>], frame: &Frame, out: &mut Html) {
        let longest = lines.iter().max_by_key(|line| line.len());
        let Some(xs) = longest else { return };
        let columns = xs.len().min(READINGS);
        let stops: Vec<f64> = (0..columns)
            .map(|i| xs[(i * (xs.len() - 1)).checked_div(columns - 1).unwrap_or(0)].0)
            .collect();
        out.put(format_args!("<g class=\"readings\">\n"));
        for (i, &stop) in stops.iter().enumerate() {
            let halfway = |other: usize| stops.get(other).map(|x| f64::midpoint(*x, stop));
            let from = i.checked_sub(1).and_then(halfway);
            let to = halfway(i + 1);
            let within = |(x, _): &(f64, f64)| {
                from.is_none_or(|from| *x >= from) && to.is_none_or(|to| *x <= to)
            };
            let points = lines.iter().map(|line| nearest(line, stop).filter(within));
            self.render_reading(stop, (from, to), &points.collect::<Vec<_>>(), frame, out);
        }
        out.put(format_args!("</g>\n"));
    }

    fn render_reading(
        &self,
        stop: f64,
        (from, to): (Option<f64>, Option<f64>),
        points: &[Option<(f64, f64)>],
        frame: &Frame,
        out: &mut Html,
    ) {
        let Some(at) = frame.at_x(stop) else { return };
        let start = from.and_then(|x| frame.at_x(x)).unwrap_or(frame.left());
        let end = to.and_then(|x| frame.at_x(x)).unwrap_or(Frame::right());
        let (top, height) = (Frame::top(), Frame::bottom() - Frame::top());
        out.put(format_args!("<g><title>{} {}", esc(&self.x_label), format_number(stop)));
        for (series, point) in self.series.iter().zip(points) {
            if let Some((_, y)) = point {
                out.put(format_args!("\n{}: {}", esc(&series.label), self.reading(*y)));
            }
        }
        out.put(format_args!(
            "</title><rect x=\"{start:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{height}\"/>\
             <path d=\"M{at:.1} {top}v{height}\"/>",
            (end - start).max(0.0),
        ));
        for (index, point) in points.iter().enumerate() {
            if let Some((x, y)) = point.and_then(|(x, y)| Some((frame.at_x(x)?, frame.at_y(y)?))) {
                let colour = self.tint_of(index);
                out.put(format_args!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" class=\"{colour}\"/>"
                ));
            }
        }
        out.put(format_args!("</g>\n"));
    }

    /// Crosses where a value was not finite, above everything that answers to the pointer.
    fn render_broken(&self, frame: &Frame, out: &mut Html) {
        for series in &self.series {
            for (x, y) in series.broken_at().take(MOST_DOTS) {
                let Some(at) = frame.at_x(x) else { continue };
                out.put(format_args!(
                    "<path class=\"broken\" d=\"M{:.1} {:.1}l8 8m0 -8l-8 8\"><title>{}: {} at {} {x}</title></path>\n",
                    at - 4.0,
                    Frame::bottom() - 12.0,
                    esc(&series.label),
                    format_number(y),
                    esc(&self.x_label),
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(plot: &Plot) -> String {
        let mut out = Html::default();
        plot.render(&mut out);
        out.into_string()
    }

    #[test]
    fn a_long_curve_stays_small() {
        let points: Vec<_> = (0..100_000).map(|i| (f64::from(i), f64::from(i % 977))).collect();
        let plot = Plot::new("Loss").series(Series::new("loss", points).smoothed(0.9));
        assert!(svg(&plot).len() < 40_000, "{} bytes", svg(&plot).len());
    }

    #[test]
    fn nothing_finite_is_still_a_drawing() {
        let broken = vec![(1.0, f64::NAN), (2.0, f64::INFINITY)];
        let text = svg(&Plot::new("Loss").series(Series::new("loss", broken)));
        assert_eq!(text.matches("class=\"broken\"").count(), 2);
        assert!(text.contains("loss: NaN at step 1"));
        assert!(!text.contains("NaN NaN") && !text.contains("\"NaN\""));
        assert!(svg(&Plot::new("Empty")).contains("nothing was measured"));
    }

    #[test]
    fn gaps_stay_gaps_and_hover_reads_values() {
        let points = vec![(1.0, 1.0), (2.0, 2.0), (3.0, f64::NAN), (4.0, 4.0), (5.0, 5.5)];
        let text = svg(&Plot::new("Loss").series(Series::new("loss", points)));
        assert_eq!(text.matches("class=\"line s0\"").count(), 2);
        assert!(text.contains("<title>step 5\nloss: 5.5</title>"));
    }

    #[test]
    fn a_run_that_ended_early_is_not_read_beyond_its_end() {
        let long = Series::new("long", (1..=40).map(|i| (f64::from(i), 1.0)).collect());
        let short = Series::new("short", (1..=10).map(|i| (f64::from(i), 2.0)).collect());
        let text = svg(&Plot::new("Loss").series(long).series(short));
        assert!(text.contains("<title>step 10\nlong: 1\nshort: 2</title>"));
        assert!(text.contains("<title>step 11\nlong: 1</title>"));
    }

    #[test]
    fn extreme_values_do_not_break_the_drawing() {
        let points = vec![(0.0, f64::MAX), (1.0, f64::MIN), (2.0, 0.0)];
        let text = svg(&Plot::new("x").series(Series::new("x", points)));
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        let log = Plot::new("x").y_scale(Scale::Log).series(Series::new("x", vec![(0.0, -1.0)]));
        assert!(svg(&log).contains("<svg"));
    }
}
