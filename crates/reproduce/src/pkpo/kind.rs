//! Which Countdown puzzles there are, and the characters they take.

/// What prompts and expressions are written with.
pub(super) const ALPHABET: &str = "0123456789+-*/()>, \n";

/// How many numbers a puzzle has, and how large they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) numbers: usize,
    pub(super) largest: i64,
}
