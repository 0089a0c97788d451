//! The formula in a sentence that is its answer.

use crate::latex::{Commas, tokens};
use crate::units::denies;
use crate::value::is_name;

use super::leftover::{has_mathematics, without_explanation};

/// What a sentence gives as its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chosen {
    /// A formula.
    Formula(String),
    /// No formula, or only names of quantities: the text without them.
    Prose(String),
    /// Several formulas, or a formula and something that changes it.
    Several,
}

/// Formulas of a sentence that "and", "or" or commas join, and the byte range that they take.
struct Group {
    formula: String,
    start: usize,
    end: usize,
}

/// The formula that `text` gives: the only one besides names in a `marked` answer part, else the
/// last one.
pub(super) fn chosen(text: &str, marked: bool) -> Chosen {
    let text = if marked { without_explanation(text) } else { text.to_owned() };
    let groups = groups(&text);
    let mut values: Vec<&Group> =
        groups.iter().filter(|group| !names_only(&group.formula)).collect();
    if !marked {
        let Some(last) = groups.last() else { return Chosen::Prose(text) };
        let after = &text[last.end..];
        let denied = text[..last.start].split_whitespace().rev().take(3).any(denies);
        return match values.last() {
            _ if denied => Chosen::Several,
            Some(value) if value.end == last.end && !has_digits(after) => {
                Chosen::Formula(value.formula.clone())
            }
            _ => Chosen::Prose(without_names(&text)),
        };
    }
    values.dedup_by(|one, other| one.formula == other.formula);
    match values.as_slice() {
        [] => Chosen::Prose(without_names(&text)),
        [only] => {
            let beside = |part: &str| has_digits(part) || has_mathematics(&without_names(part));
            if beside(&text[..only.start]) || beside(&text[only.end..]) {
                Chosen::Several
            } else {
                Chosen::Formula(only.formula.clone())
            }
        }
        _ => Chosen::Several,
    }
}

fn has_digits(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

/// The text without the formulas in it that are names and touch no number.
fn without_names(text: &str) -> String {
    let mut kept = String::new();
    let mut at = 0;
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    for group in groups(text) {
        let before = text[..group.start].trim_end().chars().next_back();
        let after = text[group.end..].trim_start().chars().next();
        if !names_only(&group.formula) || digit(before) || digit(after) {
            continue;
        }
        kept.push_str(&text[at..group.start]);
        at = group.end;
    }
    kept + &text[at..]
}

fn names_only(formula: &str) -> bool {
    tokens(formula, Commas::List).is_ok_and(|tokens| is_name(&tokens))
}

/// The formulas of `text` between dollar signs or brackets with backslashes. A lone dollar sign is
/// a currency; a formula in single ones ends on its line.
fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut at = 0;
    while let Some((start, open, close)) = next_open(text, at) {
        let inside = start + open.len();
        let rest = &text[inside..];
        let length =
            rest.find(close).filter(|length| close != "$" || !rest[..*length].contains('\n'));
        let Some(length) = length else {
            at = inside;
            continue;
        };
        let end = inside + length + close.len();
        let mut formula = rest[..length].to_owned();
        let mut end_with_suffix = end;
        for percent in ["%", "\\%", "percent", "pct"] {
            let after = text[end..].trim_start_matches(' ');
            if after.starts_with(percent) {
                formula.push_str("\\%");
                end_with_suffix = text.len() - after.len() + percent.len();
            }
        }
        match groups.last_mut() {
            Some(last) if joins(&text[last.end..start]) => {
                last.formula.push_str(", ");
                last.formula.push_str(&formula);
                last.end = end_with_suffix;
            }
            _ => groups.push(Group { formula, start, end: end_with_suffix }),
        }
        at = end_with_suffix;
    }
    groups
}

fn next_open(text: &str, from: usize) -> Option<(usize, &'static str, &'static str)> {
    [("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]"), ("$", "$")]
        .into_iter()
        .filter_map(|(open, close)| Some((from + text[from..].find(open)?, open, close)))
        .min_by_key(|(start, open, _)| (*start, usize::MAX - open.len()))
}

fn joins(joint: &str) -> bool {
    matches!(joint.trim(), "," | "and" | "or" | ", and" | ", or" | ";")
}
