//! Runs on a bigram model: exact gradients, no-ops, clips, resume, and what is counted.

use std::collections::BTreeMap;
use std::path::Path;

use bestof_estimators::Estimator;
use bestof_models::{FinishReason, ForwardOptions, Gradients, ParameterInfo, SamplingConfig};
use bestof_report::{RunFolder as Report, TIMING_METRICS};
use bestof_tasks::verify::{Outcome, Verdict, Verifier};

use super::*;
use crate::config::{RewardSection, RunConfig};
use crate::model_files::values_of;
use crate::progress::{Silent, StepProgress};
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
    fn verify(&self, completion: &str) -> Verdict {
        let tokens: Vec<u32> = completion.split(' ').filter_map(|t| t.parse().ok()).collect();
        let sum: u32 = tokens.iter().sum();
        match self {
            Self::Divides(by) if sum.is_multiple_of(*by) => Verdict::right(""),
            Self::Divides(_) => Verdict::wrong(""),
            Self::Continuous => Verdict::partial(value_of(&tokens), ""),
            Self::Constant(reward) => Verdict::partial(*reward, ""),
            Self::Fails if sum.is_multiple_of(2) => {
                Verdict { reward: 0.0, outcome: Outcome::TimedOut, reason: "too slow".to_owned() }
            }
            Self::Fails => Verdict::right(""),
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

fn config(dir: &Path, overrides: &[&str]) -> RunConfig {
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

fn questions(count: usize, judge: Judge) -> RowSet<Question> {
    let prompt = |i: u32| vec![i % 7, (i * 3 + 1) % 9];
    RowSet {
        items: (0..count as u32).map(|i| Question::judged_by(prompt(i), Box::new(judge))).collect(),
        names: (1..=count).map(|line| format!("toy.jsonl:{line}")).collect(),
    }
}

fn parts(config: &RunConfig, judge: Judge) -> ReinforceParts<Toy> {
    let (rollout, objective) = (config.rollout.clone().unwrap(), config.objective.clone().unwrap());
    let (model, files) = match &config.lora {
        Some(lora) => (
            Toy::with_adapter(lora.r),
            ModelFiles::Adapter { config: crate::peft::adapter_config(lora, &config.model.path) },
        ),
        None => (Toy::new(), ModelFiles::Full { config: serde_json::json!({}) }),
    };
    ReinforceParts {
        reference: config.lora.is_none().then(|| model.clone()),
        model,
        files,
        train: questions(11, judge),
        eval: questions(5, judge),
        settings: ForwardSettings::from_config(config),
        sampler: Sampler {
            sampling: SamplingConfig {
                max_new_tokens: rollout.max_new_tokens,
                eos_token_ids: vec![END],
                ..SamplingConfig::default()
            },
            samples: rollout.num_generations,
            stops: Vec::new(),
            reward: config.reward.clone().unwrap_or_default(),
            decode: Box::new(text_of),
        },
        eval_samples: rollout.eval_samples(),
        logged_samples: rollout.logged_samples,
        objective,
        seed: config.train.seed,
    }
}

fn new_run(config: &RunConfig, judge: Judge) -> ReinforceRun<Toy> {
    ReinforceRun::new(parts(config, judge)).unwrap()
}

fn trained(config: &RunConfig, judge: Judge) -> (ReinforceRun<Toy>, Report) {
    let mut run = new_run(config, judge);
    train(&mut run, config, &TrainOptions::default(), &mut Silent).unwrap();
    (run, Report::open(&config.output.dir).unwrap())
}

fn weights_of(model: &Toy) -> Vec<f32> {
    let of = |info: &ParameterInfo| values_of(model.parameter(&info.name).unwrap());
    model.trainable_parameters().iter().flat_map(of).collect()
}

fn gradient_of(gradients: &Gradients, name: &str) -> Vec<f32> {
    gradients.get(name).map_or_else(Vec::new, |gradient| values_of(gradient.clone()))
}

fn rollout(ids: &[u32], judge: Judge) -> Rollout {
    let verdict = judge.verify(&text_of(ids));
    Rollout {
        ids: ids.to_vec(),
        text: text_of(ids),
        logprobs: vec![-1.0; ids.len()],
        sampling_logprobs: vec![-1.0; ids.len()],
        finish: FinishReason::Length,
        judgement: Judgement {
            reward: verdict.reward,
            outcome: verdict.outcome,
            reason: String::new(),
            passed: verdict.reward == 1.0,
        },
    }
}

/// Puts completions of the test's choice in the place of sampled ones.
fn inject(run: &mut ReinforceRun<Toy>, step: u64, groups: Vec<Group>) {
    let k = run.schedule.k(step);
    let groups = run.weigh(k, groups).unwrap();
    let moved = vec![false; run.updates_per_step()];
    run.batch = Some(Batch { step, k, groups, failures: (0, 0), moved });
}

fn context(update: usize, rows: usize) -> StepContext {
    StepContext { step: 0, update, loss_weight: rows as f64, dropout_seed: 1 }
}

/// The expectation of the run's gradient over every batch of one-token completions is minus the
/// derivative of the exact objective, for every estimator that claims to be unbiased.
#[test]
fn the_expected_gradient_is_that_of_the_enumerated_objective() {
    let dir = tempfile::tempdir().unwrap();
    // Three tokens get nearly all the probability, so that 3^n batches are all that matter.
    let actions = [1_u32, 5, 6];
    let previous = 1_u32;
    let mut policy = Toy::new();
    policy.update_parameters(&mut |name, old| {
        let mut values = values_of(old.clone());
        if name == "table.weight" {
            let row = previous as usize * VOCAB;
            for (token, value) in values[row..row + VOCAB].iter_mut().enumerate() {
                *value = match token {
                    1 => 0.3,
                    5 => -0.4,
                    6 => 0.8,
                    _ => -60.0,
                };
            }
        }
        bestof_models::tensor_from(&values, &old.device())
    });
    let reward = |token: u32| value_of(&[token]);
    let chance =
        |logits: &[f64; 3], i: usize| logits[i].exp() / logits.iter().map(|x| x.exp()).sum::<f64>();
    let logits = [0.3_f64, -0.4, 0.8];
    for (estimator, k, n) in [
        (Estimator::Plain, 2, 3),
        (Estimator::Loo, 2, 3),
        (Estimator::LooMinusOne, 2, 3),
        (Estimator::LooMinusOne, 3, 3),
        (Estimator::Rloo, 1, 3),
        (Estimator::MaxAtN, 3, 3),
        (Estimator::Reinforce, 1, 2),
    ] {
        let overrides = [
            format!("objective.estimator={estimator}"),
            format!("rollout.num_generations={n}"),
            format!("objective.k={k}"),
        ];
        let mut config = config(dir.path(), &[]);
        let mut objective = config.objective.clone().unwrap();
        objective.estimator = estimator;
        objective.k = estimator.uses_k().then_some(k);
        config.objective = Some(objective);
        config.rollout.as_mut().unwrap().num_generations = n;
        let mut run = new_run(&config, Judge::Continuous);
        run.parts.model = policy.clone();
        // Row 0 asks [0, 1]: the next token is drawn after token 1.
        assert_eq!(run.parts.train.items[0].prompt_ids, [0, previous], "{overrides:?}");
        let mut expected = [0.0; 3];
        for batch in 0..3_usize.pow(n as u32) {
            let drawn: Vec<usize> = (0..n).map(|i| batch / 3_usize.pow(i as u32) % 3).collect();
            let rollouts = drawn.iter().map(|i| rollout(&[actions[*i]], Judge::Continuous));
            let group = Group { row: 0, rollouts: rollouts.collect() };
            inject(&mut run, 0, vec![group]);
            let found = run.accumulate(&[0], &context(0, 1)).unwrap();
            let table = gradient_of(&found.gradients, "table.weight");
            let likely: f64 = drawn.iter().map(|i| chance(&logits, *i)).product();
            for (sum, action) in expected.iter_mut().zip(actions) {
                let at = previous as usize * VOCAB + action as usize;
                *sum += likely * table.get(at).copied().map_or(0.0, f64::from);
            }
        }
        // E[max of k] by enumeration of all k-tuples, and its derivative by central differences.
        let value = |logits: &[f64; 3]| -> f64 {
            (0..3_usize.pow(k as u32))
                .map(|tuple| {
                    let drawn = (0..k).map(|i| tuple / 3_usize.pow(i as u32) % 3);
                    let best = drawn.clone().map(|i| reward(actions[i])).fold(f64::MIN, f64::max);
                    drawn.map(|i| chance(logits, i)).product::<f64>() * best
                })
                .sum()
        };
        for (i, found) in expected.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut logits = logits;
                logits[i] += by;
                value(&logits)
            };
            let exact = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found + exact).abs() < 1e-6, "{estimator} k {k}: {found} against {}", -exact);
        }
    }
}

