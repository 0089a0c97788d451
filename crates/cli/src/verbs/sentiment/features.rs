//! `sentiment features`: the numbers that a classical model reads, for other programs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bestof_sentiment::dataset::{Part, Prepared};
use bestof_sentiment::model::{Labels, open_classical};
use serde_json::json;

use crate::console;

/// Write the rows of a prepared folder as a classical model reads them, in the svmlight format
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask sentiment features --data data/prepared --model runs/logistic --out features\n\n\
    Writes train.svm, validation.svm and test.svm, a line a row: its label, then column:value for each\n\
    number that is not 0, columns from 1. The names of the columns are the lines of columns.txt.\n\
    scikit-learn reads it with load_svmlight_file, as do XGBoost, LightGBM and LIBSVM."
)]
pub(super) struct Features {
    /// The folder of `sentiment prepare` that the model was trained on
    #[arg(long)]
    data: PathBuf,
    /// A classical model: a folder of `sentiment train`
    #[arg(long)]
    model: PathBuf,
    /// The folder to write
    #[arg(long)]
    out: PathBuf,
    /// Stars, or 1 for positive reviews and 0 for the others [default: stars where rows have them]
    #[arg(long, value_enum)]
    labels: Option<LabelsArg>,
    /// Print one JSON object about what was written
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LabelsArg {
    Stars,
    Binary,
}

impl Features {
    pub(super) fn run(self) -> Result<()> {
        let prepared = Prepared::open(&self.data)?;
        let model = open_classical(&self.model)?;
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("could not create {}", self.out.display()))?;
        let mut counts = Vec::new();
        for part in Part::ALL {
            let data = prepared.part(part)?;
            let labels = match self.labels {
                Some(LabelsArg::Stars) => Labels::Stars,
                None if data.has_stars() => Labels::Stars,
                Some(LabelsArg::Binary) | None => Labels::Binary,
            };
            model.write_rows(&data, labels, &self.out.join(format!("{}.svm", part.as_str())))?;
            counts.push((part.as_str(), data.len()));
        }
        let columns = model.columns();
        let path = self.out.join("columns.txt");
        bestof_files::write_file(&path, (columns.join("\n") + "\n").as_bytes())?;
        if self.json {
            let rows: serde_json::Map<_, _> =
                counts.iter().map(|(part, rows)| ((*part).to_owned(), json!(rows))).collect();
            return console::json(
                &json!({"out": self.out, "columns": columns.len(), "rows": rows}),
            );
        }
        let rows: Vec<String> =
            counts.iter().map(|(part, rows)| format!("{rows} {part} rows")).collect();
        console::line(&format!(
            "{}: {} of {} columns",
            self.out.display(),
            rows.join(", "),
            columns.len()
        ))
    }
}
