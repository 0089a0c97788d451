//! Common words extraction (`cwe`): the ten words that a list has most often.

use std::collections::HashSet;
use std::fmt::Write;

use super::super::length::TokenCounter;
use super::super::lines::words::{adjectives, nouns};
use super::filling::{Filling, Rendered};
use crate::rng::SeededRng;

/// Words asked for.
const COMMON: usize = 10;

/// Prompts of fewer tokens repeat words less often.
const SHORT: usize = 4096;

/// How often words come.
#[derive(Debug, Clone, Copy)]
struct Repeats {
    common: usize,
    other: usize,
}

/// Which words there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// Nouns and adjectives.
    Single,
    /// `adjective-noun`, for lists that need more.
    Compound,
}

impl Vocabulary {
    /// Words in random order, those in front fit to be asked for: no other word contains them.
    fn words(self, rng: &mut SeededRng) -> Vec<String> {
        let (adjectives, nouns) = (adjectives(), nouns());
        let mut words: Vec<(String, bool)> = match self {
            Self::Single => {
                let all: Vec<&str> = adjectives.iter().chain(nouns).copied().collect();
                let clear =
                    |word: &str| all.iter().filter(|other| other.contains(word)).count() == 1;
                all.iter().map(|word| ((*word).to_owned(), clear(word))).collect()
            }
            Self::Compound => {
                let ends =
                    |word: &str| adjectives.iter().filter(|a| a.ends_with(word)).count() == 1;
                let starts = |word: &str| nouns.iter().filter(|n| n.starts_with(word)).count() == 1;
                let (ends, starts): (Vec<bool>, Vec<bool>) = (
                    adjectives.iter().map(|a| ends(a)).collect(),
                    nouns.iter().map(|n| starts(n)).collect(),
                );
                let pairs =
                    (0..adjectives.len()).flat_map(|a| (0..nouns.len()).map(move |n| (a, n)));
                pairs
                    .map(|(a, n)| (format!("{}-{}", adjectives[a], nouns[n]), ends[a] && starts[n]))
                    .collect()
            }
        };
        rng.shuffle(&mut words);
        let mut asked = HashSet::new();
        let clear = words.iter().enumerate().filter(|(_, (_, clear))| *clear);
        asked.extend(clear.take(2 * COMMON).map(|(index, _)| index));
        let mut front: Vec<String> = Vec::new();
        let mut rest = Vec::new();
        for (index, (word, _)) in words.into_iter().enumerate() {
            if asked.contains(&index) { front.push(word) } else { rest.push(word) }
        }
        front.extend(rest);
        front
    }
}

/// A list of words, behind a short one with its answer.
pub(super) struct CommonWords {
    example: String,
    common: Vec<String>,
    others: Vec<String>,
    repeats: Repeats,
    order: SeededRng,
}

impl CommonWords {
    /// `length` is that of the prompt with its answer.
    pub(super) fn new(mut rng: SeededRng, length: usize, vocabulary: Vocabulary) -> Self {
        let (shown, own, count) = if length < SHORT {
            (Repeats { common: 3, other: 1 }, Repeats { common: 6, other: 1 }, 20)
        } else {
            (Repeats { common: 10, other: 3 }, Repeats { common: 30, other: 3 }, 40)
        };
        let mut words = vocabulary.words(&mut rng);
        // The example has common words of its own.
        let common: Vec<String> = words.drain(..COMMON).collect();
        let asked: Vec<String> = words.drain(..COMMON).collect();
        let others: Vec<String> = words.drain(..count - COMMON).collect();
        let list = listed(&asked, &others, shown, rng.clone());
        let (input, prefix) = question(&list);
        let mut example = format!("{input}{prefix} ");
        for (number, word) in asked.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            let _ = write!(example, "{space}{}. {word}", number + 1);
        }
        example.push('\n');
        Self { example, common, others: words, repeats: own, order: rng }
    }

    pub(super) fn outputs(&self) -> Vec<String> {
        self.common.clone()
    }

    /// How many units there are.
    pub(super) fn units(&self) -> usize {
        self.others.len()
    }
}

/// The words as often as they come, in random order, numbered.
fn listed(common: &[String], others: &[String], repeats: Repeats, mut rng: SeededRng) -> String {
    let times = |words: &[String], times: usize| -> Vec<String> {
        words.iter().flat_map(|word| std::iter::repeat_n(word.clone(), times)).collect()
    };
    let mut list = [times(common, repeats.common), times(others, repeats.other)].concat();
    rng.shuffle(&mut list);
    let numbered = list.iter().enumerate().map(|(number, word)| format!("{}. {word}", number + 1));
    numbered.collect::<Vec<_>>().join(" ")
}

fn question(list: &str) -> (String, String) {
    let input = format!(
        "Below is a numbered list of words. In these words, some appear more often than others. Memorize \
         the ones that appear most often.\n{list}\nQuestion: What are the 10 most common words in the \
         above list?"
    );
    (input, " Answer: The top 10 words that appear most often in the list are:".to_owned())
}

impl Filling for CommonWords {
    fn cost(&mut self, index: usize, counter: &dyn TokenCounter) -> Option<usize> {
        let word = self.others.get(index)?;
        Some(self.repeats.other * counter.count(&format!(" {}. {word}", 3 * index + 100)))
    }

    fn render(&mut self, units: usize) -> Rendered {
        let others = &self.others[..units];
        let list = listed(&self.common, others, self.repeats, self.order.clone());
        let (input, answer_prefix) = question(&list);
        Rendered { input: format!("{}{input}", self.example), answer_prefix, depth: None }
    }
}
