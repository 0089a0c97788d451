//! Will a run fit into memory? From the headers of its model's weights and its configuration.

use anyhow::Result;
use bestof_checkpoints::ModelFolder;
use bestof_models::{DecoderConfig, Footprint, StepShape};
use bestof_trainer::config::RunConfig;
use serde_json::{Value, json};

/// What a run needs, and what there is.
#[derive(Debug)]
pub(super) struct Memory {
    footprint: Footprint,
    tokens: usize,
    rows: Rows,
    /// Bytes that programs can still take, where the system says so and the run is on the CPU.
    available: Option<u64>,
}

impl Memory {
    pub(super) fn of(config: &RunConfig, folder: &ModelFolder) -> Result<Self> {
        let decoder = DecoderConfig::from_hf(&folder.config)?;
        let train = &config.train;
        let rows = Rows::of(config);
        // What is sampled comes behind a prompt that may be as long as any row.
        let longest = config.data.max_length.saturating_add(rows.sampled(config));
        let longest = longest.min(decoder.max_positions);
        let sequences = rows.sequences().saturating_mul(train.per_device_train_batch_size);
        let tokens = train.max_tokens_per_forward.min(longest.saturating_mul(sequences));
        let tokens = tokens.max(longest);
        let lora = config.lora.as_ref().map(|lora| lora.adapters(train.seed));
        let step = StepShape::new(lora.as_ref(), tokens)
            .with_checkpoint_layers(train.gradient_checkpointing);
        let weights = folder.weights()?;
        let footprint = Footprint::of_step(&decoder, weights.infos(), config.precision()?, step)?;
        let on_cpu = config.model.device == "cpu";
        let available = if on_cpu { available() } else { None };
        Ok(Self { footprint, tokens, rows, available })
    }

    pub(super) fn to_json(&self) -> Value {
        let Footprint { weights, trained, activations, moment, .. } = self.footprint;
        json!({"memory": {
            "weights": weights, "trained": trained, "activations": activations,
            "moment": moment, "total": self.footprint.total(),
            "tokens_per_forward": self.tokens, "sequences_per_row": self.rows.sequences(),
            "available": self.available, "fits": self.fits(),
        }})
    }

    fn fits(&self) -> Option<bool> {
        self.available.map(|available| self.footprint.total() <= available)
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let Footprint { weights, trained, activations, moment, .. } = self.footprint;
        write!(
            f,
            "memory: {:.2} GiB = weights {:.2} + what is trained {:.2} + activations of {} tokens ({}) {:.2} + \
             for a moment {:.2}",
            gib(self.footprint.total()),
            gib(weights),
            gib(trained),
            self.tokens,
            self.rows,
            gib(activations),
            gib(moment)
        )?;
        match (self.available, self.fits()) {
            (Some(available), Some(true)) => {
                write!(f, "; fits into the {:.2} GiB that are free", gib(available))
            }
            (Some(available), _) => write!(
                f,
                "; does not fit into the {:.2} GiB that are free: lower train.max_tokens_per_forward, set \
                 train.gradient_checkpointing = true, train adapters ([lora]), or rest the base in fewer bits \
                 (model.quantize)",
                gib(available)
            ),
            _ => Ok(()),
        }
    }
}

/// What a row of `[data]` becomes.
#[derive(Debug, Clone, Copy)]
enum Rows {
    /// One sequence, as in a supervised run. Preference runs may leave their sections out, and then look
    /// the same.
    Single,
    /// A window of text.
    Window,
    /// Two completions.
    Pair,
    /// This many completions.
    Group(usize),
}

impl Rows {
    fn of(config: &RunConfig) -> Self {
        if config.is_policy() {
            Self::Group(config.rollout.clone().unwrap_or_default().num_generations)
        } else if config.extend.is_some() {
            Self::Window
        } else if config.loss.is_some() || config.displacement.is_some() {
            Self::Pair
        } else {
            Self::Single
        }
    }

    /// Sequences of a row.
    fn sequences(self) -> usize {
        match self {
            Self::Single | Self::Window => 1,
            Self::Pair => 2,
            Self::Group(completions) => completions,
        }
    }

    /// Tokens that a run adds to a row of the longest length.
    fn sampled(self, config: &RunConfig) -> usize {
        match self {
            Self::Group(_) => config.rollout.clone().unwrap_or_default().max_new_tokens,
            _ => 0,
        }
    }
}

impl std::fmt::Display for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Single => f.write_str("rows of one sequence; pairs take up to twice as many"),
            Self::Window => f.write_str("as windows"),
            Self::Pair => f.write_str("as pairs"),
            Self::Group(completions) => write!(f, "as groups of {completions}"),
        }
    }
}

/// Bytes of memory that programs can still take.
fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}
