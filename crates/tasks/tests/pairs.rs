//! Preference pairs: exactly one result changes, everything else stays, all of it reproducible.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::HashMap;
use std::path::Path;

use bestof_tasks::arithmetic::{ArithmeticConfig, ArithmeticProblems};
use bestof_tasks::extract::final_number;
use bestof_tasks::pairs::{
    Change, PairError, PairOptions, PairSet, PreferencePair, PromptForm, PromptStyle, Unusable,
    WorkedItem, choice_pairs, corrupted_pairs,
};
use bestof_tasks::rows::{
    ChatMessage, Content, PreferenceRow, ReadOptions, Row, RowsError, read_rows, read_rows_from,
    write_rows,
};
use bestof_tasks::sets::{ArcRow, ChoiceItem, Gsm8kRow, HellaSwagRow, MetaMathRow};
use bestof_tasks::worked::{Annotations, WorkedSolution};

fn rows<R: Row>(lines: &str) -> Vec<R> {
    read_rows_from(lines.as_bytes(), Path::new("fixture.jsonl"), &ReadOptions::default())
        .unwrap()
        .rows
}

/// Lines in GSM8K's shape, written for these tests.
const GSM8K_LIKE: &str = r#"{"question": "A mill grinds 20 sacks a day. How many in 3 weeks of 6 days, if 5 sacks are spoilt?", "answer": "There are 3*6=<<3*6=18>>18 working days.\nThe mill grinds 18*20=<<18*20=360>>360 sacks.\nOf these 360-5=<<360-5=355>>355 are good.\n#### 355"}
{"question": "Two sheds of 1500 bricks each lose 200 bricks. How many are left?", "answer": "The sheds hold 2*1500=<<2*1500=3000>>3,000 bricks.\nLeft are 3,000 - 200 = <<3000-200=2800>>2,800 bricks.\n#### 2,800"}
{"question": "What is half of 18?", "answer": "Half of 18 is 18/2=<<18/2=9>>9.\n#### 9"}
{"question": "How many days has a week?", "answer": "A week has seven days.\n#### 7"}
{"question": "A rope of 2.5 m is cut into 0.5 m pieces, each sold for $3. What do they bring?", "answer": "There are 2.5/0.5=<<2.5/0.5=5>>5 pieces.\nThey bring 5*3=$<<5*3=15>>15.\n#### 15"}
"#;

fn gsm8k_items() -> Vec<WorkedItem> {
    rows::<Gsm8kRow>(GSM8K_LIKE)
        .iter()
        .enumerate()
        .map(|(index, row)| WorkedItem::from_gsm8k(index + 1, row))
        .collect()
}

fn generated(count: usize, steps: std::ops::RangeInclusive<usize>) -> Vec<WorkedItem> {
    let config = ArithmeticConfig::default().seed(3).steps(steps);
    let problems = ArithmeticProblems::new(config).unwrap().take_distinct(count).unwrap();
    problems.iter().enumerate().map(|(i, problem)| WorkedItem::from_problem(i, problem)).collect()
}

