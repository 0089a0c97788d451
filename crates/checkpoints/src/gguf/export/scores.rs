//! Scores of a SentencePiece vocabulary from the merge rules of its `tokenizer.json`.

use std::collections::HashMap;

/// The score of what no rule makes: below that of every merged token.
const UNREACHED: f32 = -1e9;

/// One score per token: the earlier the first rule that makes it, the higher.
///
/// SentencePiece merges the pair whose result has the highest score, so scores that fall with the
/// rank of the rules give the order that the rules have. That holds where all rules of one token
/// stand together; `None` where they do not. Rules for tokens that are taken out of the text before
/// merging do not count.
pub(super) fn scores_from_merges(
    tokens: usize,
    ids: &HashMap<&str, u32>,
    merges: &[(String, String)],
    taken_out: impl Fn(u32) -> bool,
) -> Option<Vec<f32>> {
    let mut scores = vec![UNREACHED; tokens];
    let (mut last, mut reached) = (None, 0.0);
    for (left, right) in merges {
        let id = *ids.get([left.as_str(), right].concat().as_str())?;
        if last == Some(id) || taken_out(id) {
            continue;
        }
        let score = scores.get_mut(id as usize)?;
        if *score > UNREACHED {
            return None;
        }
        reached -= 1.0;
        *score = reached;
        last = Some(id);
    }
    Some(scores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_fall_with_the_rank_of_the_rules() {
        let ids = HashMap::from([("a", 0), ("b", 1), ("ab", 2), ("aba", 3), ("ba", 4)]);
        let rules = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(left, right)| ((*left).into(), (*right).into())).collect()
        };
        let merges = rules(&[("b", "a"), ("a", "b"), ("ab", "a"), ("a", "ba")]);
        let scores = scores_from_merges(5, &ids, &merges, |_| false).unwrap();
        assert_eq!(scores[2..], [-2.0, -3.0, -1.0]);
        assert!(scores[0] < -3.0 && scores[1] < -3.0);
        let apart = rules(&[("ab", "a"), ("a", "b"), ("a", "ba")]);
        assert_eq!(scores_from_merges(5, &ids, &apart, |_| false), None);
        let scores = scores_from_merges(5, &ids, &apart, |id| id == 3).unwrap();
        assert_eq!(scores[2], -1.0);
    }
}
