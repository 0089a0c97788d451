//! The vocabulary of CNN and HAN, and the division of a text into sentences and words.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation;

/// Words with their ids, the most frequent first; id 0 is that of all other words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub(super) struct Vocabulary {
    /// Without the unknown word.
    words: Vec<String>,
    ids: HashMap<String, u32>,
}

impl Vocabulary {
    /// The id of words outside the vocabulary.
    pub(super) const UNKNOWN: u32 = 0;

    /// The `size` words that occur in most of `texts`, each in at least `min_rows` of them; of equally
    /// frequent ones the alphabetically first. `texts` should be training rows only.
    pub(super) fn fit<T: AsRef<str>>(
        texts: impl IntoIterator<Item = T>,
        size: usize,
        min_rows: u64,
    ) -> Self {
        let mut counts: HashMap<String, (u64, u64)> = HashMap::new();
        for (row, text) in (1..).zip(texts) {
            for (_, word) in words(text.as_ref()) {
                let (count, last) = counts.entry(word.to_lowercase()).or_default();
                if *last != row {
                    (*count, *last) = (*count + 1, row);
                }
            }
        }
        let mut found: Vec<(String, u64)> = counts
            .into_iter()
            .filter(|(_, (count, _))| *count >= min_rows)
            .map(|(word, (count, _))| (word, count))
            .collect();
        found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found.truncate(size);
        found.into_iter().map(|(word, _)| word).collect::<Vec<_>>().into()
    }

    /// The id of a word, ignoring case.
    pub(super) fn id(&self, word: &str) -> u32 {
        self.ids.get(&word.to_lowercase()).copied().unwrap_or(Self::UNKNOWN)
    }

    /// Number of ids, that of unknown words included.
    pub(super) fn len(&self) -> usize {
        self.words.len() + 1
    }
}

impl From<Vec<String>> for Vocabulary {
    fn from(words: Vec<String>) -> Self {
        let ids = (1..).zip(&words).map(|(id, word)| (word.clone(), id)).collect();
        Self { words, ids }
    }
}

impl From<Vocabulary> for Vec<String> {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.words
    }
}

/// The words of a text with their byte offsets (Unicode Standard Annex 29), and exclamation and question
/// marks, which carry sentiment.
pub(super) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_word_bound_indices()
        .filter(|(_, piece)| piece.chars().any(|c| c.is_alphanumeric() || c == '!' || c == '?'))
}

/// The byte ranges of the sentences of a text (Unicode Standard Annex 29) that have a word.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.split_sentence_bound_indices()
        .filter(|(_, sentence)| words(sentence).next().is_some())
        .map(|(at, sentence)| at..at + sentence.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ignore_case_and_unknown_words_have_id_zero() {
        let words = Vocabulary::fit(["Good food!", "good service"], 10, 1);
        assert_eq!(words.id("GOOD"), 1);
        assert_eq!(words.id("soup"), Vocabulary::UNKNOWN);
        // good, !, food, service, and the unknown word.
        assert_eq!(words.len(), 5);
    }

    #[test]
    fn words_are_counted_once_per_row_and_ordered_by_rows_then_alphabet() {
        let rows = ["b b b b", "a c", "c a", "rare"];
        assert_eq!(Vec::from(Vocabulary::fit(rows, 10, 1)), ["a", "c", "b", "rare"]);
        assert_eq!(Vec::from(Vocabulary::fit(rows, 10, 2)), ["a", "c"]);
        assert_eq!(Vec::from(Vocabulary::fit(rows, 1, 1)), ["a"]);
        let known = Vocabulary::fit(rows, 10, 2);
        let text = serde_json::to_string(&known).unwrap();
        assert_eq!(serde_json::from_str::<Vocabulary>(&text).unwrap(), known);
    }

    #[test]
    fn sentences_and_words_are_found_in_order() {
        let text = "It's GOOD!! Don't go… \n ... Was it? Ça va.";
        let found: Vec<Vec<&str>> = sentences(text)
            .map(|range| words(&text[range]).map(|(_, word)| word).collect())
            .collect();
        let all: Vec<&str> = found.iter().flatten().copied().collect();
        assert_eq!(all, ["It's", "GOOD", "!", "!", "Don't", "go", "Was", "it", "?", "Ça", "va"]);
        assert!(found.len() >= 3 && found[0] == ["It's", "GOOD", "!", "!"], "{found:?}");
        assert_eq!(sentences(" .. \n").count(), 0);
    }
}
