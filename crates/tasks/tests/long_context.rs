//! Long-context cases: lengths, depths, answers that occur once, and what is skipped.

use std::collections::HashSet;

use bestof_tasks::long_context::lines::{self, LongChatRow};
use bestof_tasks::long_context::qa::{PoolOptions, QaPool};
use bestof_tasks::long_context::{
    Depths, LongContextError, Placement, QaSource, QuestionPosition, RetrievalCase, RetrievalTask,
    Suite, SuiteConfig, TokenCounter, build, count_words,
};
use bestof_tasks::rng::Split;
use bestof_tasks::rows::{ReadOptions, read_rows_from};
use proptest::prelude::*;

/// A counter whose counts of parts do not add up to those of the whole.
fn count_quads(text: &str) -> usize {
    text.chars().count().div_ceil(4)
}

fn pool(lines: &str) -> QaPool {
    QaPool::read_from(lines.as_bytes(), "qa.jsonl".as_ref(), &PoolOptions::default())
        .expect("the lines are rows")
}

/// The document of a prompt, between its heading and what follows it.
fn document(case: &RetrievalCase) -> &str {
    let text = case.prompt.last_text();
    let start = text.find("Document:\n").expect("a document") + "Document:\n".len();
    let rest = &text[start..];
    match case.question_position() {
        QuestionPosition::After => &rest[..rest.rfind("\n\nQuestion: ").expect("a question")],
        QuestionPosition::Before => rest.strip_suffix("\n\nAnswer:").unwrap_or(rest),
    }
}

/// How often the answer stands in the text with no letter, digit or part of a number touching it.
fn times(text: &str, answer: &str) -> usize {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    text.match_indices(answer)
        .filter(|(at, found)| {
            let (before, after) = (&text[..*at], &text[at + found.len()..]);
            let mut following = after.chars();
            let longer_before = before.ends_with(',')
                && digit(before.chars().rev().nth(1))
                && digit(answer.chars().next());
            let longer_after = following.next() == Some(',') && digit(following.next());
            !before.ends_with(char::is_alphanumeric)
                && !after.starts_with(char::is_alphanumeric)
                && !longer_before
                && !longer_after
        })
        .count()
}

