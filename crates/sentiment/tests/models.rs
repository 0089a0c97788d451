//! Classical models on generated reviews: the effects of the generator show, and a saved model predicts
//! the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs;
use std::sync::LazyLock;

use bestof_sentiment::classical::{ClassicalModel, ClassicalOptions, Inputs};
use bestof_sentiment::dataset::{Dataset, Part, Prepared};
use bestof_sentiment::evaluation::{EvaluateOptions, evaluate};
use bestof_sentiment::features::Feature;
use bestof_sentiment::generate::{GenerateOptions, generate};
use bestof_sentiment::model::{Labels, ModelKind, Predictor, open};
use bestof_sentiment::predict::{PredictOptions, PredictedRow, predict_file};
use bestof_sentiment::prepare::{PrepareOptions, ReviewSource, prepare};
use bestof_sentiment::source::Reason;
use bestof_sentiment::{Predictions, SentimentError};

static PARTS: LazyLock<[Dataset; 2]> = LazyLock::new(|| {
    let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut made = GenerateOptions::new(5000);
    // So that both inputs say something in a few hundred test rows.
    made.meta_effects = 2.0;
    generate(&made, data.path(), &mut |_| {}).unwrap();
    let mut options = PrepareOptions::new(ReviewSource::Folder(data.path().to_owned()));
    options.features.extend([
        Feature::Price,
        Feature::AccountAge,
        Feature::EliteYears,
        Feature::Fans,
    ]);
    prepare(&options, out.path(), &mut |_| {}).unwrap();
    let prepared = Prepared::open(out.path()).unwrap();
    [Part::Train, Part::Test].map(|part| prepared.part(part).unwrap())
});

fn options(kind: ModelKind, inputs: Inputs) -> ClassicalOptions {
    let mut options = ClassicalOptions::new(kind, inputs);
    options.terms.max_terms = 150;
    options.fit.seed = 1;
    options
}

fn fitted(kind: ModelKind, inputs: Inputs, max_rows: Option<usize>) -> ClassicalModel {
    let mut options = options(kind, inputs);
    options.fit.max_rows = max_rows;
    ClassicalModel::fit(&PARTS[0], &options).unwrap()
}

/// Accuracies on the test part: binary, five stars.
fn accuracies(model: &ClassicalModel) -> (f64, f64) {
    let mut options = EvaluateOptions::default();
    options.resamples = 20;
    let found = evaluate("model", model, &PARTS[1], &options, &mut |_| {}).unwrap();
    let scores = found.scores;
    (scores.positive.unwrap().accuracy.value, scores.stars.unwrap().accuracy.value)
}

#[test]
fn both_inputs_beat_either_one_and_either_one_the_majority() {
    let of = |inputs| accuracies(&fitted(ModelKind::Logistic, inputs, None));
    let (meta, text, joint) = (of(Inputs::Meta), of(Inputs::Text), of(Inputs::Joint));
    let positive = PARTS[1].examples.iter().filter(|example| example.positive).count() as f64;
    let majority = positive / PARTS[1].len() as f64;
    assert!(meta.0 > majority + 0.02 && text.0 > majority + 0.02, "{meta:?} {text:?} {majority}");
    assert!(joint.0 > meta.0.max(text.0) + 0.01, "{meta:?} {text:?} {joint:?}");
    assert!(joint.1 > meta.1.max(text.1), "{meta:?} {text:?} {joint:?}");
}

#[test]
fn every_kind_survives_saving_and_answers_the_same() {
    for kind in ModelKind::ALL.iter().copied().filter(|kind| kind.is_classical()) {
        let model = fitted(kind, Inputs::Joint, Some(250));
        assert_eq!((model.card().trained_on, model.card().available), (250, PARTS[0].len() as u64));
        let folder = tempfile::tempdir().unwrap();
        model.save(folder.path()).unwrap();
        let read = open(folder.path(), "cpu").unwrap();
        let rows = &PARTS[1].examples[..50];
        let found: Predictions = read.predict(rows).unwrap();
        assert_eq!(found, model.predict(rows).unwrap(), "{kind}");
        assert_eq!(found.len(), 50);
        assert_eq!(read.card().kind, kind);
    }
}

