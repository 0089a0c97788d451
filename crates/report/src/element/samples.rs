//! Completions side by side.

use crate::html::{Html, esc, shortened};

const LONGEST_PROMPT: usize = 2_000;
const LONGEST_COMPLETION: usize = 4_000;

/// A prompt and what was answered, in columns such as "before" and "after".
#[derive(Debug, Clone)]
pub struct SampleCard {
    prompt: String,
    answers: Vec<(String, String, String)>,
}

impl SampleCard {
    /// A card without answers.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { prompt: prompt.into(), answers: Vec::new() }
    }

    /// The card with one more answer under a heading; `remark` may be empty.
    #[must_use]
    pub fn answer(
        mut self,
        heading: impl Into<String>,
        text: impl Into<String>,
        remark: impl Into<String>,
    ) -> Self {
        self.answers.push((heading.into(), text.into(), remark.into()));
        self
    }
}

/// Cards of completions in monospaced boxes.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<SampleCard>);

impl Samples {
    /// One box for each card.
    pub fn new(cards: impl IntoIterator<Item = SampleCard>) -> Self {
        Self(cards.into_iter().collect())
    }

    pub(crate) fn render(&self, out: &mut Html) {
        for card in &self.0 {
            out.put(format_args!("<article class=\"sample\"><h4>Prompt</h4>"));
            verbatim(&card.prompt, LONGEST_PROMPT, out);
            out.put(format_args!("<div class=\"answers\">"));
            for (heading, text, remark) in &card.answers {
                out.put(format_args!("<div><h4>{}", esc(heading)));
                if !remark.is_empty() {
                    out.put(format_args!("<small>{}</small>", esc(remark)));
                }
                out.put(format_args!("</h4>"));
                verbatim(text, LONGEST_COMPLETION, out);
                out.put(format_args!("</div>"));
            }
            out.put(format_args!("</div></article>\n"));
        }
    }
}

fn verbatim(text: &str, limit: usize, out: &mut Html) {
    let (shown, left_out) = shortened(text, limit);
    if shown.is_empty() {
        out.put(format_args!("<pre class=\"muted\">(empty)</pre>"));
    } else {
        // HTML swallows a line break right after the tag; this one is there for it.
        out.put(format_args!("<pre>\n{}</pre>", esc(shown)));
    }
    if left_out > 0 {
        out.put(format_args!("<p class=\"remark\">{left_out} more bytes not shown</p>"));
    }
}
