//! Curves of every metric: of one run what belongs together, of several the same metric.

use super::catalog::{self, Chart, Curve, SECTIONS};
use super::runs::Runs;
use crate::element::{Plot, Series};
use crate::page::Section;
use crate::run_folder::RunFolder;

/// The sections of everything measured.
pub(super) fn sections(runs: &Runs<'_>) -> Vec<Section> {
    let charts = catalog::charts(runs.folders);
    let of = |group: &'static str| charts.iter().filter(move |chart| chart.group == group);
    SECTIONS
        .into_iter()
        .map(|(groups, joint_title)| {
            let mut measured = groups.iter().filter(|group| of(group).next().is_some());
            let title = match (measured.next(), measured.next()) {
                (Some(only), None) => only,
                _ => joint_title,
            };
            let mut section = Section::new(title);
            for chart in groups.iter().flat_map(|group| of(group)) {
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

fn empty(chart: &Chart, title: &str, metric: &str) -> Plot {
    let plot = Plot::new(title);
    if chart.curves.iter().all(|c| catalog::is_share(&c.metric)) || catalog::is_share(metric) {
        plot.percent()
    } else {
        plot
    }
}

/// Differences to the reference are read against zero.
fn with_zero(plot: Plot, chart: &Chart) -> Plot {
    if chart.curves.iter().any(|curve| curve.metric == "logps/chosen_vs_ref") {
        plot.reference("reference", 0.0)
    } else {
        plot
    }
}

fn drawn(label: &str, points: Vec<(f64, f64)>, metric: &str) -> Series {
    let weight = match points.len() {
        _ if catalog::is_exact(metric) => None,
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

fn evaluated(label: &str, run: &RunFolder, metric: &str) -> Series {
    Series::new(format!("{label}, evaluation"), run.curve(&format!("eval_{metric}"))).marked()
}

/// The curve of the reference model that belongs to the one of the policy called `metric`.
pub(super) fn reference_of(run: &RunFolder, metric: &str) -> Vec<(f64, f64)> {
    let Some(answer) = metric.strip_prefix("logps/") else { return Vec::new() };
    let logged = run.curve(&format!("ref_logps/{answer}"));
    if !logged.is_empty() {
        return logged;
    }
    let difference = format!("logps/{answer}_vs_ref");
    run.rows
        .iter()
        .filter_map(|row| Some((row.step() as f64, row.get(metric)? - row.get(&difference)?)))
        .collect()
}
