//! The experiment's page and numbers.

use bestof_report::{Cell, Plot, Section, Series, Table, Text};
use serde_json::{Map, Value, json};

use super::arm::Arm;
use super::claims::Compared;
use super::runs::{Outcome, Passed, Solves};
use super::settings::{K, N, Settings};
use crate::{Measured, ReproduceError};

/// The `k` of the tables.
const KS: [usize; 5] = [1, 2, 4, 8, 16];

/// A named set of puzzles.
type Named = (&'static str, fn(&Solves) -> &Passed);

const SETS: [Named; 4] = [
    ("training puzzles", |solves| &solves.train),
    ("held-out puzzles", |solves| &solves.held_out),
    ("held-out puzzles of three numbers", |solves| &solves.easy),
    ("held-out puzzles of four numbers", |solves| &solves.hard),
];

/// What the reader has to know of the set-up.
pub(super) fn about(settings: &Settings) -> Section {
    let model = settings.model.as_ref().map_or_else(
        || "A LLaMA of three layers and width 64, a token a character".to_owned(),
        |path| format!("The model in {}, by LoRA", path.display()),
    );
    Section::new("The experiment").element(Text::new(format!(
        "{model}, is taught by {} demonstrations to use three or four numbers once each in an expression; one \
         demonstration in {} reaches its target. Then it learns from {N} samples of each of {} puzzles, \
         {} puzzles a step, {} steps, reward 1 for an expression that comes to the target. k = 1 is the mean reward with \
         a leave-one-out baseline, higher k the estimator loo-minus-one; the annealed run changes to k = 1 at step {}. \
         All runs start from the same model; a seed decides samples and order. Held-out puzzles were in neither set; \
         pass@k is measured with {} samples a puzzle.",
        settings.demonstrations,
        settings.right_every,
        2 * settings.train,
        settings.prompts,
        settings.steps,
        settings.switch(),
        settings.samples,
    )))
}

/// pass@k after training, set by set.
pub(super) fn tables(before: &Solves, outcomes: &[Outcome]) -> Result<Section, ReproduceError> {
    let runs = Compared(outcomes);
    let mut section = Section::new("pass@k after training");
    for (name, set) in SETS {
        let columns: Vec<String> = std::iter::once("trained for".to_owned())
            .chain(KS.map(|k| format!("pass@{k}")))
            .collect();
        let mut rows: Vec<(String, Vec<Measured>)> = Vec::new();
        for arm in Arm::ALL {
            let cells: Result<Vec<Measured>, ReproduceError> = KS
                .iter()
                .map(|k| Ok(Measured::of_seeds(&runs.each(arm, |o| set(&o.solves).pass_at(*k))?)))
                .collect();
            rows.push((arm.label(), cells?));
        }
        let untrained: Result<Vec<Cell>, ReproduceError> =
            KS.iter().map(|k| Ok(Cell::percent(set(before).pass_at(*k)?))).collect();
        let first = std::iter::once(Cell::text("before")).chain(untrained?);
        let mut table = Table::new(format!("On {name}"), columns).row(first);
        for (label, cells) in &rows {
            let shown = cells.iter().enumerate().map(|(column, cell)| {
                let best = rows.iter().all(|(_, other)| other[column].value <= cell.value);
                let shown = Cell::percent(cell.value).hover(cell.to_string());
                if best { shown.good() } else { shown }
            });
            table.push(std::iter::once(Cell::text(label)).chain(shown));
        }
        section.push(table);
    }
    Ok(section)
}

/// Curves over training, a line a run, a colour an arm.
pub(super) fn curves(outcomes: &[Outcome]) -> Section {
    let figures = [
        ("cumulative_solve_rate", "Training puzzles ever solved", true, 0.0),
        ("pass@1", "pass@1 of the batch", true, 0.95),
        ("pass@8", "pass@8 of the batch", true, 0.95),
        ("entropy", "Entropy a token, nats", false, 0.9),
        ("frac_reward_zero_std", "Puzzles whose samples are all worth the same", true, 0.95),
        ("k", "k", false, 0.0),
    ];
    let mut section = Section::new("Training").element(Text::new(format!(
        "A line for each seed. The batch is that of the step, {N} samples a puzzle; pass@{K} and pass@1 are unbiased."
    )));
    for (metric, title, percent, smoothing) in figures {
        let mut plot = Plot::new(title);
        if percent {
            plot = plot.percent();
        }
        for (tint, arm) in Arm::ALL.into_iter().enumerate() {
            for (at, outcome) in Compared(outcomes).of(arm).enumerate() {
                let label = if at == 0 { arm.label() } else { String::new() };
                let mut line = Series::new(label, outcome.curve(metric)).tint(tint);
                if smoothing > 0.0 {
                    line = line.smoothed(smoothing);
                }
                if at > 0 {
                    line = line.unlisted();
                }
                plot = plot.series(line);
            }
        }
        section.push(plot);
    }
    section
}

/// Everything measured.
pub(super) fn numbers(before: &Solves, outcomes: &[Outcome]) -> Result<Value, ReproduceError> {
    let runs: Result<Vec<Value>, ReproduceError> = outcomes
        .iter()
        .map(|outcome| {
            Ok(json!({
                "arm": outcome.arm.name(),
                "seed": outcome.seed,
                "pass": passes(&outcome.solves)?,
                "cumulative_solve_rate": outcome.last("cumulative_solve_rate"),
                "entropy": outcome.late("entropy"),
            }))
        })
        .collect();
    Ok(json!({"before": passes(before)?, "runs": runs?}))
}

fn passes(solves: &Solves) -> Result<Value, ReproduceError> {
    let mut sets = Map::new();
    for (name, set) in SETS {
        let mut values = Map::new();
        for k in KS {
            values.insert(format!("pass@{k}"), json!(set(solves).pass_at(k)?));
        }
        sets.insert(name.to_owned(), values.into());
    }
    Ok(sets.into())
}