/// Asserts for every pair that the named result, and nothing else, was replaced.
fn check_single_change(set: &PairSet, items: &[WorkedItem], annotations: Annotations) {
    let by_id: HashMap<&str, &WorkedItem> =
        items.iter().map(|item| (item.id.as_str(), item)).collect();
    for pair in &set.pairs {
        let solution = WorkedSolution::parse(&by_id[pair.id.as_str()].solution, annotations);
        let (chosen, rejected) = (pair.chosen.last_text(), pair.rejected.last_text());
        assert_eq!(chosen.trim_start_matches(' '), solution.text);
        let Change::Result { corrupted_step, steps, before, after } = &pair.change else {
            panic!("expected a corrupted result");
        };
        assert_eq!(*steps, solution.results.len());
        assert_ne!(before, after);
        let prefix = chosen.bytes().zip(rejected.bytes()).take_while(|(a, b)| a == b).count();
        let chosen_lines: Vec<&str> = chosen.lines().collect();
        let rejected_lines: Vec<&str> = rejected.lines().collect();
        assert_eq!(chosen_lines.len(), rejected_lines.len());
        let differing =
            chosen_lines.iter().zip(&rejected_lines).filter(|(a, b)| a != b).collect::<Vec<_>>();
        assert_eq!(differing.len(), 1, "{chosen}\n---\n{rejected}");
        assert_eq!(chosen_lines.last(), rejected_lines.last());
        assert!(prefix < chosen.len());
        let parsed = WorkedSolution::parse(rejected.trim_start_matches(' '), annotations);
        if annotations == Annotations::Strip {
            assert_eq!(parsed.results.len(), solution.results.len(), "{rejected}");
            for (index, (a, b)) in solution.results.iter().zip(&parsed.results).enumerate() {
                assert_eq!(a.value != b.value, index + 1 == *corrupted_step, "{rejected}");
            }
        }
        assert_eq!(final_number(chosen).unwrap().value, final_number(rejected).unwrap().value);
        assert!(pair.distance.words > 0.0 && pair.distance.words < 0.5);
        assert!(pair.distance.characters > 0.0 && pair.distance.characters < 0.5);
    }
}

#[test]
fn generated_problems_give_a_pair_each_with_one_change() {
    let items = generated(1500, 2..=6);
    for annotations in [Annotations::Strip, Annotations::Keep] {
        let options = PairOptions::default().annotations(annotations).seed(9);
        let set = corrupted_pairs(&items, &options).unwrap();
        assert_eq!(set.rows, 1500);
        // A solution whose results all equal the answer has none to corrupt; that is rare.
        assert!(set.pairs.len() >= 1495, "{set}");
        check_single_change(&set, &items, annotations);
        assert!(set.mean_distance().unwrap().characters < 0.03, "{set}");
    }
}

#[test]
fn gsm8k_lines_give_pairs_and_the_rest_is_counted() {
    let items = gsm8k_items();
    for annotations in [Annotations::Strip, Annotations::Keep] {
        for seed in 0..50 {
            let options = PairOptions::default().seed(seed).annotations(annotations);
            let set = corrupted_pairs(&items, &options).unwrap();
            let ids: Vec<&str> = set.pairs.iter().map(|pair| pair.id.as_str()).collect();
            assert_eq!(ids, ["line-1", "line-2", "line-5"]);
            assert_eq!(
                set.unusable,
                [
                    ("line-3".to_owned(), Unusable::NoIntermediateResult),
                    ("line-4".to_owned(), Unusable::NoCalculation)
                ]
            );
            check_single_change(&set, &items, annotations);
        }
    }
    let set = corrupted_pairs(&items, &PairOptions::default()).unwrap();
    let report = set.to_string();
    assert!(report.starts_with("3 pairs from 5 rows; mean edit distance "), "{report}");
    assert!(report.contains("\n  1 without a pair: no intermediate result"), "{report}");
}

#[test]
fn every_intermediate_result_is_corrupted_for_some_seed() {
    let items = gsm8k_items();
    let mut seen = std::collections::HashSet::new();
    for seed in 0..40 {
        let set = corrupted_pairs(&items, &PairOptions::default().seed(seed)).unwrap();
        if let Change::Result { corrupted_step, .. } = set.pairs[0].change {
            seen.insert(corrupted_step);
        }
    }
    // Step 3 of 3 is the answer.
    assert_eq!(seen, [1, 2].into());
}

#[test]
fn metamath_lines_are_read_without_annotations() {
    let lines = r#"{"query": "Find x.", "response": "We have 3 + 4 = 7.\nThen 7 * 2 = 14, so x = 14.\nThe answer is: 14", "type": "own"}"#;
    let items: Vec<_> =
        rows::<MetaMathRow>(lines).iter().map(|row| WorkedItem::from_metamath(1, row)).collect();
    let set = corrupted_pairs(&items, &PairOptions::default()).unwrap();
    let Change::Result { before, corrupted_step, .. } = &set.pairs[0].change else { panic!() };
    assert_eq!((before.as_str(), *corrupted_step), ("7", 1));
}

