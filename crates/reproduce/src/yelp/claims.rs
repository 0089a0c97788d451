//! What the paper claims, judged on the runs.

use bestof_sentiment::classical::Inputs;

use super::rules::{Effect, Stated, judge};
use super::score::share;
use super::study::{Grid, Study};
use super::table::{Label, ROWS, Row, row};
use crate::Claim;

/// The spread, in points, of the paper's own bins of restaurants (figure 7b): 81.6 to 89.3 %.
const BALANCED: f64 = 7.7;

/// Accuracies in per cent by row and inputs, of one seed or of the paper.
type Figures<'a> = &'a dyn Fn(&Row, Inputs) -> f64;

/// A model with the weight that its accuracy has in a difference.
type Term = (f64, &'static Row, Inputs);

/// Which accuracies make a difference; those of a seed may decide.
type Difference = fn(Figures<'_>) -> Vec<Term>;

/// The mean over rows of the accuracy on one kind of input less that on another.
fn inputs_over(rows: impl Fn(&Row) -> bool, [more, less]: [Inputs; 2]) -> Vec<Term> {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| rows(row)).collect();
    let weight = 1.0 / rows.len() as f64;
    rows.into_iter().flat_map(|row| [(weight, row, more), (-weight, row, less)]).collect()
}

fn text_over_meta(_: Figures<'_>) -> Vec<Term> {
    inputs_over(Row::is_classical, [Inputs::Text, Inputs::Meta])
}

fn joint_over_text(_: Figures<'_>) -> Vec<Term> {
    inputs_over(|row| !row.text.is_multi_task(), [Inputs::Joint, Inputs::Text])
}

/// The same of the models that are trained at every strength.
fn joint_over_text_of_small(_: Figures<'_>) -> Vec<Term> {
    inputs_over(|row| row.is_classical() || row.name == "CNN", [Inputs::Joint, Inputs::Text])
}

/// The worse of HAN and BERT against the classical model that is best on the test rows.
fn attention_over_classical(of: Figures<'_>) -> Vec<Term> {
    let text = |row: &Row| of(row, Inputs::Text);
    let [han, bert] = ["HAN", "BERT"].map(row);
    let low = if text(han) < text(bert) { han } else { bert };
    let classical = ROWS.iter().filter(|row| row.is_classical());
    let best = classical.reduce(|best, row| if text(row) > text(best) { row } else { best });
    let best = best.map(|best| (-1.0, best, Inputs::Text));
    std::iter::once((1.0, low, Inputs::Text)).chain(best).collect()
}

fn multi_over_single_of(names: &[&str]) -> Vec<Term> {
    let weight = 0.5 / names.len() as f64;
    let of = |name: &&str| {
        let multi = row(&format!("{name}-MT"));
        let single = row(name);
        [Inputs::Text, Inputs::Joint]
            .map(|inputs| [(weight, multi, inputs), (-weight, single, inputs)])
            .concat()
    };
    names.iter().flat_map(of).collect()
}

fn multi_over_single(_: Figures<'_>) -> Vec<Term> {
    multi_over_single_of(&["CNN", "HAN", "BERT"])
}

fn multi_over_single_of_small(_: Figures<'_>) -> Vec<Term> {
    multi_over_single_of(&["CNN"])
}

fn value(terms: &[Term], of: Figures<'_>) -> f64 {
    terms.iter().map(|(weight, row, inputs)| weight * of(row, *inputs)).sum()
}

fn paper(label: Label, difference: Difference) -> f64 {
    let of = |row: &Row, inputs| row.paper(inputs, label).unwrap_or(f64::NAN);
    value(&difference(&of), &of)
}

/// A difference of accuracies by row and by seed.
fn effect(grid: &Grid, label: Label, difference: Difference) -> Effect {
    let (mut by_seed, mut by_row) = (Vec::new(), Vec::new());
    for (seed, test) in grid.test.iter().enumerate() {
        let score = |row: &Row, inputs| grid.score(row, inputs, seed);
        let of =
            |row: &Row, inputs| score(row, inputs).map_or(f64::NAN, |score| score.accuracy(label));
        let terms = difference(&of);
        by_seed.push(value(&terms, &of));
        by_row.extend((0..test.stars.len()).map(|at| {
            let right = |row: &Row, inputs| {
                let right = score(row, inputs).and_then(|score| score.rights(label).get(at));
                right.map_or(f64::NAN, |right| if *right { 100.0 } else { 0.0 })
            };
            value(&terms, &right)
        }));
    }
    let paper = Some(paper(label, difference));
    Effect { name: label.name().into(), by_seed, by_row, bound: 0.0, paper }
}

/// A claim that a difference is above 0 for both kinds of labels.
fn above(grid: &Grid, claim: &str, what: &str, difference: Difference) -> Stated {
    Stated {
        claim: claim.into(),
        of: format!("{what}, for two labels and for five stars, above 0"),
        effects: Label::ALL.map(|label| effect(grid, label, difference)).to_vec(),
    }
}

/// Which test rows are of the restaurants with most training reviews: whole groups of the same number, the
/// busiest first, until half of the rows are taken.
fn busy(known: &[u64]) -> Vec<bool> {
    let mut sorted = known.to_vec();
    sorted.sort_unstable();
    let middle = sorted.get(known.len() / 2).copied().unwrap_or(0);
    known.iter().map(|count| *count >= middle).collect()
}

/// Accuracy on busy restaurants less that on others, in points: of a seed, and by row with that mean, each row's
/// distance from its own half's accuracy.
fn busy_minus_quiet(rights: &[bool], busy: &[bool]) -> (f64, Vec<f64>) {
    let of = |half: bool| -> Vec<bool> {
        rights.iter().zip(busy).filter(|(_, is)| **is == half).map(|(right, _)| *right).collect()
    };
    let (many, few) = (of(true), of(false));
    let gap = share(&many) - share(&few);
    let rows = rights.iter().zip(busy).map(|(right, is)| {
        let right = if *right { 100.0 } else { 0.0 };
        let all = rights.len() as f64;
        if *is {
            gap + (right - share(&many)) * all / many.len() as f64
        } else {
            gap - (right - share(&few)) * all / few.len() as f64
        }
    });
    (gap, rows.collect())
}

fn balanced(grid: &Grid) -> Stated {
    let named = |name: &str, bound| Effect {
        name: name.into(),
        by_seed: Vec::new(),
        by_row: Vec::new(),
        bound,
        paper: None,
    };
    let mut more = named("busy less other restaurants", -BALANCED);
    let mut less = named("other less busy restaurants", -BALANCED);
    let mut useful = named("accuracy above the majority's", 0.0);
    for (seed, test) in grid.test.iter().enumerate() {
        let score = grid.score(row("BERT-MT"), Inputs::Joint, seed);
        let rights = score.map_or(&[][..], |score| score.rights(Label::Binary));
        let (gap, rows) = busy_minus_quiet(rights, &busy(&test.known));
        more.by_seed.push(gap);
        less.by_seed.push(-gap);
        more.by_row.extend(&rows);
        less.by_row.extend(rows.iter().map(|gap| -gap));
        let usual =
            2 * test.positive.iter().filter(|positive| **positive).count() > test.positive.len();
        let better: Vec<f64> = rights
            .iter()
            .zip(&test.positive)
            .map(|(right, positive)| {
                100.0 * (f64::from(u8::from(*right)) - f64::from(u8::from(*positive == usual)))
            })
            .collect();
        useful.by_seed.push(better.iter().sum::<f64>() / better.len() as f64);
        useful.by_row.extend(better);
    }
    Stated {
        claim: "BERT-MT-Joint errs as often on restaurants that training saw often as on others"
            .into(),
        of: format!(
            "the binary accuracy on the half of the test rows whose restaurants have most training reviews less that on \
             the other half, and the reverse, above -{BALANCED} points, the spread of the paper's own bins; and, since a \
             model that has learned nothing errs everywhere alike, its accuracy less the majority's share, above 0"
        ),
        effects: vec![more, less, useful],
    }
}

fn text_leads(grid: &Grid) -> Stated {
    above(
        grid,
        "Text says more than meta features",
        "accuracy on text less accuracy on meta features, mean over the six classical models",
        text_over_meta,
    )
}

fn both_lead(grid: &Grid, models: &str, difference: Difference) -> Stated {
    above(
        grid,
        "Text and meta features together say more than text",
        &format!("accuracy on both less accuracy on text, mean over {models}"),
        difference,
    )
}

fn second_task_helps(grid: &Grid, models: &str, difference: Difference) -> Stated {
    above(
        grid,
        "Learning the sentiment score beside the stars helps",
        &format!("multi-task less single-task accuracy, mean over {models} on text and on both"),
        difference,
    )
}

/// The five claims of the paper.
pub(super) fn claims(study: &Study) -> Vec<Claim> {
    let grid = &study.table;
    judge(&[
        text_leads(grid),
        both_lead(grid, "the nine single-task models", joint_over_text),
        above(
            grid,
            "Attention over text beats every classical model of text",
            "the lower one of HAN's and BERT's accuracy less the highest of the six classical models, chosen with each seed \
             on the test rows themselves, to their favour",
            attention_over_classical,
        ),
        second_task_helps(grid, "CNN, HAN and BERT", multi_over_single),
        balanced(grid),
    ])
}

/// Three of them by strength of the planted meta effects, on the models that are trained at each: classical ones
/// and CNN. All are corrected for each other.
pub(super) fn by_strength(study: &Study) -> Vec<(f64, Vec<Claim>)> {
    let mut grids: Vec<&Grid> = std::iter::once(&study.table).chain(&study.others).collect();
    grids.sort_by(|a, b| a.strength.total_cmp(&b.strength));
    let stated: Vec<Stated> = grids
        .iter()
        .flat_map(|grid| {
            [
                text_leads(grid),
                both_lead(grid, "the six classical models and CNN", joint_over_text_of_small),
                second_task_helps(grid, "CNN", multi_over_single_of_small),
            ]
        })
        .collect();
    let judged = judge(&stated);
    let strengths = grids.iter().map(|grid| grid.strength);
    strengths.zip(judged.chunks(3).map(<[Claim]>::to_vec)).collect()
}

#[cfg(test)]
mod tests;
