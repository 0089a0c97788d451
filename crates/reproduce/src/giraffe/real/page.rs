//! The experiment's page and numbers.

use bestof_report::{Cell, HeatMap, Section, Table, Text, format_number};
use serde_json::{Value, json};

use super::arm::Arm;
use super::claims::{Comparison, compared};
use super::settings::{Settings, Training};
use super::shares::{Answers, hits, measured, share};
use super::study::{self, Study};
use crate::{Design, Options};

/// Parts of a record in the maps.
const PARTS: usize = 5;

/// What the reader has to know of the set-up.
pub(super) fn about(settings: &Settings, records: usize, study: &Study) -> Section {
    let Training { steps, windows: [shortest, longest], lookups, rate } = &settings.training;
    let [own, beyond, farthest] = settings.lengths;
    Section::new("The experiment")
        .element(Text::new(format!(
            "The model in {} is put on other bases for twice its length and asked for lines of LongChat-Lines, as it is. \
             Linear scaling is then trained by LoRA (rank 16, learning rate {rate}) for {steps} steps of one window of \
             {shortest} to {longest} tokens, a record with up to {lookups} lookups, and asked again. At {own}, {beyond} \
             and {farthest} tokens there are {records} records of lines with {} questions each, spread over the record, \
             the same ones for every basis. No key occurs both in training and in questions.",
            settings.model.display(),
            settings.questions,
        )))
        .element(Text::new(format!(
            "A record is read once. Each question is a branch behind it, with the beginning of its answer, \
             \"The <REGISTER_CONTENT> in line KEY is <\". A value is found if it is likelier there than {} other values \
             of the record with as many digits; guessing finds one in {}. It is said if it is also what decoding the \
             likeliest token each time says, with no further digit. Of the paper's rule, the first run of digits in an answer \
             that the model begins itself, the latter differs by the given beginning; it asks more of a small model.",
            settings.choices - 1,
            settings.choices,
        )))
        .element(Text::note(format!(
            "Questions about one record have all of it in common. Over the whole study what is found differs from record to \
             record {} times as much as among independent questions (Pearson's statistic over its degrees of \
             freedom, at least 1). The number of questions is divided by that in Wilson's intervals, in Newcombe's \
             of paired differences and in McNemar's test; p-values are corrected for each other after Holm. An interval over \
             {records} records alone would be too wide to say anything.",
            format_number(study.spread),
        )))
}

/// What the verdicts rest on.
pub(super) fn design(settings: &Settings, options: &Options, records: usize) -> Design {
    Design {
        seeds: format!(
            "one model; {records} records of {} questions at each length, of seed {}",
            settings.questions, options.seed
        ),
        varies: "the lines of a record and the questions; every basis reads the same records and is asked the same questions, the \
                 training has lines of its own"
            .into(),
        correction: "intervals and tests count the questions as fewer by their excess spread over records; p-values of paired \
                     comparisons are corrected for each other by Holm's method"
            .into(),
        tried: "whole numbers written by the model itself: at 1,583 tokens it wrote one of 16 right, and at 3,000 none, so that a value \
                counts as found if it is likelier than nine others of the record; nothing of the training was tried before"
            .into(),
    }
}

/// Shares of values found by length.
pub(super) fn accuracies(settings: &Settings, study: &Study) -> Section {
    let columns = settings.lengths.iter().map(|length| format!("{length} tokens"));
    let mut table = Table::new(
        "Values found, with Wilson's 95 % interval; in brackets those said, and the mean of -ln p of the value in nats",
        std::iter::once("basis".to_owned()).chain(columns),
    );
    for arm in Arm::ALL {
        let cells = study.cells.iter().filter(|cell| cell.arm == arm).map(|cell| {
            let answers = cell.answers();
            let found = measured(&answers, study.spread);
            let each: Vec<usize> = answers.iter().map(|record| hits(record)).collect();
            Cell::figures(format!(
                "{:.1} % [{:.1}, {:.1}] ({:.1} %, {:.1})",
                100.0 * found.value,
                100.0 * found.low,
                100.0 * found.high,
                100.0 * share(&cell.said()),
                cell.nats()
            ))
            .hover(format!("found in each record: {each:?} of {}", settings.questions))
        });
        table.push(std::iter::once(Cell::text(arm.label())).chain(cells.collect::<Vec<_>>()));
    }
    Section::new("Values found by length").element(table)
}

fn at(places: &[usize], settings: &Settings) -> String {
    let lengths: Vec<String> =
        places.iter().map(|place| settings.lengths[*place].to_string()).collect();
    lengths.join(", ")
}

