//! The part of a text that is its answer: thoughts removed, markers found, boxes gathered.

mod boxes;
mod phrase;
mod thoughts;

use std::borrow::Cow;
use std::ops::Range;

use crate::units::denies;
use boxes::Boxes;
pub(crate) use thoughts::visible;

/// How a final answer was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Marker {
    /// Between `<answer>` and `</answer>`.
    Tags,
    /// After `####`, as in GSM8K.
    Hashes,
    /// Inside `\boxed{...}`, as in MATH.
    Boxed,
    /// After words such as "The answer is".
    Phrase,
    /// No marker: the last number of the text.
    LastNumber,
}

/// Deepest nesting of markers that is followed, as in `<answer>The answer is \boxed{6}</answer>`.
const MAX_NESTING: usize = 4;

/// Most different boxes that are looked at.
const MAX_BOXES: usize = 8;

/// What a completion offers as its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer<'t> {
    /// The different answers: more than one if there are several boxes that no word joins. Only
    /// an answer that all of them give counts.
    pub(crate) answers: Vec<Cow<'t, str>>,
    /// The marker of the answers; `None` if the whole text is the answer.
    pub(crate) marker: Option<Marker>,
    /// Where the answer stands in the completion; the last box where boxes give it.
    pub(crate) range: Range<usize>,
}

/// Why a completion offers no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoOffer {
    /// A box that is never closed: the text was cut off inside it.
    #[error("the box is not closed")]
    Unclosed,
    /// More boxes than are compared.
    #[error("more than {MAX_BOXES} different boxes")]
    TooMany,
    /// "The answer is not 5".
    #[error("the text says what the answer is not")]
    Negated,
}

/// The answers that the completion `text` offers.
///
/// Thoughts (`<think>` and the like, closed or not) are no part of it. Boxes joined by a comma,
/// "and" or "or" are one list; other different boxes are different answers.
pub(crate) fn offer(text: &str) -> Result<Offer<'_>, NoOffer> {
    let Some((range, marker)) = answer_range(text) else {
        let range = visible(text);
        let seen = &text[range.clone()];
        if Boxes::of(seen).unclosed.is_some() {
            return Err(NoOffer::Unclosed);
        }
        return Ok(Offer { answers: vec![Cow::Borrowed(seen.trim())], marker: None, range });
    };
    let part = text[range.clone()].trim();
    let first = part.split_whitespace().next().unwrap_or_default();
    // Nothing stands before the stroke of `\not A` that could be an answer: brackets and signs at most.
    let struck = first
        .find(char::is_alphanumeric)
        .is_some_and(|at| first[..at].ends_with('\\') && first[at..].starts_with("not"));
    if marker != Marker::Boxed && (struck || denies(first)) {
        return Err(NoOffer::Negated);
    }
    if marker != Marker::Boxed {
        return Ok(Offer { answers: vec![Cow::Borrowed(part)], marker: Some(marker), range });
    }
    let within = around_boxes(text);
    let around = &text[within.clone()];
    let boxes = Boxes::of(around);
    let answers = boxes.lists(around);
    // Among boxes of the working a later "the answer is" tells which one counts.
    if answers.len() > 1
        && let Some(end) = boxes.end()
        && let Some(said) = phrase::answer(&around[end..])
    {
        let start = within.start + end;
        let range = start + said.start..start + said.end;
        let part = Cow::Borrowed(text[range.clone()].trim());
        return Ok(Offer { answers: vec![part], marker: Some(Marker::Phrase), range });
    }
    if answers.len() > MAX_BOXES {
        return Err(NoOffer::TooMany);
    }
    Ok(Offer { answers, marker: Some(marker), range })
}

/// The answer that a solution gives, whose writer is trusted: the last box with those that a word
/// or a few signs join to it, and a box may lack its closing brace.
pub(crate) fn given_answer(text: &str) -> Cow<'_, str> {
    match answer_range(text) {
        Some((_, Marker::Boxed)) => {
            let around = &text[around_boxes(text)];
            Boxes::of(around).last_list(around)
        }
        Some((range, _)) => Cow::Borrowed(text[range].trim()),
        None => {
            let seen = &text[visible(text)];
            let start = Boxes::of(seen).unclosed.unwrap_or(0);
            Cow::Borrowed(seen[start..].trim())
        }
    }
}

