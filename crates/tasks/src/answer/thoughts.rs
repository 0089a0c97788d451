//! Thoughts before an answer, as reasoning models write them.

use std::ops::Range;

/// Opening and closing marks of thoughts.
const MARKS: &[(&str, &str)] = &[
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<seed:think>", "</seed:think>"),
];

/// The byte range of `text` that is no thought: after the last closing mark (the opening one may
/// be part of the prompt), and before an opening one that is never closed.
pub(crate) fn visible(text: &str) -> Range<usize> {
    let closed = |(_, close): &(&str, &str)| text.rfind(close).map(|at| at + close.len());
    let start = MARKS.iter().filter_map(closed).max().unwrap_or(0);
    let opened = |(open, _): &(&str, &str)| text[start..].find(open).map(|at| start + at);
    let end = MARKS.iter().filter_map(opened).min().unwrap_or(text.len());
    start..end
}
