//! RULER's tasks: what a prompt hides is what it asks for, at the length and depth asked for, in RULER's
//! words.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{HashMap, HashSet};

use bestof_tasks::long_context::ruler::{
    Essay, RulerCase, RulerConfig, RulerRow, RulerSuite, RulerTask,
};
use bestof_tasks::long_context::{LongContextError, TokenCounter, count_words};
use bestof_tasks::rows::{Fields, Row};
use proptest::prelude::*;

/// A counter whose parts do not add up: three characters are a token, rounded up.
fn thirds(text: &str) -> usize {
    text.len().div_ceil(3)
}

fn cases(config: RulerConfig, counter: &dyn TokenCounter) -> Vec<RulerCase> {
    RulerSuite::new(config, counter).unwrap().collect::<Result<_, _>>().unwrap()
}

fn one(task: RulerTask, length: usize, seed: u64, counter: &dyn TokenCounter) -> RulerCase {
    let config = RulerConfig::new(vec![task]).lengths(vec![length]).cases(1).seed(seed);
    cases(config, counter).remove(0)
}

/// What a prompt says, without what is drawn, as RULER's
/// `(template + answer_prefix).format(context="CTX", query="KEY", ...)` gives it under Python, with the
/// replacements of `niah.py` for a single needle.
#[test]
fn prompts_have_rulers_words() {
    let single = "A special magic number is hidden within the following text. Make sure to memorize it. \
        I will quiz you about the number afterwards.\nCTX\nWhat is the special magic number for KEY \
        mentioned in the provided text? The special magic number for KEY mentioned in the provided text is";
    let several = "Some special magic numbers are hidden within the following text. Make sure to memorize \
        it. I will quiz you about the numbers afterwards.\nCTX\nWhat are all the special magic numbers for \
        KEY mentioned in the provided text? The special magic numbers for KEY mentioned in the provided \
        text are";
    for (task, expected) in [
        (RulerTask::NiahSingle1, single.to_owned()),
        (RulerTask::NiahSingle2, single.to_owned()),
        (RulerTask::NiahSingle3, single.replace("number", "uuid")),
        (RulerTask::NiahMultikey1, single.to_owned()),
        (RulerTask::NiahMultikey2, single.to_owned()),
        (RulerTask::NiahMultikey3, single.replace("number", "uuid")),
        (RulerTask::NiahMultivalue, several.to_owned()),
        (RulerTask::NiahMultiquery, several.to_owned()),
    ] {
        let case = one(task, 500, 1, &count_words);
        let (_, rest) = case.input.split_once('\n').unwrap();
        let (context, question) = rest.rsplit_once('\n').unwrap();
        let (_, key) = question.split_once(" for ").unwrap();
        let key = key.strip_suffix(" mentioned in the provided text?").unwrap();
        assert_eq!(case.text().replace(context, "CTX").replace(key, "KEY"), expected, "{task}");
    }

    let case = one(RulerTask::Vt, 900, 1, &count_words);
    let shown = "Memorize and track the chain(s) of variable assignment hidden in the following \
        text.\n\nCTX\nQuestion: Find all variables that are assigned the value VAL in the text above. \
        Answer: According to the chain(s) of variable assignment in the text above, 5 variables are \
        assigned the value VAL, they are: ";
    let text = case.text();
    let start = text.rfind("Memorize and track").unwrap();
    let normal = |text: &str| {
        let (_, rest) = text.split_once("\n\n").unwrap();
        let (context, question) = rest.split_once("\nQuestion").unwrap();
        let value = &question.split_once("the value ").unwrap().1[..5];
        text.replace(context, "CTX").replace(value, "VAL")
    };
    assert_eq!(normal(&text[start..]), shown);
    let (example, answer) = text[..start].split_once("they are: ").unwrap();
    assert_eq!(normal(&format!("{example}they are: ")), shown);
    assert_eq!(answer.split_whitespace().count(), 5);
    assert!(answer.starts_with(' ') && answer.ends_with("\n\n"), "{answer:?}");

    let case = one(RulerTask::Cwe, 900, 1, &count_words);
    let shown = "Below is a numbered list of words. In these words, some appear more often than others. \
        Memorize the ones that appear most often.\nCTX\nQuestion: What are the 10 most common words in the \
        above list? Answer: The top 10 words that appear most often in the list are:";
    let text = case.text();
    let start = text.rfind("Below is").unwrap();
    let context = text[start..].split('\n').nth(1).unwrap();
    assert_eq!(text[start..].replace(context, "CTX"), shown);
    let answer = text[..start].split_once("in the list are:").unwrap().1;
    assert!(
        answer.starts_with(" 1. ") && answer.contains(" 10. ") && answer.ends_with('\n'),
        "{answer}"
    );

    let case = one(RulerTask::Fwe, 900, 1, &count_words);
    let shown = "Read the following coded text and track the frequency of each coded word. Find the three \
        most frequently appeared coded words. CTX\nQuestion: Do not provide any explanation. Please ignore \
        the dots '....'. What are the three most frequently appeared words in the above coded text? Answer: \
        According to the coded text above, the three most frequently appeared words are:";
    let text = case.text();
    let context = text.split_once("coded words. ").unwrap().1.split_once('\n').unwrap().0;
    assert_eq!(text.replace(context, "CTX"), shown);
}

