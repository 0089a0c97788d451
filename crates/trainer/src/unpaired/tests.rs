//! Losses, reference points and gradients of whole steps on a tiny model.

use std::collections::BTreeSet;
use std::path::Path;

use bestof_losses::Label;
use bestof_models::parameters;
use bestof_report::{RunFolder as Report, RunType};

use super::*;
use crate::config::RunConfig;
use crate::gradients::NamedGradients;
use crate::run::{TrainOptions, train};
use crate::toy::{POISON, Toy, known_metrics, labelled};

pub(crate) use self::config as labelled_config;

pub(crate) fn config(dir: &Path, overrides: &[&str]) -> RunConfig {
    let text = format!(
        "[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir={:?}\n[train]\n\
         per_device_train_batch_size=4\nlearning_rate=0.05\nlr_scheduler_type='constant'\n\
         num_train_epochs=4\neval_steps=4\nsave_steps=5\n\
         [loss]\nname='kto'\nbeta=0.5\ndesirable_weight=1.5\nundesirable_weight=0.75\n",
        dir.join("run").display()
    );
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    RunConfig::from_toml(&text, &overrides).unwrap()
}

fn parts(config: &RunConfig, train: RowSet<EncodedLabelled>) -> UnpairedParts<Toy> {
    let (model, files) = crate::toy::of_config(config);
    UnpairedParts {
        model,
        files,
        loss: config.loss.as_ref().unwrap().build_unpaired().unwrap(),
        train,
        eval: labelled(7),
        max_length: 5,
        settings: config.forward_settings(),
    }
}

fn cache(config: &RunConfig) -> ReferenceCache {
    ReferenceCache::new(config.output.dir.with_file_name("reference"), "hash of the toy")
}

fn new_run(
    config: &RunConfig,
    train: RowSet<EncodedLabelled>,
) -> Result<UnpairedRun<Toy>, TrainError> {
    UnpairedRun::new(parts(config, train), &cache(config), Ranks::default(), &mut Silent)
}

pub(crate) fn new_run_on(
    config: &RunConfig,
    ranks: Ranks<'_>,
) -> Result<UnpairedRun<Toy>, TrainError> {
    UnpairedRun::new(parts(config, labelled(16)), &cache(config), ranks, &mut Silent)
}

fn trained(config: &RunConfig) -> (UnpairedRun<Toy>, Report) {
    trained_on(config, labelled(16))
}

/// Rows whose completions begin alike and are mostly desirable: those of other rows become likelier too,
/// and the reference point rises above 0.
fn agreeing() -> RowSet<EncodedLabelled> {
    let mut set = labelled(16);
    for (row, item) in set.items.iter_mut().enumerate() {
        item.completion.completion_ids = [2, 7, 4, 9][..=row % 4].to_vec();
        item.label = if row % 8 == 7 { Label::Undesirable } else { Label::Desirable };
    }
    set
}

fn trained_on(config: &RunConfig, set: RowSet<EncodedLabelled>) -> (UnpairedRun<Toy>, Report) {
    let mut run = new_run(config, set).unwrap();
    train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    (run, Report::open(&config.output.dir).unwrap())
}

/// The log-probability of a completion after a prompt, by a forward pass of its own.
fn alone(model: &Toy, prompt: &[u32], completion: &[u32], options: &ForwardOptions) -> f64 {
    let row = EncodedCompletion {
        prompt_ids: prompt.to_vec(),
        completion_ids: completion.to_vec(),
        boundary: crate::data::Boundary::Joint,
        skipped: Vec::new(),
        truncated: false,
    };
    let settings = crate::score::ScoreSettings::default();
    score_sums(&model.valid(), &[row], options, settings, "", &mut Silent).unwrap()[0]
}

