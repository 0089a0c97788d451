//! `parity`: checkpoints against reference numbers that this project did not produce.

use std::path::PathBuf;

use anyhow::{Result, bail};
use bestof_models::parity::run_parity;
use serde_json::json;

use crate::console;
use crate::device::DeviceArg;

/// Run checkpoints against the expected.safetensors beside them; fails above 1e-3
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cargo xtask parity crates/models/tests/fixtures/parity/*")]
pub(crate) struct Parity {
    /// Folders with config.json, model.safetensors and expected.safetensors
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
    /// Print one JSON object a folder
    #[arg(long)]
    json: bool,
}

impl Parity {
    pub(crate) fn run(self) -> Result<()> {
        let device = self.device.open()?;
        let mut failed = Vec::new();
        for dir in &self.dirs {
            let report = match run_parity(dir, &device) {
                Ok(report) => report,
                // The other folders are worth knowing about all the same.
                Err(error) => {
                    let error = anyhow::Error::new(error).context(dir.display().to_string());
                    console::error(&error);
                    failed.push(dir.display().to_string());
                    continue;
                }
            };
            if !report.ok {
                failed.push(dir.display().to_string());
            }
            if self.json {
                console::json(&json!({
                    "dir": report.dir, "max_abs_diff": report.max_abs_diff, "ok": report.ok,
                }))?;
            } else {
                let differences: Vec<String> = report
                    .max_abs_diff
                    .iter()
                    .map(|(name, value)| format!("{name} {value:.2e}"))
                    .collect();
                let verdict = if report.ok { "ok" } else { "DIFFERS" };
                console::line(&format!(
                    "{verdict:8} {}  {}",
                    dir.display(),
                    differences.join("  ")
                ))?;
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        bail!("{} of {} folders differ: {}", failed.len(), self.dirs.len(), failed.join(", "))
    }
}
