//! What a run knows about itself besides its curves: `facts.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::beside;
use crate::error::ReportError;

/// Name of the file in a run's folder.
pub const FACTS_FILE: &str = "facts.json";

/// Whether a measurement bears a claim out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It does.
    Holds,
    /// It contradicts the claim.
    DoesNot,
    /// It is too weak to say.
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

/// A preference pair whose chosen answer lost probability against the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisplacedPair {
    /// Row of the pair in its file, counted from 0.
    pub row: u64,
    /// The prompt, or the start of it.
    pub prompt: String,
    /// The chosen answer, or the start of it.
    pub chosen: String,
    /// The rejected answer, or the start of it.
    pub rejected: String,
    /// Tokens to change, insert or delete to turn one answer into the other.
    pub edit_distance: u64,
    /// Index of the first token in which the answers differ.
    pub first_differing_token: Option<u64>,
    /// Log-probability of the chosen answer under the policy minus that under the reference.
    pub chosen_logp_change: f64,
}

/// What a run knows about itself besides its curves. Every part may be empty.
///
/// ```
/// use bestof_report::{Finding, RunFacts, Verdict};
///
/// let dir = tempfile::tempdir()?;
/// let mut facts = RunFacts::default();
/// facts.data.push(("pairs".into(), "1,024".into()));
/// facts.findings.push(Finding::new("DPO lowers the chosen", "-21 nats", Verdict::Holds));
/// facts.write(dir.path())?;
/// assert_eq!(RunFacts::read(dir.path())?, facts);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFacts {
    /// Claims put to the test by this run.
    pub findings: Vec<Finding>,
    /// Facts of model and data, as name and value, in the order to show.
    pub data: Vec<(String, String)>,
    /// The pairs whose chosen answer lost most, worst first.
    pub displaced: Vec<DisplacedPair>,
    /// How many pairs have which edit distance.
    pub edit_distances: BTreeMap<u64, u64>,
}

impl RunFacts {
    /// Writes the facts to the run's folder, replacing earlier ones whole.
    pub fn write(&self, dir: &Path) -> Result<(), ReportError> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| ReportError::NotJson { what: "the facts of a run", source })?;
        beside::write_whole(&dir.join(FACTS_FILE), &text)
    }

    /// Reads the facts of a run's folder; empty when the run wrote none.
    pub fn read(dir: &Path) -> Result<Self, ReportError> {
        let path = dir.join(FACTS_FILE);
        match crate::run_folder::read_bounded(&path)? {
            Some(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| ReportError::BadJson { path, source }),
            None => Ok(Self::default()),
        }
    }
}
