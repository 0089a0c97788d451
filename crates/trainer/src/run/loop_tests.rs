//! Runs stopped and resumed at every step, cut into other batches, and failing.

use std::path::Path;
use std::sync::Arc;

use bestof_closeness::assert_close;
use bestof_files::{Disk, Fault, FaultyDisk};
use bestof_models::parameters;
use bestof_report::{RunFolder as Report, RunType};
use proptest::prelude::*;

use super::*;
use crate::checkpoint::CheckpointStore;
use crate::config::RunConfig;
use crate::data::EncodedCompletion;
use crate::progress::Silent;
use crate::rows::RowSet;
use crate::sft::SupervisedRun;
use crate::toy::{POISON, Toy, all_metrics, completions, known_metrics};

fn config(dir: &Path, overrides: &[&str]) -> RunConfig {
    let text = format!(
        "[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir={:?}\n[train]\n\
         per_device_train_batch_size=2\ngradient_accumulation_steps=2\nlearning_rate=0.05\n\
         lr_scheduler_type='cosine'\nwarmup_steps=2\nweight_decay=0.1\nnum_train_epochs=2\n\
         logging_steps=2\neval_steps=3\nsave_steps=4\nmax_grad_norm=0.3\n",
        dir.display()
    );
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    RunConfig::from_toml(&text, &overrides).unwrap()
}

fn sft(rows: RowSet<EncodedCompletion>, config: &RunConfig) -> SupervisedRun<Toy> {
    let files = ModelFiles::Full { config: serde_json::json!({"model_type": "toy"}) };
    let settings = config.forward_settings();
    SupervisedRun::new(Toy::new(), files, rows, completions(5), settings)
}

fn resume() -> TrainOptions<'static> {
    TrainOptions { resume: true, ..TrainOptions::default() }
}

/// Asks to stop after certain steps.
struct StopAfter(Vec<u64>, u64);

impl Progress for StopAfter {
    fn step(&mut self, progress: &crate::progress::StepProgress) {
        self.1 = progress.step;
    }
    fn wants_stop(&mut self) -> bool {
        self.0.contains(&self.1)
    }
}

/// Names and values of each row of metrics.
type Rows = Vec<Vec<(String, f64)>>;

/// Everything a run leaves that is not measured by the clock.
fn remains(dir: &Path) -> (Vec<(String, Vec<u8>)>, Rows) {
    let store = CheckpointStore::new(dir.join("checkpoints"), None, Arc::new(Disk));
    let newest = store.newest_whole(&[]).unwrap().newest.unwrap();
    let mut files: Vec<_> = std::fs::read_dir(&newest.path)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    (files, metrics(dir))
}

fn metrics(dir: &Path) -> Rows {
    Report::open(dir)
        .unwrap()
        .rows
        .iter()
        .map(|row| {
            let timing = bestof_report::TIMING_METRICS;
            let kept = row.iter().filter(|(name, _)| !timing.contains(name));
            let step = ("step".to_owned(), row.step() as f64);
            std::iter::once(step).chain(kept.map(|(n, v)| (n.to_owned(), v))).collect()
        })
        .collect()
}

fn straight(dir: &Path, rows: usize) {
    let config = config(dir, &[]);
    let mut run = sft(completions(rows), &config);
    train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
}

#[test]
fn a_supervised_run_writes_the_metrics_of_the_table() {
    let dir = tempfile::tempdir().unwrap();
    straight(dir.path(), 23);
    let report = Report::open(dir.path()).unwrap();
    assert_eq!(known_metrics(&report, RunType::Supervised), all_metrics(RunType::Supervised));
}

