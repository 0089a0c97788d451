//! The generated word problems: every equation is right, problems differ, splits never meet.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bestof_tasks::arithmetic::{
    ArithmeticConfig, ArithmeticError, ArithmeticProblems, NumberSize, WordProblem, situations,
};
use bestof_tasks::rng::{Split, stable_hash};

const SIZES: [NumberSize; 3] = [NumberSize::Small, NumberSize::Medium, NumberSize::Large];

fn problems(config: ArithmeticConfig, count: u64) -> Vec<WordProblem> {
    let source = ArithmeticProblems::new(config).unwrap();
    (0..count).map(|index| source.problem(index).expect("a story comes out right")).collect()
}

/// An evaluator that shares nothing with the library's: tokens to postfix, whole numbers only.
fn evaluate(text: &str) -> i64 {
    let rank = |symbol: &str| if matches!(symbol, "*" | "/") { 2 } else { 1 };
    let (mut output, mut waiting): (Vec<i64>, Vec<&str>) = (Vec::new(), Vec::new());
    let apply = |output: &mut Vec<i64>, symbol: &str| {
        let (right, left) = (output.pop().unwrap(), output.pop().unwrap());
        output.push(match symbol {
            "+" => left + right,
            "-" => left - right,
            "*" => left * right,
            "/" => {
                assert_eq!(left % right, 0, "{text} leaves the whole numbers");
                left / right
            }
            other => panic!("unexpected {other} in {text}"),
        });
    };
    for token in text.split(' ') {
        if let Ok(number) = token.parse::<i64>() {
            output.push(number);
            continue;
        }
        while waiting.last().is_some_and(|top| rank(top) >= rank(token)) {
            apply(&mut output, waiting.pop().unwrap());
        }
        waiting.push(token);
    }
    while let Some(symbol) = waiting.pop() {
        apply(&mut output, symbol);
    }
    assert_eq!(output.len(), 1, "{text}");
    output[0]
}

#[test]
fn the_test_evaluator_is_right_itself() {
    for (text, value) in
        [("2 + 3 * 4", 14), ("20 - 6 - 4", 10), ("80 * 25 / 100", 20), ("5 - 12", -7)]
    {
        assert_eq!(evaluate(text), value);
    }
}

/// Checks one problem: its steps, the numbers they use, its answer line and its prose.
fn check(problem: &WordProblem, steps: usize) {
    let context = format!("{}\n{}", problem.question, problem.annotated_solution());
    assert_eq!(problem.steps.len(), steps, "{context}");
    let mut known: HashSet<i64> = numbers(&problem.question);
    // Facts of the world a solver has to bring along.
    known.extend([2, 7, 10, 25, 60, 100]);
    for step in &problem.steps {
        assert_eq!(evaluate(&step.expression), step.value, "{context}");
        let compact = step.expression.replace(' ', "");
        let value = step.value;
        assert!(step.sentence.contains(&format!("<<{compact}={value}>>{value}")), "{context}");
        assert!(value >= 1 || problem.situation == "temperature", "{context}");
        assert!(value < 2_000_000, "{context}");
        for used in step.expression.split(' ').filter_map(|token| token.parse().ok()) {
            assert!(explained(used, &known, problem), "{used} comes from nowhere in\n{context}");
        }
        known.insert(value);
    }
    assert_eq!(problem.answer, problem.steps.last().unwrap().value);
    let solution = problem.annotated_solution();
    assert_eq!(solution.lines().count(), steps + 1);
    assert_eq!(solution.lines().last().unwrap(), format!("#### {}", problem.answer));
    let sentences = problem.question.matches(['.', '?']).count();
    assert!(sentences >= 2 && problem.question.ends_with('?'), "{context}");
    for slip in ["@", "{", "}", "  ", " .", " ,", "..", " ?", " 1 "] {
        assert!(!problem.question.contains(slip), "{slip:?} in {context}");
        if !slip.contains('1') {
            assert!(!solution.contains(slip), "{slip:?} in {context}");
        }
    }
    for line in solution.lines() {
        assert!(
            line.starts_with(|c: char| c.is_uppercase()
                || c.is_ascii_digit()
                || c == '#'
                || c == '-'),
            "{context}"
        );
    }
}