/// The loss of given completions as a function of the model, from separate sequences.
fn loss_apart(
    run: &ReinforceRun<Toy>,
    model: &Toy,
    old: &Toy,
    groups: &[(Group, Vec<f64>)],
) -> f64 {
    let options = ForwardOptions::default();
    let logps = |model: &Toy, row: usize, ids: &[u32], options: &ForwardOptions| -> Vec<f64> {
        let prompt = &run.parts.train.items[row].prompt_ids;
        let tokens = [prompt.as_slice(), ids].concat();
        let mut builder = bestof_models::ForestBuilder::new();
        builder.add_group(&[bestof_models::Sequence {
            tokens: &tokens,
            completion_start: prompt.len(),
        }]);
        let logps = model.logprobs(&builder.finish(), options).unwrap();
        logps.into_iter().map(f64::from).collect()
    };
    let mut total = 0.0;
    for (group, weights) in groups {
        for (rollout, weight) in group.rollouts.iter().zip(weights) {
            let prompt = &run.parts.train.items[group.row].prompt_ids;
            let before = [&prompt[prompt.len() - 1..], &rollout.ids].concat();
            let entropies: Vec<f64> = before[..rollout.ids.len()]
                .iter()
                .map(|previous| model.entropy(*previous, &options))
                .collect();
            let now = logps(model, group.row, &rollout.ids, &options);
            let then = logps(old, group.row, &rollout.ids, &options);
            let anchor = match &run.parts.reference {
                Some(frozen) => logps(frozen, group.row, &rollout.ids, &options),
                None => logps(model, group.row, &rollout.ids, &ForwardOptions::reference()),
            };
            let completion = bestof_losses::SampledCompletion {
                weight: *weight,
                share: 1.0 / weights.len() as f64,
                logprobs: &now,
                behaviour: Some(&then),
                reference: Some(&anchor),
                entropies: Some(&entropies),
            };
            total += run.loss.terms(&completion, &mut vec![0.0; now.len()]).unwrap().loss;
        }
    }
    total / groups.len() as f64
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

#[test]
fn a_tree_of_completions_gives_the_gradient_of_separate_ones_duplicates_included() {
    let dir = tempfile::tempdir().unwrap();
    for overrides in [
        &[][..],
        &["train.max_tokens_per_forward=6"],
        &[
            "objective.kl_coefficient=0.2",
            "objective.kl_estimator=k2",
            "objective.entropy_coefficient=0.3",
        ],
        &["objective.kl_coefficient=0.2", "lora.r=3", "objective.ratio=sequence"],
        &["objective.estimator=grpo", "objective.ratio=sequence-mean"],
    ] {
        let mut settings = vec!["objective.updates_per_batch=2", "objective.epsilon=0.9"];
        settings.extend(overrides);
        let mut configured = config(dir.path(), &settings);
        if overrides.iter().any(|text| text.contains("grpo")) {
            configured.objective.as_mut().unwrap().k = None;
        }
        let mut run = new_run(&configured, Judge::Continuous);
        // A policy apart from its reference, and then one apart from that which sampled.
        let shift = |run: &mut ReinforceRun<Toy>, by: f32| {
            run.model_mut().update_parameters(&mut |_, old| {
                let values: Vec<f32> = values_of(old.clone())
                    .iter()
                    .enumerate()
                    .map(|(i, x)| x + by * (i as f32 * 0.37).sin())
                    .collect();
                bestof_models::tensor_from(&values, &old.device())
            });
        };
        shift(&mut run, 0.3);
        inject(&mut run, 0, overlapping());
        let first = run.accumulate(&[0, 3], &context(0, 2)).unwrap();
        let old = run.model().clone();
        let weighted: Vec<(Group, Vec<f64>)> = run
            .batch
            .as_ref()
            .unwrap()
            .groups
            .values()
            .map(|weighted| (weighted.group.clone(), weighted.weights.clone()))
            .collect();
        for (update, found) in [(0, first), {
            shift(&mut run, 0.1);
            (1, run.accumulate(&[0, 3], &context(1, 2)).unwrap())
        }] {
            let model = if update == 0 { old.clone() } else { run.model().clone() };
            let loss = found.metrics.mean("loss").unwrap();
            let apart = loss_apart(&run, &model, &old, &weighted);
            assert!((loss - apart).abs() < 1e-5, "{overrides:?}: {loss} against {apart}");
            for info in model.trainable_parameters() {
                let gradient = gradient_of(&found.gradients, &info.name);
                for at in (0..info.len()).step_by(5) {
                    let moved = |by: f32| {
                        let mut model = model.clone();
                        model.update_parameters(&mut |name, tensor| {
                            let mut values = values_of(tensor.clone());
                            if name == info.name {
                                values[at] += by;
                            }
                            bestof_models::tensor_from(&values, &tensor.device())
                        });
                        loss_apart(&run, &model, &old, &weighted)
                    };
                    let numeric = (moved(4e-3) - moved(-4e-3)) / 8e-3;
                    let exact = f64::from(gradient[at]);
                    assert!(
                        (numeric - exact).abs() < 2e-4 + 2e-3 * exact.abs(),
                        "{overrides:?} update {update} {}[{at}]: {numeric} against {exact}",
                        info.name
                    );
                }
            }
        }
    }
}

#[test]
fn equal_rewards_leave_weights_and_optimiser_alone_whatever_came_before() {
    for (estimator, k) in [
        ("loo-minus-one", Some(2)),
        ("rloo", None),
        ("mean", None),
        ("grpo", None),
        ("max-at-n", None),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("objective.estimator={estimator}");
        let mut config = config(dir.path(), &[&name, "train.weight_decay=0.1"]);
        config.objective.as_mut().unwrap().k = k;
        // Momentum first: a run in which rewards differ, then one that goes on with equal ones.
        let mut run = new_run(&config, Judge::Continuous);
        let mut stop = StopAt(4, 0);
        let stopped = train(&mut run, &config, &TrainOptions::default(), &mut stop).unwrap_err();
        assert!(matches!(stopped, TrainError::Stopped { step: 4, .. }));
        let before = weights_of(run.model());
        assert_ne!(before, weights_of(&Toy::new()), "{estimator} learned something first");
        let mut run = new_run(&config, Judge::Constant(0.5));
        let options = TrainOptions { resume: true, ..TrainOptions::default() };
        train(&mut run, &config, &options, &mut Silent).unwrap();
        assert_eq!(weights_of(run.model()), before, "{estimator}");
        let report = Report::open(&config.output.dir).unwrap();
        let last = report.rows.iter().rev().find(|row| row.get("loss").is_some()).unwrap();
        assert_eq!(last.step(), 8);
        for (metric, value) in [
            ("loss", 0.0),
            ("grad_norm", 0.0),
            ("skipped_updates", 1.0),
            ("frac_reward_zero_std", 1.0),
            ("reward", 0.5),
            ("reward_std", 0.0),
            ("prompts/with_signal", 0.0),
        ] {
            assert_eq!(last.get(metric), Some(value), "{estimator}: {metric}");
        }
    }
}

/// Asks to stop once a step is made.
struct StopAt(u64, u64);

impl Progress for StopAt {
    fn step(&mut self, progress: &StepProgress) {
        self.1 = progress.step;
    }

    fn wants_stop(&mut self) -> bool {
        self.1 == self.0
    }
}

#[test]
fn the_first_update_is_on_policy_and_later_ones_are_clipped() {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        ["objective.updates_per_batch=3", "train.learning_rate=0.5", "objective.epsilon=0.05"];
    let config = config(dir.path(), &settings);
    let mut run = new_run(&config, Judge::Divides(2));
    run.begin_step(&[0, 1, 2, 3], 0, &mut Silent).unwrap();
    let first = run.accumulate(&[0, 1, 2, 3], &context(0, 4)).unwrap();
    assert_eq!(first.metrics.mean("clip_ratio"), Some(0.0));
    // Nothing has moved: the second update's ratios are 1 to the last bit, its gradient the same.
    let second = run.accumulate(&[0, 1, 2, 3], &context(1, 4)).unwrap();
    assert_eq!(second.metrics.mean("loss"), first.metrics.mean("loss"));
    for name in ["bias", "table.weight"] {
        assert_eq!(gradient_of(&first.gradients, name), gradient_of(&second.gradients, name));
    }
    let (_, report) = trained(&config, Judge::Divides(2));
    assert!(report.last("clip_ratio").unwrap() > 0.0, "large steps reach the bounds");
    assert_eq!(report.curve("loss").len(), 8, "a step counts once");
}

#[test]
fn the_divergence_is_zero_at_the_start_and_grows() {
    for overrides in [&["lora.r=3"][..], &[]] {
        for kl in ["k1", "k2", "k3"] {
            let dir = tempfile::tempdir().unwrap();
            let name = format!("objective.kl_estimator={kl}");
            let settings = [&["objective.kl_coefficient=0.01", &name][..], overrides].concat();
            let (_, report) = trained(&config(dir.path(), &settings), Judge::Divides(2));
            let curve = report.curve("kl");
            assert_eq!(curve[0].1, 0.0, "{settings:?}");
            assert!(curve.iter().any(|(_, kl)| *kl != 0.0));
        }
    }
}

#[test]
fn rewards_rise_where_there_is_something_to_learn() {
    for (estimator, k) in [("loo-minus-one", Some(2)), ("loo", Some(2)), ("rloo", None)] {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("objective.estimator={estimator}");
        let settings = [
            name.as_str(),
            "train.max_steps=60",
            "train.eval_on_start=true",
            "rollout.eval_generations=16",
        ];
        let mut config = config(dir.path(), &settings);
        config.objective.as_mut().unwrap().k = k;
        let (_, report) = trained(&config, Judge::Divides(3));
        let curve = report.curve("eval_pass@1");
        let (first, last) = (curve[0].1, curve.last().unwrap().1);
        assert!(last > first + 0.2, "{estimator}: {first} to {last}");
        let best = report.results.get("train");
        assert!(best.is_none(), "results are written by whoever launches the run");
    }
}

#[test]
fn metrics_have_their_names_and_add_up() {
    let dir = tempfile::tempdir().unwrap();
    let config =
        config(dir.path(), &["rollout.num_generations=6", "objective.entropy_coefficient=0.01"]);
    let (run, report) = trained(&config, Judge::Divides(2));
    let row = report.rows.iter().find(|row| row.get("reward").is_some()).unwrap();
    let get = |name: &str| row.get(name).unwrap_or_else(|| panic!("{name} is missing"));
    for name in [
        "loss",
        "objective",
        "reward",
        "reward_std",
        "entropy",
        "clip_ratio",
        "completions/mean_length",
        "completions/clipped_ratio",
        "frac_reward_zero_std",
        "pass@1",
        "pass@2",
        "pass@4",
        "pass@6",
        "k",
        "distinct_answers",
        "cumulative_solve_rate",
        "verifier/failures",
        "verifier/timeouts",
        "prompts/with_signal",
        "skipped_updates",
        "sampling_gap",
    ] {
        assert!(get(name).is_finite(), "{name}");
    }
    assert_eq!(get("prompts/none") + get("prompts/some") + get("prompts/all"), 1.0);
    assert!((get("pass@1") - get("reward")).abs() < 1e-12, "rewards are 0 and 1");
    assert!(get("pass@1") <= get("pass@2") && get("pass@4") <= get("pass@6"));
    assert_eq!(get("k"), 2.0);
    assert!((get("objective") - get("pass@2")).abs() < 1e-12);
    for name in [
        "eval_pass@1",
        "eval_pass@6/low",
        "eval_pass@6/high",
        "eval_entropy",
        "eval_distinct_answers",
    ] {
        assert!(report.metric_names().contains(&name), "{name}");
    }
    let solved = report.curve("cumulative_solve_rate");
    assert!(solved.windows(2).all(|pair| pair[0].1 <= pair[1].1), "never falls");
    assert_eq!(solved.last().unwrap().1, run.solved.len() as f64 / 11.0);
    // An exact entropy after every token, of what the untrained model is.
    let bound = (VOCAB as f64).ln();
    assert!(get("entropy") > 0.5 * bound && get("entropy") < bound);
}

#[test]
fn completions_that_never_end_are_counted_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    let mut parts = parts(&config, Judge::Divides(2));
    parts.sampler.sampling.eos_token_ids.clear();
    let mut run = ReinforceRun::new(parts).unwrap();
    train(&mut run, &config, &TrainOptions::default(), &mut Silent).unwrap();
    let report = Report::open(&config.output.dir).unwrap();
    assert_eq!(report.curve("completions/clipped_ratio")[0].1, 1.0);
    assert_eq!(report.curve("completions/mean_length")[0].1, 4.0);
    assert!(report.samples.iter().all(|sample| sample.extra["finish"] == "length"));
}

