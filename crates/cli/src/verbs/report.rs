//! `report`: one page with plots, from one run or several compared.

use std::path::PathBuf;

use anyhow::Result;
use bestof_report::{Report, RunFolder};
use serde_json::json;

use crate::console;

/// Write one self-contained HTML page about one run, or about several side by side
#[derive(Debug, clap::Args)]
#[command(
    name = "report",
    after_help = "Example:\n  cargo xtask report runs/dpo runs/dpop --out compare.html"
)]
pub(crate) struct ReportVerb {
    /// Run folders
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// The page to write; by default report.html in the run's folder, or compare.html here
    #[arg(long)]
    out: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ReportVerb {
    pub(crate) fn run(self) -> Result<()> {
        let runs = self
            .runs
            .iter()
            .map(|dir| Ok(RunFolder::open(dir)?))
            .collect::<Result<Vec<RunFolder>>>()?;
        let out = self.out.unwrap_or_else(|| match self.runs.as_slice() {
            [run] => run.join("report.html"),
            _ => PathBuf::from("compare.html"),
        });
        Report::from_runs(&runs).write(&out)?;
        if self.json {
            return console::json(&json!({"report": out}));
        }
        console::line(&out.display().to_string())
    }
}
