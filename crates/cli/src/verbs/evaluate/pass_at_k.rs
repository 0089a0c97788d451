//! `evaluate pass-at-k`: how often one of k answers is right.

use std::path::PathBuf;

use anyhow::{Result, bail};
use bestof_models::CausalLm;
use bestof_tasks::rows::write_rows;
use bestof_trainer::config::{External, RewardSection, RolloutSection, VerifierName};
use bestof_trainer::data::EncodeOptions;
use bestof_trainer::launch::{find_program, sampler_of};
use bestof_trainer::reinforce::{
    load_problems, measured_ks, other_estimates, pass_at_k_estimates, sample_all, sample_of,
};
use bestof_trainer::rows::RowSet;

use super::super::judge::verifier;
use super::estimates::show;
use crate::bounds::{BATCH, TOKENS, at_most};
use crate::console::{self, Usage};
use crate::input;
use crate::input::read_options;
use crate::model::ModelArg;
use crate::progress::Bars;
use crate::ranks;

/// Unbiased pass@k on prompts with answers
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask evaluate pass-at-k --model models/smollm2-135m-instruct --data held-out.jsonl --samples 16 --chat\n  \
    cargo xtask evaluate pass-at-k --model runs/pkpo/final --data held-out.jsonl --samples 8 --k 1 --k 8 --verifier program --command python3 check.py"
)]
pub(super) struct PassAtKArgs {
    #[command(flatten)]
    model: ModelArg,
    /// Prompts with answers: `{"prompt", "answer"}`, or lines of GSM8K or MATH
    #[arg(long)]
    data: PathBuf,
    /// Completions of each prompt
    #[arg(long, value_parser = at_most::<65_536>, default_value_t = 8)]
    samples: usize,
    /// Which k; may be given several times. By default 1, 2, 4 and so on up to --samples
    #[arg(long)]
    k: Vec<usize>,
    /// Who judges: number, math, text, exact-text, choice, grid, countdown, countdown-near or program
    #[arg(long, default_value = "number", value_parser = verifier)]
    verifier: VerifierName,
    /// With --verifier program: the program and its arguments
    #[arg(long, num_args = 1.., allow_hyphen_values = true)]
    command: Vec<String>,
    /// With --verifier program: seconds until it has to have answered; by default 10
    #[arg(long)]
    time_limit: Option<f64>,
    /// With --verifier program: `MiB` of memory for each of its processes
    #[arg(long)]
    memory_limit: Option<u64>,
    /// Rewards from here on count as passed; by default the verifier's highest
    #[arg(long, allow_negative_numbers = true)]
    pass_at: Option<f64>,
    /// Divides the logits
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,
    /// Keep the k likeliest tokens
    #[arg(long)]
    top_k: Option<usize>,
    /// Keep the likeliest tokens whose probabilities first reach this sum
    #[arg(long, allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Keep tokens at least this many times as likely as the likeliest
    #[arg(long, allow_negative_numbers = true)]
    min_p: Option<f64>,
    /// Longest completion, in tokens
    #[arg(long, value_parser = at_most::<TOKENS>, default_value_t = 256)]
    max_new_tokens: usize,
    /// Completions sampled together
    #[arg(long, value_parser = at_most::<BATCH>, default_value_t = 64)]
    max_batch: usize,
    /// A text that ends a completion; may be given several times
    #[arg(long)]
    stop: Vec<String>,
    /// Plain prompts are user's messages, rendered by the model's chat template
    #[arg(long)]
    chat: bool,
    /// A system message in front of every conversation
    #[arg(long)]
    system: Option<String>,
    /// Seed of the completions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write every completion with its reward to this file, as JSON lines
    #[arg(long)]
    samples_out: Option<PathBuf>,
    /// Leave out bad rows, and list them, instead of failing
    #[arg(long)]
    skip_bad_rows: bool,
    /// Print one JSON object a metric
    #[arg(long)]
    json: bool,
}