/// The needles of a text: key and value.
fn needles(text: &str) -> Vec<(String, String)> {
    let parts = text.split("One of the special magic ").skip(1);
    let pair = |part: &str| {
        let (_, part) = part.split_once(" for ").unwrap();
        let (key, rest) = part.split_once(" is: ").unwrap();
        let end = rest.find('.').unwrap();
        (key.to_owned(), rest[..end].to_owned())
    };
    parts.map(pair).collect()
}

fn check_needles(case: &RulerCase) {
    let all = needles(&case.input);
    let (keys, values): (HashSet<_>, HashSet<_>) = all.iter().cloned().unzip();
    assert_eq!(values.len(), all.len(), "no value comes twice");
    let per_key = if case.task == RulerTask::NiahMultivalue { 4 } else { 1 };
    assert_eq!(keys.len() * per_key, all.len());
    let question = case.input.rsplit_once('\n').unwrap().1;
    let asked: Vec<&(String, String)> =
        all.iter().filter(|(key, _)| question.contains(key)).collect();
    let answers: HashSet<&String> = asked.iter().map(|(_, value)| value).collect();
    assert_eq!(answers, case.outputs.iter().collect());
    assert_eq!(asked.len(), case.outputs.len());
    for output in &case.outputs {
        assert_eq!(case.input.matches(output).count(), 1, "{output}");
    }
    let words = case.outputs[0].len();
    assert_eq!(words, if case.input.contains("uuid") { 36 } else { 7 });
}

/// The values that variables end up with, by following their assignments in any order.
fn values(text: &str) -> HashMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("VAR ")?.split_once(" = "));
    let mut open: Vec<(&str, &str)> = lines.map(|(name, value)| (name, value.trim())).collect();
    let mut known: HashMap<String, String> = HashMap::new();
    while !open.is_empty() {
        let before = open.len();
        open.retain(|(name, value)| {
            let value = match value.strip_prefix("VAR ") {
                Some(other) => known.get(other).cloned(),
                None => Some((*value).to_owned()),
            };
            let found = value.is_some();
            known.extend(value.map(|value| ((*name).to_owned(), value)));
            !found
        });
        assert!(open.len() < before, "a variable without a value");
    }
    known
}

fn check_variables(case: &RulerCase) {
    let text = &case.input[case.input.rfind("Memorize and track").unwrap()..];
    let asked = &text.rsplit_once("the value ").unwrap().1[..5];
    let found: HashSet<String> = values(text)
        .into_iter()
        .filter_map(|(name, value)| (value == asked).then_some(name))
        .collect();
    assert_eq!(found, case.outputs.iter().cloned().collect());
    assert_eq!(case.outputs.len(), 5);
    assert!(!case.input[..case.input.rfind("Memorize and track").unwrap()].contains(asked));
}

fn most_frequent<'a>(words: impl Iterator<Item = &'a str>) -> Vec<(usize, &'a str)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    let mut sorted: Vec<(usize, &str)> = counts.into_iter().map(|(word, n)| (n, word)).collect();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted
}

