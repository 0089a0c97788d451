//! Words: paragraphs and notes, verbatim text, and text with coloured spans.

use crate::html::{Html, esc, shortened};

/// Longer verbatim texts are cut, and say so.
const LONGEST_CODE: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextKind {
    Paragraph,
    Note,
    Warning,
}

/// A paragraph, a note or a warning. Blank lines part paragraphs.
#[derive(Debug, Clone)]
pub struct Text {
    kind: TextKind,
    text: String,
}

impl Text {
    /// A plain paragraph.
    pub fn new(text: impl Into<String>) -> Self {
        Self { kind: TextKind::Paragraph, text: text.into() }
    }

    /// A remark set apart from the text.
    pub fn note(text: impl Into<String>) -> Self {
        Self { kind: TextKind::Note, text: text.into() }
    }

    /// Something the reader must not miss.
    pub fn warning(text: impl Into<String>) -> Self {
        Self { kind: TextKind::Warning, text: text.into() }
    }

    pub(crate) fn render(&self, out: &mut Html) {
        let class = match self.kind {
            TextKind::Paragraph => "text",
            TextKind::Note => "note",
            TextKind::Warning => "warning",
        };
        out.put(format_args!("<div class=\"{class}\">"));
        for paragraph in self.text.split("\n\n").filter(|p| !p.trim().is_empty()) {
            out.put(format_args!("<p>{}</p>", esc(paragraph.trim())));
        }
        out.put(format_args!("</div>\n"));
    }
}

/// Verbatim text under a caption, folded away when asked.
#[derive(Debug, Clone)]
pub struct Code {
    caption: String,
    text: String,
    folded: bool,
}

impl Code {
    /// `text` under `caption`, open.
    pub fn new(caption: impl Into<String>, text: impl Into<String>) -> Self {
        Self { caption: caption.into(), text: text.into(), folded: false }
    }

    /// The same, folded until clicked.
    #[must_use]
    pub fn folded(mut self) -> Self {
        self.folded = true;
        self
    }

    pub(crate) fn render(&self, out: &mut Html) {
        let open = if self.folded { "" } else { " open" };
        let (text, left_out) = shortened(&self.text, LONGEST_CODE);
        out.put(format_args!(
            "<details class=\"code\"{open}><summary>{}</summary><pre>{}</pre>",
            esc(&self.caption),
            esc(text)
        ));
        if left_out > 0 {
            out.put(format_args!("<p class=\"remark\">{left_out} more bytes not shown</p>"));
        }
        out.put(format_args!("</details>\n"));
    }
}

/// How a span of [`ColouredText`] looks.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Tone {
    /// As the text around it.
    Plain,
    /// Stepped back, such as tokens the loss does not see.
    Muted,
    /// Marked, such as tokens the loss sees.
    Accent,
    /// Marked as good.
    Good,
    /// Marked as bad.
    Bad,
    /// Marked with a strength from 0 to 1, such as a probability.
    Weight(f64),
}

/// Verbatim text of spans, each with a tone and an optional text shown on hover.
///
/// ```
/// use bestof_report::{ColouredText, Report, Section, Tone};
///
/// let tokens = ColouredText::new("Tokens and loss mask")
///     .span("2 + 2 =", Tone::Muted)
///     .span_with_hover(" 4", Tone::Accent, "id 604, log-probability -0.12");
/// let page = Report::new("Data").section(Section::new("Row 0").element(tokens)).to_html();
/// assert!(page.contains("id 604"));
/// ```
#[derive(Debug, Clone)]
pub struct ColouredText {
    caption: String,
    spans: Vec<(String, Tone, String)>,
}

impl ColouredText {
    /// No spans yet.
    pub fn new(caption: impl Into<String>) -> Self {
        Self { caption: caption.into(), spans: Vec::new() }
    }

    /// The text with one more span.
    #[must_use]
    pub fn span(self, text: impl Into<String>, tone: Tone) -> Self {
        self.span_with_hover(text, tone, "")
    }

    /// The text with one more span that explains itself on hover.
    #[must_use]
    pub fn span_with_hover(
        mut self,
        text: impl Into<String>,
        tone: Tone,
        hover: impl Into<String>,
    ) -> Self {
        self.spans.push((text.into(), tone, hover.into()));
        self
    }

    pub(crate) fn render(&self, out: &mut Html) {
        out.put(format_args!(
            "<figure class=\"coloured\"><figcaption>{}</figcaption><pre>",
            esc(&self.caption)
        ));
        for (text, tone, hover) in &self.spans {
            match tone {
                Tone::Plain => out.put(format_args!("<span")),
                Tone::Muted => out.put(format_args!("<span class=\"muted\"")),
                Tone::Accent => out.put(format_args!("<mark class=\"accent\"")),
                Tone::Good => out.put(format_args!("<mark class=\"good\"")),
                Tone::Bad => out.put(format_args!("<mark class=\"bad\"")),
                Tone::Weight(weight) => out.put(format_args!(
                    "<mark class=\"weight\" style=\"--w:{:.0}%\"",
                    if weight.is_finite() { weight.clamp(0.0, 1.0) * 100.0 } else { 0.0 }
                )),
            }
            if !hover.is_empty() {
                out.put(format_args!(" title=\"{}\"", esc(hover)));
            }
            let element = if matches!(tone, Tone::Plain | Tone::Muted) { "span" } else { "mark" };
            out.put(format_args!(">{}</{element}>", esc(text)));
        }
        out.put(format_args!("</pre></figure>\n"));
    }
}
