//! Completions drawn during a run: `samples.jsonl`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::ReportError;
use crate::json_lines::JsonLines;

/// Name of the JSON-lines file in a run's folder.
pub const SAMPLES_FILE: &str = "samples.jsonl";

/// One completion the model gave to one prompt at one step.
///
/// ```
/// use bestof_report::Sample;
///
/// let sample = Sample::new(0, "2 + 2 =", " 5").with("reward", 0.0);
/// let json = serde_json::to_string(&sample)?;
/// assert_eq!(json, r#"{"step":0,"prompt":"2 + 2 =","completion":" 5","reward":0.0}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The step after which it was drawn; 0 is before training.
    pub step: u64,
    /// What the model was given.
    pub prompt: String,
    /// What it completed it with.
    pub completion: String,
    /// Anything else worth keeping: `reward`, `answer`, `finish`, `seed`, ...
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Sample {
    /// A sample without further fields.
    pub fn new(step: u64, prompt: impl Into<String>, completion: impl Into<String>) -> Self {
        Self { step, prompt: prompt.into(), completion: completion.into(), extra: Map::new() }
    }

    /// The sample with one more field.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.insert(name.into(), value.into());
        self
    }
}

/// Writes samples to `samples.jsonl` of a run's folder, one object per line.
///
/// It resumes as [`MetricsWriter`](crate::MetricsWriter) does.
#[derive(Debug)]
pub struct SamplesWriter {
    lines: JsonLines,
    last_step: u64,
}

impl SamplesWriter {
    /// A writer for a new run in the existing folder `dir`, which must hold no samples yet.
    pub fn create(dir: &Path) -> Result<Self, ReportError> {
        Ok(Self { lines: JsonLines::create(dir.join(SAMPLES_FILE))?, last_step: 0 })
    }

    /// A writer that continues after the checkpoint of `step`; later samples are removed.
    pub fn resume(dir: &Path, step: u64) -> Result<Self, ReportError> {
        Ok(Self { lines: JsonLines::resume(dir.join(SAMPLES_FILE), step)?, last_step: step })
    }

    /// Writes one sample. Steps may repeat but not go back.
    pub fn write(&mut self, sample: &Sample) -> Result<(), ReportError> {
        if sample.step < self.last_step {
            return Err(ReportError::StepWentBack { last: self.last_step, found: sample.step });
        }
        let line = serde_json::to_string(sample)
            .map_err(|source| ReportError::NotJson { what: "a sample", source })?;
        self.lines.append(line)?;
        self.last_step = sample.step;
        Ok(())
    }

    /// Returns once all samples are on the disk.
    pub fn sync(&mut self) -> Result<(), ReportError> {
        self.lines.sync()
    }
}
