//! `convert`: GGUF, or a Hugging Face folder in another number format, to a Hugging Face folder.

use std::path::PathBuf;

use anyhow::Result;
use bestof_checkpoints::gguf::ConvertOptions;
use bestof_checkpoints::{ModelFolder, StoredType, gguf};
use serde_json::json;

use crate::console::{self, Bytes};

/// Turn a GGUF file or a Hugging Face folder into a Hugging Face folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cargo xtask convert model.Q4_1.gguf models/mine --dtype bf16")]
pub(crate) struct Convert {
    /// A `.gguf` file, or a folder with config.json and safetensors
    input: PathBuf,
    /// The folder to make; it must not exist
    output: PathBuf,
    /// Number format of the weights: f32, f16 or bf16
    #[arg(long, default_value = "f32", value_parser = dtype)]
    dtype: StoredType,
    /// Split the weights into files of at most this many megabytes
    #[arg(long)]
    max_shard_mb: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn dtype(text: &str) -> Result<StoredType, String> {
    match text.to_lowercase().as_str() {
        "f32" | "float32" => Ok(StoredType::F32),
        "f16" | "float16" => Ok(StoredType::F16),
        "bf16" | "bfloat16" => Ok(StoredType::BF16),
        _ => Err("known are f32, f16 and bf16".to_owned()),
    }
}

impl Convert {
    pub(crate) fn run(self) -> Result<()> {
        let bar = Bytes::new("convert");
        let mut progress = |at: gguf::Progress<'_>| bar.at(at.values_done, at.values_total);
        let options = ConvertOptions {
            dtype: self.dtype,
            max_shard_bytes: self.max_shard_mb.map(|mb| mb.saturating_mul(1_000_000)),
        };
        let done = if self.input.is_dir() {
            ModelFolder::open(&self.input)?.rewrite(&self.output, &options, &mut progress)?
        } else {
            gguf::convert(&self.input, &self.output, &options, &mut progress)?
        };
        bar.done();
        for warning in &done.warnings {
            tracing::warn!("{}: {warning}", self.input.display());
        }
        if self.json {
            let types: serde_json::Map<String, serde_json::Value> =
                done.source_types.iter().map(|(name, n)| (name.clone(), json!(n))).collect();
            return console::json(&json!({
                "dir": done.dir,
                "model_type": done.model_type,
                "parameters": done.parameters,
                "tensors": done.tensors,
                "source_types": types,
                "warnings": done.warnings,
            }));
        }
        let types: Vec<String> =
            done.source_types.iter().map(|(name, count)| format!("{count} {name}")).collect();
        console::line(&format!(
            "{}: {}, {} parameters in {} tensors ({})",
            done.dir.display(),
            done.model_type,
            done.parameters,
            done.tensors,
            types.join(", ")
        ))
    }
}
