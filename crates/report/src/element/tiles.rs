//! Headline numbers.

use crate::html::{Html, esc};

/// A row of headline numbers, each with a label and an optional remark.
#[derive(Debug, Clone, Default)]
pub struct Tiles(Vec<(String, String, String)>);

impl Tiles {
    /// An empty row.
    pub fn new() -> Self {
        Self::default()
    }

    /// The row with one more number, already formatted.
    #[must_use]
    pub fn tile(
        mut self,
        label: impl Into<String>,
        value: impl Into<String>,
        remark: impl Into<String>,
    ) -> Self {
        self.0.push((label.into(), value.into(), remark.into()));
        self
    }

    pub(crate) fn render(&self, out: &mut Html) {
        out.put(format_args!("<dl class=\"tiles\">"));
        for (label, value, remark) in &self.0 {
            out.put(format_args!("<div><dt>{}</dt><dd>{}</dd>", esc(label), esc(value)));
            if !remark.is_empty() {
                out.put(format_args!("<dd class=\"remark\">{}</dd>", esc(remark)));
            }
            out.put(format_args!("</div>"));
        }
        out.put(format_args!("</dl>\n"));
    }
}
