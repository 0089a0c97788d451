//! Term frequency times inverse document frequency.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::error::SentimentError;

/// Words without sentiment, which are not terms, sorted. Negations are.
const STOP_WORDS: [&str; 48] = [
    "a", "an", "and", "are", "as", "at", "be", "been", "by", "did", "do", "does", "for", "from",
    "had", "has", "have", "he", "her", "him", "his", "i", "in", "is", "it", "its", "me", "my",
    "of", "on", "or", "our", "she", "so", "that", "the", "their", "them", "they", "this", "to",
    "us", "was", "we", "were", "with", "you", "your",
];

/// Which words become terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TfIdfOptions {
    /// Most terms; those in most documents are taken. Default 1000.
    pub max_terms: usize,
    /// Least number of documents with a term. Default 3.
    pub min_documents: u32,
    /// Whether pairs of neighbouring words are terms too. Default `false`.
    pub pairs: bool,
}

impl Default for TfIdfOptions {
    fn default() -> Self {
        Self { max_terms: 1000, min_documents: 3, pairs: false }
    }
}

/// A vocabulary with its weights.
///
/// Words are runs of letters and digits in lower case. The weight of a term in a text is its count
/// times `ln((1 + n) / (1 + d)) + 1`, for `n` training texts of which `d` contain it, and a row is scaled
/// to length 1 (scikit-learn's defaults).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TfIdf {
    terms: Vec<String>,
    weights: Vec<f32>,
    pairs: bool,
    #[serde(skip)]
    columns: HashMap<String, usize>,
}

impl TfIdf {
    /// Fits the vocabulary and the weights to `texts`.
    pub(super) fn fit<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        options: &TfIdfOptions,
    ) -> Self {
        let mut documents: HashMap<String, u32> = HashMap::new();
        let mut count = 0_u32;
        for text in texts {
            count += 1;
            let mut seen = HashSet::new();
            each_term(text, options.pairs, |term| {
                if !seen.contains(term) {
                    seen.insert(term.to_owned());
                    *documents.entry(term.to_owned()).or_default() += 1;
                }
            });
        }
        let mut kept: Vec<(String, u32)> =
            documents.into_iter().filter(|(_, found)| *found >= options.min_documents).collect();
        kept.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        kept.truncate(options.max_terms);
        kept.sort_by(|a, b| a.0.cmp(&b.0));
        let n = f64::from(count);
        let weight = |found: u32| (((1.0 + n) / (1.0 + f64::from(found))).ln() + 1.0) as f32;
        let weights = kept.iter().map(|(_, found)| weight(*found)).collect();
        let terms = kept.into_iter().map(|(term, _)| term).collect();
        let mut fitted = Self { terms, weights, pairs: options.pairs, columns: HashMap::new() };
        fitted.build_index();
        fitted
    }

    /// The terms, in the order of a row's columns.
    pub(super) fn terms(&self) -> &[String] {
        &self.terms
    }

    /// The row of a text, `[terms]`.
    #[cfg(test)]
    fn row(&self, text: &str) -> Vec<f32> {
        let mut row = vec![0.0; self.terms.len()];
        self.fill(text, &mut row);
        row
    }

    /// Writes the row of a text into `row`, which holds zeros.
    pub(super) fn fill(&self, text: &str, row: &mut [f32]) {
        each_term(text, self.pairs, |term| {
            if let Some(&column) = self.columns.get(term) {
                row[column] += self.weights[column];
            }
        });
        let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        if length > 0.0 {
            for value in row {
                *value /= length;
            }
        }
    }

    /// Rebuilds the index of the terms, which files do not hold.
    pub(super) fn build_index(&mut self) {
        self.columns = self.terms.iter().cloned().zip(0..).collect();
    }

    pub(super) fn check(&self) -> Result<(), SentimentError> {
        let sound =
            self.terms.len() == self.weights.len() && self.columns.len() == self.terms.len();
        if sound { Ok(()) } else { Err(SentimentError::damaged("vocabulary")) }
    }
}

/// Calls `each` with every term of a text, in order.
fn each_term(text: &str, pairs: bool, mut each: impl FnMut(&str)) {
    let mut last = String::new();
    let mut pair = String::new();
    for piece in text.split(|c: char| !c.is_alphanumeric()) {
        if piece.is_empty() {
            continue;
        }
        let word = piece.to_lowercase();
        if STOP_WORDS.binary_search(&word.as_str()).is_ok() {
            continue;
        }
        each(&word);
        if pairs {
            if !last.is_empty() {
                pair.clear();
                pair.extend([&last, " ", &word]);
                each(&pair);
            }
            last = word;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_no_terms() {
        let options = TfIdfOptions { max_terms: 100, min_documents: 1, pairs: false };
        let texts = STOP_WORDS.map(|word| format!("soup {word}"));
        assert_eq!(TfIdf::fit(texts.iter().map(String::as_str), &options).terms(), ["soup"]);
    }

    #[test]
    fn terms_are_sorted_and_other_words_ignored() {
        let options = TfIdfOptions { max_terms: 10, min_documents: 1, pairs: false };
        let model = TfIdf::fit(["Good soup", "good bread", "cold soup"], &options);
        assert_eq!(model.terms(), ["bread", "cold", "good", "soup"]);
        assert_eq!(model.row("Soup, soup and cake"), [0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn weights_by_hand() {
        let options = TfIdfOptions { max_terms: 2, min_documents: 2, pairs: false };
        let model = TfIdf::fit(["good soup good", "Good bread", "cold soup"], &options);
        // "good" and "soup" are in two of three texts: ln(4 / 3) + 1 each.
        assert_eq!(model.terms(), ["good", "soup"]);
        let row = model.row("good GOOD soup bread");
        let five = 5.0_f32.sqrt();
        assert!(
            (row[0] - 2.0 / five).abs() < 1e-6 && (row[1] - 1.0 / five).abs() < 1e-6,
            "{row:?}"
        );
        assert_eq!(model.row(""), [0.0, 0.0]);
    }

    #[test]
    fn pairs_keep_the_order_of_words() {
        let options = TfIdfOptions { max_terms: 100, min_documents: 1, pairs: true };
        let model = TfIdf::fit(["not good", "good not"], &options);
        assert_eq!(model.terms(), ["good", "good not", "not", "not good"]);
        assert_ne!(model.row("not good"), model.row("good not"));
    }
}
