//! SHA-256 of what is generated from several seeds: a seed stands for the same output in every
//! release. A change of wording, of order or of the random stream fails here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fmt::Write;

use bestof_tasks::arithmetic::{ArithmeticConfig, ArithmeticProblems, NumberSize, situations};
use bestof_tasks::long_context::documents::InventedDocuments;
use bestof_tasks::long_context::{Depths, QaSource, RetrievalTask, Suite, SuiteConfig};
use bestof_tasks::pairs::{PairOptions, PromptForm, WorkedItem, corrupted_pairs};
use bestof_tasks::puzzles::{Level, PuzzleTask};
use bestof_tasks::rng::Split;
use sha2::{Digest, Sha256};

const SEEDS: [u64; 3] = [0, 7, 2024];
const SPLITS: [Split; 2] = [Split::Train, Split::HeldOut];

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[test]
fn word_problems_of_every_situation() {
    let (mut text, mut met) = (String::new(), BTreeSet::new());
    for seed in SEEDS {
        for split in SPLITS {
            for size in [NumberSize::Small, NumberSize::Medium, NumberSize::Large] {
                let config =
                    ArithmeticConfig::default().seed(seed).steps(1..=6).size(size).split(split);
                let problems = ArithmeticProblems::new(config).unwrap();
                for problem in (0..400).filter_map(|index| problems.problem(index)) {
                    let (situation, solution) = (problem.situation, problem.annotated_solution());
                    let key = problem.skeleton();
                    writeln!(text, "{situation}\n{}\n{solution}\n{key}", problem.question).unwrap();
                    met.insert(situation);
                }
            }
        }
    }
    assert_eq!(met, situations().into_iter().collect());
    assert_eq!(
        sha256(&situations().join(" ")),
        "eb1f8b62eb41c6e9fab89b0ef33807159db2d5bc7183a723dc998276ebe15812"
    );
    assert_eq!(sha256(&text), "4d8fce2d222875fb011e6fb4f220cc1847e3bd684f0521d1d79e04c69ec33f8e");
}

#[test]
fn invented_documents_of_every_kind() {
    let (mut text, mut met) = (String::new(), BTreeSet::new());
    for seed in SEEDS {
        for split in SPLITS {
            let documents = InventedDocuments::new(seed, split);
            for document in (0..200).map(|index| documents.document(index)) {
                writeln!(text, "{}\n{}\n{}", document.kind, document.title, document.text())
                    .unwrap();
                for asked in &document.questions {
                    writeln!(text, "{}|{}|{}", asked.question, asked.answer, asked.numeric)
                        .unwrap();
                }
                met.insert(document.kind);
            }
        }
    }
    assert_eq!(met.len(), 10, "{met:?}");
    assert_eq!(sha256(&text), "76c1f8164c0650784c708daa7586e0a0595fadfc024facaeb906a08304c2af4f");
}

#[test]
fn pairs_in_both_forms() {
    let mut text = String::new();
    for seed in SEEDS {
        let config = ArithmeticConfig::default().seed(seed);
        let problems = ArithmeticProblems::new(config).unwrap().take_distinct(100).unwrap();
        let items: Vec<_> =
            problems.iter().enumerate().map(|(i, p)| WorkedItem::from_problem(i, p)).collect();
        for form in [PromptForm::Text, PromptForm::Chat] {
            let options = PairOptions::default().seed(seed).shots(1).form(form);
            let set = corrupted_pairs(&items, &options).unwrap();
            for pair in &set.pairs {
                writeln!(text, "{}", serde_json::to_string(&pair.to_row()).unwrap()).unwrap();
            }
            writeln!(text, "{set}").unwrap();
        }
    }
    assert_eq!(sha256(&text), "b2ab51f1a0eff094a6711753ab310270ccedaceb4641bd029d843974d930fb1a");
}

#[test]
fn puzzles_of_every_task_and_level() {
    let mut text = String::new();
    for seed in SEEDS {
        for task in PuzzleTask::ALL {
            for level in (1..=5).map(|level| Level::new(level).unwrap()) {
                for row in task.take(20, seed, Split::Train, level).unwrap() {
                    writeln!(text, "{}", serde_json::to_string(&row).unwrap()).unwrap();
                }
            }
        }
    }
    assert_eq!(sha256(&text), "637be1023bfabf1f0861e98873b23e6f29aa3c531152845d9a4c4d74b08f4b66");
}

#[test]
fn retrieval_cases_of_every_task() {
    let mut text = String::new();
    for task in RetrievalTask::ALL {
        for seed in SEEDS {
            for depths in [Depths::Uniform, Depths::At(vec![0.0, 0.7])] {
                let config = SuiteConfig::new(task)
                    .lengths(vec![300, 900])
                    .depths(depths)
                    .cases_per_cell(3)
                    .seed(seed);
                let tokens = |text: &str| text.len().div_ceil(4);
                for case in Suite::new(config, QaSource::Invented, &tokens).unwrap() {
                    writeln!(text, "{}", serde_json::to_string(&case.unwrap()).unwrap()).unwrap();
                }
            }
        }
    }
    assert_eq!(sha256(&text), "6acf3f25e109ec20975b8cbc8bf3e61766ae960285b27006aeb08cf2850db96c");
}
