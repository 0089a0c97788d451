//! Which plots a report has: those of the table of metrics, and one for every other metric.

use crate::metrics::{METRICS, PlotGroup, is_interval_end, k_of_pass_at_k, metric, without_eval};
use crate::run_folder::RunFolder;

/// One metric in a plot.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) metric: String,
    pub(super) label: String,
}

/// One plot.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) group: PlotGroup,
    pub(super) title: String,
    pub(super) curves: Vec<Curve>,
}

/// Groups that share a section, with its title when all of them were measured.
pub(super) const SECTIONS: [(&[PlotGroup], &str); 5] = [
    (&[PlotGroup::Loss, PlotGroup::LogProbabilities], "Loss and log-probabilities"),
    (&[PlotGroup::ImplicitRewards, PlotGroup::Displacement], "Implicit rewards and displacement"),
    (&[PlotGroup::RewardAndPassAtK], "Reward and pass@k"),
    (&[PlotGroup::OptimiserAndSpeed], "Optimiser and speed"),
    (&[PlotGroup::Other], "Other metrics"),
];

/// The plots of everything that any of `runs` measured.
pub(super) fn charts(runs: &[RunFolder]) -> Vec<Chart> {
    let mut measured: Vec<&str> = Vec::new();
    for name in runs.iter().flat_map(RunFolder::metric_names).map(without_eval) {
        if !measured.contains(&name) && !is_interval_end(name) {
            measured.push(name);
        }
    }
    let mut charts: Vec<Chart> = Vec::new();
    for known in METRICS {
        let Some(curve) = known.curve else { continue };
        let mut names: Vec<&str> = measured
            .iter()
            .copied()
            .filter(|name| metric(name).is_some_and(|found| found.name == known.name))
            .collect();
        names.sort_by_key(|name| k_of_pass_at_k(name));
        for name in names {
            // Of a pattern, each curve is called by its own name.
            let label = if name == known.name { curve.label } else { name };
            let curve_of = Curve { metric: name.into(), label: label.into() };
            match charts.last_mut() {
                Some(chart) if (chart.group, &*chart.title) == (curve.group, curve.title) => {
                    chart.curves.push(curve_of);
                }
                _ => charts.push(Chart {
                    group: curve.group,
                    title: curve.title.into(),
                    curves: vec![curve_of],
                }),
            }
        }
    }
    for name in measured.into_iter().filter(|name| metric(name).is_none()) {
        let curve = Curve { metric: name.into(), label: name.into() };
        charts.push(Chart { group: PlotGroup::Other, title: name.into(), curves: vec![curve] });
    }
    charts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric_row::MetricRow;

    fn charts_of(names: &[&str]) -> Vec<Chart> {
        let row = names.iter().fold(MetricRow::new(1), |row, name| row.with(*name, 1.0));
        charts(&[RunFolder { rows: vec![row], ..RunFolder::default() }])
    }

    #[test]
    fn every_group_of_the_table_has_a_section() {
        for curve in METRICS.iter().filter_map(|metric| metric.curve) {
            let sections = SECTIONS.iter().filter(|(groups, _)| groups.contains(&curve.group));
            assert_eq!(sections.count(), 1, "{curve:?}");
        }
    }

    #[test]
    fn everything_measured_is_drawn_once_unless_it_only_counts() {
        let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
        let mut drawn: Vec<String> = charts_of(&[names.as_slice(), &["my/own"]].concat())
            .into_iter()
            .flat_map(|chart| chart.curves)
            .map(|curve| curve.metric)
            .collect();
        let mut expected: Vec<&str> = METRICS
            .iter()
            .filter(|metric| metric.curve.is_some())
            .map(|metric| metric.name)
            .chain(["my/own"])
            .collect();
        drawn.sort();
        expected.sort_unstable();
        assert_eq!(drawn, expected);
    }

    #[test]
    fn passes_come_in_the_order_of_k() {
        let names = ["pass@16", "loss", "pass@2/low", "eval_pass@2", "pass@4", "pass@2/high"];
        let charts = charts_of(&names);
        let chart = charts.iter().find(|chart| chart.title == "pass@k").unwrap();
        let curves: Vec<_> = chart.curves.iter().map(|curve| curve.label.as_str()).collect();
        assert_eq!(curves, ["pass@2", "pass@4", "pass@16"]);
        assert!(charts_of(&["loss"]).iter().all(|chart| chart.title != "pass@k"));
    }
}
