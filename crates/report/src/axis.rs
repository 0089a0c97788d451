//! Axes: the range to draw, round ticks, and the position of a value.

use crate::number::{format_number, format_percent, tick_label};

/// How values are spaced on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal differences have equal lengths.
    #[default]
    Linear,
    /// Equal ratios have equal lengths; values that are not positive are left out.
    Log,
}

/// How an axis is laid out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AxisOptions {
    pub(crate) scale: Scale,
    /// Whether the range is widened to whole ticks.
    pub(crate) round_out: bool,
    /// Whether only whole numbers make sense.
    pub(crate) whole: bool,
    /// Whether values are shares, labelled as percentages.
    pub(crate) percent: bool,
    /// About how many ticks there is room for.
    pub(crate) ticks: usize,
}

/// An axis with its range and labelled ticks.
#[derive(Debug)]
pub(crate) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// The axis for `values`; one from 0 to 1 when there are none.
    pub(crate) fn new(values: impl Iterator<Item = f64>, options: AxisOptions) -> Self {
        let shown =
            |value: &f64| value.is_finite() && (options.scale == Scale::Linear || *value > 0.0);
        let (low, high) =
            values.filter(shown).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high {
            let empty = AxisOptions { scale: Scale::Linear, ..options };
            return Self::linear(0.0, 1.0, empty);
        }
        match options.scale {
            Scale::Linear => Self::linear(low, high, options),
            Scale::Log => Self::log(low, high, options),
        }
    }

    fn linear(low: f64, high: f64, options: AxisOptions) -> Self {
        let (low, high) = if high > low {
            (low, high)
        } else {
            let room = if options.whole { 1.0 } else { (low.abs() * 0.1).max(1e-3) };
            (low - room, high + room)
        };
        let count = options.ticks.max(2) as f64;
        let rough = high / count - low / count;
        let step =
            if options.whole { round_up(rough.max(1.0), &[]) } else { round_up(rough, &[2.5]) };
        let (low, high) = if options.round_out {
            ((low / step).floor() * step, (high / step).ceil() * step)
        } else {
            (low, high)
        };
        let first = (low / step - 1e-6).ceil();
        let last = (high / step + 1e-6).floor();
        let ticks = (0..=40)
            .map(|i| first + f64::from(i))
            .take_while(|&i| i <= last)
            .map(|i| i * step)
            .filter(|value| value.is_finite())
            .map(|value| {
                (
                    value,
                    if options.percent {
                        format_percent(value).replace(".0 %", " %")
                    } else {
                        tick_label(value, step, low.abs().max(high.abs()))
                    },
                )
            })
            .collect();
        Self { scale: Scale::Linear, low, high, ticks }
    }

    /// The axis with ticks at `values` instead of round ones.
    pub(crate) fn with_ticks(mut self, values: &[f64]) -> Self {
        self.ticks = values.iter().map(|&value| (value, format_number(value))).collect();
        self
    }

    fn log(low: f64, high: f64, options: AxisOptions) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low / 2.0, high * 2.0) };
        let decades = high.log10() - low.log10();
        let multiples: &[f64] = match decades {
            d if d < 1.0 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            d if d < 2.5 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let every = (decades / options.ticks.max(2) as f64).ceil().max(1.0) as i32;
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let candidates: Vec<f64> = (first..=last)
            .filter(|power| power.rem_euclid(every) == 0)
            .flat_map(|power| multiples.iter().map(move |m| m * 10_f64.powi(power)))
            .filter(|tick| tick.is_finite() && *tick > 0.0)
            .collect();
        let (low, high) = if options.round_out {
            (
                candidates.iter().copied().rfind(|&t| t <= low * 1.000_001).unwrap_or(low),
                candidates.iter().copied().find(|&t| t >= high * 0.999_999).unwrap_or(high),
            )
        } else {
            (low, high)
        };
        let ticks = candidates
            .into_iter()
            .filter(|tick| (low * 0.999_999..=high * 1.000_001).contains(tick))
            .map(|tick| (tick, tick_label(tick, tick, tick)))
            .collect();
        Self { scale: Scale::Log, low, high, ticks }
    }

    /// Where `value` lies, 0 at the low end and 1 at the high end; `None` when it cannot be drawn.
    pub(crate) fn position(&self, value: f64) -> Option<f64> {
        let share = match self.scale {
            // Halves keep a range of the largest floats finite.
            Scale::Linear => (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0),
            Scale::Log if value > 0.0 => {
                (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
            }
            Scale::Log => return None,
        };
        share.is_finite().then_some(share)
    }
}

/// The smallest of 1, 2, 5 and `further` times a power of ten that is at least `rough`.
fn round_up(rough: f64, further: &[f64]) -> f64 {
    if !(rough.is_finite() && rough > 0.0) {
        return 1.0;
    }
    let power = 10_f64.powf(rough.log10().floor());
    let multiple = rough / power;
    let reach = |m: &f64| multiple <= m * 1.000_001;
    let round = [1.0, 2.0, 5.0, 10.0].iter().chain(further).copied().filter(reach);
    let step = round.fold(10.0, f64::min) * power;
    if step.is_finite() && step > 0.0 { step } else { rough }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPTIONS: AxisOptions = AxisOptions {
        scale: Scale::Linear,
        round_out: true,
        whole: false,
        percent: false,
        ticks: 5,
    };

    fn labels(values: &[f64], options: AxisOptions) -> Vec<String> {
        Axis::new(values.iter().copied(), options)
            .ticks
            .into_iter()
            .map(|(_, label)| label)
            .collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&[0.03, 0.69], OPTIONS), ["0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(labels(&[-61.0, -20.0], OPTIONS), ["-70", "-60", "-50", "-40", "-30", "-20"]);
        assert_eq!(labels(&[0.0, 1.0], AxisOptions { percent: true, ..OPTIONS })[1], "20 %");
        let steps = AxisOptions { round_out: false, whole: true, ..OPTIONS };
        assert_eq!(labels(&[1.0, 3.0], steps), ["1", "2", "3"]);
        let log = AxisOptions { scale: Scale::Log, ..OPTIONS };
        assert_eq!(labels(&[1.0, 900.0], log), ["1", "10", "100", "1,000"]);
        assert_eq!(
            labels(&[4096.0, 16384.0], log),
            ["4,000", "5,000", "7,000", "10k", "15k", "20k"]
        );
    }

    proptest! {
        #[test]
        fn every_value_lies_on_its_axis(
            values in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO, 1..8),
            log: bool,
            whole: bool,
        ) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            let axis = Axis::new(values.iter().copied(), AxisOptions { scale, whole, ..OPTIONS });
            prop_assert!(axis.ticks.len() <= 41);
            for value in values {
                if let Some(position) = axis.position(value) && (!log || value > 0.0) {
                    prop_assert!((-1e-6..=1.0 + 1e-6).contains(&position), "{value:e} at {position}");
                }
            }
        }
    }
}
