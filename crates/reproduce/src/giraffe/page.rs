//! The experiment's page and numbers.

use bestof_report::{Cell, HeatMap, Section, Table, Text};
use bestof_trainer::evaluate::Estimate;
use serde_json::{Value, json};

use super::basis::{ALL, Basis, FURTHER, LINEAR, PLAIN, POWERED, TRUNCATED};
use super::claims::{JUDGED, Runs};
use super::documents::{ASKED_OF_EACH, Between, FIFTHS};
use super::measure::AtLength;
use super::size::{Extending, Size, TIMES};
use super::study::{Found, Study};
use crate::{Design, Options, ReproduceError};

/// A kind of model: basis, training, and the factor of evaluation.
type Kind = (Basis, Option<Extending>, Option<f64>);

fn label((basis, _, eval_factor): Kind) -> String {
    match eval_factor {
        Some(factor) => format!("{}, evaluated at {factor}", basis.label()),
        None => basis.label(),
    }
}

/// What the verdicts rest on.
pub(super) fn design(options: &Options, size: &Size, study: &Study) -> Design {
    let (passed, given_up): (Vec<_>, Vec<_>) = study.bases.iter().partition(|base| base.passed);
    let numbers = |bases: &[&super::study::Base]| {
        bases.iter().map(|base| base.number.to_string()).collect::<Vec<_>>().join(", ")
    };
    let replaced = if given_up.is_empty() {
        "none had to be replaced".to_owned()
    } else {
        format!(
            "numbers {} had not passed their lessons after {} steps, or predicted less than {} of the values' tokens at the end, and \
             were replaced by the next numbers, before anything was measured of them",
            numbers(&given_up),
            size.most_steps,
            size.learned_at
        )
    };
    Design {
        seeds: format!(
            "{} base models, numbers {} of seed {}; {replaced}",
            passed.len(),
            numbers(&passed),
            options.seed
        ),
        varies: "the first weights, every row, the questions and the texts; all extensions of a base model are trained on \
                 the same rows in the same order and asked the same questions"
            .into(),
        correction: format!(
            "{JUDGED} claims are judged by intervals of 1 - 0.05 / {JUDGED} over base models, so that the chance of even one \
             wrong interval is at most 5 % (Bonferroni)"
        ),
        tried: "records of one sign, which need no sense of place (all bases but plain RoPE found nearly everything at 4 times \
                the length); records of four tokens from the first step at full length, with two layers, or with the loss on \
                values alone (nothing learned); learning rate 3e-3 without clipping (some seeds stay at the first lessons); records without text up to 128 tokens (the \
                last lengths are passed late and values are read less surely)"
            .into(),
    }
}

/// What the reader has to know of the set-up.
pub(super) fn about(size: &Size) -> Section {
    let shape = size.shape;
    let lessons: Vec<String> = size
        .lessons
        .iter()
        .map(|lesson| match lesson.between {
            Between::Nothing => lesson.length.to_string(),
            Between::Text => format!("{} with running text", lesson.length),
        })
        .collect();
    Section::new("The experiment").element(Text::new(format!(
        "A LLaMA of {} layers, width {}, {} heads and base {} learns to look values up: a row is a list of records (a key of \
         two letters out of 16, a value of two digits) and then a question about each of them in any order; keys and values of \
         the questions are learned, and in half of the rows with running text between the records that too. It learns rows of {} \
         tokens, the next ones when {} of the values' tokens of 20 batches are predicted, and then {} steps of rows of {} tokens, the learning \
         rate falling from {} to 0. Its basis is then changed; every extended model is measured as it is, and again after {} \
         steps of {} tokens on rows of at most {} times the first length, the same ones for all, at a learning rate of {}. Accuracy: whole \
         values, {} questions for each length and base model, {} in each fifth of {} documents with a record every eight tokens. \
         Perplexity: of the running text in the last {} tokens of {} texts, the same at every length.",
        shape.layers,
        shape.width,
        shape.heads,
        shape.rope_theta,
        lessons.join(", "),
        size.passed_at,
        size.last_steps,
        size.context(),
        size.rate,
        size.extended.steps,
        size.batch,
        size.extended.times,
        size.extended_rate,
        size.documents * FIFTHS * ASKED_OF_EACH,
        ASKED_OF_EACH,
        size.documents,
        size.scored,
        size.texts,
    )))
}

