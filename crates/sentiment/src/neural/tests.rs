//! Training, saving and prediction with models of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bestof_closeness::{assert_close_in, largest_magnitude};
use bestof_models::encoder::{self, Encoder, EncoderConfig, Loader};
use bestof_models::{Device, parameters};
use bestof_report::{RunFolder, RunType, metric, metric_names};
use bestof_trainer::model_files::ModelFiles;
use bestof_trainer::progress::Silent;
use bestof_trainer::run::{Accumulated, StepContext, TrainOptions, TrainingRun};
use burn::tensor::{Tensor, TensorData};

use super::classifier::{SETTINGS_FILE, VOCABULARY_FILE};
use super::encoded::EncodedReview;
use super::encoder::TextEncoder;
use super::fixture::{bert_folder, config, newest_checkpoint, reviews, trained, trained_in_parts};
use super::init::Init;
use super::model::NeuralModel;
use super::run::NeuralRun;
use super::shape::ModelShape;
use super::tokenizer::ReviewTokenizer;
use super::vocabulary::Vocabulary;
use super::*;
use crate::attribution::AttributionTarget;
use crate::model::{self, MODEL_FILE};
use crate::{Dataset, Example, Predictor, SentimentError};
use bestof_kernels::host_values;

const KINDS: [&str; 6] = ["bert", "bert-mt-joint", "cnn", "cnn-mt-joint", "han", "han-mt-joint"];

fn fresh_run(kind: &str, more: &[&str], data: &Dataset) -> NeuralRun {
    let encoder = bert_folder();
    let config = config(kind, encoder.path(), Path::new("unused"), more);
    let settings = config.sentiment.clone();
    let device = Device::flex().autodiff();
    let init = Init::Random(3);
    let meta_features = data.features.width();
    let (model, tokenizer) = if kind.starts_with("bert") {
        let weights = bestof_checkpoints::Weights::open(encoder.path()).unwrap();
        let text = std::fs::read(encoder.path().join("config.json")).unwrap();
        let bert = EncoderConfig::from_hf(&serde_json::from_slice(&text).unwrap()).unwrap();
        let mut loader = Loader::reading(&weights, &device);
        let bert = Encoder::load(&mut loader, &bert).unwrap();
        let tokenizer = ReviewTokenizer::pieces(encoder.path(), &settings).unwrap();
        let encoder = TextEncoder::pretrained(bert, &mut loader, init, &settings).unwrap();
        let shape = ModelShape { settings, meta_features, words: 0 };
        (NeuralModel::load(&mut loader, init, shape, encoder).unwrap(), tokenizer)
    } else {
        let vocabulary = Vocabulary::fit(data.examples.iter().map(|e| &e.text), 100, 1);
        let words = vocabulary.len();
        let tokenizer = ReviewTokenizer::words(vocabulary, &settings);
        let mut loader = Loader::drawing(3, 1.0, &device);
        let encoder = if kind.starts_with("cnn") {
            TextEncoder::cnn(&mut loader, init, words, &settings).unwrap()
        } else {
            TextEncoder::han(&mut loader, init, words, &settings).unwrap()
        };
        let shape = ModelShape { settings, meta_features, words };
        (NeuralModel::load(&mut loader, init, shape, (encoder, None)).unwrap(), tokenizer)
    };
    let rows: Vec<EncodedReview> = data
        .examples
        .iter()
        .map(|example| EncodedReview::labelled(example, &tokenizer, model.shape()).unwrap())
        .collect();
    let names = data.examples.iter().map(|example| format!("row {}", example.row)).collect();
    let files = ModelFiles::Full { config: serde_json::json!({}) };
    NeuralRun::new(model, files, (rows, names), Vec::new(), config.run.forward_settings())
}

fn context(rows: usize) -> StepContext<'static> {
    StepContext {
        step: 0,
        update: 0,
        loss_weight: rows as f64,
        dropout_seed: 9,
        ..StepContext::default()
    }
}

/// Gradients and loss of the first rows.
fn gradients(run: &mut NeuralRun, rows: usize) -> (BTreeMap<String, Tensor<1>>, f64) {
    let all: Vec<usize> = (0..rows).collect();
    let found = run.accumulate(&all, &context(rows)).unwrap();
    let gradients = parameters::named_gradients(run.model(), found.gradients);
    (gradients, found.metrics.mean("loss").unwrap())
}

