//! A sentiment score from single words: the target of the second head.
//!
//! The paper takes the score of the AFINN list, whose licence does not allow it here. The list in
//! `words` was written for this project: English words of reviews, each with an integer
//! from -5 to 5. A text's score is the mean over the words that are on the list, 0 when none is:
//! it stays within -5 to 5 for texts of any length. Negations are ignored, as in the paper.

mod words;

use std::collections::HashMap;
use std::sync::LazyLock;

/// Name and version of the word list, recorded with every model.
pub(crate) const LEXICON: &str = "bestof-words 1";

static SCORES: LazyLock<HashMap<&'static str, f32>> =
    LazyLock::new(|| words::WORDS.iter().map(|&(word, score)| (word, f32::from(score))).collect());

/// Mean score of the words of `text` that are on the list, -5 to 5; 0 if none is.
pub(crate) fn score(text: &str) -> f32 {
    let (mut sum, mut count) = (0.0, 0.0);
    let mut word = String::new();
    for piece in text.split(|c: char| !c.is_alphabetic() && c != '\'') {
        if piece.is_empty() {
            continue;
        }
        word.clear();
        word.extend(piece.trim_matches('\'').chars().flat_map(char::to_lowercase));
        if let Some(score) = SCORES.get(word.as_str()) {
            sum += score;
            count += 1.0;
        }
    }
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_listed_once_in_lower_case_within_the_range() {
        assert_eq!(SCORES.len(), words::WORDS.len());
        for &(word, score) in words::WORDS {
            assert!((-5..=5).contains(&score) && score != 0, "{word} {score}");
            assert!(word.chars().all(|c| c.is_ascii_lowercase()), "{word}");
        }
    }

    #[test]
    fn scores_are_means_of_listed_words() {
        // good 3, slow -2.
        assert_eq!(score("Good soup, but SLOW."), 0.5);
        assert_eq!(score("We had soup."), 0.0);
        // excellent 4, terrible -4, worst -5.
        assert_eq!(score("excellent"), 4.0);
        assert_eq!(score("Excellent, 'terrible'!"), 0.0);
        assert!((score("terrible and the worst; excellent...") + 5.0 / 3.0).abs() < 1e-6);
        assert_eq!(score(""), 0.0);
        assert_eq!(score(&"great ".repeat(20_000)), 4.0);
    }
}