fn check_words(case: &RulerCase) {
    let (list, asked) = if case.task == RulerTask::Cwe {
        let text = &case.input[case.input.rfind("Below is").unwrap()..];
        (text.split('\n').nth(1).unwrap(), 10)
    } else {
        let text = case.input.split_once("coded words. ").unwrap().1;
        (text.split_once('\n').unwrap().0, 3)
    };
    let words: Vec<&str> = if asked == 10 {
        let numbered: Vec<&str> = list.split(' ').collect();
        for (index, pair) in numbered.chunks(2).enumerate() {
            assert_eq!(pair[0], format!("{}.", index + 1));
        }
        numbered.into_iter().skip(1).step_by(2).collect()
    } else {
        list.split(' ').filter(|word| *word != "...").collect()
    };
    let sorted = most_frequent(words.iter().copied());
    let top: HashSet<&str> = sorted[..asked].iter().map(|(_, word)| *word).collect();
    assert_eq!(top, case.outputs.iter().map(String::as_str).collect());
    if let Some((next, _)) = sorted.get(asked) {
        assert!(sorted[asked - 1].0 > *next, "a tie");
    }
    for output in &case.outputs {
        let holding = sorted.iter().filter(|(_, word)| word.contains(output.as_str())).count();
        assert_eq!(holding, 1, "{output} is part of another word");
    }
}

fn check(case: &RulerCase) {
    match case.task {
        RulerTask::Vt => check_variables(case),
        RulerTask::Cwe | RulerTask::Fwe => check_words(case),
        _ => check_needles(case),
    }
    assert!((case.score(&case.outputs.join(" and ")) - 1.0).abs() < 1e-12);
    assert_eq!(case.score("I do not know."), 0.0);
}

