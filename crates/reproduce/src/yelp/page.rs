//! How the runs are shown.

use bestof_report::{Cell, Section, Table, Text};
use bestof_sentiment::classical::Inputs;
use bestof_sentiment::metrics::wilson;
use serde_json::{Value, json};

use super::settings::{Encoder, Settings};
use super::study::{Score, Study};
use super::table::{INPUTS, Label, ROWS, row};
use crate::{Measured, Options};

/// What the reader has to know of the set-up.
pub(super) fn about(settings: &Settings, options: &Options, study: &Study) -> Section {
    let data = if options.data.is_some() {
        "The reviews are the user's own; of them only figures are shown"
    } else {
        "The reviews are made up, in the schema of the Yelp Open Dataset, anew with every seed"
    };
    let bert = match &settings.encoder {
        Encoder::Small(shape) => format!(
            "BERT is a small one of {} layers and width {} that starts from random weights",
            shape.layers, shape.width
        ),
        Encoder::Pretrained(path) => format!("BERT starts from {}", path.display()),
    };
    let [train, validation, test] = study.rows;
    Section::new("The experiment").element(Text::new(format!(
        "{data}: {train} of them train, {validation} validate, {test} test. A seed decides about the \
         split and everything random. {bert}; it learns for {} epochs, CNN and HAN for {} and {}, \
         from at most {} tokens of a text. Classical models see the {} most frequent terms. Neural \
         models learn the five stars, and four and five are taken together for the two labels; \
         classical models are fitted to each. The majority is {:.1} % for two labels and {:.1} % for \
         five stars.",
        settings.bert.epochs,
        settings.cnn.epochs,
        settings.han.epochs,
        settings.length,
        settings.terms,
        majority(study, 0),
        majority(study, 1),
    )))
}

fn majority(study: &Study, label: usize) -> f64 {
    study.majority.iter().map(|both| both[label]).sum::<f64>() / study.seeds() as f64
}

fn over_seeds(scores: &[Score], label: Label) -> Measured {
    Measured::of_seeds(&scores.iter().map(|score| score.accuracy(label)).collect::<Vec<_>>())
}

/// Table 1, what was measured beside what the paper has.
pub(super) fn grid(study: &Study) -> Section {
    let names = INPUTS.iter().flat_map(|inputs| {
        Label::ALL.map(|label| format!("{}, {}", inputs.as_str(), label.name()))
    });
    let mut table = Table::new(
        "Test accuracy in per cent, mean over seeds, and in brackets the paper's on its own data",
        std::iter::once("model".to_owned()).chain(names),
    );
    for row in &ROWS {
        let cells = INPUTS.iter().flat_map(|inputs| {
            Label::ALL.map(|label| {
                let Some(cell) = study.cell(row, *inputs) else { return Cell::missing() };
                let found = over_seeds(&cell.scores, label);
                let paper = row.paper(*inputs, label).unwrap_or(f64::NAN);
                Cell::figures(format!("{:.1} ({paper:.1})", found.value))
                    .hover(format!("95 % over seeds {found}"))
            })
        });
        table.push(std::iter::once(Cell::text(row.name)).chain(cells.collect::<Vec<_>>()));
    }
    Section::new("Table 1").element(table)
}

/// Figure 7b with intervals, and with unseen restaurants apart.
pub(super) fn balance(study: &Study) -> Section {
    let mut table = Table::new(
        "BERT-MT-Joint by training reviews of the restaurant: binary accuracy on the test rows of all \
         seeds, with Wilson's 95 % interval",
        ["training reviews", "rows", "accuracy"],
    );
    for (from, to, hits, rows) in bins(study) {
        let label = match (from, to) {
            (0, _) => "none".to_owned(),
            (from, Some(to)) => format!("{from} to {to}"),
            (from, None) => format!("{from} and more"),
        };
        let share = wilson(hits, rows);
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        table.push([
            Cell::text(label),
            Cell::number(rows as f64),
            Cell::figures(format!(
                "{} ({} to {})",
                percent(share.value),
                percent(share.low),
                percent(share.high)
            )),
        ]);
    }
    Section::new("Errors by restaurant").element(table)
}

/// From, to, hits and rows of each bin, all seeds together.
fn bins(study: &Study) -> Vec<(u64, Option<u64>, u64, u64)> {
    let scores = study.cell(row("BERT-MT"), Inputs::Joint).map_or(&[][..], |cell| &cell.scores);
    let mut bins: Vec<(u64, Option<u64>, u64, u64)> = Vec::new();
    for bin in scores.iter().flat_map(|score| &score.bins) {
        let share = bin.positive.as_ref().map_or(0.0, |share| share.value);
        let hits = (share * bin.rows as f64).round() as u64;
        match bins.iter_mut().find(|(from, ..)| *from == bin.from) {
            Some((_, _, all, rows)) => (*all, *rows) = (*all + hits, *rows + bin.rows),
            None => bins.push((bin.from, bin.to, hits, bin.rows)),
        }
    }
    bins.sort_unstable_by_key(|(from, ..)| *from);
    bins
}

pub(super) fn numbers(study: &Study) -> Value {
    let cells: Vec<Value> = study
        .cells
        .iter()
        .map(|cell| {
            let of = |part: fn(&Score) -> f64| cell.scores.iter().map(part).collect::<Vec<_>>();
            json!({
                "model": cell.row.name,
                "inputs": cell.inputs.as_str(),
                "binary": of(|score| score.binary),
                "stars": of(|score| score.stars),
                "busy_minus_quiet": of(|score| score.busy_minus_quiet),
                "paper": Label::ALL.map(|label| cell.row.paper(cell.inputs, label)),
            })
        })
        .collect();
    let bins: Vec<Value> = bins(study)
        .into_iter()
        .map(|(from, to, hits, rows)| json!({"from": from, "to": to, "hits": hits, "rows": rows}))
        .collect();
    json!({
        "rows": study.rows,
        "majority": study.majority,
        "cells": cells,
        "by_training_count": bins,
    })
}

pub(super) fn design(options: &crate::Options, seeds: usize) -> crate::Design {
    crate::Design {
        seeds: format!("{seeds}, from {}", options.seed),
        varies: "the reviews, their split and the first weights".into(),
        correction: "none: each claim is judged by its own 95 % interval".into(),
        tried: "not recorded".into(),
    }
}
