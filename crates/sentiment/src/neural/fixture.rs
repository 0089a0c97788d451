//! A tiny BERT folder and generated reviews, for tests.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use bestof_models::Device;
use bestof_models::bert::{Bert, BertConfig};
use serde_json::json;
use tempfile::TempDir;

use super::config::{NeuralConfig, NeuralRequest};
use crate::dataset::{Dataset, Example};
use crate::features::{Column, Feature, FeatureSpec, Scaler};

pub(super) const CLS: u32 = 2;
pub(super) const SEP: u32 = 3;

const GOOD: [&str; 4] = ["good", "great", "friendly", "fresh"];
const BAD: [&str; 4] = ["bad", "cold", "rude", "slow"];
const OTHER: [&str; 6] = ["food", "the", "service", "was", "and", "we"];

/// A folder with a BERT of two layers and a tokenizer that lower-cases.
pub(super) fn bert_folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut words = vec!["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##ly", "!", "."];
    words.extend(GOOD.iter().chain(&BAD).chain(&OTHER));
    let config = BertConfig {
        vocab_size: words.len(),
        hidden_size: 16,
        num_layers: 2,
        num_heads: 2,
        intermediate_size: 24,
        max_positions: 32,
        initializer_range: 0.2,
        ..BertConfig::default()
    };
    let bert = Bert::fresh(&config, 5, &Device::flex()).unwrap();
    bert.save(dir.path(), bestof_checkpoints::StoredType::F32).unwrap();
    let vocabulary: serde_json::Map<_, _> =
        words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), json!(id))).collect();
    let special = |id: usize| {
        json!({"id": id, "content": words[id], "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": true})
    };
    let mark = |id: usize| json!({"SpecialToken": {"id": words[id], "type_id": 0}});
    let named = |id: usize| json!({"id": words[id], "ids": [id], "tokens": [words[id]]});
    let tokenizer = json!({
        "version": "1.0", "truncation": null,
        // As in sentence-transformers' files: padding that must be ignored.
        "padding": {"strategy": {"Fixed": 20}, "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": (0..5).map(special).collect::<Vec<_>>(),
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

/// The newest checkpoint of a run.
pub(super) fn newest_checkpoint(run: &Path) -> PathBuf {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders.pop().unwrap()
}
