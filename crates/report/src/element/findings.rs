//! Verdict cards: claim, measurement, whether it holds.

use crate::finding::{Finding, Verdict};
use crate::html::{Html, esc};

/// Cards that say of each claim what was measured and whether it holds.
#[derive(Debug, Clone, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// One card for each finding.
    pub fn new(findings: impl IntoIterator<Item = Finding>) -> Self {
        Self(findings.into_iter().collect())
    }

    pub(crate) fn render(&self, out: &mut Html) {
        out.put(format_args!("<div class=\"findings\">"));
        for finding in &self.0 {
            let (class, mark, word) = match finding.verdict {
                Verdict::Holds => ("good", "✓", "holds"),
                Verdict::DoesNot => ("bad", "✗", "does not hold"),
                Verdict::Unclear => ("unclear", "?", "unclear"),
            };
            out.put(format_args!(
                "<article class=\"finding {class}\"><p class=\"verdict\"><span>{mark}</span> {word}</p>\
                 <p class=\"claim\">{}</p><p class=\"measured\">{}</p></article>",
                esc(&finding.claim),
                esc(&finding.measured),
            ));
        }
        out.put(format_args!("</div>\n"));
    }
}
