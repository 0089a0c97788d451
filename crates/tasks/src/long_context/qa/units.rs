//! Documents as sentences that can be left out individually.

use std::ops::Range;

use super::matching::Answer;

/// Longest unit, in bytes, in text without sentence ends.
const LONGEST: usize = 600;

/// The separator between a unit and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    Space,
    Line,
    Paragraph,
}

impl Join {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Space => " ",
            Self::Line => "\n",
            Self::Paragraph => "\n\n",
        }
    }
}

/// A sentence; the first one of a document begins with the title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) text: String,
    pub(super) join: Join,
}

/// The sentences of a document, the title on a line before the first. No answer in `keep` is split.
pub(super) fn of_document(title: Option<&str>, document: &str, keep: &[Answer]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for paragraph in document.lines().map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        let whole: Vec<Range<usize>> =
            keep.iter().flat_map(|answer| answer.occurrences(paragraph)).collect();
        for (index, range) in sentences(paragraph, &whole).into_iter().enumerate() {
            let join = if index == 0 { Join::Paragraph } else { Join::Space };
            units.push(Unit { text: paragraph[range].to_owned(), join });
        }
    }
    let title = title.map(one_line).filter(|title| !title.is_empty());
    if let (Some(title), Some(first)) = (title, units.first_mut()) {
        first.text = format!("{title}{}{}", Join::Line.text(), first.text);
    }
    units
}

/// The text with every run of white space replaced by one space.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The sentences of a paragraph, without the white space between them. No boundary lies in a range
/// of `whole`.
fn sentences(paragraph: &str, whole: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    // The last offset at which a long text can be cut.
    let mut space = None;
    let free = |at: usize| !whole.iter().any(|range| range.start < at && at < range.end);
    let mut push = |range: Range<usize>| {
        let text = &paragraph[range.clone()];
        let left = text.len() - text.trim_start().len();
        let length = text.trim().len();
        if length > 0 {
            ranges.push(range.start + left..range.start + left + length);
        }
    };
    for (at, c) in paragraph.char_indices() {
        if c.is_whitespace() && free(at) {
            if ends_sentence(&paragraph[start..at], &paragraph[at..]) {
                push(start..at);
                (start, space) = (at, None);
                continue;
            }
            space = Some(at);
        }
        if at - start >= LONGEST {
            let cut = space.unwrap_or(at);
            if cut > start && free(cut) {
                push(start..cut);
                (start, space) = (cut, None);
            }
        }
    }
    push(start..paragraph.len());
    ranges
}

/// Whether a sentence ends between these two texts.
fn ends_sentence(before: &str, after: &str) -> bool {
    let before = before.trim_end_matches(['"', '\'', ')', ']', '”', '’', '»']);
    let next = after.trim_start().chars().next();
    before.ends_with(['.', '!', '?']) && !next.is_some_and(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(document: &str, keep: &[&str]) -> Vec<String> {
        let keep: Vec<Answer> = keep.iter().map(|answer| Answer::new(answer)).collect();
        of_document(None, document, &keep).into_iter().map(|unit| unit.text).collect()
    }

    #[test]
    fn sentences_and_paragraphs() {
        assert_eq!(
            texts("One. Two? (Three!) four.\n\n Five ", &[]),
            ["One.", "Two?", "(Three!) four.", "Five"]
        );
        assert_eq!(texts("He went to St. Louis. Then home.", &[]).len(), 3);
        assert_eq!(
            texts("He went to St. Louis. Then home.", &["St. Louis"]),
            ["He went to St. Louis.", "Then home."]
        );
        let units = of_document(Some(" A\ntitle "), "One. Two.\nThree.", &[]);
        let joins: Vec<Join> = units.iter().map(|unit| unit.join).collect();
        assert_eq!(joins, [Join::Paragraph, Join::Space, Join::Paragraph]);
        assert_eq!(units[0].text, "A title\nOne.");
    }

    #[test]
    fn text_without_end_is_cut_at_spaces_but_not_in_answers() {
        let words = "word ".repeat(400);
        for unit in texts(&words, &[]) {
            assert!(unit.len() <= LONGEST && unit.ends_with("word"));
        }
        let letters = "é".repeat(2000);
        assert!(texts(&letters, &[]).len() > 3);
        let answer = "x".repeat(1500);
        let text = format!("{letters} {answer} {letters}");
        assert!(texts(&text, &[&answer]).iter().any(|unit| unit.contains(&answer)));
    }

    proptest! {
        #[test]
        fn nothing_but_white_space_is_lost(document in "([A-Za-z.!?\"é]{0,6}[ \\n]{0,2}){0,60}|\\PC{0,200}", answer in "[a-z]{1,3}") {
            let units = texts(&document, &[&answer]);
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&units.concat()), letters(&document));
            let answer = Answer::new(&answer);
            let lines: usize = document.lines().map(|line| answer.occurrences(line.trim()).len()).sum();
            let kept: usize = units.iter().map(|unit| answer.occurrences(unit).len()).sum();
            prop_assert_eq!(kept, lines);
        }
    }
}