fn numbers(text: &str) -> HashSet<i64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Words in the question that stand for numbers in the solution.
fn explained(used: i64, known: &HashSet<i64>, problem: &WordProblem) -> bool {
    let words = [
        ("twice", 2),
        ("half", 2),
        ("third", 3),
        ("quarter", 4),
        ("fifth", 5),
        ("sixth", 6),
        ("seventh", 7),
        ("eighth", 8),
        ("ninth", 9),
        ("tenth", 10),
        ("doubles", 2),
        ("triples", 3),
        ("four times", 4),
        ("a friend", 2),
    ];
    known.contains(&used)
        || words.iter().any(|(word, value)| *value == used && problem.question.contains(word))
        // "shares with 3 friends" means four people; "fills as many boxes" is found by trying.
        || (problem.question.contains("equally with") && known.contains(&(used - 1)))
        || problem.situation == "left-over"
}

#[test]
fn every_equation_of_thousands_of_problems_is_right() {
    let mut checked = 0;
    for size in SIZES {
        for steps in 1..=6 {
            for split in [Split::Train, Split::HeldOut] {
                let config = ArithmeticConfig::default()
                    .seed(40 + steps as u64)
                    .steps(steps..=steps)
                    .size(size)
                    .split(split);
                for problem in problems(config, 400) {
                    check(&problem, steps);
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, 14_400);
}

#[test]
fn every_situation_is_met_and_none_dominates() {
    let names = situations();
    assert!(names.len() >= 40, "{}", names.len());
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    let config = ArithmeticConfig::default().steps(1..=6);
    let mut counts = BTreeMap::new();
    for problem in problems(config, 6000) {
        *counts.entry(problem.situation).or_insert(0) += 1;
    }
    assert_eq!(counts.keys().copied().collect::<BTreeSet<_>>(), names.into_iter().collect());
    assert!(counts.values().all(|&count| (5..=480).contains(&count)), "{counts:?}");
}

#[test]
fn training_and_held_out_problems_never_meet() {
    let (mut texts, mut skeletons) =
        ([HashSet::new(), HashSet::new()], [HashSet::new(), HashSet::new()]);
    for seed in 0..8 {
        for (part, split) in [Split::Train, Split::HeldOut].into_iter().enumerate() {
            // Few steps and small numbers: the smallest space, where a clash is likeliest.
            let config = ArithmeticConfig::default()
                .seed(seed)
                .steps(1..=2)
                .size(NumberSize::Small)
                .split(split);
            for problem in problems(config, 800) {
                skeletons[part].insert(problem.skeleton());
                texts[part].insert(problem.question);
            }
        }
    }
    assert!(texts[1].len() > 2000, "{}", texts[1].len());
    assert_eq!(texts[0].intersection(&texts[1]).count(), 0);
    assert_eq!(skeletons[0].intersection(&skeletons[1]).count(), 0);
}

#[test]
fn problems_are_distinct_and_stable() {
    for (steps, size, floor) in
        [(1, NumberSize::Small, 0.90), (3, NumberSize::Medium, 0.995), (6, NumberSize::Large, 1.0)]
    {
        let config = ArithmeticConfig::default().steps(steps..=steps).size(size);
        let drawn = problems(config.clone(), 3000);
        let texts: HashSet<&str> = drawn.iter().map(|problem| problem.question.as_str()).collect();
        let share = texts.len() as f64 / drawn.len() as f64;
        assert!(share >= floor, "{steps} steps: only {share} are distinct");
        assert_eq!(problems(config.clone(), 50), drawn[..50]);
        let other = problems(config.seed(1), 50);
        assert_ne!(other, drawn[..50]);
    }
}

#[test]
fn a_seed_stands_for_the_same_problem_for_ever() {
    // A hash over many problems: any change of wording, order or randomness shows.
    let mut all = String::new();
    for size in SIZES {
        let config = ArithmeticConfig::default().seed(2024).steps(1..=6).size(size);
        for problem in problems(config, 200) {
            all.push_str(&problem.question);
            all.push_str(&problem.annotated_solution());
        }
    }
    assert_eq!(stable_hash(&all), 14_500_865_868_889_412_409);
}

#[test]
fn distinct_problems_are_counted_out_or_refused() {
    let source = ArithmeticProblems::new(ArithmeticConfig::default()).unwrap();
    let drawn = source.take_distinct(500).unwrap();
    assert_eq!(drawn.iter().map(|problem| &problem.question).collect::<HashSet<_>>().len(), 500);
    for (low, high) in [(0, 2), (3, 7), (4, 3)] {
        let config = ArithmeticConfig::default().steps(low..=high);
        assert!(matches!(ArithmeticProblems::new(config), Err(ArithmeticError::Steps { .. })));
    }
}