#[test]
fn rows_of_two_classes_are_learned_without_stars() {
    let mut rows = PARTS[0].clone();
    for example in &mut rows.examples {
        example.stars = 0;
    }
    let mut options = options(ModelKind::Logistic, Inputs::Text);
    let error = ClassicalModel::fit(&rows, &options).unwrap_err().to_string();
    assert!(error.contains("no stars") && error.contains("--labels binary"), "{error}");
    options.labels = Labels::Binary;
    let model = ClassicalModel::fit(&rows, &options).unwrap();
    let with_stars = ClassicalModel::fit(&PARTS[0], &options).unwrap();
    let asked = &PARTS[1].examples;
    assert_eq!(model.predict(asked).unwrap(), with_stars.predict(asked).unwrap());
    // A model of stars is judged by the class alone on such rows.
    let both = fitted(ModelKind::Logistic, Inputs::Text, None);
    let mut few = EvaluateOptions::default();
    few.resamples = 20;
    let found = evaluate("both", &both, &rows, &few, &mut |_| {}).unwrap();
    assert!(found.scores.stars.is_none() && found.scores.positive.is_some());
}

#[test]
fn damaged_model_folders_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    fitted(ModelKind::DecisionTree, Inputs::Joint, Some(200)).save(folder.path()).unwrap();
    let path = folder.path().join("classical.json");
    let text = fs::read_to_string(&path).unwrap();
    for damaged in [
        text[..text.len() / 2].to_owned(),
        text.replacen("\"low\":1", "\"low\":0", 1),
        text.replacen("\"classes\":5", "\"classes\":3", 1),
        text.replacen("\"column\":", "\"column\":9", 1),
        "{}".to_owned(),
    ] {
        assert_ne!(damaged, text);
        fs::write(&path, damaged).unwrap();
        assert!(open(folder.path(), "cpu").is_err());
    }
}

#[test]
fn rows_are_answered_in_order_and_bad_ones_counted() {
    let model = fitted(ModelKind::Logistic, Inputs::Joint, None);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.jsonl");
    let mut lines: Vec<String> = PARTS[1].examples[..9]
        .iter()
        .enumerate()
        .map(|(i, e)| serde_json::json!({"id": format!("r{i}"), "text": e.text}).to_string())
        .collect();
    lines.insert(3, "not json".to_owned());
    lines.insert(5, "{\"text\": \"\"}".to_owned());
    fs::write(&path, lines.join("\n")).unwrap();
    let run = |path: &std::path::Path, batch: usize| {
        let mut rows: Vec<PredictedRow> = Vec::new();
        let mut options = PredictOptions::default();
        options.batch = batch;
        let counts =
            predict_file::<SentimentError>(&model, path, &options, &mut |_, _| {}, |row| {
                rows.push(row.clone());
                Ok(())
            })
            .unwrap();
        (counts, rows)
    };
    let (counts, rows) = run(&path, 4);
    assert_eq!((counts.rows, rows.len()), (9, 9));
    assert_eq!(counts.left_out.counts, [(Reason::Malformed, 1), (Reason::EmptyText, 1)].into());
    assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [1, 2, 3, 5, 7, 8, 9, 10, 11]);
    assert_eq!(rows[4].id.as_deref(), Some("r4"));
    let sum: f32 = rows[0].star_probabilities.unwrap().iter().sum();
    assert!((sum - 1.0).abs() < 1e-4 && rows[0].sentiment.is_none());
    assert_eq!(rows[0].positive, Some(rows[0].positive_probability.unwrap() >= 0.5));
    assert_eq!(run(&path, 1).1, rows, "batches change nothing");

    let csv = folder.path().join("in.csv");
    fs::write(&csv, "id,text,useful\n1,Superb noodle soup,3\n2,Awful,x\n").unwrap();
    let (counts, rows) = run(&csv, 4);
    assert_eq!((counts.rows, counts.left_out.total(), rows[0].positive), (1, 1, Some(true)));
    assert_eq!(counts.unread_dates.note(1), None);
    fs::write(&csv, "text,date\nGood,2010-01-10\nGood,1/10/2010\nGood,soon\n").unwrap();
    let (counts, _) = run(&csv, 4);
    assert_eq!((counts.unread_dates.count, counts.left_out.total()), (2, 0));
    let note = counts.unread_dates.note(counts.rows).unwrap();
    assert!(note.starts_with("2 of 3 reviews") && note.contains("line 3: \"1/10/2010\""), "{note}");
}