fn invented(config: SuiteConfig, counter: &dyn TokenCounter) -> Vec<RetrievalCase> {
    let (cases, skips, short) = build(config, QaSource::Invented, counter).expect("cases");
    assert!(short.is_empty(), "{short:?}\n{skips}");
    cases
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn invented_questions_keep_length_place_and_answer(
        seed in any::<u64>(),
        length in 220_usize..1500,
        altered in any::<bool>(),
        chat in any::<bool>(),
        quads in any::<bool>(),
    ) {
        let task = if altered { RetrievalTask::AlteredNumericQa } else { RetrievalTask::FreeFormQa };
        let counter: &dyn TokenCounter = if quads { &count_quads } else { &count_words };
        let length = if quads { length * 2 } else { length };
        let config = SuiteConfig::new(task).lengths(vec![length]).cases_per_cell(2).seed(seed).chat(chat).reserve(7);
        let cases = invented(config.clone(), counter);
        prop_assert_eq!(cases.len(), 12);
        prop_assert_eq!(&cases, &invented(config, counter));
        for case in &cases {
            let text = case.prompt.last_text();
            let tokens = counter.count(text);
            prop_assert_eq!(case.tokens, Some(tokens));
            prop_assert!(tokens + 7 <= length);
            // The longest invented sentence has fewer than 40 of either counter's tokens.
            prop_assert!(length - 7 - tokens < 40, "{} of {}", tokens, length);
            let document = document(case);
            prop_assert_eq!(times(document, case.answer()), 1, "{} in {}", case.answer(), document);
            let depth = case.depth.unwrap();
            prop_assert!(case.placement().unwrap().holds(depth));
            let at = (depth * (document.len() - case.answer().len()) as f64).round() as usize;
            prop_assert!(document[at..].starts_with(case.answer()), "{}", &document[at..]);
            let said = format!(" {}", case.answer());
            prop_assert!(case.score(&said).strict);
        }
    }

    #[test]
    fn chosen_depths_are_met_to_a_sentence(seed in any::<u64>(), depth in 0.0..=1.0_f64) {
        let config = SuiteConfig::new(RetrievalTask::FreeFormQa).lengths(vec![800]).depths(Depths::At(vec![depth])).cases_per_cell(3).seed(seed);
        for case in invented(config, &count_words) {
            // A sentence and a title are at most 5 % of 800 words.
            prop_assert!((case.depth.unwrap() - depth).abs() < 0.06, "{} for {}", case.depth.unwrap(), depth);
        }
    }

    #[test]
    fn users_documents_keep_their_answer_alone(
        sentences in prop::collection::vec(("[a-z]{2,9}( [a-z]{2,9}){1,12}", 0_u32..3000), 3..30),
        at in 0_usize..30,
        length in 60_usize..400,
        seed in any::<u64>(),
        altered in any::<bool>(),
    ) {
        let at = at % sentences.len();
        let document: Vec<String> =
            sentences.iter().map(|(words, number)| format!("The {words} had {number}.")).collect();
        let answer = sentences[at].1.to_string();
        let line = serde_json::json!({"question": "How many had it?", "answer": answer, "document": document.join(" ")});
        let pool = pool(&line.to_string());
        let task = if altered { RetrievalTask::AlteredNumericQa } else { RetrievalTask::FreeFormQa };
        let config = SuiteConfig::new(task).lengths(vec![length]).cases_per_cell(1).seed(seed);
        if let Ok((cases, ..)) = build(config, QaSource::Pool(&pool), &count_words) {
            for case in &cases {
                prop_assert!(count_words(case.prompt.last_text()) <= length);
                let text = self::document(case);
                let numbers: Vec<&str> =
                    text.split(|c: char| !c.is_ascii_digit() && c != ',').collect();
                let times = |number: &str| numbers.iter().filter(|found| found.replace(',', "") == number).count();
                prop_assert_eq!(times(case.answer()), 1);
                if altered {
                    prop_assert_ne!(case.answer(), &answer);
                    prop_assert_eq!(times(&answer), 0);
                    let end = format!(" {}.", case.answer());
                    prop_assert!(!document.iter().any(|sentence| sentence.ends_with(&end)));
                }
            }
        }
    }

    #[test]
    fn nothing_a_file_holds_makes_it_panic(
        question in "\\PC{1,30}", answer in "\\PC{0,10}|[0-9]{1,6}", document in "\\PC{1,300}", title in "\\PC{0,10}",
        depth in 0.0..=1.0_f64, length in 1_usize..300,
    ) {
        let line = serde_json::json!({
            "question": question, "answer": answer, "title": title,
            "document": format!("{document} {answer} {document}"),
        });
        let read = QaPool::read_from(line.to_string().as_bytes(), "qa.jsonl".as_ref(), &PoolOptions::default());
        if let Ok(pool) = read {
            for task in [RetrievalTask::FreeFormQa, RetrievalTask::AlteredNumericQa] {
                let config = SuiteConfig::new(task).lengths(vec![length]).depths(Depths::At(vec![depth])).cases_per_cell(1);
                match build(config, QaSource::Pool(&pool), &count_quads) {
                    Ok((cases, ..)) => for case in cases {
                        prop_assert!(count_quads(case.prompt.last_text()) <= length);
                        prop_assert!((0.0..=1.0).contains(&case.depth.unwrap()));
                    },
                    Err(error) => {
                        let expected = matches!(error, LongContextError::NoCases { .. });
                        prop_assert!(expected);
                    }
                }
            }
        }
    }
}

#[test]
fn training_and_evaluation_share_nothing() {
    for task in RetrievalTask::ALL {
        let make = |split, seed| {
            let config = SuiteConfig::new(task)
                .lengths(vec![400])
                .cases_per_cell(20)
                .depths(Depths::Uniform)
                .split(split)
                .seed(seed);
            invented(config, &count_words)
        };
        let subjects = |cases: &[RetrievalCase]| -> HashSet<String> {
            cases
                .iter()
                .map(|case| {
                    let text = case.prompt.last_text();
                    match task {
                        RetrievalTask::Passkey => case.answer().to_owned(),
                        RetrievalTask::LongchatLines => {
                            text.rsplit_once(" in line ").unwrap().1.to_owned()
                        }
                        _ => text[text.rfind("Question: ").unwrap()..].to_owned(),
                    }
                })
                .collect()
        };
        let (train, held_out) = (make(Split::Train, 1), make(Split::HeldOut, 1));
        assert!(subjects(&train).is_disjoint(&subjects(&held_out)), "{task}");
        assert_ne!(train, make(Split::Train, 2));
        let row = train[0].to_completion_row();
        assert_eq!(row.completion.last_text(), format!(" {}", train[0].answer()));
        assert_eq!(
            train[0].to_text_row().text.last_text(),
            format!("{} {}", train[0].prompt.last_text(), train[0].answer())
        );
        assert!(train[0].score(row.completion.last_text()).correct);
    }
}

#[test]
fn one_question_is_asked_at_every_length_and_place() {
    let config =
        SuiteConfig::new(RetrievalTask::AlteredNumericQa).lengths(vec![300, 600]).cases_per_cell(4);
    let cases = invented(config, &count_words);
    assert_eq!(cases.len(), 2 * 6 * 4);
    let cell = |start: usize| -> Vec<(usize, &str)> {
        cases[start..start + 4].iter().map(|case| (case.item, case.answer())).collect()
    };
    for start in (0..48).step_by(4) {
        assert_eq!(cell(0), cell(start));
    }
    let variants: HashSet<_> = cases[..24].iter().map(|case| case.variant).collect();
    assert_eq!(variants.len(), 6);
    assert_eq!(Placement::ALL.len(), 3);
}

