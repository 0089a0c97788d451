//! What is known of a run besides its curves: `facts.json`.

use std::collections::BTreeMap;
use std::path::Path;

use bestof_files::write_file;
use serde::{Deserialize, Serialize};

use crate::error::ReportError;
use crate::finding::Finding;
use crate::whole_file::read_if_there;

/// Name of the file in a run's folder.
pub const METADATA_FILE: &str = "facts.json";

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

/// What is known of a run besides its curves. Every part may be empty.
///
/// ```
/// use bestof_report::{Finding, RunMetadata, Verdict};
///
/// let dir = tempfile::tempdir()?;
/// let mut metadata = RunMetadata::default();
/// metadata.data.push(("pairs".into(), "1,024".into()));
/// metadata.findings.push(Finding::new("DPO lowers the chosen", "-21 nats", Verdict::Holds));
/// metadata.write(dir.path())?;
/// assert_eq!(RunMetadata::read(dir.path())?, metadata);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunMetadata {
    /// Claims put to the test by this run.
    pub findings: Vec<Finding>,
    /// Name and value of what is known of model and data, in the order to show.
    pub data: Vec<(String, String)>,
    /// The pairs whose chosen answer lost most, worst first.
    pub displaced: Vec<DisplacedPair>,
    /// How many pairs have which edit distance.
    pub edit_distances: BTreeMap<u64, u64>,
}

impl RunMetadata {
    /// Writes the metadata to the run's folder, replacing an earlier file whole.
    pub fn write(&self, dir: &Path) -> Result<(), ReportError> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|source| ReportError::NotJson { what: "the metadata of a run", source })?;
        Ok(write_file(&dir.join(METADATA_FILE), &text)?)
    }

    /// Reads the metadata of a run's folder; empty when the run wrote none.
    pub fn read(dir: &Path) -> Result<Self, ReportError> {
        let path = dir.join(METADATA_FILE);
        match read_if_there(&path)? {
            Some(text) => {
                serde_json::from_str(&text).map_err(|source| ReportError::BadJson { path, source })
            }
            None => Ok(Self::default()),
        }
    }
}
