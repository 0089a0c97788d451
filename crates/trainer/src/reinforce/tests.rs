//! Runs on a bigram model: what their tests share.

mod counts;
mod episodes;
mod gradients;
mod local_server;
mod off_policy;
mod options;
mod resume;
mod server;
mod stops;

use std::collections::BTreeMap;
use std::path::Path;

use bestof_estimators::Estimator;
use bestof_kernels::host_values;
use bestof_models::parameters::{self, ParameterInfo};
use bestof_models::{FinishReason, ForwardOptions, SamplingConfig};
use bestof_report::{RunFolder as Report, TIMING_METRICS};
use bestof_tasks::verify::{Verification, VerificationOutcome, Verifier};
use burn::tensor::Tensor;

use super::*;
use crate::config::{RewardSection, RunConfig};
use crate::gradients::NamedGradients;
use crate::progress::{Silent, StepProgress};
use crate::rows::RowSet;
use crate::run::{TrainOptions, train};
use crate::toy::{Toy, VOCAB};

/// The token that ends the toy's texts.
const END: u32 = 3;

/// Judges the tokens that the toy's texts list.
#[derive(Debug, Clone, Copy)]
enum Judge {
    /// Whether the sum of the tokens is divisible by this number.
    Divides(u32),
    /// A number that differs for nearly every completion.
    Continuous,
    /// The same for all.
    Constant(f64),
    /// Fails every other completion.
    Fails,
}

impl Verifier for Judge {
    fn verify(&self, completion: &str) -> Verification {
        let tokens: Vec<u32> = completion.split(' ').filter_map(|t| t.parse().ok()).collect();
        let sum: u32 = tokens.iter().sum();
        match self {
            Self::Divides(by) if sum.is_multiple_of(*by) => Verification::right(""),
            Self::Divides(_) => Verification::wrong(""),
            Self::Continuous => Verification::partial(value_of(&tokens), ""),
            Self::Constant(reward) => Verification::partial(*reward, ""),
            Self::Fails if sum.is_multiple_of(2) => Verification {
                reward: 0.0,
                outcome: VerificationOutcome::TimedOut,
                reason: "too slow".to_owned(),
                extracted: None,
            },
            Self::Fails => Verification::right(""),
        }
    }
}

fn value_of(tokens: &[u32]) -> f64 {
    let mixed = tokens.iter().fold(7_u32, |mixed, token| mixed.wrapping_mul(31) + token);
    f64::from(mixed % 97) / 97.0
}

fn text_of(ids: &[u32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

pub(crate) use self::config as policy_config;

pub(crate) fn config(dir: &Path, overrides: &[&str]) -> RunConfig {
    let text = format!(
        "[model]\npath='m'\n[data]\ntrain='t'\neval_fraction=0.1\n[output]\ndir={:?}\n[train]\n\
         per_device_train_batch_size=2\ngradient_accumulation_steps=2\nlearning_rate=0.05\n\
         lr_scheduler_type='constant'\nmax_steps=8\neval_steps=3\nsave_steps=4\n\
         [rollout]\nnum_generations=4\nmax_new_tokens=4\n[objective]\nestimator='plain'\nk=2\n",
        dir.join("run").display()
    );
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    RunConfig::from_toml(&text, &overrides).unwrap()
}

fn problems(count: usize, judge: Judge) -> RowSet<Problem> {
    let prompt = |i: u32| vec![i % 7, (i * 3 + 1) % 9];
    RowSet {
        items: (0..count as u32).map(|i| Problem::judged_by(prompt(i), Box::new(judge))).collect(),
        names: (1..=count).map(|line| format!("toy.jsonl:{line}").into()).collect(),
    }
}

fn parts(config: &RunConfig, judge: Judge) -> ReinforceParts<Toy> {
    let rollout = config.rollout.clone().unwrap();
    let reward = config.reward.clone().unwrap_or_default();
    let (model, files) = crate::toy::of_config(config);
    let model = model.without_poison();
    ReinforceParts {
        reference: config.lora.is_none().then(|| model.clone()),
        model,
        files,
        train: problems(11, judge),
        eval: problems(5, judge),
        settings: config.forward_settings(),
        sampler: Sampler {
            sampling: SamplingConfig::default()
                .with_temperature(rollout.temperature)
                .with_max_new_tokens(rollout.max_new_tokens)
                .with_eos_token_ids(vec![END]),
            server: None,
            samples: rollout.num_generations,
            stops: rollout.stop.clone(),
            judging: reward.judge_settings(),
            shaping: reward.shaping(),
            numeric_answers: true,
            decode: Box::new(text_of),
            max_turns: 1,
            encode_replies: None,
        },
        served: None,
        eval_samples: rollout.eval_samples(),
        logged_samples: rollout.logged_samples,
        objective: config.objective.as_ref().unwrap().build().unwrap(),
        seed: config.train.seed,
    }
}

fn new_run(config: &RunConfig, judge: Judge) -> ReinforceRun<Toy> {
    ReinforceRun::new(parts(config, judge)).unwrap()
}

pub(crate) fn new_run_on(
    config: &RunConfig,
    _: Ranks<'_>,
) -> Result<ReinforceRun<Toy>, TrainError> {
    ReinforceRun::new(parts(config, Judge::Continuous))
}

fn trained(config: &RunConfig, judge: Judge) -> (ReinforceRun<Toy>, Report) {
    let mut run = new_run(config, judge);
    train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    (run, Report::open(&config.output.dir).unwrap())
}

fn weights_of(model: &Toy) -> Vec<f32> {
    let of = |info: &ParameterInfo| host_values(parameters::values(model, &info.name).unwrap());
    parameters::trainable(model).iter().flat_map(of).collect()
}

fn rollout(ids: &[u32], judge: Judge) -> Rollout {
    let verdict = judge.verify(&text_of(ids));
    Rollout {
        ids: ids.to_vec(),
        foreign: Vec::new(),
        turns: None,
        text: text_of(ids),
        answer: text_of(ids),
        logprobs: vec![-1.0; ids.len()],
        sampling_logprobs: vec![-1.0; ids.len()],
        finish: FinishReason::Length,
        judgement: Judgement {
            reward: verdict.reward,
            parts: vec![verdict.reward],
            outcome: verdict.outcome,
            reason: String::new(),
            passed: verdict.reward == 1.0,
        },
    }
}

/// Puts completions of the test's choice in the place of sampled ones.
fn inject(run: &mut ReinforceRun<Toy>, step: u64, groups: Vec<Group>) {
    let slots: Vec<usize> = groups.iter().map(|group| group.row).collect();
    let weighted = run.weigh(step, groups).unwrap();
    let groups = slots.iter().copied().zip(weighted).collect();
    run.batch =
        Some(run.batch_of(StepRows::alone(&slots), step, groups, Ranks::default()).unwrap());
}

fn context(update: usize, rows: usize) -> StepContext<'static> {
    StepContext {
        step: 0,
        update,
        loss_weight: rows as f64,
        dropout_seed: 1,
        ..StepContext::default()
    }
}

/// Groups with duplicates and shared beginnings, for rows 0 and 3.
fn overlapping() -> Vec<Group> {
    let of = |row, completions: &[&[u32]]| Group {
        row,
        rollouts: completions.iter().map(|ids| rollout(ids, Judge::Continuous)).collect(),
    };
    vec![
        of(0, &[&[1, 2, END], &[1, 2, 4, 5], &[1, 2, END], &[6, END]]),
        of(3, &[&[2, 2], &[2, 2], &[2, END], &[9, 9, 9, 9]]),
    ]
}
