//! What a run learns, counts and writes down, and steps that must change nothing.

use bestof_report::RunType;

use super::*;
use crate::toy::{all_metrics, known_metrics};

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
        let seven = "rollout.num_generations=7";
        let mut config = config(dir.path(), &[&name, "train.weight_decay=0.1", seven]);
        config.objective.as_mut().unwrap().k = k;
        // Momentum first: a run in which rewards differ, then one that goes on with equal ones.
        let mut run = new_run(&config, Judge::Continuous);
        let mut stop = StopAt(4, 0);
        let stopped =
            train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut stop)
                .unwrap_err();
        assert!(matches!(stopped, TrainError::Stopped { step: 4, .. }));
        let before = weights_of(run.model());
        assert_ne!(
            before,
            weights_of(&Toy::new().without_poison()),
            "{estimator} learned something first"
        );
        let mut run = new_run(&config, Judge::Constant(0.1));
        let options = TrainOptions { resume: true, ..TrainOptions::default() };
        train(&mut run, &config.train_settings(), &options, &mut Silent).unwrap();
        assert_eq!(weights_of(run.model()), before, "{estimator}");
        let report = Report::open(&config.output.dir).unwrap();
        let last = report.rows.iter().rev().find(|row| row.get("loss").is_some()).unwrap();
        assert_eq!(last.step(), 8);
        for (metric, value) in [
            ("loss", 0.0),
            ("grad_norm", 0.0),
            ("skipped_updates", 1.0),
            ("frac_reward_zero_std", 1.0),
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
    for (estimator, k) in
        [("loo-minus-one", Some(2)), ("loo", Some(2)), ("plain", Some(2)), ("rloo", None)]
    {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("objective.estimator={estimator}");
        let settings = [
            name.as_str(),
            "train.max_steps=60",
            // Without a baseline, few samples are mostly noise.
            "rollout.num_generations=32",
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
fn a_policy_run_writes_the_metrics_of_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let (_, plain) = trained(&config(dir.path(), &[]), Judge::Divides(2));
    known_metrics(&plain, RunType::Policy);
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        "objective.kl_coefficient=0.1",
        "objective.entropy_coefficient=0.01",
        "objective.updates_per_batch=2",
    ];
    let (_, report) = trained(&config(dir.path(), &settings), Judge::Divides(2));
    let mut expected = all_metrics(RunType::Policy);
    for (name, only) in [("rollout/lag", "with a server"), ("rollout/turns", "with an environment")]
    {
        assert!(expected.remove(name), "{name}: only {only}");
    }
    assert_eq!(known_metrics(&report, RunType::Policy), expected);
}

#[test]
fn completions_that_never_end_are_counted_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    let mut parts = parts(&config, Judge::Divides(2));
    parts.sampler.sampling.eos_token_ids.clear();
    let mut run = ReinforceRun::new(parts).unwrap();
    train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
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
    train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut hears).unwrap();
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
        let worst = bestof_closeness::largest_difference(&found, &expected);
        assert!(worst < 2e-3, "{settings:?}: {worst}");
    }
}

#[test]
fn rewards_an_estimator_refuses_stop_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &["objective.estimator=binary"]);
    let mut run = new_run(&config, Judge::Constant(0.5));
    let error = train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent)
        .unwrap_err();
    assert!(error.to_string().contains("use `plain` for other rewards"), "{error}");
}
