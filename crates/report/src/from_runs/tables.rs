//! Numbers at the end of a run, its model and data, and its result files.

use std::collections::BTreeMap;

use serde_json::Value;

use super::runs::Runs;
use crate::element::{Cell, Table, Tiles};
use crate::metrics::{Better, Unit, metric};
use crate::number::{format_number, format_percent};
use crate::page::Section;
use crate::run_folder::RunFolder;

/// Most tiles in the head of the report.
const MOST_TILES: usize = 6;
/// Metrics worth a tile, most telling first.
const TELLING: [&str; 10] = [
    "eval_loss",
    "loss",
    "eval_rewards/accuracies",
    "rewards/accuracies",
    "rewards/margins",
    "displacement",
    "eval_pass@1",
    "pass@1",
    "reward",
    "tokens_per_second",
];
/// Deeper values of result files are not shown.
const DEEPEST: usize = 4;
const MOST_RESULTS: usize = 500;

/// The mean of the last tenth of a curve's finite values, of at least one.
pub(super) fn settled(run: &RunFolder, metric: &str) -> Option<f64> {
    let values = finite(run, metric);
    let tail = &values[values.len() - (values.len() / 10).max(1).min(values.len())..];
    (!tail.is_empty()).then(|| tail.iter().sum::<f64>() / tail.len() as f64)
}

fn finite(run: &RunFolder, metric: &str) -> Vec<f64> {
    run.curve(metric).into_iter().map(|(_, y)| y).filter(|y| y.is_finite()).collect()
}

fn is_share(name: &str) -> bool {
    metric(name).is_some_and(|metric| metric.unit == Unit::Share)
}

fn shown(name: &str, value: f64) -> String {
    if is_share(name) { format_percent(value) } else { format_number(value) }
}

fn cell(name: &str, value: Option<f64>) -> Cell {
    match value {
        None => Cell::missing(),
        Some(value) if is_share(name) => Cell::percent(value),
        Some(value) => Cell::number(value),
    }
}

/// The most telling numbers of a single run.
pub(super) fn tiles(runs: &Runs<'_>) -> Option<Tiles> {
    let [run] = runs.folders else { return None };
    let last = run.last_step()?;
    let mut tiles = Tiles::new().tile("steps", format_number(last as f64), "");
    let telling = TELLING.into_iter().filter_map(|metric| Some((metric, settled(run, metric)?)));
    for (metric, value) in telling.take(MOST_TILES - 1) {
        let start = finite(run, metric).first().copied().unwrap_or(value);
        tiles = tiles.tile(
            metric,
            shown(metric, value),
            format!("started at {}", shown(metric, start)),
        );
    }
    Some(tiles)
}

/// The numbers of every metric: of one run over its course, of several side by side.
pub(super) fn final_metrics(runs: &Runs<'_>) -> Option<Table> {
    let mut names: Vec<&str> = Vec::new();
    for name in runs.folders.iter().flat_map(RunFolder::metric_names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return None;
    }
    let table = match runs.folders {
        [run] => over_the_course(run, &names),
        _ => side_by_side(runs, &names),
    };
    Some(table)
}

fn over_the_course(run: &RunFolder, names: &[&str]) -> Table {
    let columns = ["metric", "first", "last", "mean of last tenth", "least", "greatest"];
    let mut table = Table::new("Metrics over the run", columns);
    for name in names {
        let values = finite(run, name);
        let extreme = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick);
        let numbers = [
            values.first().copied(),
            values.last().copied(),
            settled(run, name),
            extreme(f64::min),
            extreme(f64::max),
        ];
        let cells = numbers.into_iter().map(|value| cell(name, value));
        table.push(std::iter::once(Cell::text(*name)).chain(cells));
    }
    table
}

fn side_by_side(runs: &Runs<'_>, names: &[&str]) -> Table {
    let columns = std::iter::once("metric".to_owned()).chain(runs.names.iter().cloned());
    let mut table = Table::new("At the end: mean over the last tenth of each run", columns);
    for name in names {
        let values: Vec<_> = runs.folders.iter().map(|run| settled(run, name)).collect();
        let best = best_of(name, &values);
        let cells = values.iter().map(|&value| {
            let cell = cell(name, value);
            if best.is_some() && value == best { cell.good() } else { cell }
        });
        table.push(std::iter::once(Cell::text(*name)).chain(cells));
    }
    table
}

/// The best value, where one is better than another.
fn best_of(name: &str, values: &[Option<f64>]) -> Option<f64> {
    let better = metric(name)?.better?;
    let measured: Vec<f64> = values.iter().copied().flatten().collect();
    let least = measured.iter().copied().reduce(f64::min)?;
    let greatest = measured.iter().copied().reduce(f64::max)?;
    (least < greatest).then_some(match better {
        Better::Higher => greatest,
        Better::Lower => least,
    })
}

/// What is known of model and data, one column per run.
pub(super) fn model_and_data(runs: &Runs<'_>) -> Option<Table> {
    let rows = runs.folders.iter().map(|run| run.metadata.data.iter().cloned().collect());
    let order = runs.folders.iter().flat_map(|run| run.metadata.data.iter().map(|(name, _)| name));
    by_name(runs, "Model and data", "what", order, &rows.collect::<Vec<_>>())
}

/// The values of the result files, one column per run.
pub(super) fn results(runs: &Runs<'_>) -> Section {
    let rows: Vec<BTreeMap<String, String>> = runs
        .folders
        .iter()
        .map(|run| {
            let mut flat = Vec::new();
            for (name, value) in &run.results {
                flatten(name, value, DEEPEST, &mut flat);
            }
            flat.into_iter().collect()
        })
        .collect();
    let mut section = Section::new("Results");
    let order = rows.iter().flat_map(BTreeMap::keys);
    if let Some(table) = by_name(runs, "", "result", order, &rows) {
        section.push(table);
    }
    section
}

/// A table of named texts, one column per run.
pub(super) fn by_name<'a>(
    runs: &Runs<'_>,
    caption: &str,
    head: &str,
    order: impl Iterator<Item = &'a String>,
    values: &[BTreeMap<String, String>],
) -> Option<Table> {
    let columns = if runs.are_compared() { runs.names.clone() } else { vec!["value".into()] };
    let mut table = Table::new(caption, std::iter::once(head.to_owned()).chain(columns));
    let mut seen = std::collections::HashSet::new();
    for name in order.filter(|name| seen.insert(*name)) {
        let cells = values.iter().map(|of_run| match of_run.get(name) {
            Some(text) => Cell::text(text),
            None => Cell::text("–"),
        });
        table.push(std::iter::once(Cell::text(name)).chain(cells));
    }
    (!table.is_empty()).then_some(table)
}

fn flatten(name: &str, value: &Value, depth: usize, out: &mut Vec<(String, String)>) {
    if out.len() >= MOST_RESULTS {
        return;
    }
    match value {
        Value::Object(fields) if depth > 0 => {
            for (field, value) in fields {
                flatten(&format!("{name}.{field}"), value, depth - 1, out);
            }
        }
        Value::Number(number) => {
            let text = number.as_f64().map_or_else(|| number.to_string(), format_number);
            out.push((name.into(), text));
        }
        Value::String(text) => out.push((name.into(), text.clone())),
        Value::Bool(yes) => out.push((name.into(), yes.to_string())),
        Value::Array(items) => out.push((name.into(), format!("{} items", items.len()))),
        Value::Object(fields) => out.push((name.into(), format!("{} fields", fields.len()))),
        Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tile_is_of_a_known_metric() {
        assert!(TELLING.iter().all(|name| metric(name).is_some()));
    }
}