#[test]
fn before_the_first_update_nothing_differs_from_the_reference() {
    for overrides in [&[][..], &["lora.r=3", "lora.dropout=0.5"]] {
        let dir = tempfile::tempdir().unwrap();
        let (_, report) = trained(&config(dir.path(), overrides));
        let first = &report.rows[0];
        for name in ["kl", "rewards/chosen", "rewards/margins", "displacement", "reference_gap"] {
            assert_eq!(first.get(name), Some(0.0), "{name} under {overrides:?}");
        }
        assert!(first.get("logps/chosen").unwrap() < 0.0);
    }
}

#[test]
fn rewards_part_and_every_metric_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (_, report) = trained(&config(dir.path(), &[]));
    assert!(report.last("rewards/margins").unwrap() > 0.1);
    assert!(
        report.last("eval_rewards/chosen").unwrap() > report.last("eval_rewards/rejected").unwrap()
    );
    let own = [
        "loss",
        "kl",
        "rewards/chosen",
        "rewards/rejected",
        "rewards/margins",
        "logps/chosen",
        "logps/rejected",
        "logps/chosen_vs_ref",
        "displacement",
        "reference_gap",
        "grad_norm",
        "learning_rate",
        "tokens_per_second",
        "epoch",
        "num_tokens",
    ];
    assert_eq!(known_metrics(&report, RunType::Preference), BTreeSet::from(own));
    for row in report.rows.iter().filter(|row| row.get("rewards/rejected").is_some()) {
        let of = |name: &str| row.get(name).unwrap();
        let difference = of("rewards/chosen") - of("rewards/rejected");
        assert!((of("rewards/margins") - difference).abs() < 1e-12, "{difference}");
    }
}

#[test]
fn the_reference_point_is_that_of_separate_forward_passes() {
    for overrides in [&[][..], &["lora.r=2", "lora.dropout=0.5"]] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), overrides);
        let (mut run, report) = trained_on(&config, agreeing());
        assert!(report.last("kl").unwrap() > 0.0, "no step tells apart what is clamped at 0");
        let rows = [9, 3, 14, 0, 7, 12];
        run.begin_step(StepRows::alone(&rows), 16, Ranks::default(), &mut Silent).unwrap();
        let items = &run.train.rows.items;
        let before = parts(&config, labelled(2)).model;
        let mut ratios = Vec::new();
        for (place, &row) in rows.iter().enumerate() {
            let prompt = &items[row].prompt_ids;
            let next = &items[rows[(place + 1) % rows.len()]].completion_ids;
            // Five tokens at most, as the parts say.
            let next = &next[..next.len().min(5 - prompt.len())];
            let policy = alone(&run.model, prompt, next, &ForwardOptions::default());
            ratios.push(policy - alone(&before, prompt, next, &ForwardOptions::reference()));
        }
        let expected = (ratios.iter().sum::<f64>() / ratios.len() as f64).max(0.0);
        assert!((run.step.z0 - expected).abs() < 1e-6, "{} against {expected}", run.step.z0);
        assert_eq!((run.step.desirable, run.step.undesirable), (5, 1), "row 7 is undesirable");
    }
}

/// The mean loss of all rows as a function of the model, reference and reference point fixed.
fn mean_loss(model: &Toy, run: &UnpairedRun<Toy>) -> f64 {
    let options = ForwardOptions::default();
    let losses = run.train.rows.items.iter().enumerate().map(|(row, item)| {
        let logp = alone(model, &item.prompt_ids, &item.completion_ids, &options);
        let (ref_logp, label) = (run.train.reference[row], run.train.labels[row]);
        run.loss.terms(&UnpairedLogps { logp, ref_logp, label }, run.step.z0).unwrap().loss
    });
    losses.sum::<f64>() / run.train.rows.len() as f64
}