#[test]
fn a_run_stopped_at_every_boundary_ends_as_one_never_stopped() {
    let whole = tempfile::tempdir().unwrap();
    straight(whole.path(), 23);
    let expected = remains(whole.path());
    assert_eq!(expected.1.last().unwrap()[0].1, 12.0, "two epochs of six steps");

    let dir = tempfile::tempdir().unwrap();
    let mut stops = 0;
    loop {
        // Everything is made anew, as a new process would.
        let config = config(dir.path(), &[]);
        let mut run = sft(completions(23), &config);
        match train(
            &mut run,
            &config.train_settings(),
            &resume(),
            &mut StopAfter((1..=12).collect(), 0),
        ) {
            Ok(_) => break,
            Err(TrainError::Stopped { .. }) => stops += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(stops, 11);
    assert_eq!(remains(dir.path()), expected);
}

/// Wants to stop from the first evaluation on, and notes between which calls steps are made.
#[derive(Default)]
struct StopInEvaluation {
    stop: bool,
    stepping: Vec<bool>,
}

impl Progress for StopInEvaluation {
    fn evaluated(&mut self, _: u64, _: &[(String, f64)]) {
        self.stop = true;
    }
    fn stepping(&mut self, stepping: bool) {
        self.stepping.push(stepping);
    }
    fn wants_stop(&mut self) -> bool {
        self.stop
    }
}

#[test]
fn a_stop_that_is_asked_for_in_an_evaluation_is_heard_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    let (mut run, mut progress) = (sft(completions(23), &config), StopInEvaluation::default());
    let stopped =
        train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut progress);
    assert!(matches!(stopped.unwrap_err(), TrainError::Stopped { step: 3, .. }));
    assert_eq!(progress.stepping, [true, false]);
}

#[test]
fn power_lost_at_any_write_changes_no_number() {
    let whole = tempfile::tempdir().unwrap();
    straight(whole.path(), 9);
    let expected = remains(whole.path());
    let mut cuts = 0;
    for operations in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), &[]);
        let mut run = sft(completions(9), &config);
        let layer = Arc::new(FaultyDisk::new(Fault::PowerCut, operations).pieces_of(700));
        let options = TrainOptions { resume: true, file_layer: layer, ..TrainOptions::default() };
        let outcome = train(&mut run, &config.train_settings(), &options, &mut Silent);
        let finished = outcome.is_ok();
        let mut again = sft(completions(9), &config);
        train(&mut again, &config.train_settings(), &resume(), &mut Silent).unwrap();
        assert_eq!(remains(dir.path()), expected, "cut after {operations} operations");
        if finished {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 30, "only {cuts} cuts were tried");
}

#[test]
fn a_loss_that_is_no_number_names_its_row_and_keeps_the_last_good_state() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &["data.shuffle=false"]);
    let mut rows = completions(23);
    rows.items[14].completion_ids = vec![POISON];
    let mut run = sft(rows, &config);
    let error = train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent)
        .unwrap_err();
    let TrainError::LossNotFinite { step, rows, .. } = &error else { panic!("{error}") };
    assert_eq!((*step, rows.as_slice()), (4, &["toy.jsonl:15".to_owned()][..]));
    let store = CheckpointStore::new(dir.path().join("checkpoints"), None, Arc::new(Disk));
    assert_eq!(store.newest_whole(&[]).unwrap().newest.unwrap().step, 3, "the state before step 4");
    assert!(metrics(dir.path()).iter().flatten().all(|(_, value)| value.is_finite()));
}

#[test]
fn a_folder_is_not_trained_over_and_not_resumed_with_other_settings_or_rows() {
    let dir = tempfile::tempdir().unwrap();
    straight(dir.path(), 9);
    let attempt = |overrides: &[&str], rows: usize, options: &TrainOptions<'_>| {
        let config = config(dir.path(), overrides);
        let mut run = sft(completions(rows), &config);
        train(&mut run, &config.train_settings(), options, &mut Silent)
    };
    let fresh = attempt(&[], 9, &TrainOptions::default()).unwrap_err();
    assert!(matches!(fresh, TrainError::FolderInUse { .. }));
    let changed = attempt(&["train.seed=7", "train.adam_beta2=0.9"], 9, &resume()).unwrap_err();
    let TrainError::ChangedOnResume { differences } = changed else { panic!() };
    let keys: Vec<_> = differences.iter().map(|d| d.key.as_str()).collect();
    assert_eq!(keys, ["train.adam_beta2", "train.seed"]);
    assert!(matches!(attempt(&[], 10, &resume()).unwrap_err(), TrainError::DataChanged { .. }));
    assert_eq!(attempt(&[], 9, &resume()).unwrap().global_step, 6, "already done");
}

