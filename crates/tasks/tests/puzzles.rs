//! Generated puzzles: solvable, verified by their own verifier, distinct, and split for good.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashSet;

use bestof_tasks::grid::GridTask;
use bestof_tasks::puzzles::{
    ChainSums, CountdownPuzzles, GridRule, GridRules, PuzzleError, PuzzleSource,
};
use bestof_tasks::rng::{Split, stable_hash};
use bestof_tasks::rows::{AnswerRow, ReadOptions, read_rows, write_rows};
use bestof_tasks::verify::{VerificationOutcome, VerifierKind};

fn sources(seed: u64, split: Split) -> Vec<Box<dyn PuzzleSource>> {
    vec![
        Box::new(ChainSums::new(seed, split, 2..=6, 1..=4).unwrap()),
        Box::new(CountdownPuzzles::new(seed, split, 3..=6, 100).unwrap()),
        Box::new(GridRules::new(seed, split, 3..=8).unwrap()),
    ]
}

fn rows(source: &dyn PuzzleSource, count: u64) -> Vec<AnswerRow> {
    (0..count).map(|index| source.puzzle(index).unwrap()).collect()
}

#[test]
fn every_answer_is_right_for_its_verifier_and_another_is_not() {
    for source in sources(5, Split::Train) {
        let rows = rows(source.as_ref(), 600);
        for (row, next) in rows.iter().zip(&rows[1..]) {
            let verifier = source.verifier().for_row(row).unwrap();
            let verdict = verifier.verify(&row.answer);
            assert_eq!(
                (verdict.outcome, verdict.reward),
                (VerificationOutcome::Right, 1.0),
                "{row:?}: {verdict:?}"
            );
            if next.answer != row.answer {
                assert!(verifier.verify(&next.answer).reward < 1.0, "{row:?}");
            }
            assert_eq!(verifier.verify("").outcome, VerificationOutcome::CannotTell);
        }
    }
}

#[test]
fn the_parts_never_meet_whatever_the_seed() {
    for kind in 0..3 {
        let prompts = |split| -> HashSet<String> {
            (0..6)
                .flat_map(|seed| rows(sources(seed, split)[kind].as_ref(), 300))
                .map(|row| row.prompt.last_text().to_owned())
                .collect()
        };
        let (train, held_out) = (prompts(Split::Train), prompts(Split::HeldOut));
        assert!(held_out.len() > 1000, "{}", held_out.len());
        assert_eq!(train.intersection(&held_out).count(), 0);
    }
}

#[test]
fn sums_are_right_by_a_count_of_their_own() {
    let source = ChainSums::new(9, Split::Train, 2..=20, 1..=9).unwrap();
    for row in rows(&source, 500) {
        let text = row.prompt.last_text().strip_prefix("What is ").unwrap();
        let text = text.split_once('?').unwrap().0;
        let signed = text.replace("- ", "-").replace("+ ", "");
        let sum: i64 = signed.split(' ').map(|term| term.parse::<i64>().unwrap()).sum();
        assert_eq!(sum.to_string(), row.answer, "{text}");
    }
}

#[test]
fn all_grid_rules_are_drawn_and_explain_their_examples() {
    let source = GridRules::new(2, Split::Train, 2..=15).unwrap();
    let mut names = HashSet::new();
    for row in rows(&source, 400) {
        let rule: GridRule = serde_json::from_value(row.extra["rule"].clone()).unwrap();
        let task: GridTask = serde_json::from_value(row.extra["task"].clone()).unwrap();
        for example in task.train.iter().chain(&task.test) {
            assert_eq!(rule.apply(&example.input).as_ref(), Some(&example.output));
            assert_ne!(example.input, example.output);
        }
        names.insert(std::mem::discriminant(&rule));
    }
    assert_eq!(names.len(), 10);
}

#[test]
fn countdown_pays_for_coming_near_when_asked() {
    let source = CountdownPuzzles::new(4, Split::Train, 3..=4, 50).unwrap();
    let row = source.puzzle(0).unwrap();
    let mut other = row.clone();
    let target = row.extra["target"].as_i64().unwrap();
    other.extra["target"] = (target + 1).into();
    assert_eq!(VerifierKind::Countdown.for_row(&other).unwrap().verify(&row.answer).reward, 0.0);
    let near = VerifierKind::CountdownNear.for_row(&other).unwrap().verify(&row.answer);
    assert_eq!(near.outcome, VerificationOutcome::Partial);
    let bare = AnswerRow { extra: serde_json::Map::new(), ..row };
    let error = VerifierKind::Countdown.for_row(&bare).unwrap_err();
    assert!(error.to_string().starts_with("field `numbers` is missing"), "{error}");
}

#[test]
fn rows_survive_a_file_and_seeds_stand_for_ever() {
    let mut all = String::new();
    for source in sources(11, Split::Train) {
        let rows = source.take_distinct(50).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("puzzles.jsonl");
        write_rows(&path, &rows).unwrap();
        assert_eq!(read_rows::<AnswerRow>(&path, &ReadOptions::default()).unwrap().rows, rows);
        for row in &rows {
            all.push_str(row.prompt.last_text());
            all.push_str(&row.answer);
        }
    }
    assert_eq!(stable_hash(&all), 11_927_806_159_142_124_416);
}

#[test]
fn senseless_settings_are_refused() {
    let refused = |result: Result<(), PuzzleError>| {
        assert!(matches!(result, Err(PuzzleError::Setting { .. })), "{result:?}");
    };
    refused(ChainSums::new(0, Split::Train, 1..=3, 1..=2).map(drop));
    refused(ChainSums::new(0, Split::Train, 2..=3, 1..=12).map(drop));
    refused(CountdownPuzzles::new(0, Split::Train, 2..=9, 100).map(drop));
    refused(CountdownPuzzles::new(0, Split::Train, 2..=4, 0).map(drop));
    refused(GridRules::new(0, Split::Train, 3..=16).map(drop));
    let few = ChainSums::new(0, Split::HeldOut, 2..=2, 1..=1).unwrap().take_distinct(10_000);
    assert!(matches!(few, Err(PuzzleError::TooFew { .. })), "{few:?}");
}