#[test]
fn failed_verifications_count_with_the_reward_they_are_given_and_are_told() {
    struct Hears(Vec<String>);
    impl Progress for Hears {
        fn notice(&mut self, text: &str) {
            self.0.push(text.to_owned());
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), &["train.max_steps=12"]);
    config.reward = Some(RewardSection { failed: Some(-2.0), ..RewardSection::default() });
    let mut run = new_run(&config, Judge::Fails);
    let mut hears = Hears(Vec::new());
    train(&mut run, &config, &TrainOptions::default(), &mut hears).unwrap();
    let report = Report::open(&config.output.dir).unwrap();
    let row = report.rows.iter().find(|row| row.get("reward").is_some()).unwrap();
    let failed = row.get("verifier/failures").unwrap();
    assert!(failed > 0.0 && failed < 16.0);
    assert_eq!(row.get("verifier/timeouts"), Some(failed));
    // Sixteen completions: those that failed pay -2, the others 1.
    let reward = (16.0 - failed - 2.0 * failed) / 16.0;
    assert!((row.get("reward").unwrap() - reward).abs() < 1e-12);
    assert!((row.get("pass@1").unwrap() - (16.0 - failed) / 16.0).abs() < 1e-12);
    assert!(hears.0[0].contains("too slow") && hears.0[0].contains("reward -2"), "{:?}", hears.0);
    assert!(hears.0.last().unwrap().contains("further failed verifications"));
    let failures: Vec<&Sample> =
        report.samples.iter().filter(|sample| sample.extra["outcome"] == "timed-out").collect();
    assert!(failures.len() as f64 >= failed, "every failure of the first step is written down");
    assert!(failures.iter().all(|sample| sample.extra["reason"] == "too slow"));
}

