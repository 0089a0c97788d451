//! Losses, references and gradients of whole batches on a tiny model.

use std::path::Path;

use bestof_losses::{LossName, LossParameters};
use bestof_models::parameters;
use bestof_report::{RunFolder as Report, RunType};

use super::*;
use crate::config::RunConfig;
use crate::gradients::NamedGradients;
use crate::progress::Silent;
use crate::run::{TrainOptions, train};
use crate::score::ScoreSettings;
use crate::toy::{POISON, Toy, all_metrics, known_metrics, pairs};

pub(crate) use self::config as pairs_config;

pub(crate) fn config(dir: &Path, overrides: &[&str]) -> RunConfig {
    let text = format!(
        "[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir={:?}\n[train]\n\
         per_device_train_batch_size=4\nlearning_rate=0.05\nlr_scheduler_type='constant'\n\
         num_train_epochs=4\neval_steps=4\nsave_steps=5\n[loss]\n[displacement]\n",
        dir.join("run").display()
    );
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    RunConfig::from_toml(&text, &overrides).unwrap()
}

fn loss(config: &RunConfig) -> Box<dyn PreferenceLoss> {
    config.loss.as_ref().unwrap().build().unwrap()
}

fn parts(config: &RunConfig, train: RowSet<EncodedPair>) -> PreferenceParts<Toy> {
    let (model, files) = crate::toy::of_config(config);
    PreferenceParts {
        model,
        files,
        loss: loss(config),
        train,
        eval: pairs(8),
        length_factor: config.loss.as_ref().unwrap().length_factor().unwrap(),
        settings: config.forward_settings(),
        detector: DisplacementDetector::new(
            config.displacement.as_ref().map(Into::into).unwrap_or_default(),
        ),
        decode: Box::new(|ids| format!("{ids:?}")),
    }
}

fn cache(config: &RunConfig) -> ReferenceCache {
    ReferenceCache::new(config.output.dir.with_file_name("reference"), "hash of the toy")
}

fn new_run(
    config: &RunConfig,
    train: RowSet<EncodedPair>,
) -> Result<PreferenceRun<Toy>, TrainError> {
    PreferenceRun::new(parts(config, train), &cache(config), Ranks::default(), &mut Silent)
}

pub(crate) fn new_run_on(
    config: &RunConfig,
    ranks: Ranks<'_>,
) -> Result<PreferenceRun<Toy>, TrainError> {
    PreferenceRun::new(parts(config, pairs(16)), &cache(config), ranks, &mut Silent)
}

fn trained(config: &RunConfig) -> (PreferenceRun<Toy>, Report) {
    let mut run = new_run(config, pairs(16)).unwrap();
    train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
    (run, Report::open(&config.output.dir).unwrap())
}

