//! Rows token by token, with the trained ones marked.

use std::fmt::Write as _;

use bestof_checkpoints::Tokenizer;
use serde::Serialize;

use super::{Boundary, EncodedCompletion, EncodedPair};

/// Whether a rendering may use the colours of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// ANSI escape sequences: what is not trained dim, chosen green, rejected red, special tokens reversed.
    Ansi,
    /// No escape sequences: trained tokens stand in brackets.
    Plain,
}

/// The ANSI code of tokens that are read and not learned: dim.
const UNTRAINED: &str = "2";

/// One token of a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenView {
    /// The id.
    pub id: u32,
    /// The text it adds to the tokens before it, or the vocabulary's entry where that is no text.
    pub text: String,
    /// Whether it is trained on.
    pub trained: bool,
    /// Whether it is a special token.
    pub special: bool,
}

/// One completion of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerView {
    /// Which part of the row: `chosen`, `rejected` or `completion`.
    pub part: &'static str,
    /// How its ids were found.
    pub boundary: Boundary,
    /// Its tokens.
    pub tokens: Vec<TokenView>,
}

/// A row as the model sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The line it stands on, from 1.
    pub line: usize,
    /// The tokens before the first trained one.
    pub prompt: Vec<TokenView>,
    /// The completions that follow them, each by itself.
    pub answers: Vec<AnswerView>,
}

impl Example {
    pub(super) fn of_pair(tokenizer: &Tokenizer, line: usize, pair: &EncodedPair) -> Self {
        let answer = |part, boundary, ids: &[u32]| AnswerView {
            part,
            boundary,
            tokens: views(tokenizer, &pair.prompt_ids, ids, true),
        };
        Self {
            line,
            prompt: views(tokenizer, &[], &pair.prompt_ids, false),
            answers: vec![
                answer("chosen", pair.chosen_boundary, &pair.chosen_ids),
                answer("rejected", pair.rejected_boundary, &pair.rejected_ids),
            ],
        }
    }

    pub(super) fn of_completion(
        tokenizer: &Tokenizer,
        line: usize,
        item: &EncodedCompletion,
    ) -> Self {
        let tokens = views(tokenizer, &item.prompt_ids, &item.completion_ids, true);
        let tokens = tokens
            .into_iter()
            .enumerate()
            .map(|(place, token)| TokenView { trained: item.is_learned(place), ..token });
        Self {
            line,
            prompt: views(tokenizer, &[], &item.prompt_ids, false),
            answers: vec![AnswerView {
                part: "completion",
                boundary: item.boundary,
                tokens: tokens.collect(),
            }],
        }
    }

    pub(super) fn of_prompt(tokenizer: &Tokenizer, line: usize, prompt_ids: &[u32]) -> Self {
        Self { line, prompt: views(tokenizer, &[], prompt_ids, false), answers: Vec::new() }
    }

    /// The row as text, a token after the other, with the loss mask shown.
    ///
    /// Control characters are written as escapes, so that data cannot steer the terminal.
    pub fn render(&self, colour: Colour) -> String {
        let mut out = format!("line {}, prompt ({} tokens)\n", self.line, self.prompt.len());
        write_tokens(&mut out, &self.prompt, UNTRAINED, colour);
        for answer in &self.answers {
            let note = match answer.boundary {
                Boundary::Joint => "",
                Boundary::Separate => ", encoded apart from the prompt",
            };
            let count = answer.tokens.len();
            let _ = write!(out, "\n{} ({count} tokens{note})\n", answer.part);
            let code = if answer.part == "rejected" { "31" } else { "32" };
            write_tokens(&mut out, &answer.tokens, code, colour);
        }
        out.push('\n');
        out
    }
}