#[test]
fn worked_examples_come_from_other_rows_and_belong_to_the_prompt() {
    let items = generated(30, 2..=3);
    let options = PairOptions::default().shots(4);
    let set = corrupted_pairs(&items, &options).unwrap();
    for pair in &set.pairs {
        let item = items.iter().find(|item| item.id == pair.id).unwrap();
        let prompt = pair.prompt.last_text();
        assert_eq!(prompt.matches("Question: ").count(), 5);
        assert_eq!(prompt.matches("#### ").count(), 4);
        assert_eq!(prompt.matches(item.question.as_str()).count(), 1);
        assert!(prompt.ends_with(&format!("Question: {}\nAnswer:", item.question)));
        assert!(!prompt.contains("<<"));
        assert!(pair.chosen.last_text().starts_with(' '));
    }
    let error = corrupted_pairs(&items[..4], &options).unwrap_err();
    assert_eq!(error, PairError::TooFewRows { shots: 4, rows: 4 });
    assert!(corrupted_pairs(&items[..5], &options).is_ok());
    assert!(corrupted_pairs(&[], &PairOptions::default()).unwrap().pairs.is_empty());
}

#[test]
fn chat_form_has_turns() {
    let items = generated(5, 2..=2);
    let options = PairOptions::default().shots(1).form(PromptForm::Chat);
    let pair = &corrupted_pairs(&items, &options).unwrap().pairs[0];
    let Content::Messages(prompt) = &pair.prompt else { panic!("expected messages") };
    let roles: Vec<&str> = prompt.iter().map(ChatMessage::role).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(prompt[2], ChatMessage::user(&items[0].question));
    let Content::Messages(chosen) = &pair.chosen else { panic!("expected messages") };
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].role(), "assistant");
    assert!(!chosen[0].text().starts_with(' '));
}

#[test]
fn pairs_depend_on_seed_and_place_alone() {
    let items = generated(40, 2..=4);
    let options = PairOptions::default().seed(5);
    let set = corrupted_pairs(&items, &options).unwrap();
    assert_eq!(corrupted_pairs(&items, &options).unwrap(), set);
    assert_eq!(corrupted_pairs(&items[..10], &options).unwrap().pairs, set.pairs[..10]);
    let other = corrupted_pairs(&items, &options.seed(6)).unwrap();
    assert_ne!(other, set);
}

#[test]
fn pairs_are_written_and_read_as_preference_rows() {
    let set = corrupted_pairs(&generated(3, 2..=4), &PairOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pairs.jsonl");
    let rows: Vec<PreferenceRow> = set.pairs.iter().map(PreferencePair::to_row).collect();
    write_rows(&path, &rows).unwrap();
    let read = read_rows::<PreferenceRow>(&path, &ReadOptions::default()).unwrap().rows;
    assert_eq!(read, rows);
    let mut names: Vec<&str> = read[0].extra.keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "after",
        "before",
        "corrupted_step",
        "edit_distance_characters",
        "edit_distance_words",
        "id",
        "steps",
    ];
    assert_eq!(names, expected);
}

const ARC_LIKE: &str = r#"{"id": "own-1", "question": {"stem": "What melts at room temperature?", "choices": [{"text": "ice", "label": "A"}, {"text": "iron", "label": "B"}, {"text": "glass", "label": "C"}, {"text": "salt", "label": "D"}]}, "answerKey": "A"}
{"id": "own-2", "question": "Which animal lays eggs?", "choices": {"text": ["cow", "hen", "cat"], "label": ["1", "2", "3"]}, "answerKey": "2"}
{"question": "Which of these is a gas?", "choices": [{"text": "air", "label": "A"}, {"text": "air", "label": "B"}, {"text": "oil", "label": "C"}], "answerKey": "A"}
"#;