/// Adds `by` to one value of one parameter.
fn nudge(run: &mut NeuralRun, name: &str, at: usize, by: f32) {
    parameters::update(run.model_mut(), &mut |found, old| {
        if found != name {
            return old;
        }
        let device = old.device();
        let mut values = host_values(old);
        values[at] += by;
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), &device)
    });
}

#[test]
fn gradients_of_every_parameter_are_differences_of_the_loss() {
    let data = reviews(5, 0);
    for (kind, more) in [
        ("bert-mt-joint", vec!["sentiment.labels=both", "sentiment.class_weights=balanced"]),
        ("bert-mt", vec!["sentiment.pooling=mean", "sentiment.weighting=fixed"]),
        ("cnn-mt-joint", vec!["sentiment.labels=binary"]),
        ("han-mt-joint", vec![]),
    ] {
        let mut run = fresh_run(kind, &more, &data);
        // Off the kink on which a ReLU of zeros stands.
        parameters::update(run.model_mut(), &mut |_, old| {
            let moved = (0..old.dims()[0]).map(|i| (i * 37 % 101) as f32 / 2020.0 - 0.025);
            let moved: Vec<f32> = moved.collect();
            let device = old.device();
            old + Tensor::from_data(moved.as_slice(), &device)
        });
        let (found, _) = gradients(&mut run, 5);
        let names: Vec<_> = parameters::trainable(run.model());
        let mut compared = 0;
        for info in names {
            let gradient = host_values(found.get(&info.name).expect(&info.name).clone());
            // The value with the largest gradient.
            let at = (0..gradient.len())
                .max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs()))
                .unwrap();
            let step = 1e-3;
            let mut loss = |by: f32| {
                nudge(&mut run, &info.name, at, by);
                let loss = gradients(&mut run, 5).1;
                nudge(&mut run, &info.name, at, -by);
                loss
            };
            let slope = (loss(step) - loss(-step)) / (2.0 * f64::from(step));
            let expected = f64::from(gradient[at]);
            let error = (slope - expected).abs();
            assert!(
                error < 2e-3 + 0.02 * expected.abs(),
                "{kind} {}: {slope} against {expected}",
                info.name
            );
            compared += usize::from(expected.abs() > 1e-3);
        }
        assert!(compared > 10, "{kind}: {compared} slopes are large enough");
    }
}

#[test]
fn a_second_task_without_weight_changes_nothing() {
    let data = reviews(6, 0);
    for architecture in ["bert", "cnn", "han"] {
        let mut single = fresh_run(&format!("{architecture}-joint"), &[], &data);
        let more = ["sentiment.weighting=fixed", "sentiment.star_weight=1.0"];
        let mut both = fresh_run(&format!("{architecture}-mt-joint"), &more, &data);
        let (expected, loss) = gradients(&mut single, 6);
        let (found, with) = gradients(&mut both, 6);
        assert_eq!(loss, with);
        for (name, gradient) in &expected {
            assert_eq!(
                host_values(gradient.clone()),
                host_values(found.get(name).unwrap().clone()),
                "{name}"
            );
        }
        let head = host_values(found.get("sentiment.weight").unwrap().clone());
        assert!(head.iter().all(|value| *value == 0.0));
    }
}

#[test]
fn dividing_a_batch_changes_rounding_only() {
    let data = reviews(12, 0);
    for kind in KINDS {
        let more = ["sentiment.dropout=0.0", "train.max_tokens_per_forward=100000"];
        let mut whole = fresh_run(kind, &more, &data);
        if kind.starts_with("bert") {
            // Dropout inside the encoder depends on the position of a row in its batch.
            without_dropout(&mut whole);
        }
        let (expected, loss) = gradients(&mut whole, 12);
        let (mut sum, mut total) = (Accumulated::default(), 0.0);
        for rows in [[3_usize, 0, 8].as_slice(), &[1, 2, 11, 10], &[4], &[5, 6, 7, 9]] {
            let part = whole.accumulate(rows, &context(12)).unwrap();
            sum.add_gradients(whole.model(), part.gradients);
            total += part.metrics.mean("loss").unwrap() * rows.len() as f64;
        }
        assert!((total / 12.0 - loss).abs() < 1e-5, "{kind}");
        let found = parameters::named_gradients(whole.model(), sum.gradients);
        for (name, gradient) in &expected {
            let (a, b) =
                (host_values(gradient.clone()), host_values(found.get(name).unwrap().clone()));
            let tolerance = 2e-5 * largest_magnitude(&a).max(1.0);
            assert_close_in(format!("{kind} {name}"), &b, &a, tolerance);
        }
    }
}