#[test]
fn damaged_checkpoints_are_reported_and_made_up_for() {
    let (whole, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    straight(whole.path(), 23);
    straight(dir.path(), 23);
    let store = CheckpointStore::new(dir.path().join("checkpoints"), None, Arc::new(Disk));
    for step in [12, 8] {
        std::fs::write(store.folder(step).join("optimizer.safetensors"), "torn").unwrap();
    }
    let config = config(dir.path(), &[]);
    let mut run = sft(completions(23), &config);
    let summary = train(&mut run, &config.train_settings(), &resume(), &mut Silent).unwrap();
    assert_eq!(summary.damaged_checkpoints.len(), 2);
    assert!(summary.damaged_checkpoints[0].contains("step-000012 passed over"));
    assert_eq!(remains(dir.path()), remains(whole.path()));
}

#[test]
fn metrics_have_their_names_and_the_loss_falls() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        dir.path(),
        &["train.num_train_epochs=15", "train.eval_on_start=true", "train.save_total_limit=2"],
    );
    let mut run = sft(completions(23), &config);
    let summary =
        train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    let report = Report::open(dir.path()).unwrap();
    let names = report.metric_names();
    for name in ["loss", "grad_norm", "learning_rate", "epoch", "num_tokens", "tokens_per_second"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(names.contains(&"eval_loss") && names.contains(&"eval_perplexity"));
    let loss = report.curve("loss");
    assert!(loss.last().unwrap().1 < 0.75 * loss[0].1, "{loss:?}");
    assert_eq!(report.curve("epoch").last().unwrap().1, 15.0);
    assert_eq!(std::fs::read_dir(dir.path().join("checkpoints")).unwrap().count(), 2);
    let seconds = summary.to_json()["seconds"].clone();
    let of = |part: &str| seconds[part].as_f64().unwrap();
    let parts = ["rollouts", "passes", "updates", "evaluations", "checkpoints"].map(of);
    assert!(parts[1..].iter().all(|part| *part > 0.0), "{seconds}");
    assert!(parts.iter().sum::<f64>() < summary.train_runtime, "{seconds}");
    assert_eq!(summary.best.unwrap().metric, "eval_loss");
    let tokens: usize = completions(23).items.iter().map(|row| row.sequence().len()).sum();
    assert_eq!(summary.num_tokens, 15 * tokens as u64);
}

#[test]
fn the_first_steps_by_hand() {
    // One row, one step of plain AdamW without warm-up: the loss is that of the untrained model.
    let dir = tempfile::tempdir().unwrap();
    let overrides = ["train.max_steps=1", "train.warmup_steps=0", "train.logging_steps=1"];
    let config = config(dir.path(), &overrides);
    let rows = completions(2);
    let toy = Toy::new();
    let mut expected = 0.0;
    let mut tokens = 0.0;
    for row in &rows.items {
        let sequence = row.sequence();
        for at in row.completion_start()..sequence.len() {
            let logps = toy_logps(&toy, sequence[at - 1]);
            expected -= logps[sequence[at] as usize];
            tokens += 1.0;
        }
    }
    let mut run = sft(rows, &config);
    train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    let report = Report::open(dir.path()).unwrap();
    assert!((report.curve("loss")[0].1 - expected / tokens).abs() < 1e-6);
    assert_eq!(report.curve("learning_rate")[0].1, 0.05);
}

/// `log_softmax` of the toy's own table, from its parameters.
fn toy_logps(toy: &Toy, previous: u32) -> Vec<f64> {
    let table: Vec<f32> =
        bestof_kernels::host_values(parameters::values(toy, "table.weight").unwrap());
    let row: Vec<f64> = table[previous as usize * crate::toy::VOCAB..][..crate::toy::VOCAB]
        .iter()
        .map(|x| f64::from(*x))
        .collect();
    let log_sum = row.iter().map(|x| x.exp()).sum::<f64>().ln();
    row.iter().map(|x| x - log_sum).collect()
}

fn weights_of(run: &SupervisedRun<Toy>) -> Vec<f32> {
    bestof_kernels::host_values(parameters::values(run.model(), "table.weight").unwrap())
}

fn weights_after(overrides: &[&str]) -> Vec<f32> {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), overrides);
    let mut run = sft(completions(23), &config);
    train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    weights_of(&run)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn how_a_step_is_cut_changes_rounding_only(
        (batch, accumulation) in prop::sample::select(vec![(1, 4), (2, 2), (4, 1)]),
        budget in 4usize..40,
    ) {
        let cut = weights_after(&[
            &format!("train.per_device_train_batch_size={batch}"),
            &format!("train.gradient_accumulation_steps={accumulation}"),
            &format!("train.max_tokens_per_forward={budget}"),
        ]);
        assert_close(&cut, weights_after(&[]), 2e-4);
    }
}
