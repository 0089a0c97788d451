//! `extend`: another RoPE basis for a checkpoint, and training on it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bestof_checkpoints::ModelFolder;
use bestof_models::rope::{LayerRopes, RopeConfig, RopeError, describe, rope_settings};
use bestof_models::{DecoderConfig, ModelError};
use bestof_positional::RopeBasis;
use bestof_positional::hf::FULL_ATTENTION;
use bestof_trainer::config::{ExtendSection, OnScaledChoice};
use bestof_trainer::launch::extension;
use serde_json::{Value, json};

use super::rope::scaling_args::ScalingArgs;
use super::train::RunArgs;
use crate::console::{self, Usage};
use crate::progress::Bars;

/// Give a model a longer context: change its RoPE basis, and train on it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask extend --model models/smollm2-135m-instruct --method linear --factor 4 --out models/smollm2-32k\n  \
    cargo xtask extend --model models/smollm2-135m-instruct --method power --power 0.5 --factor 2 --out models/power\n  \
    cargo xtask extend --config docs/examples/extend.toml --method linear --factor 8\n\n\
    Without --config the new folder holds the same weights and the new basis. With it, the model is \
    trained on windows of long texts too, and DIR becomes the run's folder, with the model in DIR/final. \
    Flags stand above the configuration's [extend] section."
)]
pub(crate) struct Extend {
    /// The model's folder
    #[arg(long, required_unless_present = "config")]
    model: Option<PathBuf>,
    /// linear, ntk, dynamic, yarn, llama3, longrope, power, truncated, power-truncated, or, in training, randomized
    #[arg(long, required_unless_present = "config")]
    method: Option<String>,
    #[command(flatten)]
    scaling: ScalingArgs,
    /// The longest sequence to be reached; by default the model's length times the factor
    #[arg(long)]
    length: Option<usize>,
    /// What becomes of a scaling that the model has already
    #[arg(long, value_parser = ["refuse", "compose", "replace"])]
    on_scaled: Option<String>,
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
    pub(crate) fn run(self) -> Result<()> {
        match (&self.config, &self.model, &self.out) {
            (Some(config), ..) => self.train(config),
            (None, Some(model), Some(out)) => self.change(model, out),
            // clap asks for these unless there is a configuration.
            _ => {
                Err(Usage("--model, --method and --out are needed without --config".into()).into())
            }
        }
    }

    /// What the flags say, as the section of a configuration.
    fn section(&self) -> ExtendSection {
        let given = &self.scaling;
        ExtendSection {
            factor: given.factor,
            length: self.length,
            on_scaled: match self.on_scaled.as_deref() {
                Some("compose") => OnScaledChoice::Compose,
                Some("replace") => OnScaledChoice::Replace,
                _ => OnScaledChoice::Refuse,
            },
            power: given.power,
            truncate_length: given.truncate,
            a: given.a,
            b: given.b,
            rho: given.rho,
            original_max_position_embeddings: given.original_max_position_embeddings,
            low_freq_factor: given.low_freq_factor,
            high_freq_factor: given.high_freq_factor,
            beta_fast: given.beta_fast,
            beta_slow: given.beta_slow,
            truncate: given.truncate_ramp,
            mscale: given.mscale,
            mscale_all_dim: given.mscale_all_dim,
            attention_factor: given.attention_factor,
            short_factor: given.short_factor.clone(),
            long_factor: given.long_factor.clone(),
            ..ExtendSection::new(self.method.clone().unwrap_or_default())
        }
    }

    /// Makes the folder with the new basis and the same weights.
    fn change(&self, model: &Path, out: &Path) -> Result<()> {
        let folder = ModelFolder::open(model)?;
        let extension = self.section().extension().map_err(|e| Usage(e.to_string()))?;
        let extended = extension.apply(&folder.config).map_err(usage_or_model)?;
        let dir = folder.derive(out, &extended.config)?;
        let (difference, written) = check(&dir, &extended.rope)?;
        if self.json {
            return console::json(&json!({
                "model": dir,
                "rope_type": extended.rope.scaling.rope_type(),
                "written_as": written,
                "trained_length": extended.trained,
                "length": extended.length,
                "frequency_hash": extended.hash,
                "max_relative_difference": difference,
            }));
        }
        console::line(&format!("model   {}", dir.display()))?;
        let basis = describe(&extended.rope);
        let name = extended.rope.scaling.rope_type();
        let written =
            if written == name { String::new() } else { format!(", written as {written}") };
        console::line(&format!("basis   {basis}{written}"))?;
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
        set.extend(self.overrides());
        let run = RunArgs {
            config: config.to_owned(),
            set,
            resume: self.resume,
            device: self.device.clone(),
            json: self.json,
        };
        let config = run.config(&[])?;
        run.show(&extension(&config, &run.options(), &mut Bars::new())?)
    }

    /// The flags that were given, as overrides of `[extend]`.
    fn overrides(&self) -> Vec<String> {
        let map = |section: &ExtendSection| match serde_json::to_value(section) {
            Ok(Value::Object(map)) => map,
            _ => serde_json::Map::new(),
        };
        let plain = map(&ExtendSection::new(""));
        let mut given = map(&self.section());
        given.retain(|key, value| plain.get(key) != Some(value));
        if let Some(choice) = &self.on_scaled {
            given.insert("on_scaled".into(), json!(choice));
        }
        given.iter().map(|(key, value)| format!("extend.{key}={value}")).collect()
    }
}

/// What flags caused is wrong usage; what the model has is not.
fn usage_or_model(error: ModelError) -> anyhow::Error {
    let of_model = match &error {
        ModelError::Rope(error) => {
            matches!(error, RopeError::HeadDim { .. } | RopeError::InLayer { .. })
        }
        ModelError::BeyondReach { .. } | ModelError::NoExtension { .. } => false,
        _ => true,
    };
    if of_model { error.into() } else { Usage(error.to_string()).into() }
}

/// Opens the written configuration and compares its inverse frequencies with the wanted ones: the
/// largest relative difference, and the `rope_type` it was written as.
fn check(dir: &Path, wanted: &RopeConfig) -> Result<(f64, &'static str)> {
    let folder = ModelFolder::open(dir)?;
    DecoderConfig::from_hf(&folder.config)?;
    let settings = rope_settings(&folder.config)?;
    let found = match &settings {
        LayerRopes::Uniform(rope) => Some(rope),
        LayerRopes::PerLayerType(ropes) => ropes.get(FULL_ATTENTION),
    };
    let found = found.context("the written config.json has no RoPE settings")?;
    let (found_basis, wanted_basis) = (found.build()?, wanted.build()?);
    let length = wanted.max_position_embeddings.unwrap_or(0);
    let mut largest = 0.0_f64;
    for length in [0, length] {
        let (a, b) = (found_basis.table(length).inv_freq, wanted_basis.table(length).inv_freq);
        for (a, b) in a.iter().zip(&b) {
            // A pair that stands still is written as one turn in 10^30 positions and more.
            let difference = if *b == 0.0 { *a } else { ((a - b) / b).abs() };
            largest = largest.max(difference);
        }
    }
    anyhow::ensure!(
        largest < 1e-12,
        "{}: config.json gives inverse frequencies that differ by {largest:e} from the wanted ones",
        dir.display()
    );
    Ok((largest, found.scaling.rope_type()))
}
