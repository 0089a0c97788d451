//! Models around encoders of other families than BERT: training, saving, prediction, resuming.

use std::collections::BTreeSet;
use std::path::Path;

use bestof_checkpoints::{ModelFolder, StoredType, Weights};
use bestof_models::Device;
use bestof_models::encoder::{self, Encoder, EncoderConfig, EncoderFamily, Loader};
use serde_json::Value;

use super::encoder::TextEncoder;
use super::fixture::{
    bert_folder, config, encoder_folder, newest_checkpoint, reviews, trained, trained_in_parts,
};
use super::init::Init;
use super::model::NeuralModel;
use super::settings::SentimentSection;
use super::shape::ModelShape;
use super::tokenizer::ReviewTokenizer;
use super::*;
use crate::attribution::AttributionTarget;
use crate::model;
use crate::{Example, Predictor, SentimentError};

fn names(dir: &Path) -> BTreeSet<String> {
    Weights::open(dir).unwrap().infos().iter().map(|info| info.name.clone()).collect()
}

/// Trains a joint model of two tasks and two kinds of labels on an encoder of a family, and checks that
/// `pooled` are the tensors between encoder and heads.
fn check(model_type: &str, pooled: &[&str]) {
    let family = EncoderFamily::of(model_type).unwrap();
    let encoder = encoder_folder(model_type);
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let more = ["sentiment.labels=both"];
    let run = trained("bert-mt-joint", whole.path(), encoder.path(), &more);
    let asked = reviews(30, 500);
    let expected = run.classifier.predict(&asked.examples).unwrap();
    let opened = model::open(whole.path(), "cpu").unwrap();
    assert_eq!(opened.predict(&asked.examples).unwrap(), expected, "{model_type}");

    // The encoder's tensors have the names that transformers gives them in a model with a head. Checked with
    // transformers 5.24 on folders trained with the command line from encoders that it had written:
    // `AutoModel.from_pretrained` finds every tensor but the pooler that RoBERTa's classifiers do not have,
    // and its hidden states on its tokenizer's ids are ours to 1e-6.
    let prefix = family.prefix();
    let mut wanted: BTreeSet<String> = names(encoder.path())
        .into_iter()
        .filter(|name| !name.starts_with("pooler."))
        .map(|name| format!("{prefix}{name}"))
        .collect();
    wanted.extend(pooled.iter().map(|name| (*name).to_owned()));
    for head in ["meta", "joint", "stars", "binary", "sentiment"] {
        wanted.extend([format!("{head}.weight"), format!("{head}.bias")]);
    }
    wanted.insert("log_variances".to_owned());
    assert_eq!(names(&run.model), wanted);
    let text = std::fs::read(run.model.join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(config["model_type"], model_type);
    let class = config["architectures"][0].as_str().unwrap();
    assert_eq!(class.to_lowercase(), format!("{model_type}model"));
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        let read = |dir: &Path| std::fs::read(dir.join(file)).unwrap();
        assert_eq!(read(&run.model), read(encoder.path()), "{file}");
    }

    let (found, stops) = trained_in_parts("bert-mt-joint", parts.path(), encoder.path(), &more);
    assert_eq!(stops, 5, "two epochs of three steps");
    for file in ["model.safetensors", "optimizer.safetensors", "state.json"] {
        let read = |dir: &Path| std::fs::read(newest_checkpoint(dir).join(file)).unwrap();
        assert!(read(whole.path()) == read(parts.path()), "{model_type} {file}");
    }
    let last = |run: &Trained| std::fs::read(run.model.join("model.safetensors")).unwrap();
    assert!(last(&run) == last(&found), "{model_type}");

    // Attributions go to whole words, also where bytes of a letter are tokens of their own.
    let text = "good food \u{1f44d}! Caf\u{e9} was rude".to_owned();
    let example = Example { text, ..asked.examples[0].clone() };
    for target in [AttributionTarget::Stars(5), AttributionTarget::Sentiment] {
        let found = run.classifier.explain(&example, target, 480).unwrap().unwrap();
        let all = found.words.iter().map(|word| &word.value).chain(&found.meta);
        let size = all.map(|value| value.abs()).sum::<f64>().max(0.01);
        // The joint layer's ReLU makes the integrand rough.
        assert!(found.gap().abs() < 0.01 * size, "{model_type} {target:?}: {found:?}");
        let words: Vec<&str> =
            found.words.iter().map(|word| &example.text[word.range.clone()]).collect();
        assert!(words.contains(&"food") && words.contains(&"Caf\u{e9}"), "{words:?}");
    }
}

#[test]
fn roberta_is_trained_saved_and_resumed() {
    check("roberta", &["classifier.dense.bias", "classifier.dense.weight"]);
}

#[test]
fn distilbert_is_trained_saved_and_resumed() {
    check("distilbert", &["pre_classifier.bias", "pre_classifier.weight"]);
}

#[test]
fn modernbert_is_trained_saved_and_resumed() {
    check("modernbert", &["head.dense.weight", "head.norm.weight"]);
}

/// The encoder in a folder.
fn read(folder: &Path) -> Encoder {
    let folder = ModelFolder::open(folder).unwrap();
    let weights = folder.weights().unwrap();
    let config = EncoderConfig::from_hf(&folder.config).unwrap();
    Encoder::load(&mut Loader::reading(&weights, &Device::flex()), &config).unwrap()
}

