//! A policy-gradient run from a configuration.

use std::path::Path;

use bestof_models::{CausalLm, SamplingConfig};
use bestof_report::RunMetadata;

use super::{Base, Finished, finish};
use crate::communicator::Ranks;
use crate::config::{External, RewardSection, RolloutSection, RunConfig, RunKind, VerifierName};
use crate::error::TrainError;
use crate::progress::Progress;
use crate::reinforce::{ReinforceParts, ReinforceRun, Sampler, load_problems};
use crate::run::{TrainOptions, TrainingRun, train};

/// A policy-gradient run (`reinforce`) from start, or from its newest whole checkpoint, to its report.
///
/// # Errors
/// Every variant of [`TrainError`] that names something wrong with model, rows, settings or disk.
pub fn reinforce(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    Ranks::new(options.communicator).agree(reinforce_here(config, options, progress))
}

fn reinforce_here(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    config.validate_kind(RunKind::POLICY)?;
    let rollout = config.rollout.clone().unwrap_or_default();
    let reward = config.reward.clone().unwrap_or_default();
    let section = config.objective.clone().unwrap_or_default();
    let objective = section.build()?;
    objective.check_group(rollout.num_generations)?;
    find_program(&reward)?;
    // What was not written down is resolved here, so that the run's folder says it.
    let config = &RunConfig {
        rollout: Some(rollout.clone()),
        reward: Some(reward.clone()),
        objective: Some(section),
        ..config.clone()
    };
    let base = Base::open(config, Ranks::new(options.communicator))?;
    let problems = rollout.problem_settings(&reward);
    let rows = base.load(
        config,
        |path, encoder, read| load_problems(path, encoder, read, &problems),
        "prompts",
    )?;
    let settings = rows.settings(config);
    let sampler = base.sampler(&rollout, &reward)?;
    if sampler.sampling.eos_token_ids.is_empty() {
        progress.notice(
            "the model names no token that ends a text, so every completion runs to `rollout.max_new_tokens`; \
             set `eos_token_id` in generation_config.json",
        );
    }
    let problems = rows.train.items.iter().chain(&rows.eval.items);
    let prompts: Vec<usize> = problems.map(|problem| problem.prompt_ids.len()).collect();
    let notices = [
        off_policy(&rollout, objective.sampler_cap),
        length_dependent(&base.model, &prompts, rollout.max_new_tokens),
    ];
    for text in notices.into_iter().flatten() {
        progress.notice(&text);
    }
    // With adapters the reference is the model without them.
    let frozen = objective.loss.needs_reference() && config.lora.is_none();
    let parts = ReinforceParts {
        reference: frozen.then(|| base.model.clone()),
        model: base.model,
        files: base.files,
        train: rows.train,
        eval: rows.eval,
        settings: config.forward_settings(),
        sampler,
        eval_samples: rollout.eval_samples(),
        logged_samples: rollout.logged_samples,
        objective,
        seed: config.train.seed,
    };
    let mut run = ReinforceRun::new(parts)?;
    let summary = train(&mut run, &settings, options, progress)?;
    let metadata = RunMetadata { data: rows.metadata, ..RunMetadata::default() };
    finish(config, options, &base.folder, run.model(), &metadata, summary, rows.reports)
}

impl Base {
    fn sampler(
        &self,
        rollout: &RolloutSection,
        reward: &RewardSection,
    ) -> Result<Sampler, TrainError> {
        let tokenizer = self.tokenizer()?;
        let mut eos_token_ids = self.folder.generation.eos_token_ids.clone();
        if eos_token_ids.is_empty() {
            eos_token_ids.extend(tokenizer.eos_id());
        }
        Ok(sampler_of(rollout, reward, eos_token_ids, self.model.max_positions(), tokenizer))
    }
}