/// The base models with the steps after which each lesson was passed.
pub(super) fn bases(study: &Study, size: &Size) -> Section {
    let columns = ["number".to_owned()]
        .into_iter()
        .chain(size.lessons.iter().map(|lesson| format!("rows of {}", lesson.length)))
        .chain(["predicted at the end".to_owned()]);
    let mut table = Table::new("Steps after which each lesson was passed", columns);
    for base in &study.bases {
        let steps = (0..size.lessons.len()).map(|at| {
            let passed = base.report.passed_after.get(at);
            Cell::text(passed.map_or_else(|| "not".to_owned(), usize::to_string))
        });
        let learned = base.report.learned;
        let learned = learned.map_or_else(|| Cell::text("not reached"), Cell::percent);
        table.push([Cell::text(base.number.to_string())].into_iter().chain(steps).chain([learned]));
    }
    Section::new("The base models").element(table)
}

/// Accuracy and perplexity by length, a row a model.
pub(super) fn tables(found: &[Found], size: &Size) -> Result<Section, ReproduceError> {
    let untrained: Vec<Kind> = ALL
        .into_iter()
        .filter(|basis| !basis.needs_training())
        .flat_map(|basis| kinds(basis, None, basis.untrained_factors))
        .collect();
    let trained: Vec<Kind> =
        ALL.into_iter().map(|basis| (basis, Some(size.extended), None)).collect();
    let factors: Vec<Kind> = ALL
        .into_iter()
        .filter(|basis| !basis.eval_factors.is_empty())
        .flat_map(|basis| kinds(basis, Some(size.extended), basis.eval_factors))
        .collect();
    let mut tables = vec![
        ("Without training".to_owned(), untrained),
        ("After training".to_owned(), trained),
        ("After training, at other factors".to_owned(), factors),
    ];
    for extending in &size.further {
        let kinds = FURTHER.map(|basis| (basis, Some(*extending), None)).to_vec();
        let Extending { times, steps } = extending;
        tables.push((
            format!("After {steps} steps on rows of {times} times the first length"),
            kinds,
        ));
    }
    let mut section = Section::new("Accuracy and perplexity by length");
    for (caption, rows) in tables {
        section.push(table(&caption, Runs { found, extended: size.extended }, &rows, size)?);
    }
    Ok(section)
}

fn kinds(basis: Basis, trained: Option<Extending>, factors: &[f64]) -> Vec<Kind> {
    std::iter::once(None)
        .chain(factors.iter().copied().map(Some))
        .map(|factor| (basis, trained, factor))
        .collect()
}

/// What all repetitions found at one length: accuracy with Wilson's interval, and the geometric mean
/// of perplexities.
fn pooled(
    runs: Runs<'_>,
    (basis, trained, factor): Kind,
    place: usize,
) -> Result<(Estimate, f64), ReproduceError> {
    let at: Vec<&AtLength> =
        runs.of(basis, trained, factor).map(|found| &found.at[place]).collect();
    let (hits, n) = at.iter().map(|at| at.total()).fold((0, 0), |(h, n), (a, b)| (h + a, n + b));
    let logs: f64 = at.iter().map(|at| at.perplexity.ln()).sum();
    Ok((Estimate::share("accuracy", hits, n)?, (logs / at.len() as f64).exp()))
}

fn table(
    caption: &str,
    runs: Runs<'_>,
    rows: &[Kind],
    size: &Size,
) -> Result<Table, ReproduceError> {
    let columns = std::iter::once("basis".to_owned())
        .chain(size.lengths().map(|length| format!("found at {length}")))
        .chain(size.lengths().map(|length| format!("perplexity at {length}")));
    let mut table = Table::new(caption, columns);
    let found = rows
        .iter()
        .map(|kind| (0..TIMES.len()).map(|place| pooled(runs, *kind, place)).collect())
        .collect::<Result<Vec<Vec<_>>, ReproduceError>>()?;
    for (kind, row) in rows.iter().zip(&found) {
        let accuracies = row.iter().enumerate().map(|(place, (share, _))| {
            let best = found.iter().all(|other| other[place].0.value <= share.value);
            let interval = format!("95 % [{:.3}, {:.3}], n = {}", share.low, share.high, share.n);
            let cell = Cell::percent(share.value).hover(interval);
            if best { cell.good() } else { cell }
        });
        let perplexities = row.iter().map(|(_, perplexity)| Cell::number(*perplexity));
        table.push(std::iter::once(Cell::text(label(*kind))).chain(accuracies).chain(perplexities));
    }
    Ok(table)
}