impl PassAtKArgs {
    pub(super) fn run(self) -> Result<()> {
        let (rollout, reward) = (self.rollout(), self.reward());
        self.check(&rollout, &reward)?;
        if let Some(out) = &self.samples_out {
            input::keep_apart(out, [self.data.as_path()])?;
        }
        let ks = if self.k.is_empty() { measured_ks(self.samples) } else { self.k.clone() };
        let opened = self.model.open()?;
        let options = EncodeOptions { append_end_of_text: false, ..EncodeOptions::training() };
        let encoder = opened.encoder(options)?;
        let read = read_options(self.skip_bad_rows);
        let problems = rollout.problem_settings(&reward)?;
        let loaded = load_problems(&self.data, &encoder, &read, &problems)?;
        console::left_out(&loaded.report);
        let tokenizer = opened.tokenizer()?;
        let mut ends = opened.folder.generation.eos_token_ids.clone();
        if ends.is_empty() {
            ends.extend(tokenizer.eos_id());
        }
        let longest = opened.decoder.max_positions();
        let sampler = sampler_of(&rollout, &reward, ends, longest, tokenizer);
        let rows = RowSet::from(loaded);
        let groups = sample_all(
            &opened.decoder,
            &rows.items,
            &sampler,
            (self.samples, self.seed),
            ranks::ranks(),
            &mut Bars::new(),
        )
        .map_err(|error| error.at_row_of(&rows.names))?;
        if let Some(path) = self.samples_out.as_ref().filter(|_| ranks::is_first()) {
            let samples: Vec<_> = groups
                .iter()
                .flat_map(|group| {
                    group.rollouts.iter().enumerate().map(move |(at, r)| (group.row, at, r))
                })
                .map(|(row, at, r)| sample_of(0, &rows.items[row], &rows.names[row], at, r))
                .collect();
            write_rows(path, &samples)?;
        }
        let judged = groups.iter().flat_map(|group| &group.rollouts).map(|r| &r.judgement);
        if let Some(first) = judged.clone().find(|judgement| judgement.outcome.is_failure()) {
            let failed = judged.filter(|judgement| judgement.outcome.is_failure()).count();
            console::note(&format!(
                "{failed} verifications failed and count as not passed; the first: {}",
                first.reason
            ));
        }
        let mut estimates = pass_at_k_estimates(&groups, &ks)?;
        estimates.extend(other_estimates(&groups)?);
        show(&estimates, self.json)
    }

    fn rollout(&self) -> RolloutSection {
        RolloutSection {
            num_generations: self.samples,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            max_new_tokens: self.max_new_tokens,
            max_batch: self.max_batch,
            stop: self.stop.clone(),
            chat: self.chat,
            system_prompt: self.system.clone(),
            ..RolloutSection::default()
        }
    }

    fn reward(&self) -> RewardSection {
        let defaults = RewardSection::default();
        RewardSection {
            verifier: self.verifier,
            command: self.command.clone(),
            time_limit: self.time_limit.unwrap_or(defaults.time_limit),
            memory_limit: self.memory_limit,
            pass_at: self.pass_at,
            ..defaults
        }
    }

    fn check(&self, rollout: &RolloutSection, reward: &RewardSection) -> Result<()> {
        if let Some(k) = self.k.iter().find(|k| **k == 0 || **k > self.samples) {
            bail!(Usage(format!("--k {k}: choose from 1 to --samples {}", self.samples)));
        }
        if reward.verifier == VerifierName::External(External::Environment) {
            bail!(Usage(
                "an environment judges episodes, which `reinforce` plays: give it held-out rows and `train.eval_steps`"
                    .to_owned()
            ));
        }
        let built_in = reward.verifier != VerifierName::External(External::Program);
        console::unread(
            "a built-in verifier (--verifier program is another)",
            &[
                ("--time-limit", built_in && self.time_limit.is_some()),
                ("--memory-limit", built_in && self.memory_limit.is_some()),
            ],
        )?;
        rollout.validate().map_err(|error| Usage(error.to_string()))?;
        reward.validate().map_err(|error| Usage(error.to_string()))?;
        Ok(find_program(reward)?)
    }
}