fn without_dropout(run: &mut NeuralRun) {
    let dir = tempfile::tempdir().unwrap();
    encoder::save(
        run.model(),
        &serde_json::json!({}),
        dir.path(),
        bestof_checkpoints::StoredType::F32,
    )
    .unwrap();
    let weights = bestof_checkpoints::Weights::open(dir.path()).unwrap();
    let device = Device::flex().autodiff();
    let mut loader = Loader::reading(&weights, &device);
    let config = EncoderConfig {
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        ..EncoderConfig::from_hf(&run.model().config_json()).unwrap()
    };
    let bert = Encoder::load(&mut loader, &config).unwrap();
    let shape = run.model().shape().clone();
    let init = Init::Stored;
    let encoder = TextEncoder::pretrained(bert, &mut loader, init, &shape.settings).unwrap();
    *run.model_mut() = NeuralModel::load(&mut loader, init, shape, encoder).unwrap();
}

#[test]
fn a_saved_model_predicts_the_same_whatever_the_order_of_rows() {
    let encoder = bert_folder();
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let run = trained(kind, dir.path(), encoder.path(), &["sentiment.labels=both"]);
        let asked = reviews(30, 500);
        let expected = run.classifier.predict(&asked.examples).unwrap();
        // A run folder is opened as the model in it.
        let opened = model::open(dir.path(), "cpu").unwrap();
        assert_eq!(opened.predict(&asked.examples).unwrap(), expected, "{kind}");
        let kept = NeuralClassifier::open(&run.model, "cpu").unwrap();
        assert_eq!(kept.settings(), run.classifier.settings());
        assert_eq!((opened.card().trained_on, &opened.card().restaurants), (22, &vec![8, 7, 7]));

        // One by one, and in another order: the same up to rounding.
        let mut reversed = asked.examples.clone();
        reversed.reverse();
        let back = opened.predict(&reversed).unwrap();
        let (stars, again) = (expected.stars.unwrap(), back.stars.unwrap());
        for (row, (example, stars)) in asked.examples.iter().zip(&stars).enumerate() {
            let alone = opened.predict(std::slice::from_ref(example)).unwrap();
            let positive = expected.positive.as_ref().unwrap()[row];
            assert!((alone.positive.unwrap()[0] - positive).abs() < 1e-5);
            for (class, share) in stars.iter().enumerate() {
                assert!((share - alone.stars.as_ref().unwrap()[0][class]).abs() < 1e-5);
                assert!((share - again[stars_at(row)][class]).abs() < 1e-5);
            }
            assert!((stars.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        assert_eq!(expected.sentiment.is_some(), kind.contains("-mt"));
    }
}

/// Set for the process that opens a model another one has saved.
const FOLDER: &str = "BESTOF_SENTIMENT_TEST_FOLDER";

#[test]
fn another_process_opens_what_was_saved_and_predicts_the_same() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let folder = std::path::PathBuf::from(folder);
        let model = NeuralClassifier::open(&folder, "cpu").unwrap();
        let found = model.predict(&reviews(12, 300).examples).unwrap();
        std::fs::write(folder.join("predictions.json"), serde_json::to_vec(&found).unwrap())
            .unwrap();
        return;
    }
    let encoder = bert_folder();
    for kind in ["bert-mt-joint", "cnn-joint", "han-mt"] {
        let dir = tempfile::tempdir().unwrap();
        let run = trained(kind, dir.path(), encoder.path(), &["train.max_steps=2"]);
        let name = "neural::tests::another_process_opens_what_was_saved_and_predicts_the_same";
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(FOLDER, &run.model)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let found = std::fs::read(run.model.join("predictions.json")).unwrap();
        let found: crate::Predictions = serde_json::from_slice(&found).unwrap();
        assert_eq!(found, run.classifier.predict(&reviews(12, 300).examples).unwrap(), "{kind}");
    }
}