/// The part of the text that a marker declares to be the answer, and the innermost marker: inside
/// the last `<answer>` tags, else after the last `####`, else in the last `\boxed{}` that is not
/// empty, else after the last "answer is", "Answer:" and the like.
///
/// The part ends at the closing tag or brace, at the end of the line, or after a phrase at the end
/// of the sentence. If nothing follows on the line, the next block of lines is the part. A box
/// below the last `####` comes before it, which is then a heading.
pub(crate) fn answer_range(text: &str) -> Option<(Range<usize>, Marker)> {
    let mut found: Option<(Range<usize>, Marker)> = None;
    let mut within = visible(text);
    for _ in 0..MAX_NESTING {
        let Some((range, marker)) = outermost(&text[within.clone()]) else { break };
        within = within.start + range.start..within.start + range.end;
        found = Some((within.clone(), marker));
        if marker == Marker::Boxed {
            break;
        }
    }
    found
}

/// Where the boxes of `text` count: inside the tags if there are any.
fn around_boxes(text: &str) -> Range<usize> {
    let seen = visible(text);
    match tagged(&text[seen.clone()]) {
        Some(range) => seen.start + range.start..seen.start + range.end,
        None => seen,
    }
}

fn outermost(text: &str) -> Option<(Range<usize>, Marker)> {
    if let Some(range) = tagged(text) {
        return Some((range, Marker::Tags));
    }
    let boxed = Boxes::of(text).last();
    let hashes = text.rfind("####").map(|at| at + 4);
    match (hashes, boxed) {
        (Some(hashes), Some(boxed)) if boxed.start > hashes && !boxed.is_empty() => {
            Some((boxed, Marker::Boxed))
        }
        (Some(hashes), _) => {
            let line = phrase::line(text, hashes);
            let range = if text[line.clone()].trim().is_empty() {
                phrase::next_block(text, line.end).unwrap_or(line)
            } else {
                line
            };
            Some((range, Marker::Hashes))
        }
        (None, Some(boxed)) => Some((boxed, Marker::Boxed)),
        (None, None) => phrase::answer(text).map(|range| (range, Marker::Phrase)),
    }
}

/// The answer part of a text and the marker that declares it, or the text without thoughts and
/// `None`; surrounding white space is removed.
///
/// The answer part is inside the last `<answer>` tags, else in a `\boxed{}` below the last `####`, else after
/// that, else in the last `\boxed{}` that is not empty, else after the last "answer is", "Answer:" and the like.
pub fn answer_text(text: &str) -> (&str, Option<Marker>) {
    match answer_range(text) {
        Some((range, marker)) => (text[range].trim(), Some(marker)),
        None => (text[visible(text)].trim(), None),
    }
}

fn tagged(text: &str) -> Option<Range<usize>> {
    let end = text.rfind("</answer>")?;
    let start = text[..end].rfind("<answer>")? + "<answer>".len();
    Some(start..end)
}

