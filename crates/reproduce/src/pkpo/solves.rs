//! What a policy solves of the validation and held-out puzzles.

use std::path::{Path, PathBuf};

use bestof_checkpoints::ModelFolder;
use bestof_estimators::mean_pass_at_k;
use bestof_models::{CausalLm, Decoder, open_device};
use bestof_tasks::rows::ReadOptions;
use bestof_tasks::verify::VerifierKind;
use bestof_trainer::TrainError;
use bestof_trainer::communicator::Ranks;
use bestof_trainer::config::{RewardSection, RolloutSection, VerifierName};
use bestof_trainer::data::{EncodeOptions, Encoder};
use bestof_trainer::launch::sampler_of;
use bestof_trainer::progress::Silent;
use bestof_trainer::reinforce::{load_problems, sample_all};
use serde::{Deserialize, Serialize};

use super::arm::N;
use super::seed_files::Files;
use super::settings::Settings;
use crate::ReproduceError;

/// Completions, and how many of them passed, of each prompt of a set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Passed(pub(super) Vec<(usize, usize)>);

impl Passed {
    /// Mean pass@k over the prompts.
    pub(super) fn pass_at(&self, k: usize) -> Result<f64, ReproduceError> {
        Ok(mean_pass_at_k(&self.0, k)?.value)
    }

    /// The prompts of both sets.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).copied().collect())
    }
}

/// What a policy solves, of each kind of puzzle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Solves {
    pub(super) validation: [Passed; 2],
    pub(super) held_out: [Passed; 2],
}

/// How completions are sampled, in training but for their number.
pub(super) fn rollout(settings: &Settings) -> RolloutSection {
    RolloutSection {
        num_generations: settings.samples,
        max_new_tokens: 20,
        max_batch: N * settings.prompts,
        ..RolloutSection::default()
    }
}

/// Samples the model on the validation and held-out puzzles; `draws` decides the samples.
pub(super) fn measure(
    settings: &Settings,
    device: &str,
    files: &Files,
    model: &Path,
    draws: u64,
) -> Result<Solves, ReproduceError> {
    let sets = [&files.validation, &files.held_out];
    let [validation, held_out] = sampled(settings, device, sets, model, draws)?;
    Ok(Solves { validation, held_out })
}

fn sampled(
    settings: &Settings,
    device: &str,
    sets: [&[PathBuf; 2]; 2],
    model: &Path,
    draws: u64,
) -> Result<[[Passed; 2]; 2], TrainError> {
    let folder = ModelFolder::open(model)?;
    let decoder = Decoder::open(&folder, &open_device(device)?)?;
    let tokenizer = folder.tokenizer()?;
    let encoding = EncodeOptions { append_end_of_text: false, ..EncodeOptions::training() };
    let encoder = Encoder::new(tokenizer, folder.chat_template.as_ref(), encoding)?;
    let rollout = rollout(settings);
    let reward = RewardSection {
        verifier: VerifierName::BuiltIn(VerifierKind::Countdown),
        workers: 1,
        ..RewardSection::default()
    };
    let ends = folder.generation.eos_token_ids.clone();
    let sampler = sampler_of(&rollout, &reward, ends, decoder.max_positions(), tokenizer);
    let solve = |path: &PathBuf| -> Result<Passed, TrainError> {
        let asked = rollout.problem_settings(&reward)?;
        let problems = load_problems(path, &encoder, &ReadOptions::default(), &asked)?;
        let (items, drawn, ranks) = (&problems.items, (settings.samples, draws), Ranks::default());
        let groups = sample_all(&decoder, items, &sampler, drawn, ranks, &mut Silent)?;
        Ok(Passed(groups.iter().map(|group| (group.rollouts.len(), group.passed())).collect()))
    };
    let [[a, b], [c, d]] = sets;
    Ok([[solve(a)?, solve(b)?], [solve(c)?, solve(d)?]])
}