#[test]
fn gradients_are_those_of_the_mean_loss_with_the_reference_point_fixed() {
    for overrides in [&[][..], &["lora.r=2"]] {
        let dir = tempfile::tempdir().unwrap();
        let (mut run, _) = trained_on(&config(dir.path(), overrides), agreeing());
        let rows: Vec<usize> = (0..16).collect();
        run.begin_step(StepRows::alone(&rows), 16, Ranks::default(), &mut Silent).unwrap();
        assert!(run.step.z0 > 0.0);
        let context = StepContext {
            step: 16,
            update: 0,
            loss_weight: 16.0,
            dropout_seed: 1,
            ..StepContext::default()
        };
        let mut sum = NamedGradients::default();
        for micro_batch in [&rows[..5], &rows[5..]] {
            let part = run.accumulate(micro_batch, &context).unwrap();
            sum.accumulate(run.model(), part.gradients);
        }
        let mut largest: f64 = 0.0;
        for info in parameters::trainable(run.model()) {
            let gradient = sum.values(&info.name);
            let h = 5e-3;
            for at in (0..info.len()).step_by(5) {
                let moved = |by: f32| {
                    let mut model = run.model().clone();
                    parameters::update(&mut model, &mut |name, old| {
                        if name != info.name {
                            return old;
                        }
                        let mut values = host_values(old);
                        values[at] += by;
                        burn::tensor::Tensor::from_floats(
                            values.as_slice(),
                            &bestof_models::Device::flex(),
                        )
                    });
                    mean_loss(&model, &run)
                };
                let numeric = (moved(h) - moved(-h)) / f64::from(2.0 * h);
                let found = f64::from(gradient[at]);
                largest = largest.max(numeric.abs());
                assert!(
                    (found - numeric).abs() < 2e-2 * numeric.abs().max(5e-3),
                    "{}[{at}]: {found} against {numeric}",
                    info.name
                );
            }
        }
        assert!(largest > 5e-3, "gradients too small to tell: {largest}");
    }
}

#[test]
fn the_cut_into_micro_batches_changes_nothing() {
    let run = |overrides: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let (run, report) = trained(&config(dir.path(), overrides));
        (host_values(parameters::values(&run.model, "table.weight").unwrap()), report)
    };
    let size = |rows: &'static str, times: &'static str| [rows, times];
    let (weights, expected) =
        run(&size("train.per_device_train_batch_size=8", "train.gradient_accumulation_steps=1"));
    let small = size("train.per_device_train_batch_size=1", "train.gradient_accumulation_steps=8");
    for overrides in [&small[..], &[small[0], small[1], "train.max_tokens_per_forward=9"]] {
        let (found, report) = run(overrides);
        for (a, b) in weights.iter().zip(&found) {
            assert!((a - b).abs() < 1e-4, "{a} against {b}");
        }
        for name in ["kl", "loss", "rewards/margins", "logps/rejected", "eval_kl", "eval_loss"] {
            let (a, b) = (expected.curve(name), report.curve(name));
            assert!(!a.is_empty() && a.len() == b.len(), "{name}");
            for (a, b) in a.iter().zip(&b) {
                assert!((a.1 - b.1).abs() < 1e-4, "{name}: {a:?} against {b:?}");
            }
        }
    }
}

