//! Tiny folders of pretrained encoders and generated reviews, for tests.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use bestof_models::Device;
use bestof_models::encoder::{Encoder, EncoderConfig};
use bestof_trainer::TrainError;
use bestof_trainer::progress::{Progress, Silent, StepProgress};
use bestof_trainer::run::TrainOptions;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::config::{NeuralConfig, NeuralRequest};
use super::train::{Trained, train};
use crate::dataset::{Dataset, Example};
use crate::error::SentimentError;
use crate::features::{Column, Feature, FeatureSpec, Scaler};

pub(super) const CLS: u32 = 2;
pub(super) const SEP: u32 = 3;

const GOOD: [&str; 4] = ["good", "great", "friendly", "fresh"];
const BAD: [&str; 4] = ["bad", "cold", "rude", "slow"];
const OTHER: [&str; 6] = ["food", "the", "service", "was", "and", "we"];

/// A folder with a BERT of two layers and a tokenizer that lower-cases.
pub(super) fn bert_folder() -> TempDir {
    word_piece_folder(&json!({"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "intermediate_size": 24}))
}

/// A folder with a tiny encoder of a family and its usual kind of tokenizer.
pub(super) fn encoder_folder(model_type: &str) -> TempDir {
    let mut config = json!({"model_type": model_type, "hidden_size": 16, "num_hidden_layers": 3,
        "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 34});
    match model_type {
        "distilbert" => word_piece_folder(&json!({"model_type": model_type, "dim": 16,
            "n_layers": 2, "n_heads": 2, "hidden_dim": 24})),
        "roberta" => {
            config["type_vocab_size"] = 1.into();
            byte_level_folder(&config, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
        }
        _ => {
            config["local_attention"] = 8.into();
            config["pad_token_id"] = 1.into();
            config["classifier_pooling"] = "mean".into();
            byte_level_folder(&config, ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"])
        }
    }
}

/// Draws the encoder of a configuration and writes it into a new folder.
fn drawn(config: &Value, vocab_size: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config.clone();
    config["vocab_size"] = vocab_size.into();
    config["initializer_range"] = 0.2.into();
    if config.get("max_position_embeddings").is_none() {
        config["max_position_embeddings"] = 32.into();
    }
    let config = EncoderConfig::from_hf(&config).unwrap();
    let encoder = Encoder::fresh(&config, 5, &Device::flex()).unwrap();
    encoder.save(dir.path(), bestof_checkpoints::StoredType::F32).unwrap();
    dir
}

/// The entry of a special token.
fn special(id: usize, text: &str) -> Value {
    json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
           "normalized": false, "special": true})
}

/// An encoder whose tokenizer cuts bytes into the words of the reviews, as that of RoBERTa, which keeps
/// capitals and adds two marks between the texts of a pair, or that of ModernBERT. The special tokens are
/// those of the beginning, of padding, of the end, unknown and masked.
fn byte_level_folder(config: &Value, marks: [&str; 5]) -> TempDir {
    let mut spare = 256_u32..;
    let alphabet = (0..=255_u8).map(|byte| match byte {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        _ => spare.next().and_then(char::from_u32).unwrap(),
    });
    let mut pieces: Vec<String> = marks.iter().map(|mark| (*mark).to_owned()).collect();
    pieces.extend(alphabet.map(String::from));
    let (mut merges, mut seen) = (Vec::new(), HashSet::new());
    for word in GOOD.iter().chain(&BAD).chain(&OTHER) {
        let mut built = "\u{120}".to_owned();
        for letter in word.chars() {
            let merge = json!([built, letter.to_string()]);
            built.push(letter);
            if seen.insert(built.clone()) {
                merges.push(merge);
                pieces.push(built.clone());
            }
        }
    }
    let dir = drawn(config, pieces.len());
    let vocabulary: serde_json::Map<_, _> =
        pieces.iter().enumerate().map(|(id, piece)| (piece.clone(), json!(id))).collect();
    let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                       "use_regex": true});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": marks.iter().enumerate().map(|(id, mark)| special(id, mark)).collect::<Vec<_>>(),
        "normalizer": null, "pre_tokenizer": bytes, "decoder": bytes,
        "post_processor": {"type": "RobertaProcessing", "sep": [marks[2], 2], "cls": [marks[0], 0],
                           "trim_offsets": true, "add_prefix_space": false},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                  "ignore_merges": false, "vocab": vocabulary, "merges": merges},
    });
    std::fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let named = json!({"bos_token": marks[0], "pad_token": marks[1], "eos_token": marks[2],
                       "unk_token": marks[3], "mask_token": marks[4]});
    std::fs::write(dir.path().join("tokenizer_config.json"), named.to_string()).unwrap();
    dir
}

