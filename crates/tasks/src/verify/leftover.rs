//! What stands around a number in an answer, and whether it changes what the number says.

use std::ops::Range;

use crate::units::{changes, denies, is_unit};

/// Words before an explanation.
const EXPLAINING: [&str; 5] = [" because ", " since ", " so that ", " which ", " as shown "];

/// Currencies that are written in letters before the amount.
const CURRENCIES: [&str; 9] = ["usd", "eur", "gbp", "rs", "us", "cad", "aud", "rm", "r"];

/// The text without what follows "because" and the like, and without brackets
/// that hold an explanation.
pub(super) fn without_explanation(text: &str) -> String {
    let end = EXPLAINING.iter().filter_map(|word| text.find(word)).min().unwrap_or(text.len());
    let said = &text[..end];
    let mut kept = String::with_capacity(said.len());
    let mut rest = said;
    while let Some((before, inside)) = rest.split_once(" (") {
        kept.push_str(before);
        let Some((inside, after)) = inside.split_once(')') else {
            kept.push_str(" (");
            rest = inside;
            break;
        };
        let explains = inside.contains('=') || inside.contains(' ');
        if !explains || before.trim().is_empty() {
            kept.extend([" (", inside, ")"]);
        }
        rest = after;
    }
    kept + rest
}

/// Whether something besides the number at `range` changes what the answer `text` says: anything
/// but names on the left of `=`, words, units and currencies. Without `marked`, only what touches
/// the number is looked at, unless `text` has no words.
pub(super) fn changes_the_number(text: &str, range: &Range<usize>, marked: bool) -> bool {
    let (before, after) = (&text[..range.start], &text[range.end..]);
    if touched(before, after) {
        return true;
    }
    if !marked {
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        let before = &before[line..];
        if has_words(before) || has_words(after) {
            return false;
        }
        let bare = before.trim_end().trim_end_matches('=').trim();
        let number = bare.chars().all(|c| c.is_ascii_digit()) && !bare.is_empty();
        return !(number || is_left_side(before)) || has_mathematics(after);
    }
    let (left, own) = match before.rfind('=') {
        Some(at) => before.split_at(at),
        None => ("", before),
    };
    !left.split('=').all(|side| is_left_side(side.trim()))
        || has_mathematics(own.trim_start_matches('='))
        || has_mathematics(after)
}

/// Whether the characters next to a number make it a part of something.
fn touched(before: &str, after: &str) -> bool {
    let letters = |c: char| c.is_alphabetic();
    let trailing = after;
    let after = after.trim_start_matches(['}', ')', '$', ' ']);
    let bare = before.trim_end_matches(['{', '(', '$', ' ']);
    let word_start = before.trim_end_matches(letters).len();
    let word = before[word_start..].to_lowercase();
    let name = bare.rfind('\\').is_some_and(|at| bare[at + 1..].chars().all(letters));
    let joined_before = !word.is_empty() && word.is_ascii() && !CURRENCIES.contains(&word.as_str());
    let joined_after = {
        let length = after.find(|c| !letters(c)).unwrap_or(after.len());
        let unit = &after[..length];
        unit.chars().count() == 1
            && unit.is_ascii()
            && !is_unit(unit)
            && !matches!(unit, "a" | "A" | "C" | "F" | "I")
    };
    let denied = bare.trim_end().rsplit(' ').next().is_some_and(denies);
    // The argument of a function, or the last part of a tuple.
    let argument = before.ends_with('(') && before.trim_end_matches('(').ends_with(letters);
    let tuple = before.trim_end().ends_with(',') && trailing.trim_start().starts_with([')', ']']);
    joined_before
        || argument
        || tuple
        || joined_after
        || denied
        // A sign of the number itself is in its range.
        || before.trim_end().ends_with(['+', '-', '*', '/'])
        || (name && !bare.ends_with("approx") && !bare.ends_with("sim"))
        || bare.ends_with(['^', '_', '√', '|', '<', '>', '≤', '≥', '±', '≠', '!'])
        || after.starts_with(['^', '_', '|', '√', '<', '>', '≤', '≥', '±', '\\'])
}

/// Whether a side of an equation is one name or a calculation with numbers alone, so that the
/// other side is its value.
fn is_left_side(side: &str) -> bool {
    let side = side.trim_end_matches('=').trim();
    let digits = side.contains(|c: char| c.is_ascii_digit());
    let operators =
        side.contains(['+', '*', '/', '^', '<', '>', '|', '!', '\\', '≤', '≥', '±', ',']);
    let letters = side.split(|c: char| !c.is_alphabetic()).any(|word| word.chars().count() == 1);
    let call = side.split_once('(').is_some_and(|(name, rest)| {
        name.chars().all(char::is_alphabetic) && rest.ends_with(')') && !operators
    });
    // A number alone is no calculation.
    let calculates = operators || side.contains('-') || side.contains(char::is_alphabetic);
    call || (digits
        && calculates
        && !letters
        && !side.contains(['^', '<', '>', '!', '\\', '≤', '≥', '±']))
        || (!digits && !operators && !side.contains('-'))
}

fn has_words(text: &str) -> bool {
    text.split(|c: char| !c.is_alphabetic())
        .any(|word| word.chars().count() > 1 && !text.contains(&format!("\\{word}")))
}

/// Whether a text beside a number holds mathematics or words that change the number.
pub(super) fn has_mathematics(text: &str) -> bool {
    let commands = text.replace("\\approx", "").replace("\\sim", "");
    if commands.contains(['\\', '^', '√', '|', '<', '>', '≤', '≥', '±', '≠', '+', '*', '!'])
    {
        return true;
    }
    let mut previous = "";
    text.split(|c: char| !c.is_alphabetic() && c != '\'').filter(|word| !word.is_empty()).any(
        |word| {
            let single = word.chars().count() == 1
                && word.is_ascii()
                && !is_unit(word)
                && !matches!(word, "a" | "A" | "I" | "C" | "F" | "p");
            let lower = word.to_lowercase();
            let than = lower == "than" && matches!(previous, "more" | "less" | "greater" | "fewer");
            previous = word;
            single || than || changes(&lower)
        },
    )
}