/// What one arm finds that another does not.
pub(super) fn comparisons(settings: &Settings, study: &Study) -> Section {
    let mut table = Table::new(
        "The same questions asked in two ways: what the first finds more, with Newcombe's 95 % interval",
        ["first", "second", "tokens", "only first", "only second", "gain", "p", "p corrected"],
    );
    for (Comparison { first, second, places }, paired, corrected) in compared(study) {
        table.push([
            Cell::text(first.label()),
            Cell::text(second.label()),
            Cell::text(at(places, settings)),
            Cell::number(paired.only[0] as f64),
            Cell::number(paired.only[1] as f64),
            Cell::figures(format!(
                "{:.3} [{:.3}, {:.3}]",
                paired.gain.value, paired.gain.low, paired.gain.high
            )),
            Cell::figures(format!("{:.4}", paired.p)),
            Cell::figures(format!("{corrected:.4}")),
        ]);
    }
    Section::new("Comparisons").element(table)
}

/// Values found by length and depth.
pub(super) fn maps(settings: &Settings, study: &Study) -> Section {
    let mut section = Section::new("Values found by length and depth");
    for arm in Arm::ALL {
        let lengths = settings.lengths.map(|length| length.to_string());
        let mut map =
            HeatMap::new(arm.label(), "tokens", lengths).row_label("part of the record").percent();
        for part in 0..PARTS {
            let cells = study.cells.iter().filter(|cell| cell.arm == arm).map(|cell| {
                let here = |record: Vec<bool>| {
                    let questions = record.len();
                    let inside = move |(at, _): &(usize, bool)| at * PARTS / questions == part;
                    record.into_iter().enumerate().filter(inside).map(|(_, found)| found).collect()
                };
                let found = share(&cell.answers().into_iter().map(here).collect());
                found.is_finite().then_some(found)
            });
            map = map.row(format!("{} of {PARTS}", part + 1), cells.collect::<Vec<_>>());
        }
        section.push(map);
    }
    section
}

/// What everything took.
pub(super) fn cost(study: &Study) -> Section {
    let mut table = Table::new(
        "Tokens computed and hours on this machine; a pass that an earlier start made counts with its own time",
        ["what", "tokens", "hours"],
    );
    let mut row = |what: &str, tokens: f64, seconds: f64| {
        let hours = Cell::figures(format!("{:.2}", seconds / 3600.0));
        table.push([Cell::text(what), Cell::number(tokens), hours]);
    };
    let (mut tokens, mut seconds) = (0.0, 0.0);
    for arm in Arm::ALL {
        let passes = || study.cells.iter().filter(|cell| cell.arm == arm).flat_map(|c| &c.passes);
        let read: f64 = passes().map(|pass| pass.tokens as f64).sum();
        let took: f64 = passes().map(|pass| pass.seconds).sum();
        row(arm.label(), read, took);
        (tokens, seconds) = (tokens + read, seconds + took);
    }
    let trained = &study.trained;
    row("training", trained.tokens as f64, trained.seconds);
    row("all", tokens + trained.tokens as f64, seconds + trained.seconds);
    Section::new("Cost").element(table)
}

/// Everything measured but times.
pub(super) fn numbers(settings: &Settings, records: usize, study: &Study) -> Value {
    let cells: Vec<Value> = study.cells.iter().map(|cell| of_cell(settings, study, cell)).collect();
    let compared: Vec<Value> = compared(study)
        .into_iter()
        .map(|(Comparison { first, second, places }, paired, corrected)| {
            let mut value = paired.to_json(corrected);
            value["first"] = first.label().into();
            value["second"] = second.label().into();
            let lengths = places.iter().map(|place| settings.lengths[*place]);
            value["lengths"] = lengths.collect::<Vec<_>>().into();
            value
        })
        .collect();
    let Training { steps, lookups, rate, .. } = settings.training;
    json!({
        "model": settings.model.display().to_string(),
        "lengths": settings.lengths,
        "records": records,
        "questions": settings.questions,
        "choices": settings.choices,
        "spread_over_records": study.spread,
        "cells": cells,
        "comparisons": compared,
        "training": {
            "steps": steps, "windows": settings.windows(), "lookups": lookups,
            "learning_rate": rate, "tokens": study.trained.tokens, "losses": study.trained.losses,
        },
    })
}

fn of_cell(settings: &Settings, study: &Study, cell: &study::Cell) -> Value {
    let answers = cell.answers();
    let found = measured(&answers, study.spread);
    // A sign for each question of a record, in the order of depth.
    let signs = |records: &Answers| -> Vec<String> {
        let sign = |yes: &bool| if *yes { '1' } else { '0' };
        records.iter().map(|record| record.iter().map(sign).collect()).collect()
    };
    json!({
        "basis": cell.arm.label(),
        "trained": cell.arm == Arm::Trained,
        "length": settings.lengths[cell.place],
        "found": answers.iter().map(|record| hits(record)).sum::<usize>(),
        "said": cell.said().iter().map(|record| hits(record)).sum::<usize>(),
        "asked": answers.iter().map(Vec::len).sum::<usize>(),
        "value": found.value, "low": found.low, "high": found.high,
        "nats": cell.nats(),
        "tokens": cell.passes.iter().map(|pass| pass.tokens).sum::<usize>(),
        "each_found": signs(&answers),
        "each_said": signs(&cell.said()),
    })
}