#[test]
fn each_wrong_option_gives_a_pair() {
    let items: Vec<ChoiceItem> = rows::<ArcRow>(ARC_LIKE).into_iter().map(|row| row.0).collect();
    let options = PairOptions::default().shots(1);
    let set = choice_pairs(&items, PromptStyle::QuestionAnswer, &options).unwrap();
    let summary: Vec<(&str, &str, &str)> = set
        .pairs
        .iter()
        .map(|pair| (pair.id.as_str(), pair.chosen.last_text(), pair.rejected.last_text()))
        .collect();
    assert_eq!(
        summary,
        [
            ("own-1", " ice", " iron"),
            ("own-1", " ice", " glass"),
            ("own-1", " ice", " salt"),
            ("own-2", " hen", " cow"),
            ("own-2", " hen", " cat"),
            ("row-3", " air", " oil"),
        ]
    );
    assert_eq!(set.unusable, [("row-3".to_owned(), Unusable::EqualOptions)]);
    assert_eq!(set.pairs[0].prompt, set.pairs[2].prompt);
    assert_eq!(set.pairs[0].change, Change::Option { wrong_option: 1, right_option: 0 });
    assert_eq!(set.pairs[0].distance.words, 1.0);
    assert!(
        set.pairs[0]
            .prompt
            .last_text()
            .ends_with("Question: What melts at room temperature?\nAnswer:")
    );
    assert_eq!(set.pairs[0].prompt.last_text().matches("Question: ").count(), 2);
}

#[test]
fn hellaswag_lines_are_continued() {
    let lines = r#"{"ind": 7, "ctx": "[header] How to boil an egg [title] Heat the water. [step] She puts", "endings": ["the egg in.", "the cat out.", "on a hat.", "up a tent."], "label": "0"}
{"ind": 8, "ctx": "A man lifts", "endings": ["a box.", "a lake."], "label": 1}"#;
    let items: Vec<ChoiceItem> = rows::<HellaSwagRow>(lines).into_iter().map(|row| row.0).collect();
    assert_eq!(items[0].stem, "How to boil an egg. Heat the water. She puts");
    let set = choice_pairs(&items, PromptStyle::Continuation, &PairOptions::default()).unwrap();
    assert_eq!(set.pairs.len(), 4);
    assert_eq!(set.pairs[3].prompt, Content::from("A man lifts"));
    assert_eq!(set.pairs[3].chosen, Content::from(" a lake."));
}

#[test]
fn contradictory_choice_lines_are_named() {
    let message = |error: RowsError| match error {
        RowsError::Bad(bad) => bad.listed[0].problem.to_string(),
        other => panic!("{other}"),
    };
    let read = |line: &str| {
        message(
            read_rows_from::<ArcRow>(line.as_bytes(), Path::new("x"), &ReadOptions::default())
                .unwrap_err(),
        )
    };
    assert_eq!(
        read(r#"{"question":"q","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"E"}"#),
        r#"field `answerKey`: found "E", expected one of the labels A, B"#
    );
    assert_eq!(
        read(r#"{"question":"q","choices":{"text":["a","b"],"label":["A"]},"answerKey":"A"}"#),
        "field `choices.label`: found 1 labels, expected one for each of the 2 texts"
    );
    assert_eq!(
        read(r#"{"question":{"stem":"q","choices":[{"text":"a"}]},"answerKey":"A"}"#),
        "field `question.choices[0].label` is missing, expected text; fields present: text"
    );
    let error = read_rows_from::<HellaSwagRow>(
        br#"{"ctx":"c","endings":["a","b"],"label":""}"#.as_slice(),
        Path::new("x"),
        &ReadOptions::default(),
    );
    assert_eq!(
        message(error.unwrap_err()),
        r#"field `label`: found "", expected the index of one of the 2 endings"#
    );
}
