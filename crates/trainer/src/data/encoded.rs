//! Rows as token ids, and the reasons for which a row has none.

use bestof_losses::Label;
use serde::Serialize;

use super::edit::{normalised_edit_distance, shared_prefix};

/// How the ids of a completion were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Boundary {
    /// `prompt + completion` are the tokens of the whole text.
    Joint,
    /// The tokenizer merges across the boundary: the completion was encoded alone.
    Separate,
}

/// Why a row is left out of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DropReason {
    /// A completion without any token.
    #[error("a completion is empty")]
    EmptyCompletion,
    /// An empty prompt, and a tokenizer that begins texts with nothing.
    #[error(
        "the prompt is empty and the tokenizer adds no first token, so that nothing predicts the completion"
    )]
    EmptyPrompt,
    /// No room for a completion.
    #[error("the prompt alone fills the maximum length")]
    PromptTooLong,
    /// Longer than the maximum, and cutting is not allowed.
    #[error("prompt and completion together are longer than the maximum length")]
    TooLong,
    /// The prompt's beginning may be cut, but the completion alone is too long.
    #[error("a completion alone is longer than the maximum length")]
    CompletionTooLong,
    /// A conversation of which nothing is to be learned, cut or not.
    #[error("no token of a turn of the assistant is left to learn")]
    NoAssistantToken,
    /// A pair without a preference.
    #[error("chosen and rejected are the same tokens")]
    Identical,
    /// A pair that differs only in what was cut off.
    #[error("chosen and rejected are the same tokens after truncation")]
    IdenticalAfterTruncation,
    /// The tokenizer does not belong to the model.
    #[error("a token id lies beyond the model's vocabulary: the tokenizer does not fit the model")]
    BeyondVocabulary,
}

/// A preference pair in token ids. The prompt is not empty, and neither is an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPair {
    /// The prompt, shared by both answers.
    pub prompt_ids: Vec<u32>,
    /// The preferred answer; all of it is trained on.
    pub chosen_ids: Vec<u32>,
    /// The other answer; all of it is trained on.
    pub rejected_ids: Vec<u32>,
    /// How the chosen answer's ids were found.
    pub chosen_boundary: Boundary,
    /// How the rejected answer's ids were found.
    pub rejected_boundary: Boundary,
    /// Whether something was cut off to fit the maximum length.
    pub truncated: bool,
}

impl EncodedPair {
    /// Position of the first trained token in both sequences.
    pub fn completion_start(&self) -> usize {
        self.prompt_ids.len()
    }

    /// The whole sequence of the chosen answer.
    pub fn chosen_sequence(&self) -> Vec<u32> {
        [self.prompt_ids.as_slice(), &self.chosen_ids].concat()
    }

    /// The whole sequence of the rejected answer.
    pub fn rejected_sequence(&self) -> Vec<u32> {
        [self.prompt_ids.as_slice(), &self.rejected_ids].concat()
    }

    /// Tokens that both answers begin with.
    pub fn shared_answer_tokens(&self) -> usize {
        shared_prefix(&self.chosen_ids, &self.rejected_ids)
    }

    /// Tokens of the two sequences computed apart, and as one tree that shares their beginning.
    pub fn tokens_apart_and_shared(&self) -> (usize, usize) {
        let apart = 2 * self.prompt_ids.len() + self.chosen_ids.len() + self.rejected_ids.len();
        (apart, apart - self.prompt_ids.len() - self.shared_answer_tokens())
    }

    /// Normalised edit distance of the answers over tokens: 0 equal, 1 nothing in common.
    pub fn edit_distance(&self) -> f64 {
        normalised_edit_distance(&self.chosen_ids, &self.rejected_ids)
    }

    /// Whether a boundary of this pair was encoded apart.
    pub fn has_separate_boundary(&self) -> bool {
        [self.chosen_boundary, self.rejected_boundary].contains(&Boundary::Separate)
    }
}

/// A prompt with one completion in token ids. Neither is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedCompletion {
    /// What comes before the first trained token.
    pub prompt_ids: Vec<u32>,
    /// What follows; trained on but for `skipped`.
    pub completion_ids: Vec<u32>,
    /// Places in `completion_ids` of the tokens that are read but not learned, in order: what a
    /// user says between two turns of the assistant. Scores count every token.
    pub skipped: Vec<u32>,
    /// How the completion's ids were found.
    pub boundary: Boundary,
    /// Whether something was cut off to fit the maximum length.
    pub truncated: bool,
}

impl EncodedCompletion {
    /// Position of the first trained token.
    pub fn completion_start(&self) -> usize {
        self.prompt_ids.len()
    }

    /// Number of tokens that are learned.
    pub fn learned_len(&self) -> usize {
        self.completion_ids.len() - self.skipped.len()
    }

    /// Whether the completion's token at this place is learned.
    pub fn is_learned(&self, place: usize) -> bool {
        self.skipped.binary_search(&(place as u32)).is_err()
    }

    /// The whole sequence.
    pub fn sequence(&self) -> Vec<u32> {
        [self.prompt_ids.as_slice(), &self.completion_ids].concat()
    }
}

/// A completion with what it was judged to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedLabelled {
    /// The prompt with its completion; all of the completion is trained on.
    pub completion: EncodedCompletion,
    /// Whether it is to become likelier or less likely.
    pub label: Label,
}

/// A row that can be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodedRow {
    /// A preference pair: two completions.
    Pair(EncodedPair),
    /// One completion, or running text.
    Completion(EncodedCompletion),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_counts_what_its_tree_shares() {
        let pair = EncodedPair {
            prompt_ids: vec![1, 2, 3],
            chosen_ids: vec![4, 5, 6],
            rejected_ids: vec![4, 7],
            chosen_boundary: Boundary::Joint,
            rejected_boundary: Boundary::Separate,
            truncated: false,
        };
        // Apart: 6 + 5. As a tree: 3 + {4} + {5, 6} + {7}.
        assert_eq!(pair.tokens_apart_and_shared(), (11, 7));
        assert_eq!(pair.chosen_sequence(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(pair.rejected_sequence()[pair.completion_start()..], [4, 7]);
        assert_eq!(pair.edit_distance(), 2.0 / 3.0);
        assert!(pair.has_separate_boundary());
    }
}
