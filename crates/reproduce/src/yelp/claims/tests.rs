//! Studies as the paper has them, their opposite, and studies without an effect.

use bestof_report::Verdict::{self, DoesNot, Holds, Unclear};
use bestof_tasks::rng::SeededRng;

use super::super::score::Score;
use super::super::study::{Cell, TestRows};
use super::super::table::INPUTS;
use super::*;

const TEST: usize = 1000;

/// Rows in turn, so that any part of them has the same share.
fn rights(percent: f64) -> Vec<bool> {
    (0..TEST).map(|at| ((at * 617) % TEST) as f64 + 0.5 < percent * TEST as f64 / 100.0).collect()
}

/// Every model with the accuracies that a rule says, two thirds of the rows positive.
fn grid(seeds: usize, rule: &dyn Fn(&Row, Inputs, Label, usize) -> Vec<bool>) -> Grid {
    let test = TestRows {
        positive: (0..TEST).map(|at| at % 3 != 0).collect(),
        stars: vec![4; TEST],
        known: (0..TEST).map(|at| (at % 40) as u64).collect(),
    };
    let cells = ROWS
        .iter()
        .flat_map(|row| INPUTS.map(|inputs| (row, inputs)))
        .filter(|(row, inputs)| row.kind(*inputs).is_some())
        .map(|(row, inputs)| {
            let of = |label, seed| rule(row, inputs, label, seed);
            let score = |seed| Score::of(of(Label::Binary, seed), of(Label::Stars, seed), None);
            Cell { row, inputs, scores: (0..seeds).map(score).collect() }
        });
    Grid { strength: 1.0, test: vec![test; seeds], cells: cells.collect() }
}

fn study(seeds: usize, rule: &dyn Fn(&Row, Inputs, Label, usize) -> Vec<bool>) -> Study {
    let table = grid(seeds, rule);
    Study { rows: [0; 3], table, others: Vec::new(), likeness: Vec::new() }
}

fn verdicts(study: &Study) -> Vec<Verdict> {
    claims(study).into_iter().map(|claim| claim.verdict).collect()
}

fn of_paper(row: &Row, inputs: Inputs, label: Label) -> f64 {
    row.paper(inputs, label).unwrap()
}

#[test]
fn the_papers_table_holds_and_its_opposite_does_not() {
    let rule = |row: &Row, inputs, label, _| rights(of_paper(row, inputs, label));
    assert_eq!(verdicts(&study(3, &rule)), [Holds; 5]);
    assert_eq!(verdicts(&study(1, &rule)), [Unclear; 5]);
    let turned = |row: &Row, inputs, label, _| rights(100.0 - of_paper(row, inputs, label));
    assert_eq!(verdicts(&study(3, &turned)), [DoesNot; 5]);
    // Five stars alone are enough for a claim to fail.
    let half = |row: &Row, inputs, label, seed| match label {
        Label::Binary => rule(row, inputs, label, seed),
        Label::Stars => turned(row, inputs, label, seed),
    };
    assert_eq!(verdicts(&study(3, &half))[..4], [DoesNot; 4]);
}

#[test]
fn where_no_model_differs_nothing_holds() {
    let same = |_: &Row, _, _, _| rights(60.0);
    assert_eq!(verdicts(&study(3, &same)), [DoesNot; 5]);
    // Models that differ by luck alone, and guess the majority's share.
    for draw in 0..5 {
        let luck = |row: &Row, inputs: Inputs, label: Label, seed: usize| {
            let which = format!("{} {} {}", row.name, inputs.as_str(), label.name());
            let hash = bestof_tasks::rng::stable_hash(&which);
            let mut draws = SeededRng::new(hash ^ draw, seed as u64);
            (0..TEST).map(|_| draws.index(3) > 0).collect::<Vec<_>>()
        };
        let found = verdicts(&study(3, &luck));
        assert!(!found.contains(&Holds), "{draw}: {found:?}");
    }
}

#[test]
fn errors_that_depend_on_the_restaurant_are_not_balanced() {
    let busy_only = |_: &Row, _, _, _| -> Vec<bool> {
        (0..TEST).map(|at| at % 40 >= 20 || at % 4 != 0).collect()
    };
    assert_eq!(verdicts(&study(3, &busy_only))[4], DoesNot);
    let quiet_only = |_: &Row, _, _, _| -> Vec<bool> {
        (0..TEST).map(|at| at % 40 < 20 || at % 4 != 0).collect()
    };
    assert_eq!(verdicts(&study(3, &quiet_only))[4], DoesNot);
}

#[test]
fn rows_of_busy_restaurants_have_the_mean_of_their_difference() {
    let busy = busy(&[5, 1, 9, 5]);
    assert_eq!(busy, [true, false, true, true]);
    let (gap, rows) = busy_minus_quiet(&[true, true, false, false], &busy);
    assert!((gap - (100.0 / 3.0 - 100.0)).abs() < 1e-9);
    assert!((rows.iter().sum::<f64>() / 4.0 - gap).abs() < 1e-9);
}

#[test]
fn the_papers_differences_are_those_of_its_table() {
    let of = |difference| Label::ALL.map(|label| (100.0 * paper(label, difference)).round());
    // By hand: (4.88 + 5.30 + 5.76 + 3.95 + 3.14 + 3.23) / 6 for two labels.
    assert_eq!(of(text_over_meta)[0], 438.0);
    assert_eq!(of(attention_over_classical), [887.0, 477.0]);
    // (1.15 + 0.15 + 1.32 - 0.03 + 1.37 + 0.36) / 6
    assert_eq!(of(multi_over_single)[0], 72.0);
    assert!(of(joint_over_text).iter().all(|points| *points > 100.0));
}

#[test]
fn strengths_are_judged_together_each_by_its_own_models() {
    let meta_says_nothing = |row: &Row, inputs, label, _| match inputs {
        Inputs::Meta => rights(30.0),
        _ => rights(of_paper(row, Inputs::Text, label)),
    };
    let mut study = study(3, &|row, inputs, label, _| rights(of_paper(row, inputs, label)));
    study.others = vec![Grid { strength: 0.0, ..grid(3, &meta_says_nothing) }];
    let found = by_strength(&study);
    let verdicts = |at: usize| found[at].1.iter().map(|claim| claim.verdict).collect::<Vec<_>>();
    assert_eq!((found[0].0, found[1].0), (0.0, 1.0));
    assert_eq!(verdicts(0)[..2], [Holds, DoesNot]);
    assert_eq!(verdicts(1)[..2], [Holds, Holds]);
    assert!(found[0].1[0].rule.contains("6 claims"));
}