/// Everything a run leaves that is not measured by the clock.
fn remains(dir: &Path) -> (BTreeMap<String, Vec<u8>>, Vec<Vec<(String, f64)>>, Vec<u8>) {
    let last = dir.join("checkpoints/step-000008");
    let files = std::fs::read_dir(&last).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path()).unwrap())
    });
    let rows = Report::open(dir).unwrap().rows;
    let kept = |row: &bestof_report::MetricRow| {
        let values = row.iter().filter(|(name, _)| !TIMING_METRICS.contains(name));
        let step = ("step".to_owned(), row.step() as f64);
        std::iter::once(step).chain(values.map(|(name, v)| (name.to_owned(), v))).collect()
    };
    (
        files.collect(),
        rows.iter().map(kept).collect(),
        std::fs::read(dir.join("samples.jsonl")).unwrap(),
    )
}

/// Dies between sampling and update, at the step that is asked for.
struct Killed(u64);

impl Progress for Killed {
    fn notice(&mut self, _: &str) {
        assert!(self.0 > 0, "killed between rollout and step");
        self.0 -= 1;
    }
}

#[test]
fn stopped_or_killed_between_rollout_and_step_it_ends_as_one_that_was_not() {
    let settings = [
        "objective.k=0",
        "objective.updates_per_batch=2",
        "objective.kl_coefficient=0.05",
        "train.eval_steps=2",
        "train.save_steps=3",
    ];
    let make = |dir: &Path| {
        let mut config = config(dir, &settings[1..]);
        let objective = config.objective.as_mut().unwrap();
        objective.k = None;
        let stall = r#"{"kind":"until-stall","from":4,"to":2,"patience":1,"min_gain":0.01}"#;
        objective.k_schedule = Some(serde_json::from_str(stall).unwrap());
        config
    };
    let whole = tempfile::tempdir().unwrap();
    let (_, report) = trained(&make(whole.path()), Judge::Fails);
    let ks = report.curve("k");
    assert!(ks[0].1 == 4.0 && ks.last().unwrap().1 == 2.0, "the schedule listened: {ks:?}");
    let expected = remains(&make(whole.path()).output.dir);

    let options = || TrainOptions { resume: true, ..TrainOptions::default() };
    let stopped = tempfile::tempdir().unwrap();
    let mut stops = 0;
    loop {
        let config = make(stopped.path());
        let mut run = new_run(&config, Judge::Fails);
        match train(&mut run, &config, &options(), &mut StopEach) {
            Ok(_) => break,
            Err(TrainError::Stopped { .. }) => stops += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(stops, 7);
    assert_eq!(remains(&make(stopped.path()).output.dir), expected);

    // The notice of failed verifications comes after sampling and before the update.
    let killed = tempfile::tempdir().unwrap();
    for survived in 0..5 {
        let config = make(killed.path());
        let dead = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut run = new_run(&config, Judge::Fails);
            train(&mut run, &config, &options(), &mut Killed(survived))
        }));
        assert!(dead.is_err(), "it was killed");
    }
    let config = make(killed.path());
    let mut run = new_run(&config, Judge::Fails);
    train(&mut run, &config, &options(), &mut Silent).unwrap();
    assert_eq!(remains(&config.output.dir), expected);
}

/// Stops after every step.
struct StopEach;

impl Progress for StopEach {
    fn wants_stop(&mut self) -> bool {
        true
    }
}

#[test]
fn the_cut_into_micro_batches_and_forests_changes_rounding_only() {
    let weights = |settings: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        weights_of(trained(&config(dir.path(), settings), Judge::Continuous).0.model())
    };
    let expected = weights(&[]);
    for settings in [
        &["train.per_device_train_batch_size=4", "train.gradient_accumulation_steps=1"][..],
        &["train.per_device_train_batch_size=1", "train.gradient_accumulation_steps=4"],
        &["train.max_tokens_per_forward=7"],
    ] {
        let found = weights(settings);
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-3, "{settings:?}: {worst}");
    }
}

#[test]
fn rewards_an_estimator_refuses_stop_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &["objective.estimator=binary"]);
    let mut run = new_run(&config, Judge::Constant(0.5));
    let error = train(&mut run, &config, &TrainOptions::default(), &mut Silent).unwrap_err();
    assert!(error.to_string().contains("use `plain` for other rewards"), "{error}");
}