#[test]
fn an_interrupted_run_ends_as_a_straight_one() {
    struct Stop(u64);
    impl Progress for Stop {
        fn step(&mut self, progress: &crate::progress::StepProgress) {
            self.0 = progress.step;
        }
        fn wants_stop(&mut self) -> bool {
            self.0 % 3 == 1
        }
    }
    for overrides in [&[][..], &["lora.r=3", "lora.dropout=0.5"]] {
        let whole = tempfile::tempdir().unwrap();
        let (straight, expected) = trained(&config(whole.path(), overrides));
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), overrides);
        let options = TrainOptions { resume: true, ..TrainOptions::default() };
        let resumed = loop {
            let mut run = new_run(&config, labelled(16)).unwrap();
            match train(&mut run, &config.train_settings(), &options, &mut Stop(0)) {
                Ok(_) => break run,
                Err(TrainError::Stopped { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        };
        for info in parameters::trainable(straight.model()) {
            let values = |run: &UnpairedRun<Toy>| {
                host_values(parameters::values(run.model(), &info.name).unwrap())
            };
            assert_eq!(values(&straight), values(&resumed), "{}", info.name);
        }
        let found = Report::open(&config.output.dir).unwrap();
        for name in expected.metric_names() {
            if !bestof_report::TIMING_METRICS.contains(&name) {
                assert_eq!(found.curve(name), expected.curve(name), "{name}");
            }
        }
    }
}

#[test]
fn a_step_of_one_row_is_refused_before_training() {
    let check = |rows: usize, overrides: &[&str]| {
        let settings = config(Path::new("d"), overrides).train_settings();
        check_steps(rows, &settings).map_err(|error| error.to_string())
    };
    let single = "train.per_device_train_batch_size=1";
    for (rows, overrides) in [(17, &[][..]), (16, &[single]), (1, &[])] {
        let error = check(rows, overrides).unwrap_err();
        assert!(error.contains("train.per_device_train_batch_size"), "{error}");
    }
    assert_eq!(check(16, &[]), Ok(()));
    assert_eq!(check(18, &[]), Ok(()));
    assert_eq!(check(16, &[single, "train.gradient_accumulation_steps=2"]), Ok(()));
    assert_eq!(check(17, &["train.max_steps=4"]), Ok(()), "the fifth step is never made");
    assert!(check(17, &["train.max_steps=5"]).is_err());

    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    let mut run = new_run(&config, labelled(16)).unwrap();
    let error = run
        .begin_step(StepRows::alone(&[3]), 0, Ranks::default(), &mut Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("train.per_device_train_batch_size"), "{error}");
    let mut parts = parts(&config, labelled(16));
    parts.eval = labelled(1);
    let error = UnpairedRun::new(parts, &cache(&config), Ranks::default(), &mut Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("data.eval"), "{error}");
}

#[test]
fn rows_of_one_label_are_trained_on_with_a_notice() {
    #[derive(Default)]
    struct Heard(Vec<String>);
    impl Progress for Heard {
        fn notice(&mut self, text: &str) {
            self.0.push(text.to_owned());
        }
    }
    for (label, word) in [(Label::Desirable, "desirable"), (Label::Undesirable, "undesirable")] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), &[]);
        let mut set = labelled(16);
        set.items.iter_mut().for_each(|item| item.label = label);
        let mut heard = Heard::default();
        let mut run =
            UnpairedRun::new(parts(&config, set), &cache(&config), Ranks::default(), &mut heard)
                .unwrap();
        assert!(heard.0[0].contains(&format!("all 16 training rows are {word}")), "{:?}", heard.0);
        train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
        let report = Report::open(&config.output.dir).unwrap();
        assert_eq!(report.curve("rewards/margins"), [], "there is nothing to subtract");
        assert!(report.last("loss").unwrap().is_finite());
    }
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    let mut heard = Heard::default();
    UnpairedRun::new(parts(&config, labelled(16)), &cache(&config), Ranks::default(), &mut heard)
        .unwrap();
    assert_eq!(heard.0, Vec::<String>::new());
}

#[test]
fn labels_are_part_of_the_fingerprint_and_not_of_the_reference() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    let run = new_run(&config, labelled(16)).unwrap();
    let mut flipped = labelled(16);
    flipped.items[5].label = Label::Undesirable;
    let other = new_run(&config, flipped).unwrap();
    assert_ne!(run.fingerprint(), other.fingerprint());
    assert_eq!(run.cache_file, other.cache_file);
}

#[test]
fn rows_without_a_finite_log_probability_are_named_before_training() {
    let dir = tempfile::tempdir().unwrap();
    let mut set = labelled(16);
    set.items[11].completion.completion_ids = vec![1, POISON];
    let error = new_run(&config(dir.path(), &[]), set).unwrap_err();
    let TrainError::LossNotFinite { rows, .. } = error else { panic!("{error}") };
    assert_eq!(rows, ["toy.jsonl:12"]);
}