/// The sampler of a configuration, for a model with these end tokens and this tokenizer.
pub fn sampler_of(
    rollout: &RolloutSection,
    reward: &RewardSection,
    eos_token_ids: Vec<u32>,
    max_positions: usize,
    tokenizer: &bestof_checkpoints::Tokenizer,
) -> Sampler {
    let sampling = SamplingConfig::default()
        .with_temperature(rollout.temperature)
        .with_top_k(rollout.top_k)
        .with_top_p(rollout.top_p)
        .with_min_p(rollout.min_p)
        .with_max_new_tokens(rollout.max_new_tokens.min(max_positions))
        .with_max_batch(rollout.max_batch)
        .with_eos_token_ids(eos_token_ids);
    let tokenizer = tokenizer.clone();
    Sampler {
        sampling,
        samples: rollout.num_generations,
        stops: rollout.stop.clone(),
        judging: reward.judge_settings(),
        shaping: reward.shaping(),
        numeric_answers: reward.compares_numbers(),
        decode: Box::new(move |ids| tokenizer.decode(ids, true).unwrap_or_default()),
    }
}

/// What to say of settings that sample from another policy than the one that is trained.
fn off_policy(rollout: &RolloutSection, sampler_cap: Option<f64>) -> Option<String> {
    let cuts: Vec<&str> = [
        ("top_k", rollout.top_k.is_some()),
        ("top_p", rollout.top_p.is_some_and(|p| p < 1.0)),
        ("min_p", rollout.min_p.is_some_and(|p| p > 0.0)),
    ]
    .into_iter()
    .filter_map(|(name, cut)| cut.then_some(name))
    .collect();
    let remedy = if sampler_cap.is_some() {
        "`objective.sampler_cap` weighs the tokens that are drawn, and nothing brings back those that are not"
    } else {
        "`objective.sampler_cap = 2.0` would weigh the tokens that are drawn"
    };
    (!cuts.is_empty()).then(|| {
        format!(
            "completions are sampled with {}, that is not from the policy itself, which biases its gradient; \
             `sampling_gap` measures by how many nats a token. {remedy}",
            cuts.join(", ")
        )
    })
}

/// What to say of a model whose positions depend on the length of a sequence, if completions of
/// prompts of these lengths reach some at which they differ.
fn length_dependent<M: CausalLm>(
    model: &M,
    prompts: &[usize],
    max_new_tokens: usize,
) -> Option<String> {
    let (&shortest, longest) = (prompts.iter().min()?, prompts.iter().max()?);
    let longest = longest.saturating_add(max_new_tokens).min(model.max_positions());
    (model.length_key(shortest) != model.length_key(longest)).then(|| {
        "the model's RoPE basis depends on the length of a sequence: tokens are sampled at the length so far, \
         as transformers does with a cache, and trained on at that of the whole completion, so that the two \
         are not quite the same policy; `rollout_gap` measures by how many nats a token. A basis that is the \
         same at all lengths, such as `yarn` or `ntk`, has no such gap"
            .to_owned()
    })
}

/// Refuses a verifying program that is not there, before any model is loaded.
///
/// # Errors
/// [`TrainError::Verifier`].
pub fn find_program(reward: &RewardSection) -> Result<(), TrainError> {
    for part in reward.parts() {
        if let (VerifierName::External(External::Program), Some(program)) =
            (part.verifier, part.command.first())
        {
            find(Path::new(program))?;
        }
    }
    Ok(())
}

fn find(program: &Path) -> Result<(), TrainError> {
    let there = if program.components().count() > 1 {
        program.is_file()
    } else {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    };
    if there {
        return Ok(());
    }
    let reason = format!(
        "there is no program {}; name one on the PATH, or a path to one",
        program.display()
    );
    Err(TrainError::Verifier { reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toy::Toy;

    #[test]
    fn only_lengths_that_are_reached_are_spoken_of() {
        let mut model = Toy::new();
        let said = |model: &Toy, new| length_dependent(model, &[5, 9], new);
        assert_eq!(said(&model, 1000), None);
        model.long_from = 20;
        assert_eq!(said(&model, 10), None);
        let text = said(&model, 11).unwrap();
        assert!(text.contains("rollout_gap") && text.contains("RoPE basis"), "{text}");
        assert_eq!(length_dependent(&model, &[], 11), None);
        model.long_from = 7;
        assert!(said(&model, 1).is_some(), "prompts of either kind");
    }

    #[test]
    fn cuts_are_off_policy_and_temperatures_are_not() {
        let with =
            |temperature, top_k| RolloutSection { temperature, top_k, ..RolloutSection::default() };
        assert_eq!(off_policy(&with(0.7, None), None), None);
        let text = off_policy(&with(0.7, Some(20)), None).unwrap();
        assert!(text.contains("top_k") && !text.contains("temperature"), "{text}");
    }
}