#[test]
fn what_cannot_be_used_is_counted_and_listed() {
    let long = format!("{}777-{}", "word-".repeat(110), "word-".repeat(20));
    let lines = [
        serde_json::json!({"question": "When was the hall built?", "answer": "1984", "document": "The hall was built in 1984. It is tall. In 1984 it rained."}),
        serde_json::json!({"question": "Who?", "answers": [], "document": "Nobody."}),
        serde_json::json!({"question": "Where?", "answer": "Rome", "document": "It was in Romeo's house."}),
        serde_json::json!({"question": "Was 1984 the year of 1984?", "answer": "1984", "document": "It was 1984."}),
        serde_json::json!({"question": "Who came?", "answer": "Ilvane Torsk", "document": "Ilvane Torsk came."}),
        serde_json::json!({"question": "How many came?", "answer": "14", "document": "Of fourteen only 14 came."}),
        serde_json::json!({"question": "How many?", "answer": "5", "document": "5 of 1 2 3 4 6 7 8 9"}),
        serde_json::json!({"question": "How many words?", "answer": "777", "document": long}),
    ]
    .map(|line| line.to_string())
    .join("\n");
    let pool = pool(&lines);
    let config = SuiteConfig::new(RetrievalTask::AlteredNumericQa)
        .lengths(vec![100, 180])
        .depths(Depths::At(vec![0.0, 0.5]))
        .questions(vec![QuestionPosition::After])
        .cases_per_cell(8);
    let mut suite = Suite::new(config.clone(), QaSource::Pool(&pool), &count_quads).unwrap();
    let cases: Vec<_> = suite.by_ref().map(Result::unwrap).collect();
    assert_eq!(cases.len(), 4);
    assert!(cases.iter().all(|case| case.item == 1 && !case.prompt.last_text().contains("1984")));
    assert_eq!(suite.short_cells().len(), 4);
    assert!(suite.short_cells().iter().all(|short| short.cases == 1));
    let counts = &suite.skips().counts;
    for (reason, count) in [
        ("the row has no answer", 1),
        ("no answer occurs in its document", 0),
        ("the question contains the answer", 1),
        ("the answer is not a number", 2),
        ("the old number remains beside the answer, in words or inside a word", 1),
        ("every possible replacement number already occurs", 1),
        ("the shortest prompt is too long", 4),
    ] {
        assert_eq!(counts.get(reason).copied().unwrap_or(0), count, "{reason}: {counts:?}");
    }
    let words = suite.skips().to_string();
    assert!(words.starts_with("10 documents skipped\n"), "{words}");
    assert!(
        words.contains("\n  document 8 in 100 tokens: question and answering sentence need "),
        "{words}"
    );

    let config = config.task(RetrievalTask::FreeFormQa);
    let (cases, skips, _) = build(config, QaSource::Pool(&pool), &count_quads).unwrap();
    assert_eq!(
        cases.iter().map(|case| case.item).collect::<HashSet<_>>(),
        HashSet::from([1, 5, 6, 7])
    );
    assert_eq!(skips.counts["no answer occurs in its document"], 1);
}

#[test]
fn no_case_at_all_and_bad_settings_are_errors() {
    let pool = pool(r#"{"question": "Who?", "answer": "Rome", "document": "Nobody."}"#);
    let config = SuiteConfig::new(RetrievalTask::FreeFormQa);
    let error = build(config.clone(), QaSource::Pool(&pool), &count_words).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "no case of free-form-qa could be made from the data:\n1 documents skipped"
        ),
        "{error}"
    );
    for (config, expected) in [
        (config.clone().lengths(vec![]), "lengths is empty, expected at least one length"),
        (config.clone().lengths(vec![0]), "length is 0, expected 1 to 16777216 tokens"),
        (config.clone().reserve(2048), "reserve is 2048, expected less than the length 2048"),
        (config.clone().cases_per_cell(0), "cases_per_cell is 0, expected 1 to 1000000"),
        (
            config.clone().questions(vec![]),
            "questions is empty, expected `after`, `before` or both",
        ),
        (
            config.clone().depths(Depths::At(vec![])),
            "depths is empty, expected at least one depth or placement",
        ),
        (
            config.clone().depths(Depths::At(vec![2.0])),
            "depth is 2, expected 0 (beginning) to 1 (end)",
        ),
    ] {
        let error = Suite::new(config, QaSource::Invented, &count_words).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    let config = SuiteConfig::new(RetrievalTask::LongchatLines).lengths(vec![30]);
    let mut suite = Suite::new(config, QaSource::Invented, &count_words).unwrap();
    assert!(matches!(suite.next(), Some(Err(LongContextError::TooShort { length: 30, .. }))));
    assert!(suite.next().is_none());
}

