//! A tiny table from reviews to claims, interrupted, taken up and refused.

use std::fs;
use std::path::{Path, PathBuf};

use super::settings::{Encoder, Schedule};
use super::*;
use crate::{Silent, SmallBert};

fn tiny() -> Settings {
    let short = Schedule { epochs: 1.0, learning_rate: 1e-3 };
    Settings {
        seeds: 2,
        reviews: 160,
        businesses: 12,
        limit: 100,
        train: 80,
        validation: 12,
        strengths: &[0.0],
        terms: 20,
        length: 12,
        sentences: [3, 6],
        encoder: Encoder::Small(SmallBert {
            width: 8,
            inner: 8,
            layers: 1,
            heads: 2,
            context: 12,
            words: 50,
        }),
        bert: short,
        cnn: short,
        han: short,
        evaluations: 2,
        patience: 2,
        word_width: 4,
        filters: 4,
        hidden_width: 3,
        joint_width: 4,
    }
}

/// Notices of a run.
#[derive(Default)]
struct Heard(Vec<String>);

impl Progress for Heard {
    fn notice(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

impl Heard {
    fn says(&self, part: &str) -> bool {
        self.0.iter().any(|text| text.contains(part))
    }
}

fn options(dir: &Path) -> Options {
    Options { seeds: Some(2), ..Options::new(dir) }
}

fn measure(settings: &Settings, dir: &Path) -> (Reproduction, Heard) {
    let mut heard = Heard::default();
    let outcome = Yelp.at_size(settings, &options(dir), &mut heard).unwrap();
    (outcome, heard)
}

#[test]
fn a_tiny_table_is_measured_whole_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (outcome, heard) = measure(&tiny(), dir.path());
    assert!(heard.says(" left") && !heard.says("taken up"), "{:?}", heard.0);
    assert_eq!(outcome.all_claims().len(), 5);
    let numbers = &outcome.to_json()["numbers"];
    let cells = numbers["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 6 * 3 + 6 * 2);
    for cell in cells {
        for label in ["binary", "stars"] {
            let found = cell[label].as_array().unwrap();
            assert!(found.len() == 2 && found.iter().all(|v| v.as_f64().is_some()), "{cell}");
        }
        let classical =
            cell["paper"].as_array().unwrap().len() == 2 && cell["learned"][0].is_null();
        assert_eq!(
            classical,
            !["CNN", "HAN", "BERT"]
                .iter()
                .any(|name| { cell["model"].as_str().unwrap().starts_with(name) })
        );
    }
    let test = numbers["rows"][2].as_u64().unwrap();
    let bins = numbers["by_training_count"].as_array().unwrap();
    let rows: u64 = bins.iter().map(|bin| bin["rows"].as_u64().unwrap()).sum();
    assert!(rows >= 2 * test - 2 && rows <= 2 * test + 2, "both seeds: {rows}, {test}");
    let strengths = numbers["by_strength"].as_array().unwrap();
    assert_eq!((strengths.len(), strengths[0]["meta_effects"].as_f64()), (2, Some(0.0)));
    assert!(numbers["likeness"].as_array().unwrap().len() > 15);
    let html = outcome.to_report().to_html();
    assert!(html.contains("BERT-MT-Joint") && html.contains("published"));
    // Weights are gone, the score and what tells how it was learned are there.
    let models = dir.path().join("seed0/models/bert-text");
    assert!(models.join("metrics.jsonl").is_file() && !models.join("final").exists());

    // What an interruption leaves: one score less.
    let lost = dir.path().join("seed1/scores/han-text.json");
    fs::remove_file(&lost).unwrap();
    let (again, heard) = measure(&tiny(), dir.path());
    assert_eq!(again.to_json(), outcome.to_json());
    assert!(lost.is_file() && heard.says("103 of 104 models are taken up"), "{:?}", heard.0);

    let longer = Settings { han: Schedule { epochs: 2.0, ..tiny().han }, ..tiny() };
    let (_, heard) = measure(&longer, dir.path());
    assert!(
        heard.says("8 models were trained on other rows or with other settings"),
        "{:?}",
        heard.0
    );
    let other = Settings { reviews: 170, ..tiny() };
    let (_, heard) = measure(&other, dir.path());
    assert!(heard.says("104 models were trained on other rows"), "{:?}", heard.0);
}

#[test]
fn the_users_own_reviews_are_dealt_out_anew_without_other_strengths() {
    let made = tempfile::tempdir().unwrap();
    let how = bestof_sentiment::generate::GenerateOptions::new(300);
    bestof_sentiment::generate::generate(&how, made.path(), &mut |_| {}).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let data = Some(made.path().to_owned());
    let options = Options { data, ..options(dir.path()) };
    let outcome = Yelp.at_size(&tiny(), &options, &mut Silent).unwrap();
    let numbers = &outcome.to_json()["numbers"];
    assert_eq!(numbers["by_strength"].as_array().unwrap().len(), 1);
    assert!(numbers["likeness"].as_array().unwrap().is_empty());
    let missing = Options { data: Some(dir.path().join("none")), ..options };
    let error = Yelp.at_size(&tiny(), &missing, &mut Silent).unwrap_err().to_string();
    assert!(error.contains("none"), "{error}");
}

#[test]
fn a_missing_encoder_is_told_before_anything_is_generated() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let encoder = Encoder::Pretrained(PathBuf::from("models/of-nobody"));
    let settings = Settings { encoder, ..tiny() };
    let error = Yelp.at_size(&settings, &options(&out), &mut Silent).unwrap_err().to_string();
    assert!(error.contains("models/of-nobody") && error.contains("cargo xtask fetch"), "{error}");
    assert!(!out.exists());
}

#[test]
fn without_a_pretrained_model_bert_is_a_small_one() {
    let usual = Settings::of(&Options::new("x"));
    assert!(matches!(usual.encoder, Encoder::Pretrained(_)));
    let without = Settings::of(&Options { pretrained: false, ..Options::new("x") });
    assert!(matches!(without.encoder, Encoder::Small(_)));
    assert_eq!(without.reviews, usual.reviews);
}