fn stars_at(row: usize) -> usize {
    29 - row
}

#[test]
fn training_learns_from_the_words_and_moves_the_weights_of_the_tasks() {
    let encoder = bert_folder();
    for kind in ["bert-mt-joint", "cnn-mt", "han-mt"] {
        let dir = tempfile::tempdir().unwrap();
        let more = [
            "train.max_steps=160",
            "train.learning_rate=3e-3",
            "sentiment.labels=binary",
            "train.eval_steps=20",
            "train.save_steps=0",
            "sentiment.head_learning_rate_factor=1.0",
        ];
        let config = config(kind, encoder.path(), dir.path(), &more);
        let (data, validation) = (reviews(64, 0), reviews(64, 1000));
        let options = TrainOptions::default();
        let run = train(&config, &data, &validation, &options, &mut Silent).unwrap();
        let accuracy = run.summary.eval.iter().find(|(name, _)| name == "accuracy").unwrap().1;
        assert!(accuracy > 0.8, "{kind}: {:?}", run.summary);
        let rows = bestof_report::RunFolder::open(dir.path()).unwrap().rows;
        let last = rows.iter().rev().find(|row| row.get("loss").is_some()).unwrap();
        for task in ["log_variance/binary", "log_variance/sentiment"] {
            // Losses below 1 lower the variances below 1.
            let moved = last.get(task).unwrap();
            assert!(moved < -0.02, "{kind} {task}: {moved}");
        }
        assert!(run.report.is_file());
    }
}

#[test]
fn a_run_stopped_after_every_step_ends_as_one_never_stopped_bit_for_bit() {
    let encoder = bert_folder();
    for kind in ["bert-mt-joint", "cnn-mt-joint", "han-mt-joint"] {
        let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let more = ["train.load_best_model_at_end=true"];
        let expected = trained(kind, whole.path(), encoder.path(), &more);
        let (found, stops) = trained_in_parts(kind, parts.path(), encoder.path(), &more);
        assert_eq!(stops, 5, "two epochs of three steps");
        let files = |dir: &Path| {
            let read = |name: &str| std::fs::read(newest_checkpoint(dir).join(name)).unwrap();
            (read("model.safetensors"), read("optimizer.safetensors"), read("state.json"))
        };
        assert!(files(whole.path()) == files(parts.path()), "{kind}");
        let last = |run: &Trained| std::fs::read(run.model.join("model.safetensors")).unwrap();
        assert!(last(&expected) == last(&found), "{kind}");
    }
}

#[test]
fn runs_write_the_metrics_of_the_table() {
    let encoder = bert_folder();
    let mut seen = BTreeSet::new();
    for (kind, more) in [("cnn", &[][..]), ("cnn-mt", &["sentiment.labels=both"])] {
        let dir = tempfile::tempdir().unwrap();
        trained(kind, dir.path(), encoder.path(), more);
        for name in RunFolder::open(dir.path()).unwrap().metric_names() {
            let found = metric(name).unwrap_or_else(|| panic!("`{name}` is not in METRICS"));
            assert!(found.runs.contains(&RunType::Sentiment), "{name}");
            seen.insert(found.name);
        }
    }
    let alone = |name: &&str| !name.starts_with("ranks/");
    assert_eq!(seen, metric_names(RunType::Sentiment).into_iter().filter(alone).collect());
}

#[test]
fn a_run_without_improvement_stops_and_returns_to_its_best() {
    let encoder = bert_folder();
    let dir = tempfile::tempdir().unwrap();
    let more = [
        "train.learning_rate=0.5",
        "train.num_train_epochs=20.0",
        "train.eval_steps=1",
        "train.eval_on_start=true",
        "train.early_stopping_patience=3",
        "train.load_best_model_at_end=true",
    ];
    // With so high a learning rate the loss rises.
    let run = trained("cnn-mt", dir.path(), encoder.path(), &more);
    let best = run.summary.best.clone().unwrap();
    assert!(run.summary.global_step < 60);
    assert_eq!(run.summary.global_step, best.step + 3);
    let asked = reviews(9, 100);
    let stars = run.classifier.predict(&asked.examples).unwrap().stars.unwrap();
    let loss: f64 = stars
        .iter()
        .zip(&asked.examples)
        .map(|(row, example)| -f64::from(row[usize::from(example.stars) - 1]).ln())
        .sum::<f64>()
        / 9.0;
    assert!((loss - best.value).abs() < 1e-4, "{loss} against {}", best.value);
}