#[test]
fn a_long_document_is_cut_around_its_answer_and_keeps_its_order() {
    let sentences: Vec<String> = (0..400).map(|n| format!("Sentence w{n} stands here.")).collect();
    let mut document = sentences.clone();
    document.insert(200, "The answer is Velmora, as all agree.".to_owned());
    let line = serde_json::json!({"title": "Long", "question": "What is agreed?", "answer": "Velmora", "document": document.join(" ")});
    let pool = pool(&line.to_string());
    let config = SuiteConfig::new(RetrievalTask::FreeFormQa)
        .lengths(vec![200])
        .depths(Depths::At(vec![0.0, 0.5, 1.0]))
        .questions(vec![QuestionPosition::Before])
        .cases_per_cell(1);
    let (cases, ..) = build(config, QaSource::Pool(&pool), &count_words).unwrap();
    for (case, (first, last)) in
        cases.iter().zip([(None, true), (Some(true), true), (Some(true), false)])
    {
        let text = self::document(case);
        assert!(text.starts_with("Long\n"), "{text}");
        assert_eq!(text.contains("w199 "), first.is_some());
        assert_eq!(text.contains("w200 "), last);
        let order: Vec<usize> = text
            .split_whitespace()
            .filter_map(|word| word.strip_prefix('w')?.parse().ok())
            .collect();
        assert!(order.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{order:?}");
    }
}

#[test]
fn published_rows_of_lines_are_read() {
    let record = lines::LineRecord::generate(
        1,
        0,
        Split::Train,
        12,
        bestof_tasks::long_context::DepthTarget::At(0.5),
    )
    .unwrap();
    let case = record.case(false);
    let row = |expected: &str, lines: usize, prompt: &str| {
        serde_json::json!({"expected_number": expected.parse::<u64>().map_or(expected.into(), serde_json::Value::from), "num_lines": lines, "token_size": 300, "prompt": prompt, "random_idx": ["x", 6]}).to_string()
    };
    let read = |line: &str| {
        read_rows_from::<LongChatRow>(line.as_bytes(), "l.jsonl".as_ref(), &ReadOptions::default())
    };
    // The older files end the question with a space.
    let prompt = format!("{} ", case.prompt.last_text());
    let rows = read(&row(case.answer(), 12, &prompt)).unwrap();
    let read_case = rows.rows[0].case(rows.lines[0], true);
    assert_eq!(read_case.depth, case.depth);
    assert_eq!((read_case.tokens, read_case.length_target), (Some(300), None));
    assert!(read_case.score(&format!("<{}>", case.answer())).correct);
    for (line, expected) in [
        (row("1", 12, &prompt), "field `expected_number`: found 1, expected the value"),
        (
            row("many", 12, &prompt),
            "field `expected_number`: found \"many\", expected a whole number",
        ),
        (row(case.answer(), 11, &prompt), "field `num_lines`: found 11, expected 12"),
        (r#"{"prompt":"x"}"#.to_owned(), "field `expected_number` is missing"),
    ] {
        let error = read(&line).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn seeds_stand_for_the_same_cases_for_ever() {
    let found: Vec<u64> = RetrievalTask::ALL
        .iter()
        .map(|task| {
            let config = SuiteConfig::new(*task).lengths(vec![300, 900]).cases_per_cell(3).seed(42);
            let texts: Vec<String> = invented(config, &count_words)
                .iter()
                .map(|case| format!("{}|{}", case.prompt.last_text(), case.answers.join("|")))
                .collect();
            bestof_tasks::rng::stable_hash(&texts.join("\n"))
        })
        .collect();
    assert_eq!(
        found,
        [
            9_434_600_952_438_259_049,
            3_650_505_709_239_933_245,
            5_530_707_127_483_992_944,
            14_913_656_342_732_554_214
        ]
    );
}

#[test]
fn a_counter_of_a_caller_is_asked_seldom() {
    let (calls, bytes) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let counter = |text: &str| {
        calls.set(calls.get() + 1);
        bytes.set(bytes.get() + text.len());
        count_quads(text)
    };
    for task in RetrievalTask::ALL {
        let config = SuiteConfig::new(task).lengths(vec![8192]).cases_per_cell(2);
        calls.set(0);
        bytes.set(0);
        let cases = invented(config, &counter);
        let text: usize = cases.iter().map(|case| case.prompt.last_text().len()).sum();
        // Every part once, the whole a few times: a call for each 40 bytes at most.
        assert!(bytes.get() < 6 * text, "{task}: {} of {text} bytes", bytes.get());
        assert!(calls.get() < text / 40, "{task}: {} calls for {text} bytes", calls.get());
    }
}
