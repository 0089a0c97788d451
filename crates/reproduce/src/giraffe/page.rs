//! The experiment's page and numbers.

use bestof_report::{Cell, HeatMap, Section, Table, Text};
use bestof_trainer::evaluate::Estimate;
use serde_json::{Value, json};

use super::basis::{ALL, Basis, LINEAR, PLAIN, POWERED, TRUNCATED};
use super::claims::Runs;
use super::measure::AtLength;
use super::size::{DEPTHS, Size, TIMES};
use super::study::Found;
use crate::ReproduceError;

/// A kind of model: basis, whether trained, and the factor of evaluation.
type Kind = (Basis, bool, Option<f64>);

fn label((basis, _, eval_factor): Kind) -> String {
    match eval_factor {
        Some(factor) => format!("{}, evaluated at {factor}", basis.label()),
        None => basis.label(),
    }
}

/// What the reader has to know of the set-up.
pub(super) fn about(size: &Size, seeds: usize) -> Section {
    let model = match &size.model {
        Some(path) => format!(
            "The model in {} is extended, and trained by LoRA on records of lines and running text; the questions \
             are LongChat-Lines'.",
            path.display()
        ),
        None => format!(
            "{seeds} repetitions: a LLaMA of {} layers and width {}, a token a sign, learns running text with records \
             in it (a sign each for a key and its value, one of 10) and questions about them, up to {} tokens, {} steps of {} rows.",
            size.shape.layers, size.shape.width, size.context, size.taught.steps, size.taught.batch
        ),
    };
    Section::new("The experiment").element(Text::new(format!(
        "{model} Its basis is then changed; every extended model is measured as it is, and again after {} steps on {} rows of at \
         most {} tokens, the same ones for all. Accuracy: {} questions for each length and repetition, the answer at five \
         depths. Perplexity: of the last {} tokens of {} texts, the same at every length.",
        size.extended.steps,
        size.extended.batch,
        size.trained_length(),
        size.cases * DEPTHS.len(),
        size.scored,
        size.texts,
    )))
}

/// Accuracy and perplexity by length, a row a model.
pub(super) fn tables(found: &[Found], size: &Size) -> Result<Section, ReproduceError> {
    let untrained: Vec<Kind> = ALL
        .into_iter()
        .filter(|basis| !basis.needs_training())
        .flat_map(|basis| kinds(basis, false, basis.untrained_factors))
        .collect();
    let trained: Vec<Kind> = ALL.into_iter().map(|basis| (basis, true, None)).collect();
    let factors: Vec<Kind> = ALL
        .into_iter()
        .filter(|basis| !basis.eval_factors.is_empty())
        .flat_map(|basis| kinds(basis, true, basis.eval_factors))
        .collect();
    let mut section = Section::new("Accuracy and perplexity by length");
    for (caption, rows) in [
        ("Without training", untrained),
        ("After training", trained),
        ("After training, at other factors", factors),
    ] {
        section.push(table(caption, Runs(found), &rows, size)?);
    }
    Ok(section)
}

fn kinds(basis: Basis, trained: bool, factors: &[f64]) -> Vec<Kind> {
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

/// Accuracy by length and depth of the models that the claims are about.
pub(super) fn maps(found: &[Found], size: &Size) -> Section {
    let shown: [(Kind, &str); 6] = [
        ((PLAIN, false, None), "without training"),
        ((PLAIN, true, None), "after training"),
        ((LINEAR, true, None), "after training"),
        ((LINEAR, true, Some(8.0)), "after training"),
        ((POWERED, true, None), "after training"),
        ((TRUNCATED, true, None), "after training"),
    ];
    let mut section = Section::new("Accuracy by length and depth");
    for (kind, when) in shown {
        let mut map = HeatMap::new(
            format!("{}, {when}", label(kind)),
            "tokens",
            size.lengths().map(|length| length.to_string()),
        )
        .row_label("depth of the answer")
        .percent();
        for (at, depth) in DEPTHS.into_iter().enumerate() {
            let cells = (0..TIMES.len()).map(|place| {
                let (hits, n) = Runs(found)
                    .of(kind.0, kind.1, kind.2)
                    .map(|found| found.at[place].by_depth[at])
                    .fold((0, 0), |(h, n), (a, b)| (h + a, n + b));
                (n > 0).then(|| hits as f64 / n as f64)
            });
            map = map.row(format!("{:.0} %", 100.0 * depth), cells);
        }
        section.push(map);
    }
    section
}

/// Everything measured.
pub(super) fn numbers(found: &[Found], size: &Size) -> Value {
    let models: Vec<Value> = found
        .iter()
        .map(|found| {
            let at: Vec<Value> = size
                .lengths()
                .iter()
                .zip(&found.at)
                .map(|(length, at)| {
                    json!({
                        "length": length, "accuracy": at.accuracy(), "perplexity": at.perplexity,
                        "by_depth": at.by_depth.map(|(hits, n)| json!([hits, n])),
                    })
                })
                .collect();
            json!({
                "basis": found.basis.label(), "trained": found.trained,
                "eval_factor": found.eval_factor, "repetition": found.repetition, "at": at,
            })
        })
        .collect();
    json!({"depths": DEPTHS, "models": models})
}
