//! A claim, what was measured, and whether the claim holds.

use serde::{Deserialize, Serialize};

/// Whether a measurement supports a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Holds,
    /// It contradicts the claim.
    DoesNot,
    /// It is too weak to decide.
    Unclear,
}

/// A claim, what was measured, and whether the claim holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The claim, as its source makes it.
    pub claim: String,
    /// What was measured here, with numbers.
    pub measured: String,
    /// Whether the claim holds.
    pub verdict: Verdict,
}

impl Finding {
    /// A finding of these three parts.
    pub fn new(claim: impl Into<String>, measured: impl Into<String>, verdict: Verdict) -> Self {
        Self { claim: claim.into(), measured: measured.into(), verdict }
    }
}
