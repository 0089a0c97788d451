//! How an experiment was set up, as far as a reader needs it to judge its claims.

use bestof_report::{Section, Table};
use serde_json::{Value, json};

/// What a sceptic asks before reading a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Design {
    /// Repetitions and their seeds.
    pub seeds: String,
    /// What differs between repetitions, and what those that are compared share.
    pub varies: String,
    /// How intervals or p-values allow for the number of claims.
    pub correction: String,
    /// What was tried before the reported setting was fixed.
    pub tried: String,
}

impl Design {
    /// `{"seeds", "varies", "correction", "tried"}`.
    pub fn to_json(&self) -> Value {
        json!({
            "seeds": self.seeds, "varies": self.varies,
            "correction": self.correction, "tried": self.tried,
        })
    }

    /// The section of a page.
    pub(crate) fn section(&self) -> Section {
        let mut table = Table::new("What the verdicts rest on", ["", ""]);
        for (name, text) in [
            ("seeds", &self.seeds),
            ("what varies between them", &self.varies),
            ("correction for the number of claims", &self.correction),
            ("tried before", &self.tried),
        ] {
            table.push([name, text].map(bestof_report::Cell::text));
        }
        Section::new("Design").element(table)
    }
}