/// The views of `ids`, which stand after `before`.
fn views(tokenizer: &Tokenizer, before: &[u32], ids: &[u32], trained: bool) -> Vec<TokenView> {
    let pieces = tokenizer.pieces(ids);
    let earlier = before.last().copied().into_iter().chain(ids.iter().copied());
    let earlier: Vec<Option<u32>> = if before.is_empty() {
        std::iter::once(None).chain(earlier.map(Some)).collect()
    } else {
        earlier.map(Some).collect()
    };
    ids.iter()
        .zip(pieces)
        .zip(earlier)
        .map(|((&id, piece), earlier)| TokenView {
            id,
            text: added_text(tokenizer, earlier, id).unwrap_or(piece),
            trained,
            special: tokenizer.is_special(id),
        })
        .collect()
}

/// The text that `id` adds behind `earlier`; `None` where it is part of a character.
fn added_text(tokenizer: &Tokenizer, earlier: Option<u32>, id: u32) -> Option<String> {
    let whole: Vec<u32> = earlier.into_iter().chain([id]).collect();
    let before = tokenizer.decode(&whole[..whole.len() - 1], false).ok()?;
    let both = tokenizer.decode(&whole, false).ok()?;
    let text = both.strip_prefix(&before)?;
    (!text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER)).then(|| text.to_owned())
}

fn write_tokens(out: &mut String, tokens: &[TokenView], code: &str, colour: Colour) {
    for (index, token) in tokens.iter().enumerate() {
        let text = visible(&token.text);
        let _ = match (colour, token.trained) {
            (Colour::Ansi, _) => {
                let special = if token.special { ";7" } else { "" };
                // Every other token is underlined, so that the seams show.
                let seam = if index % 2 == 1 { ";4" } else { "" };
                let code = if token.trained { code } else { UNTRAINED };
                write!(out, "\x1b[{code}{special}{seam}m{text}\x1b[0m")
            }
            (Colour::Plain, true) => write!(out, "[{text}]"),
            (Colour::Plain, false) => write!(out, "{text}|"),
        };
        if token.text.ends_with('\n') {
            out.push('\n');
        }
    }
}

/// The text with control characters and other invisible ones as escapes.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for symbol in text.chars() {
        let plain = matches!(symbol, ' ' | '"' | '\'' | '\\')
            || (!symbol.is_whitespace() && symbol.escape_debug().count() == 1);
        if plain {
            shown.push(symbol);
        } else {
            shown.extend(symbol.escape_debug());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str, trained: bool, special: bool) -> TokenView {
        TokenView { id: 1, text: text.to_owned(), trained, special }
    }

    fn example() -> Example {
        Example {
            line: 3,
            prompt: vec![token("<s>", false, true), token("2 +\n", false, false)],
            answers: vec![AnswerView {
                part: "chosen",
                boundary: Boundary::Separate,
                tokens: vec![token(" 4", true, false), token("\u{1b}[31m", true, false)],
            }],
        }
    }

    #[test]
    fn plain_rendering_brackets_what_is_trained() {
        assert_eq!(
            example().render(Colour::Plain),
            "line 3, prompt (2 tokens)\n<s>|2 +\\n|\n\n\
             chosen (2 tokens, encoded apart from the prompt)\n[ 4][\\u{1b}[31m]\n"
        );
    }

    #[test]
    fn only_our_own_escapes_reach_the_terminal() {
        let rendered = example().render(Colour::Ansi);
        assert!(rendered.contains("\x1b[2;7m<s>\x1b[0m"), "{rendered:?}");
        assert!(rendered.contains("\x1b[32m 4\x1b[0m\x1b[32;4m\\u{1b}[31m\x1b[0m"), "{rendered:?}");
    }

    #[test]
    fn visible_keeps_text_and_shows_the_rest() {
        assert_eq!(visible("Größe 日本 \"quoted\" it's"), "Größe 日本 \"quoted\" it's");
        assert_eq!(visible("a\tb\u{a0}c\u{200b}\r"), "a\\tb\\u{a0}c\\u{200b}\\r");
    }
}
