//! "The answer is", "Answer:" and the like, and what follows them.

use std::ops::Range;

/// Words that announce an answer.
const WORDS: [&str; 4] = ["answer", "\na", "答案", "ответ"];

/// Bytes after such a word in which "is" or ":" has to come.
const MAX_DISTANCE: usize = 80;

/// Most announcements that are looked at, from the end.
const MAX_PHRASES: usize = 32;

/// Words after "the answer is" that speak about the answer instead of giving it.
const REMARKS: [&str; 12] = [
    "correct",
    "right",
    "wrong",
    "incorrect",
    "valid",
    "unique",
    "consistent",
    "reasonable",
    "verified",
    "confirmed",
    "checked",
    "indeed",
];

/// What the last phrase of `text` announces, in one pass from the end.
pub(super) fn answer(text: &str) -> Option<Range<usize>> {
    let lower = text.to_lowercase();
    // A few letters change their length in lower case; then offsets would not fit.
    let lower = if lower.len() == text.len() { lower } else { text.to_ascii_lowercase() };
    let mut found: Vec<(usize, &str)> =
        WORDS.iter().flat_map(|word| lower.match_indices(word)).collect();
    found.sort_unstable();
    let starts = found.into_iter().rev().filter_map(|(at, word)| {
        let inside_word = lower[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        if word == "answer" && inside_word {
            return None;
        }
        verb_end(&lower, at, at + word.len(), word)
    });
    starts.take(MAX_PHRASES).find_map(|start| announced(text, &lower, start))
}

fn announced(text: &str, lower: &str, start: usize) -> Option<Range<usize>> {
    let line = line(text, start);
    let said = text[line.clone()].trim_matches(is_decoration);
    let range = if said.is_empty() { next_block(text, line.end)? } else { sentence(text, line) };
    let remark = lower.get(range.clone()).unwrap_or_default().trim_matches(is_decoration);
    let first = remark.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    (!REMARKS.contains(&first)).then_some(range)
}

/// Emphasis and space around an answer.
fn is_decoration(symbol: char) -> bool {
    symbol.is_whitespace() || matches!(symbol, '*' | '_' | ':' | '：')
}

/// Where the answer may begin after the word that ends at `end`, if a verb or a colon follows.
fn verb_end(lower: &str, at: usize, end: usize, word: &str) -> Option<usize> {
    let limit = lower.floor_char_boundary((end + MAX_DISTANCE).min(lower.len()));
    let window = &lower[end..limit];
    let window = &window[..window.find('\n').unwrap_or(window.len())];
    let rest = match word {
        "answer" => window.strip_prefix('s').unwrap_or(window),
        _ => window,
    };
    let rest = rest.trim_start_matches(['*', '_', '\'', '"', ')']);
    if word == "\na" {
        let colon = rest.strip_prefix(':')?;
        return Some(end + window.len() - colon.len());
    }
    let rest = rest.trim_start_matches([' ', '*', '_']);
    let offset = |after: &str| end + window.len() - after.len();
    if let Some(after) = verb(rest) {
        return Some(offset(after));
    }
    // "Answer $9$" and "Answer \[ 9 \]" have no verb.
    if rest.starts_with('$') || rest.starts_with("\\(") || rest.starts_with("\\[") {
        return Some(offset(rest));
    }
    // A heading.
    if rest.is_empty() {
        let line_start = lower[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let before = lower[line_start..at].trim_matches(|c: char| is_decoration(c) || c == '#');
        let heading = matches!(before, "" | "final" | "the final" | "my final" | "the");
        return heading.then(|| offset(rest));
    }
    // "The answer to the question is", "the answer for part (b):".
    let about = ["to ", "for ", "of ", "in ", "("].iter().any(|word| rest.starts_with(word));
    if !about || rest.contains(". ") {
        return None;
    }
    let verbs = rest.char_indices().filter(|(_, symbol)| matches!(symbol, ' ' | ':'));
    verbs.map(|(at, _)| rest[at..].trim_start_matches(' ')).find_map(verb).map(offset)
}

/// The text after a verb or a colon that `text` begins with.
fn verb(text: &str) -> Option<&str> {
    const VERBS: [&str; 9] =
        ["is", "are", "was", "would be", "should be", "must be", "will be", "equals", "becomes"];
    for sign in [":", "：", "=", "是", "为", "為"] {
        if let Some(rest) = text.strip_prefix(sign) {
            return Some(rest.trim_start_matches(is_spacing));
        }
    }
    // A dash may also be the sign of a number, so it stays.
    if text.starts_with("- ") || text.starts_with("– ") {
        return Some(text);
    }
    let rest = VERBS.iter().find_map(|verb| text.strip_prefix(verb))?;
    let whole = !rest.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '\'');
    whole.then(|| rest.trim_start_matches(is_spacing))
}

fn is_spacing(symbol: char) -> bool {
    matches!(symbol, ' ' | '\t' | ':' | '：' | '*')
}

/// The rest of the line from byte `start`.
pub(super) fn line(text: &str, start: usize) -> Range<usize> {
    start..text[start..].find('\n').map_or(text.len(), |length| start + length)
}

/// The block of lines after byte `from`: up to an empty line, or to the end of the displayed
/// formula or fence that it begins with.
pub(super) fn next_block(text: &str, from: usize) -> Option<Range<usize>> {
    let start = text.len() - text[from..].trim_start().len();
    if start == text.len() {
        return None;
    }
    let end = displayed_end(text, start)
        .unwrap_or_else(|| text[start..].find("\n\n").map_or(text.len(), |at| start + at));
    Some(start..end)
}

/// The end of the displayed formula or fence that begins at `start`.
fn displayed_end(text: &str, start: usize) -> Option<usize> {
    let rest = &text[start..];
    [("\\[", "\\]"), ("$$", "$$"), ("```", "```")]
        .iter()
        .find(|(open, _)| rest.starts_with(open))
        .and_then(|(open, close)| {
            rest[open.len()..].find(close).map(|at| at + open.len() + close.len())
        })
        .map(|length| start + length)
}

/// The first sentence of a line without the emphasis around it, or the displayed formula that it
/// begins.
fn sentence(text: &str, line: Range<usize>) -> Range<usize> {
    let start = line.end - text[line.clone()].trim_start_matches(is_decoration).len();
    if let Some(end) = displayed_end(text, start) {
        return start..end;
    }
    let said = &text[start..line.end];
    // A full stop inside a formula ends no sentence; a lone dollar sign is a currency.
    let formulas = said.matches('$').count() > 1;
    let mut inside = false;
    let end = said.char_indices().find_map(|(at, symbol)| {
        inside ^= formulas && symbol == '$';
        let rest = &said[at + symbol.len_utf8()..];
        let ended = match symbol {
            '.' | '!' | '?' => rest.is_empty() || rest.starts_with([' ', '*', '\r', '<']),
            '。' | '！' => true,
            _ => false,
        };
        (ended && !inside).then_some(at)
    });
    let end = end.unwrap_or(said.len());
    start..start + said[..end].trim_end_matches(is_decoration).len()
}
