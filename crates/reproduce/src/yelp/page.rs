//! How the runs are shown.

use bestof_report::{Cell, Section, Table, Text};
use bestof_sentiment::classical::Inputs;
use bestof_sentiment::generate::Likeness;
use bestof_sentiment::metrics::wilson;
use serde_json::{Value, json};

use super::claims::by_strength;
use super::score::{Learned, Score};
use super::settings::{Encoder, Settings};
use super::study::{Grid, Study, TestRows};
use super::table::{INPUTS, Label, ROWS, row};
use crate::{Claim, Design, Measured, Options, word};

/// Training reviews that a bin of restaurants spans, and bins; the last one is open.
const BIN_WIDTH: u64 = 10;
const BINS: u64 = 6;

/// What the reader has to know of the set-up.
pub(super) fn about(settings: &Settings, options: &Options, study: &Study) -> Section {
    let data = if options.data.is_some() {
        "The reviews are the user's own; of them only figures are shown"
    } else {
        "The reviews are made up, in the schema of the Yelp Open Dataset, anew with every seed. What is planted in them: \
         stars follow restaurant (cuisine, price), author and occasion; votes lean by the stars; a part of the opinions is \
         said by a negation or by the order of words, a part without any word of a lexicon"
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
        "{data}. {train} of them train, {validation} validate, {test} test. {bert}; it learns for at most {} epochs at {:?}, CNN \
         and HAN for {} and {}, from at most {} tokens of a text; {} evaluations an epoch on the validation rows decide when \
         a run ends ({} in a row without a lower loss) and which weights are taken. Classical models see the {} most \
         frequent terms. Neural models learn the five stars, and four and five are taken together for the two labels; \
         classical models are fitted to each. The majority is {:.1} % for two labels and {:.1} % for five stars.",
        settings.bert.epochs,
        settings.bert.learning_rate,
        settings.cnn.epochs,
        settings.han.epochs,
        settings.length,
        settings.evaluations,
        settings.patience,
        settings.terms,
        mean(&majority(&study.table, Label::Binary)),
        mean(&majority(&study.table, Label::Stars)),
    )))
}

