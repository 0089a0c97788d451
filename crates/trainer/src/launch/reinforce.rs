//! A policy-gradient run from a configuration.

use std::path::Path;

use bestof_checkpoints::ModelFolder;
use bestof_models::{CausalLm, Decoder, SamplingConfig};
use bestof_report::RunMetadata;

use super::{Base, Finished, finish};
use crate::config::{RewardSection, RolloutSection, RunConfig, RunKind, VerifierName};
use crate::data::Encoder;
use crate::error::TrainError;
use crate::export::{stored_type, write_adapter, write_model};
use crate::progress::Progress;
use crate::reinforce::{
    EncodeReplies, ReinforceParts, ReinforceRun, Sampler, ServedWeights, WeightSync, load_problems,
};
use crate::run::{TrainOptions, TrainingRun, train};
use crate::server::CompletionServer;

/// A policy-gradient run (`reinforce`) from start, or from its newest whole checkpoint, to its report.
///
/// # Errors
/// Every variant of [`TrainError`] that names something wrong with model, rows, settings or disk.
pub fn reinforce(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    options.ranks.agree(reinforce_here(config, options, progress))
}

fn reinforce_here(
    config: &RunConfig,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<Finished, TrainError> {
    config.validate_kind(RunKind::POLICY)?;
    let reward = config.reward.clone().unwrap_or_default();
    let rollout = config.rollout.clone().unwrap_or_default().resolved(&reward);
    let mut section = config.objective.clone().unwrap_or_default();
    let server = rollout.server_settings()?.map(CompletionServer::new);
    if server.is_some() {
        section.sampler_cap.get_or_insert(SERVER_CAP);
    }
    let objective = section.build()?;
    objective.check_group(rollout.num_generations)?;
    find_program(&reward)?;
    find_sync_command(&rollout)?;
    // What was not written down is resolved here, so that the run's folder says it.
    let config = &RunConfig {
        rollout: Some(rollout.clone()),
        reward: Some(reward.clone()),
        objective: Some(section),
        ..config.clone()
    };
    let base = Base::open(config, options.ranks)?;
    let problems = rollout.problem_settings(&reward)?;
    let rows = base.load(
        config,
        |path, encoder, read| load_problems(path, encoder, read, &problems),
        "prompts",
    )?;
    let settings = rows.settings(config, base.hash.clone());
    let encode_replies = base.encode_replies(config)?;
    let sampler = Sampler { server, encode_replies, ..base.sampler(&rollout, &reward)? };
    let served = served_weights(&rollout, config, &base)?;
    if let Some(served) = &served {
        let batch = settings.global_batch();
        served.check(settings.total_steps(rows.train.len(), batch))?;
    }
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
        of_server(&rollout, !rows.eval.is_empty()),
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
        served,
        eval_samples: rollout.eval_samples(),
        logged_samples: rollout.logged_samples,
        objective,
        seed: config.train.seed,
    };
    let options = &options.claimed(&settings.dir)?;
    let mut run = ReinforceRun::new(parts)?;
    let summary = train(&mut run, &settings, options, progress)?;
    let metadata = RunMetadata { data: rows.metadata, ..RunMetadata::default() };
    finish(config, options, &base.folder, run.model(), &metadata, summary, rows.reports)
}

/// The greatest importance weight of a token that a server drew, unless `objective.sampler_cap` says another one.
const SERVER_CAP: f64 = 2.0;
/// Where, in the run's folder, weights are written for the server.
const SERVED: &str = "served";

/// How a run's server gets new weights.
fn served_weights(
    rollout: &RolloutSection,
    config: &RunConfig,
    base: &Base,
) -> Result<Option<ServedWeights<Decoder>>, TrainError> {
    if rollout.server.is_none() {
        return Ok(None);
    }
    if rollout.sync_command.is_empty() {
        return Ok(Some(ServedWeights::new(None, rollout.max_lag)));
    }
    // The folder is opened once more, for the run keeps the one it has.
    let folder = ModelFolder::open(&base.folder.dir)?;
    let stored = stored_type(&folder)?;
    let write = move |model: &Decoder, dir: &Path| {
        if model.lora().is_some() {
            return write_adapter(model, &folder, dir);
        }
        write_model(model, &folder, dir, stored)
    };
    let sync = WeightSync {
        command: rollout.sync_command.clone(),
        every: rollout.sync_steps.unwrap_or(1),
        folder: config.output.dir.join(SERVED),
        write: Box::new(write),
    };
    Ok(Some(ServedWeights::new(Some(sync), rollout.max_lag)))
}

/// What to say of a server that cannot be asked about it.
fn of_server(rollout: &RolloutSection, held_out: bool) -> Option<String> {
    rollout.server.as_ref()?;
    let mut said = Vec::new();
    if rollout.sync_command.is_empty() {
        said.push(
            "without `rollout.sync_command` the server keeps the weights it has, and completions are drawn with older and \
             older ones: `rollout/lag`",
        );
        if held_out {
            said.push(
                "evaluations are drawn by the model itself, whose weights the server has not",
            );
        }
    }
    let cuts = rollout.top_k.is_some() || rollout.top_p.is_some() || rollout.min_p.is_some();
    if rollout.temperature != 1.0 || cuts {
        said.push(
            "the server has to give log-probabilities of the distribution that it draws from, with temperature and cuts: \
             vLLM does with `--logprobs-mode processed_logprobs`; `rollout_gap` measures by how many nats a token they differ",
        );
    }
    (!said.is_empty()).then(|| said.join(". "))
}

impl Base {
    /// How an environment's messages become tokens.
    fn encode_replies(&self, config: &RunConfig) -> Result<Option<EncodeReplies>, TrainError> {
        let Some(template) = self.folder.chat_template.clone() else { return Ok(None) };
        let tokenizer = self.tokenizer()?.clone();
        let options = config.encode_options(self.max_length(config), self.model.vocab_size());
        Ok(Some(Box::new(move |fields, messages, end| {
            let encoder = Encoder::new(&tokenizer, Some(&template), options);
            let encoder = encoder.map_err(|error| error.to_string())?;
            let ids = encoder.for_row(fields).and_then(|row| row.encode_replies(messages, end));
            ids.map_err(|refusal| refusal.in_words())
        })))
    }

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
        server: None,
        samples: rollout.num_generations,
        stops: rollout.stop.clone(),
        judging: reward.judge_settings(),
        shaping: reward.shaping(),
        numeric_answers: reward.compares_numbers(),
        decode: Box::new(move |ids| tokenizer.decode(ids, true).unwrap_or_default()),
        max_turns: rollout.max_turns.unwrap_or(1),
        encode_replies: None,
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
        if let (VerifierName::External(_), Some(program)) = (part.verifier, part.command.first()) {
            find(Path::new(program))?;
        }
    }
    Ok(())
}

/// Refuses a `rollout.sync_command` that is not there.
fn find_sync_command(rollout: &RolloutSection) -> Result<(), TrainError> {
    let Some(program) = rollout.sync_command.first() else { return Ok(()) };
    if is_there(Path::new(program)) {
        return Ok(());
    }
    Err(TrainError::Setting {
        setting: "rollout.sync_command",
        found: format!("{program}, which is not there"),
        expected: "a program on the PATH, or a path to one",
    })
}

fn find(program: &Path) -> Result<(), TrainError> {
    if is_there(program) {
        return Ok(());
    }
    let reason = format!(
        "there is no program {}; name one on the PATH, or a path to one",
        program.display()
    );
    Err(TrainError::Verifier { reason })
}

fn is_there(program: &Path) -> bool {
    if program.components().count() > 1 {
        return program.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
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