/// An encoder whose tokenizer has word pieces and lower-cases.
fn word_piece_folder(config: &Value) -> TempDir {
    let mut words = vec!["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##ly", "!", "."];
    words.extend(GOOD.iter().chain(&BAD).chain(&OTHER));
    let dir = drawn(config, words.len());
    let vocabulary: serde_json::Map<_, _> =
        words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    let mark = |id: usize| json!({"SpecialToken": {"id": words[id], "type_id": 0}});
    let named = |id: usize| json!({"id": words[id], "ids": [id], "tokens": [words[id]]});
    let tokenizer = json!({
        "version": "1.0", "truncation": null,
        // As in sentence-transformers' files: padding that must be ignored.
        "padding": {"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": (0..5).map(|id| special(id, words[id])).collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true,
                       "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [mark(2), {"Sequence": {"id": "A", "type_id": 0}}, mark(3)],
            "pair": [mark(2), {"Sequence": {"id": "A", "type_id": 0}}, mark(3),
                     {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": named(2), "[SEP]": named(3)}},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    std::fs::write(dir.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let special = json!({"unk_token": "[UNK]", "pad_token": "[PAD]"}).to_string();
    std::fs::write(dir.path().join("tokenizer_config.json"), special).unwrap();
    dir
}

/// Reviews of different lengths whose words and first feature depend on their stars; the content of a row
/// depends on its index only.
pub(super) fn reviews(count: usize, first: u64) -> Dataset {
    let scaler = Scaler { mean: 0.0, std: 1.0 };
    let column = |feature| Column::Number { feature, scaler };
    let columns = vec![column(Feature::Useful), column(Feature::Funny), column(Feature::Date)];
    let examples = (first..first + count as u64)
        .map(|row| {
            let mix = (row + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mix = (mix ^ (mix >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 8;
            let stars = (mix % 5) as u8 + 1;
            let pick = |words: &[&str], k: u64| words[(mix >> k) as usize % words.len()].to_owned();
            let mut words: Vec<String> =
                (0..2 + mix % 7).map(|k| pick(&OTHER, 3 + 2 * k)).collect();
            for k in 0..4 {
                let good = k < u64::from(stars) - 1;
                words.insert(k as usize, pick(if good { &GOOD } else { &BAD }, 5 + 3 * k));
            }
            let half = words.len() / 2;
            let text = format!("{}. {}!", words[..half].join(" "), words[half..].join(" "));
            let sentiment = (f32::from(stars) - 3.0) / 1.5;
            let noise = (mix % 11) as f32 / 11.0 - 0.5;
            Example {
                row,
                text,
                meta: vec![sentiment + noise, noise, 0.3],
                stars,
                positive: stars >= 4,
                sentiment,
                sentiment_raw: sentiment,
                business: (row % 3) as u32,
            }
        })
        .collect();
    Dataset { examples, features: FeatureSpec::new(columns, scaler, "made up") }
}

/// A configuration for a tiny model of this kind.
pub(super) fn config(kind: &str, encoder: &Path, output: &Path, more: &[&str]) -> NeuralConfig {
    let mut text = format!(
        "[sentiment]\nkind = '{kind}'\nmax_length = 32\nword_width = 8\nhidden_width = 6\n\
         filters = 10\nmeta_width = 7\njoint_width = 9\nmin_rows = 1\n\
         [train]\nlearning_rate = 2e-3\nper_device_train_batch_size = 4\n\
         gradient_accumulation_steps = 2\nnum_train_epochs = 2.0\neval_steps = 3\n\
         save_steps = 4\nlogging_steps = 2\nmax_tokens_per_forward = 40\n"
    );
    if kind.starts_with("bert") {
        let encoder = encoder.display().to_string();
        writeln!(text, "[model]\npath = {encoder:?}").unwrap();
    }
    let request = NeuralRequest {
        data: Some(Path::new("made-up")),
        output: Some(output),
        ..NeuralRequest::default()
    };
    let overrides: Vec<String> = more.iter().map(|s| (*s).to_owned()).collect();
    NeuralConfig::from_toml(&text, &overrides, request).unwrap()
}

/// A model trained on generated reviews.
pub(super) fn trained(kind: &str, output: &Path, encoder: &Path, more: &[&str]) -> Trained {
    let config = config(kind, encoder, output, more);
    let (data, validation) = (reviews(22, 0), reviews(9, 100));
    train(&config, &data, &validation, &TrainOptions::default(), &mut Silent).unwrap()
}

/// Asks to stop after every step.
struct StopAlways(bool);

impl Progress for StopAlways {
    fn step(&mut self, _: &StepProgress) {
        self.0 = true;
    }
    fn wants_stop(&mut self) -> bool {
        self.0
    }
}

/// Trains as [`trained`] does, stopped and resumed after every step.
pub(super) fn trained_in_parts(
    kind: &str,
    output: &Path,
    encoder: &Path,
    more: &[&str],
) -> (Trained, usize) {
    let (data, validation) = (reviews(22, 0), reviews(9, 100));
    let config = config(kind, encoder, output, more);
    let mut stops = 0;
    loop {
        let options = TrainOptions { resume: true, ..TrainOptions::default() };
        match train(&config, &data, &validation, &options, &mut StopAlways(false)) {
            Ok(found) => return (found, stops),
            Err(SentimentError::Train(TrainError::Stopped { .. })) => stops += 1,
            Err(other) => panic!("{other}"),
        }
    }
}

/// The newest checkpoint of a run.
pub(super) fn newest_checkpoint(run: &Path) -> PathBuf {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders.pop().unwrap()
}
