//! Runs stopped after every step, and killed between sampling and update.

use super::*;

/// Files of the last checkpoint, rows of metrics, and the samples.
type Remains = (BTreeMap<String, Vec<u8>>, Vec<Vec<(String, f64)>>, Vec<u8>);

/// Everything a run leaves that is not measured by the clock.
fn remains(dir: &Path) -> Remains {
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
        match train(&mut run, &config.train_settings(), &options(), &mut StopEach) {
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
            train(&mut run, &config.train_settings(), &options(), &mut Killed(survived))
        }));
        assert!(dead.is_err(), "it was killed");
    }
    let config = make(killed.path());
    let mut run = new_run(&config, Judge::Fails);
    train(&mut run, &config.train_settings(), &options(), &mut Silent).unwrap();
    assert_eq!(remains(&config.output.dir), expected);
}

/// Stops after every step.
struct StopEach;

impl Progress for StopEach {
    fn wants_stop(&mut self) -> bool {
        true
    }
}
