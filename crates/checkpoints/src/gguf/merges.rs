//! The merge rules of a SentencePiece vocabulary, which stores scores instead.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::vocabulary::{TokenKind, Vocabulary};

/// Merge rules in order of precedence: each way to make a token of two tokens.
///
/// SentencePiece merges the pair whose result has the highest score. A token's rules therefore come
/// in the order of the tokens' scores, and among the rules of one token those with the longer left
/// part come first. Control and byte tokens are never the result of a merge; user-defined ones, which
/// SentencePiece takes out of the text before merging, go before all others.
pub(super) fn merges_from_scores(vocabulary: &Vocabulary) -> Vec<(&str, &str)> {
    let ids = vocabulary.ids();
    let mut rules = Vec::new();
    for (id, token) in vocabulary.tokens.iter().enumerate() {
        let score = match vocabulary.kinds[id] {
            TokenKind::Control | TokenKind::Byte | TokenKind::Unknown => continue,
            TokenKind::UserDefined => 0.0,
            TokenKind::Normal | TokenKind::Unused => vocabulary.scores[id],
        };
        if ids.get(token.as_str()) == Some(&(id as u32)) {
            let characters = token.chars().count() as u32;
            rules.extend(splits(token, &ids).map(|(left, (a, b))| Rule {
                score,
                characters,
                left,
                pair: (a, b),
            }));
        }
    }
    // The sort is stable: rules that are equal in this order stay in the order of the tokens' ids.
    rules.sort_by(Rule::precedence);
    rules.into_iter().map(|rule| rule.pair).collect()
}

struct Rule<'a> {
    score: f32,
    /// Characters of the merged token, and of its left part.
    characters: u32,
    left: u32,
    pair: (&'a str, &'a str),
}

impl Rule<'_> {
    fn precedence(&self, other: &Self) -> Ordering {
        let by_score = other.score.total_cmp(&self.score);
        by_score
            .then(other.left.cmp(&self.left))
            .then((other.characters - other.left).cmp(&(self.characters - self.left)))
    }
}

/// The ways to split a token into two tokens, with the number of characters of the left one.
fn splits<'a>(
    token: &'a str,
    ids: &HashMap<&str, u32>,
) -> impl Iterator<Item = (u32, (&'a str, &'a str))> {
    token
        .char_indices()
        .enumerate()
        .skip(1)
        .map(|(characters, (at, _))| (characters as u32, token.split_at(at)))
        .filter(|(_, (left, right))| ids.contains_key(left) && ids.contains_key(right))
}