/// Seeds, what varies between them, how claims are corrected, and what was tried before.
pub(super) fn design(settings: &Settings, options: &Options, seeds: usize) -> Design {
    let last = options.seed.wrapping_add(seeds as u64 - 1);
    let rows = if options.data.is_some() {
        "which of the user's reviews are taken, their split"
    } else {
        "the reviews with their restaurants and authors, their split"
    };
    Design {
        seeds: format!("{seeds}, from {} to {last}", options.seed),
        varies: format!(
            "{rows}, the order of rows, dropout, and every weight that does not come from a checkpoint; nothing is shared \
             between seeds but {}",
            match &settings.encoder {
                Encoder::Pretrained(path) => format!("the weights in {}", path.display()),
                Encoder::Small(_) => "the settings".to_owned(),
            }
        ),
        correction: "each claim by the largest p-value of its parts (paired over test rows, one-sided, both kinds of labels), Holm's \
                     correction over the five claims, and over all claims at all strengths in their own table"
            .to_owned(),
        tried: "the constants of the made-up reviews were set by their likeness to published counts and by accuracies of \
                classical models (scikit-learn's, then these) on the rows, test part included, of seeds 0 and 1, so that by how much \
                text leads over meta features is planted; BERT's rows, length and epochs by the time that they take; no accuracy of a \
                neural model decided about a setting"
            .to_owned(),
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Share of the commonest class of the test rows in per cent, by seed.
fn majority(grid: &Grid, label: Label) -> Vec<f64> {
    let of = |test: &TestRows| {
        let all = test.stars.len() as f64;
        let count = match label {
            Label::Binary => {
                let positive = test.positive.iter().filter(|positive| **positive).count();
                positive.max(test.positive.len() - positive)
            }
            Label::Stars => (1..=5)
                .map(|stars| {
                    test.stars.iter().map(|found| usize::from(*found == stars)).sum::<usize>()
                })
                .max()
                .unwrap_or(0),
        };
        100.0 * count as f64 / all
    };
    grid.test.iter().map(of).collect()
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
                let Some(cell) = study.table.cell(row, *inputs) else { return Cell::missing() };
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

/// Whether the neural models learned to their end.
pub(super) fn learning(study: &Study) -> Section {
    let mut table = Table::new(
        "Validation loss by seed: the lowest, after how many of the steps of the schedule, and the last one, where the run \
         ended",
        ["model", "inputs", "lowest (step of steps)", "last (step)"],
    );
    for cell in &study.table.cells {
        let learned: Vec<&Learned> =
            cell.scores.iter().filter_map(|score| score.learned.as_ref()).collect();
        if learned.is_empty() {
            continue;
        }
        let lowest = learned.iter().map(|one| {
            let loss = one.losses.iter().find(|(step, _)| *step == one.best);
            format!("{:.3} ({} of {})", loss.map_or(f64::NAN, |loss| loss.1), one.best, one.planned)
        });
        let last = learned.iter().map(|one| {
            let loss = one.losses.last();
            format!("{:.3} ({})", loss.map_or(f64::NAN, |loss| loss.1), one.steps)
        });
        table.push([
            Cell::text(cell.row.name),
            Cell::text(cell.inputs.as_str()),
            Cell::figures(lowest.collect::<Vec<_>>().join("; ")),
            Cell::figures(last.collect::<Vec<_>>().join("; ")),
        ]);
    }
    Section::new("How far the neural models learned").element(table)
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

/// From, to, hits and rows of each bin that has rows, all seeds together.
fn bins(study: &Study) -> Vec<(u64, Option<u64>, u64, u64)> {
    // Bin 0 is of restaurants that training never saw.
    let mut counts = vec![(0, 0); BINS as usize + 1];
    for (seed, test) in study.table.test.iter().enumerate() {
        let score = study.table.score(row("BERT-MT"), Inputs::Joint, seed);
        let rights = score.map_or(&[][..], |score| score.rights(Label::Binary));
        for (right, known) in rights.iter().zip(&test.known) {
            let bin = if *known == 0 { 0 } else { 1 + (known / BIN_WIDTH).min(BINS - 1) };
            let (hits, rows) = &mut counts[bin as usize];
            *hits += u64::from(*right);
            *rows += 1;
        }
    }
    let ends = (0..=BINS).map(|bin| match bin {
        0 => (0, Some(0)),
        bin => {
            let from = (bin - 1) * BIN_WIDTH;
            (from.max(1), (bin < BINS).then_some(from + BIN_WIDTH - 1))
        }
    });
    let all = ends.zip(counts).map(|((from, to), (hits, rows))| (from, to, hits, rows));
    all.filter(|(.., rows)| *rows > 0).collect()
}

/// Which claims are planted: the same ones with no, the usual and doubled meta effects.
pub(super) fn strengths(study: &Study) -> Section {
    let judged = by_strength(study);
    let mut table = Table::new(
        "Claims by the factor of all planted effects that meta features show, on the models that are trained at each: the \
         classical ones and CNN. What holds at 0 needs no planted effect; what holds at 1 or 2 alone is there because it was \
         planted",
        std::iter::once("claim".to_owned())
            .chain(judged.iter().map(|(strength, _)| format!("{strength} times"))),
    );
    let names = judged.first().map_or(&[][..], |(_, claims)| claims.as_slice());
    for (at, first) in names.iter().enumerate() {
        let of = |claim: &Claim| Cell::text(word(claim.verdict)).hover(claim.measured.clone());
        let cells = judged.iter().map(|(_, claims)| claims.get(at).map_or_else(Cell::missing, of));
        table.push(std::iter::once(Cell::text(&first.claim)).chain(cells.collect::<Vec<_>>()));
    }
    let mut accuracies = Table::new(
        "Mean accuracy in per cent of the six classical models, two labels / five stars",
        ["factor", "meta", "text", "joint"],
    );
    let mut grids: Vec<&Grid> = std::iter::once(&study.table).chain(&study.others).collect();
    grids.sort_by(|a, b| a.strength.total_cmp(&b.strength));
    for grid in grids {
        let cells = INPUTS.map(|inputs| {
            let [binary, stars] = Label::ALL.map(|label| classical_mean(grid, inputs, label));
            Cell::figures(format!("{binary:.1} / {stars:.1}"))
        });
        accuracies.push(std::iter::once(Cell::text(grid.strength.to_string())).chain(cells));
    }
    Section::new("Planted or found").element(table).element(accuracies)
}

fn classical_mean(grid: &Grid, inputs: Inputs, label: Label) -> f64 {
    let classical = grid.cells.iter().filter(|cell| cell.row.is_classical());
    let means: Vec<f64> = classical
        .filter(|cell| cell.inputs == inputs)
        .map(|cell| over_seeds(&cell.scores, label).value)
        .collect();
    mean(&means)
}

/// Figure, published value, source and values of the made-up reviews by seed.
type Compared = (&'static str, f64, &'static str, Vec<f64>);

fn compared(study: &Study) -> Vec<Compared> {
    let first = study.likeness.first().map_or(&[][..], Vec::as_slice);
    let by_seed = |at: usize| {
        let of = |seed: &Vec<Likeness>| seed.get(at).and_then(|one| one.made_up);
        study.likeness.iter().filter_map(of).collect()
    };
    let figures = first.iter().enumerate();
    figures.map(|(at, one)| (one.figure, one.published, one.source, by_seed(at))).collect()
}

/// The made-up reviews beside what is published of real ones.
pub(super) fn likeness(study: &Study) -> Option<Section> {
    let compared = compared(study);
    if compared.is_empty() {
        return None;
    }
    let mut table = Table::new(
        "The made-up reviews of restaurants (mean over seeds, least and most) beside published figures of real reviews",
        ["figure", "published", "made up", "source"],
    );
    for (figure, published, source, made_up) in compared {
        let least = made_up.iter().copied().fold(f64::INFINITY, f64::min);
        let most = made_up.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        table.push([
            Cell::text(figure),
            Cell::figures(format!("{published:.2}")),
            Cell::figures(format!("{:.2} ({least:.2} to {most:.2})", mean(&made_up))),
            Cell::text(source),
        ]);
    }
    Some(Section::new("How like real reviews they are").element(table))
}

pub(super) fn numbers(study: &Study) -> Value {
    let cells: Vec<Value> = study
        .table
        .cells
        .iter()
        .map(|cell| {
            let of =
                |label| cell.scores.iter().map(|score| score.accuracy(label)).collect::<Vec<_>>();
            let learned: Vec<&Learned> =
                cell.scores.iter().filter_map(|score| score.learned.as_ref()).collect();
            json!({
                "model": cell.row.name,
                "inputs": cell.inputs.as_str(),
                "binary": of(Label::Binary),
                "stars": of(Label::Stars),
                "paper": Label::ALL.map(|label| cell.row.paper(cell.inputs, label)),
                "learned": learned,
            })
        })
        .collect();
    let bins: Vec<Value> = bins(study)
        .into_iter()
        .map(|(from, to, hits, rows)| json!({"from": from, "to": to, "hits": hits, "rows": rows}))
        .collect();
    let strengths: Vec<Value> = by_strength(study)
        .iter()
        .map(|(strength, claims)| {
            let claims: Vec<Value> = claims.iter().map(Claim::to_json).collect();
            json!({"meta_effects": strength, "claims": claims})
        })
        .collect();
    let likeness: Vec<Value> = compared(study)
        .into_iter()
        .map(|(figure, published, source, made_up)| {
            json!({"figure": figure, "published": published, "source": source, "made_up": made_up})
        })
        .collect();
    json!({
        "rows": study.rows,
        "majority": Label::ALL.map(|label| majority(&study.table, label)),
        "cells": cells,
        "by_training_count": bins,
        "by_strength": strengths,
        "likeness": likeness,
    })
}
