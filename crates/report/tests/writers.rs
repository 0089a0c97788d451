//! What the writers leave behind: round trips, resuming, damage.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs;
use std::path::Path;

use bestof_report::{
    METRICS_FILE, MetricRow, MetricsWriter, ReportError, RunFolder, SAMPLES_FILE, Sample,
    SamplesWriter,
};
use proptest::prelude::*;

fn row(step: u64) -> MetricRow {
    let x = step as f64;
    MetricRow::new(step).with("loss", 1.0 / (x + 1.0)).with("rewards/chosen", -0.1 * x)
}

fn write_steps(metrics: &mut MetricsWriter, steps: impl Iterator<Item = u64>) {
    for step in steps {
        metrics.write(&row(step)).unwrap();
        if step % 3 == 0 {
            let mut evaluation = MetricRow::new(step);
            evaluation.push_eval([("loss", 0.5)]);
            metrics.write(&evaluation).unwrap();
        }
    }
}

fn text(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

#[test]
fn rows_come_back_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut metrics = MetricsWriter::create(dir.path()).unwrap();
    write_steps(&mut metrics, 0..10);
    metrics.write(&MetricRow::new(10).with("loss", f64::INFINITY)).unwrap();
    metrics.sync().unwrap();
    let run = RunFolder::open(dir.path()).unwrap();
    assert_eq!(run.rows.len(), 15);
    assert_eq!(run.rows[0], row(0));
    assert_eq!(run.rows[14].non_finite(), ["loss"]);
    assert_eq!(run.last("loss"), Some(0.1));
    assert_eq!(run.last_step(), Some(10));
    assert_eq!(run.metric_names(), ["loss", "rewards/chosen", "eval_loss"]);
    assert_eq!(run.curve("eval_loss"), [(0.0, 0.5), (3.0, 0.5), (6.0, 0.5), (9.0, 0.5)]);
    assert!(run.remarks.is_empty());
    assert!(text(dir.path(), METRICS_FILE).lines().all(|line| !line.contains("null")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Stopped anywhere, with any part of the file's tail lost after the checkpoint's rows.
    #[test]
    fn a_resumed_file_equals_an_unbroken_one(
        checkpoint in 0_u64..12,
        overrun in 0_u64..6,
        lost in 0_usize..200,
    ) {
        let whole = tempfile::tempdir().unwrap();
        write_steps(&mut MetricsWriter::create(whole.path()).unwrap(), 0..20);

        let broken = tempfile::tempdir().unwrap();
        let mut metrics = MetricsWriter::create(broken.path()).unwrap();
        write_steps(&mut metrics, 0..=checkpoint);
        let durable = text(broken.path(), METRICS_FILE).len();
        write_steps(&mut metrics, checkpoint + 1..=checkpoint + overrun);
        drop(metrics);
        let path = broken.path().join(METRICS_FILE);
        let bytes = fs::read(&path).unwrap();
        let left = bytes.len().saturating_sub(lost).max(durable);
        fs::write(&path, &bytes[..left]).unwrap();

        let mut metrics = MetricsWriter::resume(broken.path(), checkpoint).unwrap();
        write_steps(&mut metrics, checkpoint + 1..20);
        prop_assert_eq!(text(broken.path(), METRICS_FILE), text(whole.path(), METRICS_FILE));
    }
}

#[test]
fn samples_resume_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut samples = SamplesWriter::create(dir.path()).unwrap();
    for step in [0, 10, 20] {
        samples.write(&Sample::new(step, "p\n\"q\"", "c\u{0}").with("reward", 1.0)).unwrap();
    }
    samples.sync().unwrap();
    drop(samples);
    let mut samples = SamplesWriter::resume(dir.path(), 10).unwrap();
    samples.write(&Sample::new(20, "p", "again")).unwrap();
    fs::write(dir.path().join("config.toml"), "seed = 1\n").unwrap();
    let run = RunFolder::open(dir.path()).unwrap();
    let steps: Vec<_> = run.samples.iter().map(|sample| sample.step).collect();
    assert_eq!(steps, [0, 10, 20]);
    assert_eq!(run.samples[1], Sample::new(10, "p\n\"q\"", "c\u{0}").with("reward", 1.0));
    assert_eq!(run.samples[2].completion, "again");
}

#[test]
fn a_new_run_never_overwrites_an_old_one() {
    let dir = tempfile::tempdir().unwrap();
    MetricsWriter::create(dir.path()).unwrap();
    let error = MetricsWriter::create(dir.path()).unwrap_err();
    assert!(matches!(error, ReportError::RunExists { .. }), "{error}");
}

#[test]
fn steps_do_not_go_back_and_names_are_free() {
    let dir = tempfile::tempdir().unwrap();
    let mut metrics = MetricsWriter::create(dir.path()).unwrap();
    metrics.write(&row(5)).unwrap();
    let error = metrics.write(&row(4)).unwrap_err();
    assert!(matches!(error, ReportError::StepWentBack { last: 5, found: 4 }), "{error}");
    let error = metrics.write(&MetricRow::new(6).with("step", 1.0)).unwrap_err();
    assert!(matches!(error, ReportError::ReservedName { .. }), "{error}");
    // Neither refused row left a trace.
    assert_eq!(text(dir.path(), METRICS_FILE).lines().count(), 1);
}

#[test]
fn folders_that_are_no_runs_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let missing = RunFolder::open(&dir.path().join("nothing")).unwrap_err();
    assert!(matches!(missing, ReportError::NoSuchFolder { .. }), "{missing}");
    let empty = RunFolder::open(dir.path()).unwrap_err();
    assert!(matches!(empty, ReportError::NotARun { .. }), "{empty}");
    assert!(empty.to_string().contains("neither config.toml nor metrics.jsonl"));
}

#[test]
fn a_torn_last_line_is_left_out_and_a_bad_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(METRICS_FILE);
    fs::write(&path, "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"lo").unwrap();
    let run = RunFolder::open(dir.path()).unwrap();
    assert_eq!(run.rows.len(), 1);
    assert_eq!(run.remarks, ["the last line of metrics.jsonl is torn and was left out"]);

    fs::write(&path, "{\"step\":1}\n{\"loss\":0.5}\n{\"step\":3}\n").unwrap();
    let error = RunFolder::open(dir.path()).unwrap_err();
    assert!(matches!(error, ReportError::BadLine { line: 2, .. }), "{error}");
    assert!(error.to_string().contains("missing field `step`"), "{error}");

    fs::write(dir.path().join(SAMPLES_FILE), "{\"step\":1,\"prompt\":\"p\"}\n").unwrap();
    fs::write(&path, "").unwrap();
    let error = RunFolder::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("missing field `completion`"), "{error}");
}

#[test]
fn bad_json_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.toml"), "seed = 1\n").unwrap();
    fs::write(dir.path().join("eval_results.json"), "{\"pass@1\": 0.5}").unwrap();
    assert_eq!(RunFolder::open(dir.path()).unwrap().results["eval"]["pass@1"], 0.5);
    fs::write(dir.path().join("facts.json"), "[").unwrap();
    let error = RunFolder::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("facts.json"), "{error}");
}
