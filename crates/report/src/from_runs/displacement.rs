//! Chosen answers that lost probability: since when, by how much, and which pairs.

use super::runs::Runs;
use super::tables;
use crate::curve::smoothed;
use crate::element::{Cell, Histogram, Table, Text};
use crate::html::shortened;
use crate::metadata::DisplacedPair;
use crate::number::{format_number, format_percent};
use crate::page::Section;
use crate::run_folder::RunFolder;

const CHOSEN_VS_REF: &str = "logps/chosen_vs_ref";
/// Fewer rows under the reference may be noise.
const FEWEST_ROWS: usize = 3;
const MOST_PAIRS: usize = 20;
const LONGEST_TEXT: usize = 160;
const LONGEST_HOVER: usize = 1000;

/// Warnings, the worst pairs and the edit distances of the data.
pub(super) fn section(runs: &Runs<'_>) -> Section {
    let mut section = Section::new("Displaced pairs");
    for (name, run) in runs.iter() {
        if let Some(warning) = warning(run) {
            section.push(Text::warning(runs.labelled(name, &warning)));
        }
    }
    for (name, run) in runs.iter() {
        if !run.metadata.displaced.is_empty() {
            section.push(worst_pairs(&runs.labelled(name, "Worst pairs"), &run.metadata.displaced));
        }
    }
    let mut data: Vec<(usize, &str, _)> = Vec::new();
    for (tint, (name, run)) in runs.iter().enumerate() {
        let counts = &run.metadata.edit_distances;
        if !counts.is_empty() && data.iter().all(|(.., known)| *known != counts) {
            data.push((tint, name, counts));
        }
    }
    for (tint, name, counts) in &data {
        // Runs on the same data share one histogram, which then is no run's own.
        let caption = "Edit distance between chosen and rejected";
        let title = if data.len() > 1 { runs.labelled(name, caption) } else { caption.to_owned() };
        let counts = counts.iter().map(|(&size, &count)| (size, count));
        section.push(Histogram::new(title, "tokens", counts).tint(*tint));
    }
    section
}

fn warning(run: &RunFolder) -> Option<String> {
    let (since, nats) = below_reference(run)?;
    let share = tables::settled(run, "displacement")
        .map(|share| format!(" and in {} of the pairs", format_percent(share)));
    Some(format!(
        "Since step {}, the chosen answers are less likely than under the reference model, by {} \
         nats at the end{}. The margin can grow all the same, as long as the rejected answers fall \
         faster; the DPOP loss charges for exactly this.",
        format_number(since),
        format_number(nats),
        share.unwrap_or_default()
    ))
}

/// Since which step the chosen answers have stayed below the reference until the end, and how far
/// below they ended.
fn below_reference(run: &RunFolder) -> Option<(f64, f64)> {
    let smooth = smoothed(&run.curve(CHOSEN_VS_REF), 0.8);
    let below = smooth.iter().rev().take_while(|(_, change)| *change < 0.0).count();
    if below < FEWEST_ROWS {
        return None;
    }
    let since = smooth[smooth.len() - below].0;
    smooth.last().map(|(_, change)| (since, -change))
}

fn worst_pairs(caption: &str, pairs: &[DisplacedPair]) -> Table {
    let columns =
        ["row", "prompt", "chosen", "rejected", "edit distance", "first differs at", "nats"];
    let mut table = Table::new(caption, columns);
    for pair in pairs.iter().take(MOST_PAIRS) {
        let first = pair.first_differing_token;
        table.push([
            Cell::figures(pair.row.to_string()),
            text(&pair.prompt),
            text(&pair.chosen),
            text(&pair.rejected),
            Cell::number(pair.edit_distance as f64),
            first.map_or_else(Cell::missing, |token| Cell::figures(format!("token {token}"))),
            Cell::number(pair.chosen_logp_change),
        ]);
    }
    table
}

fn text(full: &str) -> Cell {
    match shortened(full, LONGEST_TEXT) {
        (all, 0) => Cell::text(all),
        (start, _) => Cell::text(format!("{start}…")).hover(shortened(full, LONGEST_HOVER).0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric_row::MetricRow;

    fn run(changes: &[f64]) -> RunFolder {
        let rows = changes
            .iter()
            .zip(1..)
            .map(|(change, step)| MetricRow::new(step).with(CHOSEN_VS_REF, *change));
        RunFolder { rows: rows.collect(), ..RunFolder::default() }
    }

    #[test]
    fn falling_below_the_reference_is_told_with_its_step() {
        let (since, nats) = below_reference(&run(&[1.0, 1.0, -9.0, -9.0, -9.0])).unwrap();
        assert_eq!(since, 3.0);
        assert!(nats > 0.0 && nats < 9.0);
        assert_eq!(below_reference(&run(&[-1.0, -1.0, 9.0, 9.0])), None);
        assert_eq!(below_reference(&run(&[1.0, 1.0, 1.0, -9.0])), None);
        assert_eq!(below_reference(&run(&[])), None);
    }
}
