//! `convert`: between GGUF and Hugging Face folders, or to a folder in another number format.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bestof_checkpoints::gguf::{ConvertOptions, ExportOptions, GgmlType};
use bestof_checkpoints::{ModelFolder, StoredType, gguf};
use bestof_files::FileKind;
use bestof_models::{Decoder, DecoderConfig, open_device};
use bestof_trainer::export::write_model;
use serde_json::{Map, Value, json};

use crate::console::{self, Bytes};

/// Turn a GGUF file or a Hugging Face folder into a Hugging Face folder, or a folder into a GGUF file
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask convert model.Q4_1.gguf models/mine --dtype bf16\n  cargo xtask convert models/mine mine.Q8_0.gguf --type q8_0\n  cargo xtask convert models/mine merged.gguf --adapter runs/dpo/adapter --type q4_0"
)]
pub(crate) struct Convert {
    /// A `.gguf` file (of a split one any part), or a folder with config.json and safetensors
    input: PathBuf,
    /// The folder to make, or a file that ends in `.gguf`; it must not exist
    output: PathBuf,
    /// Number format of a folder's weights: f32, f16 or bf16 [default: f32]
    #[arg(long, value_parser = dtype)]
    dtype: Option<StoredType>,
    /// Type of a GGUF file's matrices: f32, f16, bf16, `q8_0` or `q4_0` [default: f16]
    #[arg(long = "type", value_name = "TYPE", value_parser = ggml_type)]
    ggml_type: Option<GgmlType>,
    /// A PEFT adapter's folder, which is merged into the weights
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Split a folder's weights into files of at most this many megabytes
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

fn ggml_type(text: &str) -> Result<GgmlType, String> {
    match text.to_lowercase().as_str() {
        "f32" => Ok(GgmlType::F32),
        "f16" => Ok(GgmlType::F16),
        "bf16" => Ok(GgmlType::BF16),
        "q8_0" => Ok(GgmlType::Q8_0),
        "q4_0" => Ok(GgmlType::Q4_0),
        _ => Err("known are f32, f16, bf16, q8_0 and q4_0".to_owned()),
    }
}

impl Convert {
    pub(crate) fn run(self) -> Result<()> {
        let Some(adapter) = &self.adapter else { return self.convert() };
        let parent = self.output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let scratch = tempfile::tempdir_in(parent.unwrap_or(Path::new(".")))
            .with_context(|| format!("could not write beside {}", self.output.display()))?;
        // A GGUF file has the name of its folder in it.
        let merged = scratch.path().join(self.input.file_stem().unwrap_or_default());
        merge(&self.input, adapter, &merged)?;
        Self { input: merged, adapter: None, ..self }.convert()
    }

    fn convert(&self) -> Result<()> {
        let is_gguf = |extension: &std::ffi::OsStr| extension.eq_ignore_ascii_case("gguf");
        if self.output.extension().is_some_and(is_gguf) { self.to_gguf() } else { self.to_folder() }
    }

    fn to_folder(&self) -> Result<()> {
        let reader =
            "a conversion to a folder, whose weights have a --dtype (GGUF files end in .gguf),";
        console::unread(reader, &[("--type", self.ggml_type.is_some())])?;
        let bar = Bytes::new("convert");
        let mut progress = |at: gguf::Progress<'_>| bar.at(at.values_done, at.values_total);
        let options = ConvertOptions {
            dtype: self.dtype.unwrap_or(StoredType::F32),
            max_shard_bytes: self.max_shard_mb.map(|mb| mb.saturating_mul(1_000_000)),
        };
        let done = if self.input.is_dir() {
            ModelFolder::open(&self.input)?.rewrite(&self.output, &options, &mut progress)?
        } else {
            gguf::convert(&self.input, &self.output, &options, &mut progress)?
        };
        bar.done();
        self.warn(&done.warnings);
        if self.json {
            return console::json(&json!({
                "dir": done.dir,
                "model_type": done.model_type,
                "parameters": done.parameters,
                "tensors": done.tensors,
                "source_types": counts(&done.source_types),
                "warnings": done.warnings,
            }));
        }
        console::line(&format!(
            "{}: {}, {} parameters in {} tensors ({})",
            done.dir.display(),
            done.model_type,
            done.parameters,
            done.tensors,
            listed(&done.source_types)
        ))
    }

    fn to_gguf(&self) -> Result<()> {
        let flags =
            [("--dtype", self.dtype.is_some()), ("--max-shard-mb", self.max_shard_mb.is_some())];
        console::unread("a conversion to a GGUF file, whose matrices have a --type,", &flags)?;
        if FileKind::at(&self.input).ok() == Some(FileKind::Gguf) {
            bail!(
                "{}: a GGUF file is written from a model folder; convert this to a folder first",
                self.input.display()
            );
        }
        let folder = ModelFolder::open(&self.input)?;
        // Refuses what no field of a GGUF file could stand for: unknown keys and quantized weights.
        DecoderConfig::from_hf(&folder.config)?;
        let bar = Bytes::new("convert");
        let mut progress = |at: gguf::Progress<'_>| bar.at(at.values_done, at.values_total);
        let options = ExportOptions { ggml_type: self.ggml_type.unwrap_or(GgmlType::F16) };
        let done = gguf::export(&folder, &self.output, options, &mut progress)?;
        bar.done();
        self.warn(&done.warnings);
        if self.json {
            return console::json(&json!({
                "path": done.path,
                "architecture": done.architecture,
                "parameters": done.parameters,
                "types": counts(&done.types),
                "warnings": done.warnings,
            }));
        }
        console::line(&format!(
            "{}: {}, {} parameters ({})",
            done.path.display(),
            done.architecture,
            done.parameters,
            listed(&done.types)
        ))
    }

    fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            tracing::warn!("{}: {warning}", self.input.display());
        }
    }
}

/// Writes the model in `input` with an adapter in its weights, in f32.
fn merge(input: &Path, adapter: &Path, out: &Path) -> Result<()> {
    let base = ModelFolder::open(input)?;
    let mut model = Decoder::open(&base, &open_device("cpu")?)?;
    model
        .load_adapter(adapter)
        .with_context(|| format!("could not load the adapter in {}", adapter.display()))?;
    Ok(write_model(&model, &base, out, StoredType::F32)?)
}

fn counts(types: &[(String, usize)]) -> Map<String, Value> {
    types.iter().map(|(name, count)| (name.clone(), json!(count))).collect()
}

fn listed(types: &[(String, usize)]) -> String {
    let types: Vec<String> = types.iter().map(|(name, count)| format!("{count} {name}")).collect();
    types.join(", ")
}
