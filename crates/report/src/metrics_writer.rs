//! Writes a run's metrics as JSON lines and as TensorBoard events.

use std::path::Path;

use crate::error::ReportError;
use crate::event_file::EventFile;
use crate::json_lines::JsonLines;
use crate::metric_row::MetricRow;

/// Name of the JSON-lines file in a run's folder.
pub const METRICS_FILE: &str = "metrics.jsonl";

/// Writes every row to `metrics.jsonl` and to a TensorBoard event file of the run's folder.
///
/// A row is handed to the operating system before [`write`](Self::write) returns, so killing the
/// process loses none. Call [`sync`](Self::sync) before a checkpoint is committed: then every
/// row up to the checkpoint's step also survives a power cut, and a run resumed there ends with
/// the file of a run never stopped, except for [`TIMING_METRICS`](crate::TIMING_METRICS). Rows of a step have to be written
/// before that step's checkpoint.
///
/// ```
/// use bestof_report::{MetricRow, MetricsWriter, RunFolder};
///
/// let dir = tempfile::tempdir()?;
/// let mut metrics = MetricsWriter::create(dir.path())?;
/// for step in 1..=3 {
///     metrics.write(&MetricRow::new(step).with("loss", 1.0 / step as f64))?;
/// }
/// // Stopped after step 3; the last checkpoint was at step 2.
/// let mut metrics = MetricsWriter::resume(dir.path(), 2)?;
/// metrics.write(&MetricRow::new(3).with("loss", 0.3))?;
/// let run = RunFolder::open(dir.path())?;
/// assert_eq!(run.curve("loss"), [(1.0, 1.0), (2.0, 0.5), (3.0, 0.3)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MetricsWriter {
    lines: JsonLines,
    events: EventFile,
    last_step: u64,
}

impl MetricsWriter {
    /// A writer for a new run in the existing folder `dir`, which must hold no metrics yet.
    pub fn create(dir: &Path) -> Result<Self, ReportError> {
        let lines = JsonLines::create(dir.join(METRICS_FILE))?;
        Ok(Self { lines, events: EventFile::create(dir)?, last_step: 0 })
    }

    /// A writer that continues after the checkpoint of `step`: later rows are removed from both files,
    /// as is a line or event that a crash left incomplete.
    pub fn resume(dir: &Path, step: u64) -> Result<Self, ReportError> {
        let lines = JsonLines::resume(dir.join(METRICS_FILE), step)?;
        Ok(Self { lines, events: EventFile::resume(dir, step)?, last_step: step })
    }

    /// Writes one row. Steps may repeat (training and evaluation) but not go back.
    pub fn write(&mut self, row: &MetricRow) -> Result<(), ReportError> {
        row.check_names()?;
        if row.step() < self.last_step {
            return Err(ReportError::StepWentBack { last: self.last_step, found: row.step() });
        }
        let line = serde_json::to_string(row)
            .map_err(|source| ReportError::NotJson { what: "a row of metrics", source })?;
        self.lines.append(line)?;
        self.events.scalars(row.step(), row.iter())?;
        self.last_step = row.step();
        Ok(())
    }

    /// Rows in `metrics.jsonl`, those of before a [`resume`](Self::resume) included.
    pub fn rows(&self) -> u64 {
        self.lines.rows()
    }

    /// Returns once all rows are on the disk.
    pub fn sync(&mut self) -> Result<(), ReportError> {
        self.lines.sync()?;
        self.events.sync()
    }
}
