//! `convert`: between GGUF and Hugging Face folders, or to a folder in another number format.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bestof_checkpoints::gguf::{ConvertOptions, ExportOptions, GgmlType};
use bestof_checkpoints::{ModelFolder, StoredType, gguf};
use bestof_files::StagedFolder;
use bestof_models::{Decoder, DecoderConfig, Dtype, NumberFormat, UnknownFormat, open_device};
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
    #[arg(long)]
    dtype: Option<Dtype>,
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

fn ggml_type(text: &str) -> Result<GgmlType, String> {
    text.parse::<NumberFormat>()
        .map(NumberFormat::ggml_type)
        .map_err(|UnknownFormat { known, .. }| format!("known are {known}"))
}

impl Convert {
    pub(crate) fn run(self) -> Result<()> {
        // Before any weight is read.
        if self.writes_gguf() {
            let base = self.check_gguf()?;
            let options = ExportOptions::new(self.ggml_type.unwrap_or(GgmlType::F16));
            let Some(adapter) = &self.adapter else { return self.to_gguf(&base, options) };
            // Refused before the weights are merged, not after.
            gguf::check(&base, &self.output, options.clone())?;
            let name = base.name().unwrap_or_else(|| "model".to_owned());
            let merged = self.merged(&base, adapter)?;
            return self.to_gguf(&ModelFolder::open(merged.path())?, options.with_name(name));
        }
        self.check_folder()?;
        let Some(adapter) = &self.adapter else { return self.to_folder(&self.input) };
        let merged = self.merged(&ModelFolder::open(&self.input)?, adapter)?;
        self.to_folder(merged.path())
    }

    /// A folder beside the output with the adapter in the weights, which is gone when it is dropped.
    fn merged(&self, base: &ModelFolder, adapter: &Path) -> Result<StagedFolder<'static>> {
        let mut name = self.output.file_name().unwrap_or_default().to_owned();
        name.push(".merged");
        let scratch = StagedFolder::replace(&self.output.with_file_name(name))?;
        merge(base, adapter, scratch.path())?;
        Ok(scratch)
    }

    fn writes_gguf(&self) -> bool {
        self.output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
    }

    fn check_folder(&self) -> Result<()> {
        let reader =
            "a conversion to a folder, whose weights have a --dtype (GGUF files end in .gguf),";
        console::unread(reader, &[("--type", self.ggml_type.is_some())])?;
        Ok(StagedFolder::check(&self.output)?)
    }

    /// The input, which is one that a GGUF file may be written from.
    fn check_gguf(&self) -> Result<ModelFolder> {
        let flags =
            [("--dtype", self.dtype.is_some()), ("--max-shard-mb", self.max_shard_mb.is_some())];
        console::unread("a conversion to a GGUF file, whose matrices have a --type,", &flags)?;
        if self.adapter.is_none()
            && let Some(file) = ModelFolder::gguf_at(&self.input)
        {
            bail!(
                "{}: a GGUF file is written from a model folder; convert this to a folder first",
                file.display()
            );
        }
        let folder = ModelFolder::open(&self.input)?;
        // Refuses what no field of a GGUF file could stand for: unknown keys and quantized weights.
        DecoderConfig::from_hf(&folder.config)?;
        Ok(folder)
    }

    fn to_folder(&self, input: &Path) -> Result<()> {
        let bar = Bytes::new("convert");
        let mut progress = |at: gguf::Progress<'_>| bar.at(at.values_done, at.values_total);
        let options = ConvertOptions {
            dtype: self.dtype.unwrap_or_default().into(),
            max_shard_bytes: self.max_shard_mb.map(|mb| mb.saturating_mul(1_000_000)),
        };
        let done = match ModelFolder::gguf_at(input) {
            None if input.is_dir() => {
                ModelFolder::open(input)?.rewrite(&self.output, &options, &mut progress)?
            }
            file => {
                let file = file.as_deref().unwrap_or(input);
                gguf::convert(file, &self.output, &options, &mut progress)?
            }
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
                "type": options.dtype.to_string(),
                "warnings": done.warnings,
            }));
        }
        console::line(&format!(
            "{}: {}, {} parameters in {} tensors as {} (from {})",
            done.dir.display(),
            done.model_type,
            done.parameters,
            done.tensors,
            options.dtype,
            listed(&done.source_types)
        ))
    }

    fn to_gguf(&self, folder: &ModelFolder, options: ExportOptions) -> Result<()> {
        let bar = Bytes::new("convert");
        let mut progress = |at: gguf::Progress<'_>| bar.at(at.values_done, at.values_total);
        let done = gguf::export(folder, &self.output, options, &mut progress)?;
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

/// Writes the model in `base` with an adapter in its weights, in f32.
fn merge(base: &ModelFolder, adapter: &Path, out: &Path) -> Result<()> {
    let mut model = Decoder::open(base, &open_device("cpu")?)?;
    model
        .load_adapter(adapter)
        .with_context(|| format!("could not load the adapter in {}", adapter.display()))?;
    Ok(write_model(&model, base, out, StoredType::F32)?)
}

fn counts(types: &[(String, usize)]) -> Map<String, Value> {
    types.iter().map(|(name, count)| (name.clone(), json!(count))).collect()
}

fn listed(types: &[(String, usize)]) -> String {
    let types: Vec<String> = types.iter().map(|(name, count)| format!("{count} {name}")).collect();
    types.join(", ")
}
