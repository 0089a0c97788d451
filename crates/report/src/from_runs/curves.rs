//! Curves of every metric: of one run what belongs together, of several the same metric.

use super::catalog::{Chart, Curve, SECTIONS, charts};
use super::runs::Runs;
use crate::element::{Plot, Series};
use crate::metrics::{PlotGroup, Unit, metric};
use crate::page::Section;
use crate::run_folder::RunFolder;

const CHOSEN: &str = "logps/chosen";
const CHOSEN_VS_REF: &str = "logps/chosen_vs_ref";

/// The sections of everything measured.
pub(super) fn sections(runs: &Runs<'_>) -> Vec<Section> {
    let charts = charts(runs.folders);
    let of = |group: PlotGroup| charts.iter().filter(move |chart| chart.group == group);
    SECTIONS
        .into_iter()
        .map(|(groups, joint_title)| {
            let mut measured = groups.iter().filter(|group| of(**group).next().is_some());
            let title = match (measured.next(), measured.next()) {
                (Some(only), None) => only.title(),
                _ => joint_title,
            };
            let mut section = Section::new(title);
            for chart in groups.iter().flat_map(|group| of(*group)) {
                for plot in plots(runs, chart).into_iter().filter(|plot| !plot.is_empty()) {
                    section.push(plot);
                }
            }
            section
        })
        .collect()
}

fn plots(runs: &Runs<'_>, chart: &Chart) -> Vec<Plot> {
    match runs.folders {
        [run] => vec![plot_of_one(run, chart)],
        _ => chart.curves.iter().map(|curve| plot_of_many(runs, chart, curve)).collect(),
    }
}

fn plot_of_one(run: &RunFolder, chart: &Chart) -> Plot {
    let mut plot = empty(chart, &chart.title, &chart.curves[0].metric);
    for (tint, curve) in chart.curves.iter().enumerate() {
        plot = plot
            .series(drawn(&curve.label, run.curve(&curve.metric), &curve.metric).tint(tint))
            .series(evaluated(&curve.label, run, &curve.metric).tint(tint));
        let label = format!("{} under the reference", curve.label);
        let reference = reference_of(run, &curve.metric);
        plot = plot.series(drawn(&label, reference, &curve.metric).tint(tint).dashed());
    }
    with_zero(plot, chart)
}

fn plot_of_many(runs: &Runs<'_>, chart: &Chart, curve: &Curve) -> Plot {
    let title = match chart.curves.len() {
        1 => chart.title.clone(),
        _ => format!("{}: {}", chart.title, curve.label),
    };
    let mut plot = empty(chart, &title, &curve.metric).marks_mean("evaluation");
    for (tint, (name, run)) in runs.iter().enumerate() {
        plot = plot
            .series(drawn(name, run.curve(&curve.metric), &curve.metric).tint(tint))
            .series(evaluated(name, run, &curve.metric).tint(tint).unlisted());
    }
    let references: Vec<_> =
        runs.folders.iter().map(|run| reference_of(run, &curve.metric)).collect();
    if let [first, rest @ ..] = references.as_slice()
        && rest.iter().all(|other| other == first)
    {
        // Runs on the same pairs in the same order share their reference.
        return plot.series(drawn("reference", first.clone(), &curve.metric).tint(6).dashed());
    }
    for (tint, (name, points)) in runs.names.iter().zip(references).enumerate() {
        let label = format!("{name}, reference");
        plot = plot.series(drawn(&label, points, &curve.metric).tint(tint).dashed());
    }
    with_zero(plot, chart)
}

fn empty(chart: &Chart, title: &str, name: &str) -> Plot {
    let plot = Plot::new(title);
    let is_share = |name: &str| metric(name).is_some_and(|metric| metric.unit == Unit::Share);
    if chart.curves.iter().all(|curve| is_share(&curve.metric)) || is_share(name) {
        plot.percent()
    } else {
        plot
    }
}

/// Differences to the reference are read against zero.
fn with_zero(plot: Plot, chart: &Chart) -> Plot {
    if chart.curves.iter().any(|curve| curve.metric == CHOSEN_VS_REF) {
        plot.reference("reference", 0.0)
    } else {
        plot
    }
}

fn drawn(label: &str, points: Vec<(f64, f64)>, name: &str) -> Series {
    let weight = match points.len() {
        _ if metric(name).is_some_and(|metric| metric.exact) => None,
        0..30 => None,
        30..100 => Some(0.7),
        100..400 => Some(0.85),
        _ => Some(0.93),
    };
    let series = Series::new(label, points);
    match weight {
        Some(weight) => series.smoothed(weight),
        None => series,
    }
}

fn evaluated(label: &str, run: &RunFolder, name: &str) -> Series {
    Series::new(format!("{label}, evaluation"), run.curve(&format!("eval_{name}"))).marked()
}

/// The curve of the reference model that belongs to the one of the policy called `name`.
fn reference_of(run: &RunFolder, name: &str) -> Vec<(f64, f64)> {
    if name != CHOSEN {
        return Vec::new();
    }
    run.rows
        .iter()
        .filter_map(|row| Some((row.step() as f64, row.get(name)? - row.get(CHOSEN_VS_REF)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric_row::MetricRow;

    #[test]
    fn the_reference_is_found_from_the_difference() {
        let row = MetricRow::new(1).with(CHOSEN, -31.0).with(CHOSEN_VS_REF, -1.0);
        let run = RunFolder { rows: vec![row], ..RunFolder::default() };
        assert_eq!(reference_of(&run, CHOSEN), [(1.0, -30.0)]);
        assert!(reference_of(&run, "logps/rejected").is_empty());
    }
}
