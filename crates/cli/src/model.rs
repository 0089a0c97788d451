//! Opening what a verb works on: the model's folder, its tokenizer, its weights.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bestof_checkpoints::{ChatTemplate, ModelFolder, Tokenizer};
use bestof_models::{CausalLm, Decoder, Dtype, Precision, Quantization};
use bestof_positional::hf::with_factor;
use bestof_trainer::data::{EncodeOptions, Encoder};

use crate::console::Usage;
use crate::device::DeviceArg;

/// Which model, on which device.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ModelArg {
    /// The model's folder, in the Hugging Face layout, or a GGUF file, whose blocks stay as they are
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// A PEFT adapter's folder, put on top of the model
    #[arg(long)]
    pub(crate) adapter: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: PlaceArg,
}

/// Where a model lies, and in how many bits.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PlaceArg {
    #[command(flatten)]
    pub(crate) device: DeviceArg,
    /// Float type of weights and products: f32, bf16 or f16; the CPU computes in f32
    #[arg(long, default_value_t)]
    pub(crate) dtype: Dtype,
    /// Round matrices to blocks of 8 or 4 bits: `q8_0` or `q4_0`
    #[arg(long)]
    pub(crate) quantize: Option<Quantization>,
}

impl PlaceArg {
    /// On a device, in f32.
    pub(crate) fn on(device: &DeviceArg) -> Self {
        Self { device: device.clone(), dtype: Dtype::F32, quantize: None }
    }

    fn precision(&self) -> Precision {
        Precision::default().with_dtype(self.dtype).with_quantize(self.quantize)
    }
}

/// A basis at another factor than in training.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct EvalFactorArg {
    /// Evaluate at this factor of the model's RoPE scaling in place of the one in config.json; a
    /// model without scaling gets linear scaling
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub(crate) eval_factor: Option<f64>,
}

/// A model with what turns text into its tokens.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) folder: ModelFolder,
    pub(crate) decoder: Decoder,
}

impl ModelArg {
    /// Opens the model for scoring and generation.
    pub(crate) fn open(&self) -> Result<Opened> {
        open(&self.model, self.adapter.as_deref(), &self.place)
    }

    /// The same at another factor of its RoPE scaling.
    pub(crate) fn open_at(&self, factor: EvalFactorArg) -> Result<Opened> {
        let mut folder = ModelFolder::open(&self.model)?;
        if let Some(factor) = factor.eval_factor {
            folder.config = with_factor(&folder.config, factor)
                .map_err(|error| Usage(format!("--eval-factor {factor}: {error}")))?;
        }
        open_folder(folder, self.adapter.as_deref(), &self.place)
    }
}

/// Opens a model for scoring and generation.
pub(crate) fn open(model: &Path, adapter: Option<&Path>, place: &PlaceArg) -> Result<Opened> {
    open_folder(ModelFolder::open(model)?, adapter, place)
}

/// The model of a folder whose configuration may have been changed since it was read.
fn open_folder(folder: ModelFolder, adapter: Option<&Path>, place: &PlaceArg) -> Result<Opened> {
    let device = place.device.open()?;
    folder.tokenizer()?.check_fits(vocabulary_rows(&folder))?;
    let mut decoder = Decoder::open_in(&folder, place.precision(), &device)
        .with_context(|| format!("could not load the model in {}", folder.dir.display()))?;
    if let Some(adapter) = adapter {
        decoder
            .load_adapter(adapter)
            .with_context(|| format!("could not load the adapter in {}", adapter.display()))?;
        // Blocks would have to be widened for it.
        if decoder.blocks().is_empty() {
            decoder.merge_lora()?;
            // What is in the weights stays; what they were before would be kept for nothing.
            decoder.detach_lora();
        }
    }
    Ok(Opened { folder, decoder })
}

/// The chat template of a folder, or what to do without one.
pub(crate) fn template_of(folder: &ModelFolder) -> Result<&ChatTemplate> {
    folder.chat_template.as_ref().with_context(|| {
        format!(
            "{} has no chat template (chat_template.jinja, or `chat_template` in tokenizer_config.json); \
             add one, or leave out --chat",
            folder.dir.display()
        )
    })
}

/// Rows of the embedding matrix by config.json; what is missing there is found when loading.
pub(crate) fn vocabulary_rows(folder: &ModelFolder) -> usize {
    let text = &folder.config["text_config"]["vocab_size"];
    text.as_u64()
        .or_else(|| folder.config["vocab_size"].as_u64())
        .map_or(usize::MAX, |rows| rows as usize)
}

impl Opened {
    /// In what the weights lie, and the adapter on them, as in `bf16 and Q4_0, with the adapter in a/`.
    pub(crate) fn weights(&self, model: &ModelArg) -> String {
        let mut types = vec![model.place.dtype.to_string()];
        for (_, ggml_type) in self.decoder.blocks() {
            let name = ggml_type.name().to_owned();
            if !types.contains(&name) {
                types.push(name);
            }
        }
        let adapter = model.adapter.as_ref();
        let adapter = adapter.map(|dir| format!(", with the adapter in {}", dir.display()));
        format!("{}{}", types.join(" and "), adapter.unwrap_or_default())
    }

    /// The tokenizer.
    pub(crate) fn tokenizer(&self) -> Result<&Tokenizer> {
        Ok(self.folder.tokenizer()?)
    }

    /// The chat template, if the folder has one.
    pub(crate) fn template(&self) -> Option<&ChatTemplate> {
        self.folder.chat_template.as_ref()
    }

    /// What encodes rows for this model; `max_length` is bounded by the model's context.
    pub(crate) fn encoder(&self, options: EncodeOptions) -> Result<Encoder<'_>> {
        let longest = self.decoder.max_positions();
        let options = EncodeOptions {
            vocab_size: Some(self.decoder.vocab_size()),
            max_length: Some(options.max_length.map_or(longest, |length| length.min(longest))),
            ..options
        };
        Ok(Encoder::new(self.tokenizer()?, self.template(), options)?)
    }
}
