//! `extend`: another RoPE basis for a checkpoint, and training on it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use bestof_checkpoints::ModelFolder;
use bestof_models::{DecoderConfig, ModelError};
use bestof_positional::hf::{Extended, Extension, HfRope, NoRope};
use bestof_positional::{Method, OnScaled, RopeBasis, RopeParams};
use bestof_trainer::launch::extension;
use serde_json::json;

use super::train::RunArgs;
use crate::bounds::{TOKENS, at_most};
use crate::console::{self, Usage};
use crate::progress::Bars;

/// Give a model a longer context: change its RoPE basis, and train on it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask extend --model models/smollm2-135m-instruct --method linear --factor 4 --out models/smollm2-32k\n  \
    cargo xtask extend --model models/smollm2-135m-instruct --method power --power 0.5 --factor 2 --out models/power\n  \
    cargo xtask extend --config docs/examples/extend.toml --method linear --factor 8\n  \
    cargo xtask extend --config docs/examples/extend.toml --method drope --factor 4 --logit-slope 0.1 --set extend.train_length=8192\n  \
    cargo xtask extend --model models/smollm2-135m-instruct --method default --no-rope-layer-interval 4 --out models/nope\n\n\
    Without --config the new folder holds the same weights and the new basis. With it, the model is \
    trained on windows of long texts too, and DIR becomes the run's folder, with the model in DIR/final. \
    Flags stand above the configuration's [extend] section."
)]
pub(crate) struct Extend {
    /// The model's folder
    #[arg(long, required_unless_present = "config")]
    model: Option<PathBuf>,
    /// linear, ntk, dynamic, yarn, llama3, longrope, power, truncated, power-truncated, in training randomized; or
    /// nope and drope, which drop RoPE from every layer; or default, to drop it from some
    #[arg(long, required_unless_present = "config")]
    method: Option<Method>,
    #[command(flatten)]
    params: RopeParams,
    #[command(flatten)]
    no_rope: NoRope,
    /// The longest sequence to be reached, in tokens; by default the model's length times the factor
    #[arg(long, value_parser = at_most::<TOKENS>)]
    length: Option<usize>,
    /// What becomes of a scaling that the model has already
    #[arg(long, value_enum)]
    on_scaled: Option<OnScaled>,
    /// The folder to make; it must not exist
    #[arg(long, required_unless_present = "config")]
    out: Option<PathBuf>,
    /// Train on the new basis by these settings
    #[arg(long)]
    config: Option<PathBuf>,
    /// With --config: override a setting, as `train.learning_rate=1e-5`
    #[arg(long = "set", value_name = "KEY.PATH=VALUE", requires = "config")]
    set: Vec<String>,
    /// With --config: go on from the run's newest whole checkpoint
    #[arg(long, requires = "config")]
    resume: bool,
    /// With --config: which processor does the work, in place of `model.device`
    #[arg(long, env = "BESTOF_DEVICE")]
    device: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Extend {
    /// As `Verb::alone`: without training there is nothing to share.
    pub(super) fn alone(&self) -> Option<&'static str> {
        self.config.is_none().then_some("extend without --config")
    }

    pub(crate) fn run(self) -> Result<()> {
        match (&self.config, &self.model, self.method, &self.out) {
            (Some(config), ..) => self.train(config),
            (None, Some(model), Some(method), Some(out)) => self.change(model, method, out),
            // clap asks for these unless there is a configuration.
            _ => {
                Err(Usage("--model, --method and --out are needed without --config".into()).into())
            }
        }
    }

    /// Makes the folder with the new basis and the same weights.
    fn change(&self, model: &Path, method: Method, out: &Path) -> Result<()> {
        let folder = ModelFolder::open(model)?;
        // What the model has is no wrong usage; what the flags make of it is.
        HfRope::of_model(&folder.config).map_err(ModelError::from)?;
        let extension = Extension {
            length: self.length,
            on_scaled: self.on_scaled.unwrap_or_default(),
            no_rope: self.no_rope.clone(),
            ..Extension::new(method, self.params.clone())
        };
        let extended = extension.apply(&folder.config).map_err(|error| Usage(error.to_string()))?;
        DecoderConfig::from_hf(&extended.config)?;
        let dir = folder.derive(out, &extended.config)?;
        let written = extended.written_as;
        note_layers(&extended);
        if self.json {
            return console::json(&json!({
                "model": dir,
                "rope_type": extended.rope.scaling.rope_type(),
                "written_as": written,
                "trained_length": extended.trained,
                "length": extended.length,
                "frequency_hash": extended.hash,
                "max_relative_difference": extended.max_relative_difference,
                "layers_without_rope": extended.no_rope,
            }));
        }
        console::line(&format!("model   {}", dir.display()))?;
        let basis = extended.rope.scaling.describe();
        let name = extended.rope.scaling.rope_type();
        let written =
            if written == name { String::new() } else { format!(", written as {written}") };
        console::line(&format!("basis   {basis}{written}"))?;
        if !extended.no_rope.is_empty() {
            console::line(&format!("layers without RoPE {:?} (from 0)", extended.no_rope))?;
        }
        console::line(&format!("context {} tokens, before {}", extended.length, extended.trained))?;
        console::line(&format!("frequencies {}", extended.hash))
    }

    /// Trains on the new basis.
    fn train(&self, config: &Path) -> Result<()> {
        let mut set = self.set.clone();
        let mut put = |key: &str, path: &Option<PathBuf>| {
            set.extend(path.iter().map(|path| format!("{key}={}", json!(path))));
        };
        put("model.path", &self.model);
        put("output.dir", &self.out);
        set.extend(self.method.map(|method| format!("extend.method={method}")));
        let run = RunArgs {
            config: config.to_owned(),
            set,
            resume: self.resume,
            device: self.device.clone(),
            json: self.json,
        };
        let mut config = run.config(&[])?;
        if let Some(section) = &mut config.extend {
            section.params = self.params.clone().or(std::mem::take(&mut section.params));
            section.length = self.length.or(section.length);
            section.on_scaled = self.on_scaled.unwrap_or(section.on_scaled);
            if self.no_rope.is_given() {
                let NoRope { no_rope_layers, no_rope_layer_interval } = self.no_rope.clone();
                section.no_rope_layers = no_rope_layers;
                section.no_rope_layer_interval = no_rope_layer_interval;
            }
        }
        config.validate()?;
        run.show(&extension(&config, &run.options(), &mut Bars::resumable())?)
    }
}

/// Says where a folder runs as meant, if it does not everywhere.
fn note_layers(extended: &Extended) {
    if !extended.no_rope_is_portable {
        console::note(
            "note: no key of this model type says which layers go without RoPE; `bestof.no_rope_layers` of \
             config.json does, which this program reads and other loaders pass over: they rotate every layer",
        );
    }
}