#[test]
fn attributions_add_up_to_what_they_explain() {
    let encoder = bert_folder();
    for kind in KINDS {
        let dir = tempfile::tempdir().unwrap();
        let run = trained(kind, dir.path(), encoder.path(), &["train.max_steps=6"]);
        let mut asked = reviews(3, 700).examples;
        asked.push(Example { text: String::new(), ..asked[0].clone() });
        for example in &asked {
            let mut targets = vec![AttributionTarget::Positive, AttributionTarget::Stars(2)];
            targets.extend(kind.contains("-mt").then_some(AttributionTarget::Sentiment));
            for target in targets {
                // ReLU and maxima make the integrand rough; there is no other error.
                let smooth = !kind.starts_with("cnn") && !kind.ends_with("joint");
                let (steps, coarse, fine) =
                    if smooth { (48, 0.002, 0.001) } else { (192, 0.03, 0.01) };
                let found = run.classifier.explain(example, target, steps).unwrap().unwrap();
                let all = found.words.iter().map(|word| &word.value).chain(&found.meta);
                let size = all.map(|value| value.abs()).sum::<f64>().max(0.01);
                assert!(found.gap().abs() < coarse * size, "{kind} {target:?}: {found:?}");
                let finer = run.classifier.explain(example, target, 480).unwrap().unwrap();
                assert!(finer.gap().abs() < fine * size, "{kind} {target:?}: {finer:?}");
                let joint = kind.ends_with("joint");
                assert_eq!(found.meta.len(), if joint { 3 } else { 0 });
                assert!(found.words.iter().all(|w| example.text.get(w.range.clone()).is_some()));
            }
        }
        let wrong = run.classifier.explain(&asked[0], AttributionTarget::Stars(6), 8);
        assert!(matches!(wrong, Err(SentimentError::NoHead { .. })));
    }
}

#[test]
fn rows_that_do_not_fit_are_named() {
    let encoder = bert_folder();
    let dir = tempfile::tempdir().unwrap();
    let config = config("bert-mt-joint", encoder.path(), dir.path(), &[]);
    let fails = |change: fn(&mut Example)| {
        let mut data = reviews(4, 40);
        change(&mut data.examples[2]);
        let options = TrainOptions::default();
        let none = reviews(0, 0);
        train(&config, &data, &none, &options, &mut Silent).unwrap_err().to_string()
    };
    for (message, text) in [
        (fails(|example| example.stars = 0), "row 42 has 0 stars"),
        (fails(|example| example.meta.push(1.0)), "row 42 has 4 meta features"),
        (fails(|example| example.meta[1] = f32::NAN), "row 42: a meta feature is NaN"),
        (fails(|example| example.sentiment = f32::INFINITY), "row 42: the score is inf"),
    ] {
        assert!(message.contains(text), "{message}");
    }
}

#[test]
fn damaged_folders_are_refused_by_file() {
    let encoder = bert_folder();
    let dir = tempfile::tempdir().unwrap();
    let run = trained("cnn-mt-joint", dir.path(), encoder.path(), &["train.max_steps=2"]);
    for (file, text, expected) in [
        (MODEL_FILE, "{}", "missing field"),
        (SETTINGS_FILE, "{}", "missing field"),
        (VOCABULARY_FILE, "[1]", VOCABULARY_FILE),
        (VOCABULARY_FILE, "[\"one\"]", "cnn.words"),
    ] {
        let path = run.model.join(file);
        let kept = std::fs::read(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let message = NeuralClassifier::open(&run.model, "cpu").unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        std::fs::write(&path, kept).unwrap();
    }
    assert!(NeuralClassifier::open(&run.model, "cpu").is_ok());
}
