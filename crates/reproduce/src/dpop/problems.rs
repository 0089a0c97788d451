//! What the small LLaMA learns: sums worked out step by step, and which of two numbers is larger.
//!
//! The first give pairs that differ in one number, like DPOP's `MetaMath` set, the second pairs
//! that differ nearly everywhere, like its multiple-choice sets.

use std::collections::BTreeSet;

use bestof_tasks::pairs::{PairOptions, WorkedItem, corrupted_pairs};
use bestof_tasks::rng::{SeededRng, Split, split_of};
use bestof_tasks::rows::{CompletionRow, Content, PreferenceRow};
use bestof_tasks::words::number_words;

use crate::ReproduceError;

/// Numbers in a sum.
const TERMS: usize = 4;

/// A question, its right answer, and the key that decides whether it is held out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) question: String,
    /// With a calculator annotation a step, where there are steps.
    annotated: String,
    /// Of a comparison the other number in words.
    wrong: String,
}

/// `count` different problems of one part, as `make` draws them.
fn distinct(
    seed: u64,
    stream: u64,
    split: Split,
    count: usize,
    make: fn(&mut SeededRng) -> Problem,
) -> Vec<Problem> {
    let mut draw = SeededRng::new(seed, stream);
    let (mut seen, mut problems) = (BTreeSet::new(), Vec::with_capacity(count));
    // A stop for more problems than there are; held out is one in eight.
    for _ in 0..count.saturating_mul(200) {
        if problems.len() == count {
            break;
        }
        let problem = make(&mut draw);
        if split_of(&problem.question) == split && seen.insert(problem.question.clone()) {
            problems.push(problem);
        }
    }
    problems
}

/// Sums of four numbers below a hundred, a step a line.
pub(crate) fn sums(seed: u64, split: Split, count: usize) -> Vec<Problem> {
    distinct(seed, 1, split, count, |draw| {
        let terms: Vec<i64> = (0..TERMS).map(|_| draw.between(1, 99)).collect();
        let question = terms.iter().map(i64::to_string).collect::<Vec<_>>().join("+");
        let mut total = terms[0];
        let mut lines = Vec::with_capacity(TERMS);
        for term in &terms[1..] {
            let next = total + term;
            lines.push(format!("{total}+{term}=<<{total}+{term}={next}>>{next}"));
            total = next;
        }
        lines.push(format!("#### {total}"));
        Problem { question, annotated: lines.join("\n"), wrong: String::new() }
    })
}

/// Which of two numbers between 10 and 99 is larger, the answer in words.
pub(crate) fn comparisons(seed: u64, split: Split, count: usize) -> Vec<Problem> {
    distinct(seed, 2, split, count, |draw| {
        let a = draw.between(10, 99);
        let b = 10 + (a - 10 + draw.between(1, 89)) % 90;
        Problem {
            question: format!("max {a} {b}"),
            annotated: in_words(a.max(b)),
            wrong: in_words(a.min(b)),
        }
    })
}

fn in_words(number: i64) -> String {
    number_words(number.clamp(0, 99) as usize, " ").unwrap_or_default()
}

impl Problem {
    /// The prompt as every row has it.
    pub(crate) fn prompt(&self) -> String {
        format!("{}:", self.question)
    }

    /// A supervised row with the right answer.
    pub(crate) fn supervised(&self) -> CompletionRow {
        CompletionRow::new(self.prompt(), format!(" {}", self.solution()))
    }

    /// The right answer without annotations.
    pub(crate) fn solution(&self) -> String {
        let mut text = String::new();
        for (i, part) in self.annotated.split("<<").enumerate() {
            text += if i == 0 { part } else { part.split_once(">>").map_or("", |(_, rest)| rest) };
        }
        text
    }
}

/// Right solutions against the same with one intermediate result corrupted.
pub(crate) fn worked_pairs(
    problems: &[Problem],
    seed: u64,
) -> Result<Vec<PreferenceRow>, ReproduceError> {
    let items: Vec<WorkedItem> = problems
        .iter()
        .map(|problem| WorkedItem {
            id: problem.question.clone(),
            question: problem.question.clone(),
            solution: problem.annotated.clone(),
        })
        .collect();
    let set = corrupted_pairs(&items, &PairOptions::default().seed(seed))?;
    Ok(set
        .pairs
        .iter()
        .map(|pair| PreferenceRow {
            prompt: Content::Text(format!("{}:", pair.id)),
            ..pair.to_row()
        })
        .collect())
}

/// The larger number against the smaller.
pub(crate) fn choice_pairs(problems: &[Problem]) -> Vec<PreferenceRow> {
    problems
        .iter()
        .map(|problem| {
            let (chosen, rejected) =
                (format!(" {}", problem.annotated), format!(" {}", problem.wrong));
            PreferenceRow::new(problem.prompt(), chosen, rejected)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_worked_out_and_one_result_is_corrupted() {
        let problems = sums(3, Split::Train, 50);
        assert_eq!(problems.len(), 50);
        for row in worked_pairs(&problems, 3).unwrap() {
            let (chosen, rejected) = (row.chosen.last_text(), row.rejected.last_text());
            let lines = |text: &str| text.trim().lines().map(str::to_owned).collect::<Vec<_>>();
            let (chosen, rejected) = (lines(chosen), lines(rejected));
            assert_eq!((chosen.len(), rejected.len()), (TERMS, TERMS));
            for line in &chosen[..TERMS - 1] {
                let (sum, result) = line.split_once('=').unwrap();
                let total: i64 = sum.split('+').map(|term| term.parse::<i64>().unwrap()).sum();
                assert_eq!(total.to_string(), result);
            }
            let differing = chosen.iter().zip(&rejected).filter(|(a, b)| a != b).count();
            assert_eq!(differing, 1);
            assert_eq!(chosen.last(), rejected.last());
            assert!(row.prompt.last_text().ends_with(':'));
        }
        let first = &problems[0];
        assert!(!first.solution().contains('<') && first.solution().contains("#### "));
    }

    #[test]
    fn the_larger_number_is_chosen() {
        let problems = comparisons(5, Split::HeldOut, 40);
        for (problem, row) in problems.iter().zip(choice_pairs(&problems)) {
            let numbers: Vec<i64> =
                problem.question.split(' ').skip(1).map(|n| n.parse().unwrap()).collect();
            let largest = numbers[0].max(numbers[1]);
            assert_eq!(row.chosen.last_text(), format!(" {}", in_words(largest)));
            assert_ne!(numbers[0], numbers[1]);
            assert_ne!(row.chosen, row.rejected);
        }
        assert_eq!([in_words(10), in_words(40), in_words(87)], ["ten", "forty", "eighty seven"]);
    }

    #[test]
    fn held_out_problems_are_never_trained_on_and_seeds_repeat() {
        let train: BTreeSet<String> =
            sums(1, Split::Train, 500).into_iter().map(|problem| problem.question).collect();
        assert!(sums(2, Split::HeldOut, 100).iter().all(|p| !train.contains(&p.question)));
        assert_eq!(sums(1, Split::Train, 9), sums(1, Split::Train, 9));
        assert_ne!(sums(1, Split::Train, 9), sums(2, Split::Train, 9));
    }
}
