//! How the runs are shown.

use bestof_report::{Cell, Section, Table};
use serde_json::{Value, json};

use super::outcome::Outcome;
use super::study::{Kind, OnPairs};
use crate::Measured;

/// The columns: a name, and the part of the outcome.
type Column = (&'static str, fn(&Outcome) -> f64);

fn columns(kind: Kind) -> Vec<Column> {
    let mut columns: Vec<Column> = vec![
        ("log p(chosen)", |outcome| outcome.chosen),
        ("log p(rejected)", |outcome| outcome.rejected),
        ("chosen, a token after the difference", |outcome| outcome.after),
        ("chosen likelier", |outcome| outcome.accuracy),
    ];
    if kind == Kind::LowDistance {
        columns.push(("solved", |outcome| outcome.solved));
    }
    columns
}

pub(crate) fn section(on: &OnPairs) -> Section {
    let (title, caption) = match on.kind {
        Kind::LowDistance => (
            "Pairs of low edit distance",
            "Worked sums, one intermediate result corrupted: means over held-out pairs and seeds",
        ),
        Kind::HighDistance => (
            "Pairs of high edit distance",
            "The larger of two numbers in words against the smaller: means over held-out pairs and seeds",
        ),
    };
    let columns = columns(on.kind);
    let names = columns.iter().map(|(name, _)| (*name).to_owned());
    let mut table = Table::new(caption, ["model".to_owned()].into_iter().chain(names));
    let before = ("before".to_owned(), &on.before);
    let after = on.after.iter().map(|(recipe, outcomes)| (recipe.name(), outcomes));
    for (name, outcomes) in [before].into_iter().chain(after) {
        let cells = columns.iter().map(|(_, part)| {
            let found = Measured::of_seeds(&outcomes.iter().map(part).collect::<Vec<_>>());
            Cell::number(found.value).hover(format!("95 % over seeds {found}"))
        });
        table.push([Cell::text(name)].into_iter().chain(cells));
    }
    Section::new(title).element(table)
}

pub(crate) fn numbers(all: &[OnPairs]) -> Value {
    let outcome = |outcome: &Outcome| {
        json!({
            "chosen": outcome.chosen, "rejected": outcome.rejected,
            "chosen_after_difference": outcome.after, "accuracy": outcome.accuracy,
            "solved": outcome.solved,
        })
    };
    let seeds = |outcomes: &[Outcome]| outcomes.iter().map(outcome).collect::<Vec<_>>();
    all.iter()
        .map(|on| {
            let after: Vec<Value> = on
                .after
                .iter()
                .map(|(recipe, outcomes)| json!({"loss": recipe.name(), "seeds": seeds(outcomes)}))
                .collect();
            let kind = match on.kind {
                Kind::LowDistance => "low",
                Kind::HighDistance => "high",
            };
            json!({
                "edit_distance": kind, "mean_edit_distance": on.edit_distance,
                "before": seeds(&on.before), "after": after,
            })
        })
        .collect()
}
