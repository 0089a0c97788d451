//! Reads back what a run wrote.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bestof_files::expect_folder;
use serde_json::Value;

use crate::error::ReportError;
use crate::json_lines;
use crate::metadata::RunMetadata;
use crate::metric_row::MetricRow;
use crate::metrics_writer::METRICS_FILE;
use crate::samples::{SAMPLES_FILE, Sample};
use crate::whole_file::read_if_there;

const CONFIG_FILE: &str = "config.toml";
const RESULTS_SUFFIX: &str = "_results.json";

/// A run's folder, read whole.
///
/// `config.toml`, `metrics.jsonl`, `samples.jsonl`, `facts.json` and every `*_results.json` are
/// read; each may be missing, but not both of the first two.
#[derive(Debug, Clone, Default)]
pub struct RunFolder {
    /// Its path.
    pub dir: PathBuf,
    /// Its name: that of the folder.
    pub name: String,
    /// The resolved configuration, as text.
    pub config: Option<String>,
    /// The rows of metrics, in the order they were written.
    pub rows: Vec<MetricRow>,
    /// The samples, in the order they were written.
    pub samples: Vec<Sample>,
    /// What is known of the run besides its curves.
    pub metadata: RunMetadata,
    /// Result files by name without the ending, `eval` for `eval_results.json`.
    pub results: BTreeMap<String, Value>,
    /// Remarks on the state of the files, such as an incomplete last line.
    pub remarks: Vec<String>,
}

impl RunFolder {
    /// Reads the run in `dir`.
    pub fn open(dir: &Path) -> Result<Self, ReportError> {
        expect_folder(dir).map_err(ReportError::io("read", dir))?;
        if !dir.is_dir() {
            return Err(ReportError::NoSuchFolder { path: dir.into() });
        }
        let config = read_if_there(&dir.join(CONFIG_FILE))?;
        let metrics = dir.join(METRICS_FILE);
        if config.is_none() && !metrics.is_file() {
            return Err(ReportError::NotARun { path: dir.into() });
        }
        let mut remarks = Vec::new();
        let rows = rows_of(&metrics, METRICS_FILE, &mut remarks)?;
        let samples = rows_of(&dir.join(SAMPLES_FILE), SAMPLES_FILE, &mut remarks)?;
        Ok(Self {
            name: name_of(dir),
            dir: dir.into(),
            config,
            rows,
            samples,
            metadata: RunMetadata::read(dir)?,
            results: results_of(dir)?,
            remarks,
        })
    }

    /// Step and value of every row that has the metric `name`.
    pub fn curve(&self, name: &str) -> Vec<(f64, f64)> {
        self.rows
            .iter()
            .filter_map(|row| row.get(name).map(|value| (row.step() as f64, value)))
            .collect()
    }

    /// The last finite value of the metric `name`.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.rows.iter().rev().filter_map(|row| row.get(name)).find(|value| value.is_finite())
    }

    /// The names of all metrics, in the order they first appear.
    pub fn metric_names(&self) -> Vec<&str> {
        let mut seen = std::collections::HashSet::new();
        self.rows
            .iter()
            .flat_map(MetricRow::iter)
            .filter_map(|(name, _)| seen.insert(name).then_some(name))
            .collect()
    }

    /// The last step a row was written for.
    pub fn last_step(&self) -> Option<u64> {
        self.rows.last().map(MetricRow::step)
    }
}

fn rows_of<T: for<'de> serde::Deserialize<'de>>(
    path: &Path,
    name: &str,
    remarks: &mut Vec<String>,
) -> Result<Vec<T>, ReportError> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let (rows, torn) = json_lines::read_rows(path)?;
    if torn {
        remarks.push(format!("the last line of {name} is torn and was left out"));
    }
    Ok(rows)
}

fn results_of(dir: &Path) -> Result<BTreeMap<String, Value>, ReportError> {
    let mut results = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(ReportError::io("read", dir))? {
        let entry = entry.map_err(ReportError::io("read", dir))?;
        let file_name = entry.file_name();
        let file_name = file_name.to_string_lossy();
        let Some(name) = file_name.strip_suffix(RESULTS_SUFFIX) else { continue };
        let path = entry.path();
        if let Some(text) = read_if_there(&path)? {
            let value = serde_json::from_str(&text)
                .map_err(|source| ReportError::BadJson { path, source })?;
            results.insert(name.to_owned(), value);
        }
    }
    Ok(results)
}

fn name_of(dir: &Path) -> String {
    let absolute = dir.canonicalize();
    let dir = absolute.as_deref().unwrap_or(dir);
    dir.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned())
}
