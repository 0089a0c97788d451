//! A claim with the rule by which its measurement was judged.

use bestof_report::{Finding, Verdict};
use serde_json::{Value, json};

/// A claim of a paper, the rule that judges it, what was measured, and the verdict.
///
/// The verdict comes out of [`Measured`](crate::Measured)'s comparisons, never out of a hand: a
/// rule is stated before the measurement and can end in any of the three verdicts.
///
/// ```
/// use bestof_reproduce::{Claim, Measured, Verdict};
///
/// let gain = Measured::of_seeds(&[0.11, 0.13, 0.12]);
/// let claim = Claim::new(
///     "k = 4 raises pass@4",
///     "the 95 % interval over seeds of the gain lies above 0",
///     gain.to_string(),
///     gain.is_above(0.0),
/// );
/// assert_eq!(claim.verdict, Verdict::Holds);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The claim, as its source makes it.
    pub claim: String,
    /// When it holds, when it does not.
    pub rule: String,
    /// What was measured here, with numbers.
    pub measured: String,
    /// What the rule says of the measurement.
    pub verdict: Verdict,
}

impl Claim {
    /// A claim of these four parts.
    pub fn new(
        claim: impl Into<String>,
        rule: impl Into<String>,
        measured: impl Into<String>,
        verdict: Verdict,
    ) -> Self {
        Self { claim: claim.into(), rule: rule.into(), measured: measured.into(), verdict }
    }

    /// The claim as a card of a report.
    pub fn to_finding(&self) -> Finding {
        let measured = format!("{}. Rule: {}.", self.measured, self.rule);
        Finding::new(self.claim.clone(), measured, self.verdict)
    }

    /// `{"claim", "rule", "measured", "verdict"}`, the verdict in [`word`]s.
    pub fn to_json(&self) -> Value {
        json!({
            "claim": self.claim,
            "rule": self.rule,
            "measured": self.measured,
            "verdict": word(self.verdict),
        })
    }
}

/// A verdict in words: `holds`, `does not hold`, `unclear` (cannot be told at this size).
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::DoesNot => "does not hold",
        Verdict::Unclear => "unclear",
    }
}
