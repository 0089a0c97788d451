//! Frequent words extraction (`fwe`): the three most frequent of coded words.

use std::collections::HashSet;
use std::f64::consts::PI;

use super::super::length::TokenCounter;
use super::filling::{Filling, Rendered};
use crate::rng::SeededRng;

/// Letters of a word.
const LETTERS: usize = 6;

/// Words drawn before any unit: with as many the fourth word is more frequent than the fifth.
const FEWEST: usize = 74;

/// What the most frequent rank says; it does not count.
const DOTS: &str = "...";

/// Coded words, as often as Zipf's law with exponent 2 has it.
///
/// ```text
/// count_k = floor(n k^-2 / zeta(2)),    k = 1 is dots, k = 2, 3, 4 are asked for
/// ```
pub(super) struct CodedWords {
    words: Vec<String>,
    order: SeededRng,
    /// Tokens of dots and of a word.
    costs: Option<[usize; 2]>,
}

impl CodedWords {
    /// `length` is that of the prompt without its answer; the vocabulary has a word for every 50 tokens.
    pub(super) fn new(mut rng: SeededRng, length: usize) -> Self {
        let (mut words, mut seen) = (vec![DOTS.to_owned()], HashSet::new());
        while words.len() < (length / 50).max(5) {
            let letter = |_| char::from(b'a' + rng.index(26) as u8);
            let word: String = (0..LETTERS).map(letter).collect();
            if seen.insert(word.clone()) {
                words.push(word);
            }
        }
        Self { words, order: rng, costs: None }
    }

    pub(super) fn outputs(&self) -> Vec<String> {
        self.words[1..4].to_vec()
    }

    /// How often the word of a rank, from 1, comes among `drawn`.
    fn count(drawn: usize, rank: usize) -> usize {
        let zeta = PI * PI / 6.0;
        (drawn as f64 * (rank as f64).powi(-2) / zeta) as usize
    }

    /// Ranks that come at all among `drawn`.
    fn ranks(&self, drawn: usize) -> impl Iterator<Item = usize> {
        (1..=self.words.len()).take_while(move |rank| Self::count(drawn, *rank) > 0)
    }
}

impl Filling for CodedWords {
    fn cost(&mut self, index: usize, counter: &dyn TokenCounter) -> Option<usize> {
        let [dots, word] = *self.costs.get_or_insert_with(|| {
            let of = |word: &str| counter.count(&format!(" {word}"));
            let words = &self.words[1..5];
            [of(DOTS), words.iter().map(|word| of(word)).sum::<usize>().div_ceil(words.len())]
        });
        let (before, after) = (FEWEST + index, FEWEST + index + 1);
        let more = |rank: usize| Self::count(after, rank) - Self::count(before, rank);
        Some(self.ranks(after).map(|rank| more(rank) * if rank == 1 { dots } else { word }).sum())
    }

    fn render(&mut self, units: usize) -> Rendered {
        let drawn = FEWEST + units;
        let times =
            |rank: usize| std::iter::repeat_n(&*self.words[rank - 1], Self::count(drawn, rank));
        let mut text: Vec<&str> = self.ranks(drawn).flat_map(times).collect();
        self.order.clone().shuffle(&mut text);
        let context = text.join(" ");
        Rendered {
            input: format!(
                "Read the following coded text and track the frequency of each coded word. Find the three \
                 most frequently appeared coded words. {context}\nQuestion: Do not provide any \
                 explanation. Please ignore the dots '....'. What are the three most frequently appeared \
                 words in the above coded text?"
            ),
            answer_prefix: " Answer: According to the coded text above, the three most frequently \
                            appeared words are:"
                .to_owned(),
            depth: None,
        }
    }
}
