//! `evaluate`: scores of a model with 95 % intervals.

mod pass_at_k;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bestof_models::{CausalLm, ForwardOptions};
use bestof_tasks::rows::{OnBadRow, ReadOptions};
use bestof_trainer::data::{EncodeOptions, load_pairs, load_supervised};
use bestof_trainer::evaluate::{
    Estimate, Windows, perplexity_of_completions, perplexity_of_texts, preference,
};
use bestof_trainer::score::{ScoreSettings, score_pairs};
use serde_json::json;

use crate::console::{self, Usage};
use crate::device::DeviceArg;
use crate::model::{self, ModelArg};
use crate::progress::Bars;

/// Measure a model, with 95 % intervals
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask evaluate perplexity --model models/smollm2-135m-instruct --data book.txt"
)]
pub(crate) struct Evaluate {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    PassAtK(pass_at_k::PassAtKArgs),
    Preference(PreferenceArgs),
    Perplexity(PerplexityArgs),
}

/// How often the chosen answer of a pair is preferred
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask evaluate preference --model runs/dpop/final --reference models/smollm2-135m-instruct --data held-out.jsonl"
)]
struct PreferenceArgs {
    #[command(flatten)]
    model: ModelArg,
    /// The model before training; with it, implicit rewards and displacement are measured too
    #[arg(long)]
    reference: Option<PathBuf>,
    /// Pairs, as JSON lines
    #[arg(long)]
    data: PathBuf,
    /// Scale of the implicit rewards
    #[arg(long, default_value_t = 0.1)]
    beta: f64,
    /// Leave out bad rows, and list them, instead of failing
    #[arg(long)]
    skip_bad_rows: bool,
    /// Print one JSON object a metric
    #[arg(long)]
    json: bool,
}

/// Perplexity of texts, or of completions given their prompts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask evaluate perplexity --model models/smollm2-135m-instruct --data book.txt --length 1024 --stride 512"
)]
struct PerplexityArgs {
    #[command(flatten)]
    model: ModelArg,
    /// A text file, or JSON lines with `text`, or with `prompt` and `completion`
    #[arg(long)]
    data: PathBuf,
    /// Tokens the model sees at once; by default its context, at most 1024
    #[arg(long)]
    length: Option<usize>,
    /// Tokens by which the window moves; by default half its length
    #[arg(long)]
    stride: Option<usize>,
    /// Leave out bad rows, and list them, instead of failing
    #[arg(long)]
    skip_bad_rows: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Evaluate {
    pub(crate) fn run(self) -> Result<()> {
        match self.what {
            What::PassAtK(args) => args.run(),
            What::Preference(args) => args.run(),
            What::Perplexity(args) => args.run(),
        }
    }
}

fn read_options(skip_bad_rows: bool) -> ReadOptions {
    let on_bad_row = if skip_bad_rows { OnBadRow::Skip } else { OnBadRow::Refuse };
    ReadOptions { on_bad_row, ..ReadOptions::default() }
}

fn show(estimates: &[Estimate], json: bool) -> Result<()> {
    for e in estimates {
        if json {
            console::json(&json!({
                "metric": e.metric, "value": e.value, "low": e.low, "high": e.high, "n": e.n,
            }))?;
        } else {
            console::line(&format!(
                "{:28} {:10.4}   95 % interval {:.4} to {:.4}   n {}",
                e.metric, e.value, e.low, e.high, e.n
            ))?;
        }
    }
    Ok(())
}

impl PreferenceArgs {
    fn run(&self) -> Result<()> {
        let policy = self.model.open()?;
        let encoder = policy.encoder(EncodeOptions::training())?;
        let loaded = load_pairs(&self.data, &encoder, &read_options(self.skip_bad_rows))?;
        console::left_out(&loaded.report);
        let mut bars = Bars::new();
        let (options, settings) = (ForwardOptions::default(), ScoreSettings::default());
        let scores =
            score_pairs(&policy.decoder, &loaded.items, &options, settings, "policy", &mut bars)?;
        let reference = match &self.reference {
            None => None,
            Some(dir) => {
                let device: &DeviceArg = &self.model.device;
                let reference = model::open(dir, None, device)?;
                if reference.folder.tokenizer_hash()? != policy.folder.tokenizer_hash()? {
                    console::note("note: the reference's tokenizer files differ from the policy's");
                }
                Some(score_pairs(
                    &reference.decoder,
                    &loaded.items,
                    &options,
                    settings,
                    "reference",
                    &mut bars,
                )?)
            }
        };
        show(&preference(&scores, reference.as_deref(), self.beta)?, self.json)
    }
}

impl PerplexityArgs {
    fn run(&self) -> Result<()> {
        let opened = self.model.open()?;
        let longest = opened.decoder.max_positions();
        let length = self.length.unwrap_or_else(|| longest.min(1024));
        if length < 2 || length > longest {
            bail!(Usage(format!(
                "--length {length}: the model sees 2 to {longest} tokens at once"
            )));
        }
        let stride = self.stride.unwrap_or(length / 2).max(1);
        if stride >= length {
            bail!(Usage(format!("--stride {stride} must be below --length {length}")));
        }
        let (windows, settings) = (Windows { length, stride }, ScoreSettings::default());
        let mut bars = Bars::new();
        let lines = self.data.extension().is_some_and(|e| e == "jsonl" || e == "json");
        let found = if lines {
            let encoder = opened.encoder(EncodeOptions::scoring())?;
            let loaded = load_supervised(&self.data, &encoder, &read_options(self.skip_bad_rows))?;
            console::left_out(&loaded.report);
            perplexity_of_completions(&opened.decoder, &loaded.items, settings, &mut bars)?
        } else {
            let text = std::fs::read_to_string(&self.data)
                .with_context(|| format!("could not read {} as text", self.data.display()))?;
            let ids = opened.tokenizer()?.encode(&text, true)?;
            perplexity_of_texts(&opened.decoder, &[ids], windows, settings, &mut bars)?
        };
        show(&[found], self.json)
    }
}
