//! `\boxed{...}` and `\fbox{...}`.

use std::borrow::Cow;
use std::ops::Range;

use crate::latex::group;

const COMMANDS: [&str; 2] = ["\\boxed", "\\fbox"];

/// Longest text between two boxes that can join them, in bytes.
const MAX_JOINT: usize = 60;

/// Most bytes of signs between two boxes of a solution that are one answer.
const MAX_GAP: usize = 12;

/// What stands between joined boxes.
const SEPARATOR: &str = ", ";

/// The boxes of a text.
#[derive(Debug, Default)]
pub(super) struct Boxes {
    /// The insides, in order; of boxes in boxes only the inner ones.
    inside: Vec<Range<usize>>,
    /// Where the inside of the first box begins that is never closed.
    pub(super) unclosed: Option<usize>,
}

impl Boxes {
    /// All boxes of `text`, in one pass. `\boxed 5` and `\boxed\frac{1}{2}` are boxes without
    /// braces.
    pub(super) fn of(text: &str) -> Self {
        let mut boxes = Self::default();
        if !COMMANDS.iter().any(|command| text.contains(command)) {
            return boxes;
        }
        let bytes = text.as_bytes();
        let mut open: Vec<(usize, bool)> = Vec::new();
        // Where a box begins whose brace has not come yet.
        let mut awaited = None;
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => {
                    let command = COMMANDS.iter().find(|name| text[at..].starts_with(**name));
                    if let Some(command) = command {
                        at += command.len();
                        let spaces = bytes[at..].iter().take_while(|b| **b == b' ').count();
                        awaited = Some(at + spaces);
                        if bytes.get(at + spaces) != Some(&b'{') {
                            boxes.add_bare(text, at + spaces);
                            awaited = None;
                        }
                        at += spaces;
                        continue;
                    }
                    // A command whose backslash was doubled.
                    if COMMANDS.iter().any(|name| text[at + 1..].starts_with(*name)) {
                        at += 1;
                        continue;
                    }
                    // An escaped brace or backslash opens and closes nothing.
                    at += 1;
                }
                b'{' => {
                    open.push((at + 1, awaited.take() == Some(at)));
                }
                b'}' => {
                    if let Some((start, true)) = open.pop() {
                        boxes.add(start..at);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        boxes.unclosed = open.into_iter().find(|(_, is_box)| *is_box).map(|(start, _)| start);
        boxes
    }

    fn add(&mut self, inside: Range<usize>) {
        if self.inside.last().is_none_or(|last| last.start < inside.start) {
            self.inside.push(inside);
        }
    }

    /// A box without braces: a number, a command with its arguments, or a word.
    fn add_bare(&mut self, text: &str, start: usize) {
        let rest = &text[start..];
        let length = match rest.chars().next() {
            Some('\\') => bare_command(rest),
            Some(first) if first.is_ascii_digit() || matches!(first, '-' | '.') => {
                let number = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '/' | '-');
                let length = rest.find(|c| !number(c)).unwrap_or(rest.len());
                rest[..length].trim_end_matches(['.', ',']).len()
            }
            _ => rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len()),
        };
        if length > 0 {
            self.add(start..start + length);
        }
    }

    /// Where the last box that is not empty ends.
    pub(super) fn end(&self) -> Option<usize> {
        self.inside.iter().rev().find(|range| !range.is_empty()).map(|range| range.end)
    }

    /// The last box that is not empty, or the last one if all are.
    pub(super) fn last(&self) -> Option<Range<usize>> {
        let filled = self.inside.iter().rev().find(|range| !range.is_empty());
        filled.or(self.inside.last()).cloned()
    }

    /// The different contents, boxes that are joined as one list.
    pub(super) fn lists<'t>(&self, text: &'t str) -> Vec<Cow<'t, str>> {
        let mut lists: Vec<Cow<'t, str>> = Vec::new();
        for boxes in self.grouped(text, joins) {
            let list = one_list(&boxes);
            // The limit on different boxes is far below what would make this slow.
            if lists.len() < 64 && !lists.contains(&list) {
                lists.push(list);
            }
        }
        lists
    }

    /// The last box with those that a word or a few signs join to it, as one list; boxes that say
    /// the same are one.
    pub(super) fn last_list<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let near = |joint: &str| {
            let joint = joint.trim_start_matches('}').trim_end_matches('{');
            let joint = COMMANDS.iter().fold(joint, |joint, name| joint.trim_end_matches(name));
            joint.len() <= MAX_GAP
                && !joint.contains(|c: char| c.is_alphanumeric() || "\n=".contains(c))
        };
        let mut groups = self.grouped(text, |joint| near(joint) || joins(joint));
        let boxes = groups.pop().unwrap_or_default();
        match boxes.as_slice() {
            [first, others @ ..] if others.iter().all(|other| other == first) => {
                Cow::Borrowed(*first)
            }
            boxes => one_list(boxes),
        }
    }

    /// The contents of the boxes, those that are joined together.
    fn grouped<'t>(&self, text: &'t str, joined: impl Fn(&str) -> bool) -> Vec<Vec<&'t str>> {
        let mut groups: Vec<Vec<&str>> = Vec::new();
        let mut end = None;
        for range in &self.inside {
            let inside = text[range.clone()].trim();
            if inside.is_empty() {
                continue;
            }
            match (groups.last_mut(), end) {
                (Some(group), Some(end)) if joined(&text[end..range.start]) => group.push(inside),
                _ => groups.push(vec![inside]),
            }
            end = Some(range.end);
        }
        if groups.is_empty() {
            groups.push(vec![""]);
        }
        groups
    }
}

fn one_list<'t>(boxes: &[&'t str]) -> Cow<'t, str> {
    match boxes {
        [only] => Cow::Borrowed(*only),
        boxes => Cow::Owned(boxes.join(SEPARATOR)),
    }
}

/// Length of a command and the arguments that follow it.
fn bare_command(text: &str) -> usize {
    let name = text[1..].bytes().take_while(u8::is_ascii_alphabetic).count();
    let mut end = 1 + name;
    loop {
        let rest = &text[end..];
        let length = match rest.as_bytes().first() {
            Some(b'{') => group(rest).map(|(_, length)| length),
            Some(b'[') => rest.find(']').map(|at| at + 1),
            _ => None,
        };
        match length {
            Some(length) => end += length,
            None => break,
        }
    }
    end
}

/// Whether the text between two boxes makes them one list: a comma, "and" or "or", at most a
/// unit or two besides, and no end of a sentence.
fn joins(joint: &str) -> bool {
    if joint.len() > MAX_JOINT || joint.contains("\n\n") || joint.contains(". ") {
        return false;
    }
    let plain = joint
        .trim_start_matches('}')
        .replace("\\boxed", " ")
        .replace("\\fbox", " ")
        .replace("\\text", " ")
        .replace("\\qquad", " ")
        .replace("\\quad", " ");
    let words: Vec<&str> =
        plain.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).collect();
    let linked = words.iter().any(|word| matches!(*word, "and" | "or"));
    let separated = plain.contains([',', ';']) || joint.contains("\\quad");
    (linked && words.len() <= 4) || (separated && words.is_empty())
}
