//! What an inspection finds, as values.

use std::collections::BTreeMap;

use serde::Serialize;

use super::duplicates::Duplicates;
use super::tokens::Example;
use super::values::{EditDistances, Lengths};
use crate::data::DropReason;

/// What was found in a file.
///
/// `Display` gives the report as text; serialised, it is the report's JSON form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The file.
    pub file: String,
    /// How many rows there are, of which shape, and which were left out for what reason.
    pub rows: Counts,
    /// Lengths in tokens over the kept rows.
    pub lengths: Lengths,
    /// First tokens, last tokens and boundaries.
    pub tokens: TokenChecks,
    /// Rows that say the same.
    pub duplicates: Duplicates,
    /// How far the two answers of a pair are apart; `None` without pairs.
    pub edit_distances: Option<EditDistances>,
    /// What computing pairs as trees saves; `None` without pairs.
    pub sharing: Option<Sharing>,
    /// The first kept rows, token by token.
    pub examples: Vec<Example>,
    /// What should be looked at before training, in words.
    pub warnings: Vec<String>,
}

/// How many rows there are, and what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Lines that are not blank.
    pub total: usize,
    /// Rows that can be trained on.
    pub kept: usize,
    /// Kept rows by shape: `pairs`, `completions`, `texts`, `answers`.
    pub shapes: BTreeMap<&'static str, usize>,
    /// Rows dropped, by reason.
    pub drops: Vec<Dropped>,
    /// Lines that are not rows.
    pub bad: usize,
    /// The first of them, with what is wrong.
    pub bad_rows: Vec<BadLine>,
}

/// Rows dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The reason.
    pub reason: DropReason,
    /// The reason in words.
    pub message: String,
    /// How many rows.
    pub count: usize,
    /// The first lines, from 1.
    pub first_lines: Vec<usize>,
}

/// One line that is not a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// First tokens, last tokens and boundaries of the kept rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TokenChecks {
    /// The tokens that the tokenizer puts before every text.
    pub tokenizer_adds: Vec<String>,
    /// Rows that begin with the beginning-of-text token.
    pub begin_with_bos: usize,
    /// Rows that begin with it twice.
    pub begin_with_bos_twice: usize,
    /// Completions counted below; two per pair.
    pub completions: usize,
    /// Completions with a special token among their last three: the model can learn to stop.
    pub end_with_special: usize,
    /// Completions whose ids had to be found apart from the prompt.
    pub separate_boundaries: usize,
    /// The first lines of these.
    pub separate_lines: Vec<usize>,
    /// Rows of plain text whose prompt ends in white space, which most tokenizers merge with the
    /// next word.
    pub prompt_ends_in_space: usize,
    /// Rows of plain text in which nothing separates the last word of the prompt from the answer.
    pub nothing_between: usize,
    /// Rows cut to the maximum length.
    pub truncated: usize,
}

/// What the token tree saves: a pair's shared beginning is computed once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Sharing {
    /// Tokens of all sequences, computed apart and without padding.
    pub tokens_apart: usize,
    /// Tokens of the trees.
    pub tokens_shared: usize,
    /// Share of tokens that need not be computed.
    pub saved: f64,
    /// Share of the answers' tokens that both answers of a pair begin with.
    pub shared_answer_start: f64,
}