/// Tokens that a prompt may be short of its length: the largest unit of its hay.
fn slack(task: RulerTask) -> usize {
    match task {
        RulerTask::NiahSingle1 | RulerTask::Vt => 31,
        RulerTask::NiahMultikey2 | RulerTask::NiahMultikey3 => 50,
        // Three numbered words.
        RulerTask::Cwe => 40,
        // Several words come once more at the same unit.
        RulerTask::Fwe => 30,
        _ => 8,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn prompts_hide_what_they_ask_for_at_their_length(seed in any::<u64>(), length in 1600_usize..6000) {
        for task in RulerTask::GENERATED {
            for counter in [&count_words as &dyn TokenCounter, &thirds] {
                let case = one(task, length, seed, counter);
                prop_assert_eq!(counter.count(&case.text()), case.tokens.unwrap());
                let left = length.checked_sub(case.tokens.unwrap() + task.max_new_tokens());
                prop_assert!(left.is_some_and(|left| left <= slack(task)), "{} {:?}", task, left);
                check(&case);
            }
        }
    }

    #[test]
    fn needles_stand_where_asked(seed in any::<u64>(), depth in 0.0..=1.0_f64) {
        for task in RulerTask::GENERATED.into_iter().filter(|task| task.has_depth()) {
            let config = RulerConfig::new(vec![task]).lengths(vec![1500]).cases(2).seed(seed);
            for case in cases(config.depths(vec![depth]), &count_words) {
                // The hay is at least this many pieces: half a piece away at most.
                let pieces = match task {
                    RulerTask::NiahSingle1 | RulerTask::NiahMultikey2 | RulerTask::NiahMultikey3 => 30.0,
                    _ => 60.0,
                };
                prop_assert!((case.depth.unwrap() - depth).abs() <= 0.5 / pieces, "{} {:?}", task, case.depth);
                prop_assert_eq!(case.depth_target, Some(depth));
                let place = case.input.find(&case.outputs[0]).unwrap() as f64 / case.input.len() as f64;
                prop_assert!((place - depth).abs() < 0.12, "{} {} {}", task, place, depth);
            }
        }
    }
}

#[test]
fn both_ends_are_reached_and_any_depth_without_a_wish() {
    for task in RulerTask::GENERATED.into_iter().filter(|task| task.has_depth()) {
        let config = RulerConfig::new(vec![task]).lengths(vec![1000]).cases(1);
        let found: Vec<f64> = cases(config.clone().depths(vec![0.0, 1.0]), &count_words)
            .iter()
            .map(|case| case.depth.unwrap())
            .collect();
        assert_eq!(found, [0.0, 1.0], "{task}");
        let any: Vec<f64> =
            cases(config.cases(40), &count_words).iter().map(|case| case.depth.unwrap()).collect();
        for band in [0.0..0.25, 0.25..0.5, 0.5..0.75, 0.75..1.01] {
            assert!(any.iter().any(|depth| band.contains(depth)), "{task} {band:?}");
        }
    }
    let config =
        RulerConfig::new(vec![RulerTask::Vt, RulerTask::NiahMultivalue]).lengths(vec![1500]);
    let found = cases(config.cases(1).depths(vec![0.0, 0.5, 1.0]), &count_words);
    assert_eq!(found.len(), 2, "depth means nothing there");
    assert!(found.iter().all(|case| case.depth.is_none() && case.depth_target.is_none()));
}

#[test]
fn a_seed_stands_for_the_same_cases_and_lengths_share_them() {
    let config = |seed| {
        RulerConfig::new(RulerTask::GENERATED.to_vec())
            .lengths(vec![1600, 1900])
            .cases(2)
            .seed(seed)
    };
    let first = cases(config(5), &count_words);
    assert_eq!(first.len(), 11 * 4);
    assert_eq!(cases(config(5), &count_words), first);
    let other = cases(config(6), &count_words);
    for (a, b) in first.iter().zip(&other) {
        assert_ne!(a.outputs, b.outputs, "{}", a.task);
    }
    for cells in first.chunks(4) {
        assert_eq!(cells[0].outputs, cells[2].outputs, "{}", cells[0].task);
        assert_ne!(cells[0].outputs, cells[1].outputs, "{}", cells[0].task);
    }
    // The first case, pinned: what a seed generates never changes.
    assert_eq!(first[0].outputs, [PINNED], "{}", first[0].input);
}

const PINNED: &str = "4807677";

#[test]
fn long_lists_have_enough_words_and_text_of_the_callers_is_used() {
    let case = one(RulerTask::Cwe, 16_384, 3, &count_words);
    check(&case);
    assert!(case.input.contains('-') && case.tokens.unwrap() > 16_384 - 120 - 40);

    let essay = Essay::of_text("Ships sail. Do they sink? Some do!").unwrap();
    let config = RulerConfig::new(vec![RulerTask::NiahSingle2]).lengths(vec![400]).cases(3);
    for case in RulerSuite::new(config, &count_words).unwrap().with_essay(essay) {
        let case = case.unwrap();
        check_needles(&case);
        assert!(case.input.contains("Some do! Ships sail."), "{}", case.input);
    }
}

#[test]
fn what_cannot_be_is_named() {
    let refused = |config: RulerConfig| {
        let made: Result<Vec<_>, _> =
            RulerSuite::new(config, &count_words).and_then(Iterator::collect);
        made.unwrap_err()
    };
    for task in RulerTask::GENERATED {
        let error = refused(RulerConfig::new(vec![task]).lengths(vec![100]).cases(1));
        let LongContextError::RulerTooShort { needed, length: 100, .. } = error else {
            panic!("{task}: {error}")
        };
        // What is said to suffice does.
        assert_eq!(one(task, needed, 0, &count_words).length, Some(needed), "{task}");
        let error = refused(RulerConfig::new(vec![task]).lengths(vec![needed - 1]).cases(1));
        assert!(matches!(error, LongContextError::RulerTooShort { .. }), "{task}");
    }
    let base = || RulerConfig::new(vec![RulerTask::Vt]);
    for (config, setting) in [
        (RulerConfig::new(Vec::new()), "tasks"),
        (RulerConfig::new(vec![RulerTask::Qa1]), "qa_1"),
        (base().lengths(Vec::new()), "lengths"),
        (base().lengths(vec![0]), "length"),
        (base().cases(0), "cases"),
        (base().depths(vec![f64::NAN]), "depth"),
        (base().depths(vec![1.5]), "depth"),
    ] {
        let text = refused(config).to_string();
        assert!(text.contains(setting), "{text}");
    }
}

#[test]
fn a_case_is_a_row_of_the_public_form() {
    let case = one(RulerTask::NiahMultiquery, 800, 2, &count_words);
    let serde_json::Value::Object(map) = serde_json::to_value(RulerRow::from(&case)).unwrap()
    else {
        panic!()
    };
    let again = RulerRow::from_fields(Fields::new(map)).unwrap().case(RulerTask::Vt, 1);
    assert_eq!((again.task, again.text(), again.outputs), (case.task, case.text(), case.outputs));
}