/// Byte offset of the line that declares the answer; the working is before it.
pub(crate) fn working_end(text: &str) -> usize {
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    match answer_range(text) {
        Some((range, _)) => line_start(range.start),
        None => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offered(text: &str) -> Vec<String> {
        match offer(text) {
            Ok(offer) => offer.answers.into_iter().map(Cow::into_owned).collect(),
            Err(reason) => vec![format!("none: {reason}")],
        }
    }

    #[test]
    fn the_part_is_found_in_every_layout() {
        for (text, expected, marker) in [
            ("#### The answer is 6", "6", Marker::Phrase),
            ("####\n6", "6", Marker::Hashes),
            ("<answer>\\boxed{6}</answer>", "6", Marker::Boxed),
            ("<answer>The answer is 6.</answer>", "6", Marker::Phrase),
            ("#### Step 3\nSo \\boxed{5}", "5", Marker::Boxed),
            ("$\\boxed{5}$ \\boxed{}", "5", Marker::Boxed),
            ("\\boxed 5", "5", Marker::Boxed),
            ("$\\boxed \\frac{1}{2}$", "\\frac{1}{2}", Marker::Boxed),
            ("\\boxed {\\text{a}}", "\\text{a}", Marker::Boxed),
            ("\\boxed{\\left\\{ 1 \\right.}", "\\left\\{ 1 \\right.", Marker::Boxed),
            ("The final answer is:\n\n**5**", "**5**", Marker::Phrase),
            ("So the answer is\n\\[\n9\n\\]\nas said", "\\[\n9\n\\]", Marker::Phrase),
            ("Answer $$ \n 9 \n $$", "$$ \n 9 \n $$", Marker::Phrase),
            ("Answer \\( 9 \\)", "\\( 9 \\)", Marker::Phrase),
            ("**Answer:** B) the sun", "B) the sun", Marker::Phrase),
            ("**Answer: 42**", "42", Marker::Phrase),
            ("Answer = 42", "42", Marker::Phrase),
            ("The answer to the question is 42! Good.", "42", Marker::Phrase),
            ("### Final Answer\n\n12", "12", Marker::Phrase),
            ("The answer is 5. I hope it is correct.", "5", Marker::Phrase),
            ("The answer is 5\nI checked: the answer is correct.", "5", Marker::Phrase),
            ("答案是42。", "42", Marker::Phrase),
            ("Ответ: 5", "5", Marker::Phrase),
        ] {
            let (part, found) = answer_text(text);
            assert_eq!((part, found), (expected, Some(marker)), "{text:?}");
        }
        for text in ["An answer exists.", "I answer islands", "answers", "\\boxed{12", "no"] {
            assert_eq!(answer_text(text), (text, None));
        }
    }

    #[test]
    fn thoughts_are_no_answer() {
        assert_eq!(answer_text("<think>\\boxed{7}</think> I do not know.").0, "I do not know.");
        assert_eq!(answer_text("I see \\boxed{3}</think>So \\boxed{7}").0, "7");
        assert_eq!(answer_text("<think>It is \\boxed{3}"), ("", None));
    }

    #[test]
    fn boxes_are_a_list_or_a_hedge() {
        for (text, expected) in [
            ("\\boxed{5} or \\boxed{6}", vec!["5, 6"]),
            ("$\\boxed\\frac{\\sqrt{2}}{2}$", vec!["\\frac{\\sqrt{2}}{2}"]),
            ("$\\boxed{1}$, $\\boxed{2}$, and $\\boxed{3}$", vec!["1, 2, 3"]),
            ("\\boxed{(9, 2)} \\quad \\text{and} \\quad \\boxed{(9, 5)}", vec!["(9, 2), (9, 5)"]),
            ("\\boxed{1} papers and \\boxed{2} bins", vec!["1, 2"]),
            ("First \\boxed{5}. Then again \\boxed{5}.", vec!["5"]),
            ("First \\boxed{5}. No, it is \\boxed{6}.", vec!["5", "6"]),
            ("\\boxed{5} \\boxed{6}", vec!["5", "6"]),
            ("Add \\boxed{5} to \\boxed{6}. The final answer is $11$.", vec!["$11$"]),
            ("\\boxed{5", vec!["none: the box is not closed"]),
            ("The answer is not 5.", vec!["none: the text says what the answer is not"]),
            ("The answer is $\\not A$.", vec!["none: the text says what the answer is not"]),
            ("The answer is \\(\\not A\\).", vec!["none: the text says what the answer is not"]),
            ("The answer is $\\not=5$.", vec!["none: the text says what the answer is not"]),
            ("The answer is $x\\not=5$.", vec!["$x\\not=5$"]),
            ("The answer is \\(5\\not=x\\).", vec!["\\(5\\not=x\\)"]),
        ] {
            assert_eq!(offered(text), expected, "{text:?}");
        }
        let many: Vec<String> = (0..9).map(|value| format!("\\boxed{{{value}}}")).collect();
        assert_eq!(offer(&many.join("\n")), Err(NoOffer::TooMany));
        assert_eq!(given_answer("\\boxed{35} ++ \\boxed{4}"), "35, 4");
        // A value that one box has twice stays.
        assert_eq!(given_answer("\\boxed{2, 2}"), "2, 2");
        assert_eq!(given_answer("\\boxed{35}\nso then\n\\boxed{4}"), "4");
        assert_eq!(given_answer("\\boxed{4} is right, so \\boxed{4}"), "4");
        assert_eq!(given_answer("Not \\boxed{1} but $x=\\boxed{4}$"), "4");
        assert_eq!(given_answer("\\boxed{x = 1"), "x = 1");
        assert_eq!(working_end("a\nb\n#### 3"), 4);
        assert_eq!(working_end("a\nb"), 3);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}|[-0-9,.$#* \\n\\\\boxed{}answeris:=]{0,60}") {
            let _ = (offer(&text), given_answer(&text), answer_text(&text), working_end(&text));
        }
    }
}