/// The model that a run on this encoder starts from.
fn untrained(encoder: &Path) -> NeuralModel {
    let settings = config("bert", encoder, Path::new("unused"), &[]).sentiment;
    let folder = ModelFolder::open(encoder).unwrap();
    let (weights, init) = (folder.weights().unwrap(), Init::Random(3));
    let mut loader = Loader::reading(&weights, &Device::flex());
    let config = EncoderConfig::from_hf(&folder.config).unwrap();
    let read = Encoder::load(&mut loader, &config).unwrap();
    let parts = TextEncoder::pretrained(read, &mut loader, init, &settings).unwrap();
    let shape = ModelShape { settings, meta_features: 0, words: 0 };
    NeuralModel::load(&mut loader, init, shape, parts).unwrap()
}

#[test]
fn what_is_drawn_learns_as_heads_do_in_every_family_and_a_stored_pooler_does_not() {
    for (model_type, pooler) in [
        ("bert", "bert.pooler.dense."),
        ("roberta", "classifier.dense."),
        ("distilbert", "pre_classifier."),
        ("modernbert", "head."),
    ] {
        let folder = if model_type == "bert" { bert_folder() } else { encoder_folder(model_type) };
        let (bare, saved) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        read(folder.path()).without_pooler().save(bare.path(), StoredType::F32).unwrap();
        let model = untrained(bare.path());
        encoder::save(&model, &model.config_json(), saved.path(), StoredType::F32).unwrap();
        let all = names(saved.path());
        let drawn = |model: &NeuralModel, start: &str| -> BTreeSet<bool> {
            let these = all.iter().filter(|name| name.starts_with(start));
            these.map(|name| model.is_drawn(name)).collect()
        };
        let prefix = EncoderFamily::of(model_type).unwrap().prefix();
        let layers = format!("{prefix}{}", if model_type == "bert" { "encoder." } else { "" });
        assert_eq!(drawn(&model, &layers), [false].into(), "{model_type}");
        assert_eq!(drawn(&model, "stars."), [true].into(), "{model_type}");
        assert_eq!(drawn(&model, pooler), [true].into(), "{model_type}");
        // A checkpoint with its pooler, such as that of a model fine-tuned for another classification.
        assert_eq!(drawn(&untrained(saved.path()), pooler), [false].into(), "{model_type}");
    }
}

#[test]
fn the_mean_of_tokens_needs_no_pooler() {
    for model_type in ["roberta", "distilbert", "modernbert"] {
        let (encoder, out) = (encoder_folder(model_type), tempfile::tempdir().unwrap());
        let more = ["sentiment.pooling=mean", "train.max_steps=2"];
        let run = trained("bert", out.path(), encoder.path(), &more);
        let prefix = EncoderFamily::of(model_type).unwrap().prefix();
        let outside: Vec<String> =
            names(&run.model).into_iter().filter(|name| !name.starts_with(prefix)).collect();
        assert_eq!(outside, ["stars.bias", "stars.weight"]);
        let asked = reviews(4, 200);
        let opened = model::open(&run.model, "cpu").unwrap();
        let expected = run.classifier.predict(&asked.examples).unwrap();
        assert_eq!(opened.predict(&asked.examples).unwrap(), expected);
    }
}

#[test]
fn texts_become_what_the_folders_tokenizer_says() {
    for (model_type, begin, end) in [("roberta", 0, 2), ("modernbert", 0, 2)] {
        let dir = encoder_folder(model_type);
        let settings = SentimentSection { max_length: 6, ..SentimentSection::default() };
        let tokenizer = ReviewTokenizer::pieces(dir.path(), &settings).unwrap();
        assert_eq!(tokenizer.marks(), [1, 1]);
        let read = |text: &str| tokenizer.encode(text).unwrap().ids;
        // Bytes know capitals.
        assert_ne!(read(" Good"), read(" good"));
        assert_eq!(read(" good").len(), 3);
        assert_eq!(read(""), [begin, end]);
        let long = read(" good food good food good food good");
        assert_eq!((long.len(), long[0], long[5]), (6, begin, end));
        assert_eq!(long[1..5], read(" good food good food")[1..5]);
        let (with, offsets) = tokenizer.encode_with_offsets(" good food").unwrap();
        assert_eq!((with.ids, &offsets[1..3]), (read(" good food"), &[1..5, 6..10][..]));
    }
}

#[test]
fn lengths_and_vocabularies_beyond_the_encoder_are_refused() {
    let (encoder, out) = (encoder_folder("roberta"), tempfile::tempdir().unwrap());
    let train = |more: &[&str]| {
        let config = fixture::config("bert", encoder.path(), out.path(), more);
        let options = bestof_trainer::run::TrainOptions::default();
        let silent = &mut bestof_trainer::progress::Silent;
        super::train(&config, &reviews(4, 0), &reviews(0, 0), &options, silent).unwrap_err()
    };
    // 34 positions, of which the first two are not a token's.
    let error = train(&["sentiment.max_length=33"]);
    assert!(matches!(error, SentimentError::TooLong { found: 33, max: 32 }), "{error}");
    let path = encoder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    tokenizer["model"]["vocab"]["\u{120}more"] = 5000.into();
    std::fs::write(&path, tokenizer.to_string()).unwrap();
    let error = train(&[]).to_string();
    assert!(error.contains("5000"), "{error}");
}