#[test]
fn before_the_first_update_every_margin_is_exactly_zero() {
    for overrides in [
        &["loss.name=dpo"][..],
        &["loss.name=dpop", "lora.r=3", "lora.dropout=0.5"],
        &["loss.name=dpop"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (_, report) = trained(&config(dir.path(), overrides));
        let first = &report.rows[0];
        for name in [
            "rewards/chosen",
            "rewards/rejected",
            "rewards/margins",
            "rewards/accuracies",
            "logps/chosen_vs_ref",
            "displacement",
            "reference_gap",
        ] {
            assert_eq!(first.get(name), Some(0.0), "{name} under {overrides:?}");
        }
        assert!((first.get("loss").unwrap() - 2f64.ln()).abs() < 1e-12);
        assert!(first.get("logps/chosen").unwrap() < 0.0);
    }
}

#[test]
fn margins_grow_and_dpop_keeps_the_chosen_answers() {
    let dpo = tempfile::tempdir().unwrap();
    let (_, dpo) = trained(&config(dpo.path(), &["loss.name=dpo", "loss.beta=0.3"]));
    let dpop = tempfile::tempdir().unwrap();
    let (_, dpop) = trained(&config(dpop.path(), &["loss.name=dpop"]));
    for report in [&dpo, &dpop] {
        assert!(report.last("rewards/margins").unwrap() > 0.1);
        assert!(report.last("eval_rewards/accuracies").unwrap() > 0.5);
        assert!(report.metric_names().contains(&"eval_displacement"));
    }
    assert!(dpop.metric_names().contains(&"dpop/penalty"));
    assert!(!dpo.metric_names().contains(&"dpop/penalty"));
    known_metrics(&dpo, RunType::Preference);
    let mut all = all_metrics(RunType::Preference);
    assert!(all.remove("kl"), "only runs on labelled answers have a reference point");
    assert_eq!(known_metrics(&dpop, RunType::Preference), all);
    let change = |report: &Report| report.last("logps/chosen_vs_ref").unwrap();
    assert!(change(&dpop) > change(&dpo), "{} against {}", change(&dpop), change(&dpo));
}

/// The mean loss of all pairs as a function of the model, reference fixed, from summed log-probabilities.
fn mean_loss(model: &Toy, run: &PreferenceRun<Toy>) -> f64 {
    let items = &run.parts.train.items;
    let options = ForwardOptions::default();
    let scores =
        score_pairs(model, items, &options, ScoreSettings::default(), "", &mut Silent).unwrap();
    let losses = scores
        .iter()
        .zip(&run.train_reference)
        .map(|(score, reference)| run.parts.loss.terms(&run.logps(score, reference)).unwrap().loss);
    losses.sum::<f64>() / items.len() as f64
}

/// Pairs whose answers differ in length, every other one the other way round.
fn uneven_pairs() -> RowSet<EncodedPair> {
    let mut set = pairs(16);
    for (i, pair) in set.items.iter_mut().enumerate() {
        let longer = if i % 2 == 0 { &mut pair.rejected_ids } else { &mut pair.chosen_ids };
        longer.extend([5, i as u32 % 9]);
    }
    set
}

#[test]
fn gradients_are_those_of_the_mean_loss() {
    for overrides in [
        &["loss.name=dpop"][..],
        &["loss.name=ipo"],
        &["loss.name=dpop", "lora.r=2"],
        &["loss.name=dpo", "loss.ld_alpha=0.3"],
        &["loss.name=dpo", "loss.sft_alpha=0.5", "loss.divergence=forward-kl"],
        &["loss.name=dpo", "loss.weight=0.5", "loss.more=[{name=\"hinge\"}]"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path(), overrides);
        let mut run = new_run(&config, uneven_pairs()).unwrap();
        train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent).unwrap();
        let rows: Vec<usize> = (0..16).collect();
        // Two uneven micro-batches of one step.
        let context = StepContext {
            step: 7,
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
        for info in parameters::trainable(run.model()) {
            let gradient = sum.values(&info.name);
            let h = 5e-3;
            for at in (0..info.len()).step_by(7) {
                let moved = |by: f32| {
                    let mut model = run.model().clone();
                    parameters::update(&mut model, &mut |name, old| {
                        if name == info.name {
                            let mut values = bestof_kernels::host_values(old);
                            values[at] += by;
                            burn::tensor::Tensor::from_floats(
                                values.as_slice(),
                                &bestof_models::Device::flex(),
                            )
                        } else {
                            old
                        }
                    });
                    mean_loss(&model, &run)
                };
                let numeric = (moved(h) - moved(-h)) / f64::from(2.0 * h);
                let found = f64::from(gradient[at]);
                assert!(
                    (found - numeric).abs() < 2e-2 * numeric.abs().max(0.05),
                    "{}[{at}]: {found} against {numeric}",
                    info.name
                );
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
    let overrides = ["loss.name=dpop", "lora.r=3", "lora.dropout=0.5"];
    let whole = tempfile::tempdir().unwrap();
    let (straight, expected) = trained(&config(whole.path(), &overrides));
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &overrides);
    let options = TrainOptions { resume: true, ..TrainOptions::default() };
    let resumed = loop {
        let mut run = new_run(&config, pairs(16)).unwrap();
        match train(&mut run, &config.train_settings(), &options, &mut Stop(0)) {
            Ok(_) => break run,
            Err(TrainError::Stopped { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    };
    for info in parameters::trainable(straight.model()) {
        let values = |run: &PreferenceRun<Toy>| {
            bestof_kernels::host_values(parameters::values(run.model(), &info.name).unwrap())
        };
        assert_eq!(values(&straight), values(&resumed), "{}", info.name);
    }
    let found = Report::open(&config.output.dir).unwrap();
    for name in expected.metric_names() {
        if !bestof_report::TIMING_METRICS.contains(&name) {
            assert_eq!(found.curve(name), expected.curve(name), "{name}");
        }
    }
    let adapter = config.output.dir.join("checkpoints/step-000016/adapter_model.safetensors");
    let weights = bestof_checkpoints::Weights::open(&adapter).unwrap();
    assert!(weights.contains("base_model.model.table.lora_B.weight"));
    assert_eq!(weights.infos().len(), 2, "adapters only");
}

#[test]
fn the_reference_is_computed_once_and_a_damaged_cache_anew() {
    #[derive(Default)]
    struct Heard {
        computed: usize,
        notices: Vec<String>,
    }
    impl Progress for Heard {
        fn rows(&mut self, what: &str, _: usize, _: usize) {
            self.computed += usize::from(what == "reference");
        }
        fn notice(&mut self, text: &str) {
            self.notices.push(text.to_owned());
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    let set = pairs(16);
    let cache = cache(&config);
    let scores = |model: &Toy, cache: &ReferenceCache| {
        let mut heard = Heard::default();
        let settings = ScoreSettings::default();
        (cache.scores(model, &set, settings, &mut heard).unwrap(), heard)
    };
    let (first, heard) = scores(&Toy::new(), &cache);
    assert!(heard.computed > 0);
    let (second, heard) = scores(&Toy::new(), &cache);
    assert_eq!((second, heard.computed), (first.clone(), 0));

    let file = cache.file(&set.items);
    let text = std::fs::read_to_string(&file).unwrap();
    for damaged in [&text[..text.len() / 2], &text.replacen("-1", "-2", 1), "", "not json\n"] {
        std::fs::write(&file, damaged).unwrap();
        let (again, heard) = scores(&Toy::new(), &cache);
        assert_eq!(again, first);
        assert!(heard.computed > 0 && heard.notices[0].contains("damaged"), "{:?}", heard.notices);
    }
    let other = ReferenceCache::new(file.parent().unwrap(), "another model");
    assert_ne!(other.file(&set.items), file);
    assert_ne!(cache.file(&set.items[1..]), file);
}

#[test]
fn a_reference_of_another_model_is_found_before_the_first_update() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    let mut other = Toy::new();
    parameters::update(&mut other, &mut |_, values| values * 1.5);
    let (set, settings) = (pairs(16), ScoreSettings::default());
    cache(&config).scores(&other, &set, settings, &mut Silent).unwrap();
    let mut run = new_run(&config, set).unwrap();
    let error = train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut Silent)
        .unwrap_err();
    let TrainError::ReferenceMismatch { gap, row, .. } = &error else { panic!("{error}") };
    assert!(*gap > 0.01 && row.starts_with("pairs.jsonl:"), "{error}");
}

#[test]
fn displacement_is_reported_and_fails_the_run_if_asked_to() {
    #[derive(Default)]
    struct Heard(Vec<DisplacementWarning>);
    impl Progress for Heard {
        fn displaced(&mut self, warning: &DisplacementWarning) {
            self.0.push(warning.clone());
        }
    }
    let dir = tempfile::tempdir().unwrap();
    // A threshold of zero and answers that share most tokens: DPO alone displaces some.
    let overrides = ["loss.name=dpo", "displacement.threshold=0.0", "displacement.patience=1"];
    let mut failing = overrides.to_vec();
    failing.push("displacement.fail=true");
    let falling = |overrides: &[&str], dir: &Path| {
        let config = config(dir, overrides);
        let mut parts = parts(&config, pairs(16));
        // Training on swapped pairs makes the held-out chosen answers fall for sure.
        for pair in &mut parts.train.items {
            std::mem::swap(&mut pair.chosen_ids, &mut pair.rejected_ids);
        }
        let mut run =
            PreferenceRun::new(parts, &cache(&config), Ranks::default(), &mut Silent).unwrap();
        let mut heard = Heard::default();
        let outcome =
            train(&mut run, &config.train_settings(), &TrainOptions::default(), &mut heard);
        (outcome, heard.0, run)
    };
    let (outcome, warnings, run) = falling(&overrides, dir.path());
    assert!(outcome.is_ok());
    assert_eq!(warnings.len(), 1, "one fall is reported once");
    assert_eq!(warnings[0].step, 4);
    assert!(warnings[0].mean < 0.0 && warnings[0].worst[0].delta < 0.0);
    assert!(warnings[0].worst[0].first_difference.is_some());
    assert!(!run.displaced_pairs(3).is_empty());
    assert_eq!(run.edit_distances().values().sum::<u64>(), 16);

    let dir = tempfile::tempdir().unwrap();
    let (outcome, _, _) = falling(&failing, dir.path());
    assert!(matches!(outcome.unwrap_err(), TrainError::Displaced(_)));
    assert!(dir.path().join("run/checkpoints/step-000004/manifest.json").exists());
}

#[test]
fn a_pair_without_a_finite_log_probability_is_named_before_training() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    let mut set = pairs(16);
    set.items[11].rejected_ids = vec![1, POISON];
    let TrainError::LossNotFinite { rows, .. } = new_run(&config, set).unwrap_err() else {
        panic!()
    };
    assert_eq!(rows, ["pairs.jsonl:12"]);
}

#[test]
fn a_configured_loss_has_its_published_defaults_and_refuses_what_it_does_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let build = |overrides: &[&str]| config(dir.path(), overrides).loss.unwrap().build();
    let default = LossName::Dpop.build(&LossParameters::of(LossName::Dpop)).unwrap();
    let logps =
        PairLogps { chosen: -3.0, rejected: -2.0, ref_chosen: -2.5, ..PairLogps::default() };
    let found = build(&["loss.name=dpop"]).unwrap().terms(&logps).unwrap();
    assert_eq!(found, default.terms(&logps).unwrap());
    let stronger = build(&["loss.name=dpop", "loss.lambda=5"]).unwrap().terms(&logps).unwrap();
    assert_ne!(found, stronger);
    assert!(build(&["loss.name=dpoo"]).unwrap_err().to_string().contains("dpo"));
    assert!(build(&["loss.name=dpo", "loss.lambda=5"]).unwrap_err().to_string().contains("lambda"));
    assert!(build(&["loss.name=dpo", "loss.beta=-1"]).is_err());
}

/// Sixteen copies of a pair, a forest each: with the same masks in all they would be one pair.
#[test]
fn every_row_has_its_own_dropout_masks() {
    let gradient = |dropout: &str, copies: usize| {
        let dir = tempfile::tempdir().unwrap();
        let overrides = ["loss.name=dpo", "lora.r=4", dropout, "train.max_tokens_per_forward=4"];
        let mut set = pairs(16);
        set.items = vec![set.items[3].clone(); copies];
        set.names.truncate(copies);
        let mut run = new_run(&config(dir.path(), &overrides), set).unwrap();
        parameters::update(run.model_mut(), &mut |_, old| old.add_scalar(0.3));
        let rows: Vec<usize> = (0..copies).collect();
        let loss_weight = copies as f64;
        let context = StepContext {
            step: 7,
            update: 0,
            loss_weight,
            dropout_seed: 1,
            ..StepContext::default()
        };
        let sum = run.accumulate(&rows, &context).unwrap();
        let gradients = NamedGradients::of(run.model(), sum.gradients);
        (sum.metrics.mean("loss").unwrap(), gradients.values("table.lora_B.weight"))
    };
    let apart = |a: (f64, Vec<f32>), b: (f64, Vec<f32>)| {
        let gradients = a.1.iter().zip(&b.1).any(|(a, b)| (a - b).abs() > 1e-4);
        (gradients, (a.0 - b.0).abs() > 1e-4)
    };
    let [dry, wet] = ["lora.dropout=0.0", "lora.dropout=0.5"];
    assert_eq!(apart(gradient(dry, 1), gradient(dry, 16)), (false, false));
    assert_eq!(apart(gradient(wet, 1), gradient(wet, 16)), (true, true));
}

#[test]
fn tokens_beyond_the_shorter_answer_count_by_the_length_factor() {
    let dir = tempfile::tempdir().unwrap();
    let run = |factor: &str| {
        let config = config(dir.path(), &["loss.name=dpo", factor]);
        let run = new_run(&config, uneven_pairs()).unwrap();
        let score = run.train_reference[0];
        let none = PairScore { chosen: 0.0, rejected: 0.0, tail: 0.0, ..score };
        (run.logps(&score, &none), score)
    };
    let (whole, score) = run("loss.ld_alpha=1.0");
    assert_ne!(score.chosen_len, score.rejected_len, "a pair of unequal lengths");
    let (half, _) = run("loss.ld_alpha=0.5");
    let (cut, _) = run("loss.ld_alpha=0.0");
    let longer = |logps: &PairLogps| {
        if score.chosen_len > score.rejected_len { logps.chosen } else { logps.rejected }
    };
    assert_eq!(longer(&whole) - longer(&cut), score.tail);
    assert_eq!(longer(&half), 0.5 * (longer(&whole) + longer(&cut)));
    assert!(score.tail < 0.0);
}