/// Accuracy by length and place of the models that the claims are about.
pub(super) fn maps(found: &[Found], size: &Size) -> Section {
    let trained = Some(size.extended);
    let shown: [(Kind, &str); 6] = [
        ((PLAIN, None, None), "without training"),
        ((PLAIN, trained, None), "after training"),
        ((LINEAR, trained, None), "after training"),
        ((LINEAR, trained, Some(8.0)), "after training"),
        ((POWERED, trained, None), "after training"),
        ((TRUNCATED, trained, None), "after training"),
    ];
    let runs = Runs { found, extended: size.extended };
    let mut section = Section::new("Accuracy by length and place");
    for (kind, when) in shown {
        let mut map = HeatMap::new(
            format!("{}, {when}", label(kind)),
            "tokens",
            size.lengths().map(|length| length.to_string()),
        )
        .row_label("fifth of the document")
        .percent();
        for fifth in 0..FIFTHS {
            let cells = (0..TIMES.len()).map(|place| {
                let (hits, n) = runs
                    .of(kind.0, kind.1, kind.2)
                    .map(|found| found.at[place].by_fifth[fifth])
                    .fold((0, 0), |(h, n), (a, b)| (h + a, n + b));
                (n > 0).then(|| hits as f64 / n as f64)
            });
            map = map.row((fifth + 1).to_string(), cells);
        }
        section.push(map);
    }
    section
}

/// Everything measured.
pub(super) fn numbers(study: &Study, size: &Size) -> Value {
    let models: Vec<Value> = study
        .found
        .iter()
        .map(|found| {
            let at: Vec<Value> = size
                .lengths()
                .iter()
                .zip(&found.at)
                .map(|(length, at)| {
                    json!({
                        "length": length, "accuracy": at.accuracy(), "perplexity": at.perplexity,
                        "by_fifth": at.by_fifth.map(|(hits, n)| json!([hits, n])),
                    })
                })
                .collect();
            json!({
                "basis": found.basis.label(),
                "trained": found.trained.map(|e| json!({"times": e.times, "steps": e.steps})),
                "eval_factor": found.eval_factor, "repetition": found.repetition, "at": at,
            })
        })
        .collect();
    let bases: Vec<Value> = study
        .bases
        .iter()
        .map(|base| {
            json!({
                "number": base.number, "passed": base.passed,
                "passed_after": base.report.passed_after, "learned": base.report.learned,
            })
        })
        .collect();
    json!({"table": summary(study, size), "bases": bases, "models": models})
}

/// The means over base models of each kind of model, as tables have them.
fn summary(study: &Study, size: &Size) -> Vec<Value> {
    let runs = Runs { found: &study.found, extended: size.extended };
    let trained = Some(size.extended);
    let untrained = ALL.into_iter().filter(|basis| !basis.needs_training());
    let further = size
        .further
        .iter()
        .flat_map(|extending| FURTHER.map(|basis| (basis, Some(*extending), None)));
    untrained
        .flat_map(|basis| kinds(basis, None, basis.untrained_factors))
        .chain(ALL.into_iter().flat_map(|basis| kinds(basis, trained, basis.eval_factors)))
        .chain(further)
        .map(|kind| {
            let of: Vec<&Found> = runs.of(kind.0, kind.1, kind.2).collect();
            let mean = |number: &dyn Fn(&AtLength) -> f64, place: usize| {
                of.iter().map(|found| number(&found.at[place])).sum::<f64>() / of.len() as f64
            };
            let places = 0..TIMES.len();
            let heading = match kind.1 {
                None => "without training".to_owned(),
                Some(Extending { times, steps }) => {
                    format!("after {steps} steps on rows of {times} times the first length")
                }
            };
            json!({
                "heading": heading,
                "basis": label(kind),
                "trained": kind.1.map(|e| json!({"times": e.times, "steps": e.steps})),
                "accuracy": places.clone().map(|at| mean(&AtLength::accuracy, at)).collect::<Vec<_>>(),
                "perplexity": places
                    .map(|at| mean(&|at| at.perplexity.ln(), at).exp())
                    .collect::<Vec<_>>(),
            })
        })
        .collect()
}
