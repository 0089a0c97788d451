//! `parity`: checkpoints against outputs recorded with a reference implementation.
//!
//! A parity folder is a model folder with an `expected.safetensors` beside the weights. It holds
//! `input_ids` (`[batch, seq]`), optionally `attention_mask` and `token_type_ids`, and any of the
//! outputs in [`expected::OUTPUTS`].

mod decoder;
mod encoder;
mod expected;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bestof_checkpoints::ModelFolder;
use bestof_models::encoder::EncoderFamily;
use bestof_models::{DecoderConfig, Device, ModelError, known_model_types};
use serde_json::json;

use self::expected::Expected;
use crate::console;
use crate::device::DeviceArg;

/// The largest absolute difference at which a checkpoint still passes.
const THRESHOLD: f64 = 1e-3;

/// Run checkpoints against the expected.safetensors beside them; fails above 1e-3
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cargo xtask parity crates/models/tests/fixtures/parity/*/")]
pub(crate) struct Parity {
    /// Folders with config.json, model.safetensors and expected.safetensors
    #[arg(required = true)]
    dirs: Vec<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
    /// Print one JSON object per folder
    #[arg(long)]
    json: bool,
}

impl Parity {
    pub(crate) fn run(self) -> Result<()> {
        let device = self.device.open()?;
        let mut failed = Vec::new();
        for dir in &self.dirs {
            let max_abs_diff = match compare(dir, &device) {
                Ok(differences) => differences,
                // One unreadable folder does not keep the others from being compared.
                Err(error) => {
                    console::error(&error.context(dir.display().to_string()));
                    failed.push(dir.display().to_string());
                    continue;
                }
            };
            let ok = max_abs_diff.values().all(|difference| *difference <= THRESHOLD);
            if !ok {
                failed.push(dir.display().to_string());
            }
            if self.json {
                console::json(&json!({ "dir": dir, "max_abs_diff": max_abs_diff, "ok": ok }))?;
            } else {
                let differences: Vec<String> = max_abs_diff
                    .iter()
                    .map(|(name, value)| format!("{name} {value:.2e}"))
                    .collect();
                let verdict = if ok { "ok" } else { "DIFFERS" };
                let (dir, differences) = (dir.display(), differences.join("  "));
                console::line(&format!("{verdict:8} {dir}  {differences}"))?;
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        bail!("{} of {} folders differ: {}", failed.len(), self.dirs.len(), failed.join(", "))
    }
}

/// Runs the checkpoint in `dir` on the inputs in `expected.safetensors`.
///
/// Returns the largest absolute difference by output, infinite where an output is NaN; for `greedy`
/// the number of tokens that differ. Positions where `attention_mask` is 0 are not compared.
fn compare(dir: &Path, device: &Device) -> Result<BTreeMap<String, f64>> {
    let folder = ModelFolder::open(dir)?;
    let expected = Expected::open(dir)?;
    let device = device.clone().without_autodiff();
    let model_type = folder.model_type().unwrap_or_default();
    if let Some(family) = EncoderFamily::of(model_type) {
        encoder::compare(&folder, family, &expected, &device)
    } else if known_model_types().contains(&model_type) {
        decoder::compare(&folder, &expected, &device)
    } else if let Err(error @ ModelError::MixtureOfExperts { .. }) =
        DecoderConfig::from_hf(&folder.config)
    {
        Err(error.into())
    } else {
        let (found, mut known) = (model_type.to_owned(), known_model_types());
        known.extend(EncoderFamily::ALL.map(EncoderFamily::model_type));
        Err(ModelError::UnknownModelType { found, known }.into())
    }
}
