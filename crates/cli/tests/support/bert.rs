//! A whole BERT folder out of a parity checkpoint and a tokenizer of a few words.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Words of generated reviews; everything else is unknown.
const WORDS: [&str; 16] = [
    "the", "was", "and", "we", "good", "great", "superb", "lovely", "fresh", "bad", "bland",
    "rude", "slow", "awful", ".", ",",
];

/// Writes a BERT of two layers as a whole folder that lower-cases.
pub(crate) fn tiny_bert(dir: &Path) -> PathBuf {
    let (from, to) = (super::parity("bert-encoder"), dir.join("bert"));
    fs::create_dir_all(&to).unwrap();
    for file in ["model.safetensors", "config.json"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let pieces: Vec<&str> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].into_iter().chain(WORDS).collect();
    let vocab: Map<String, Value> =
        pieces.iter().enumerate().map(|(id, piece)| ((*piece).to_owned(), json!(id))).collect();
    let special = |id: usize| {
        json!({"id": id, "content": pieces[id], "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": true})
    };
    let mark = |id: usize| json!({"SpecialToken": {"id": pieces[id], "type_id": 0}});
    let named = |id: usize| json!({"id": pieces[id], "ids": [id], "tokens": [pieces[id]]});
    let sequence = json!({"Sequence": {"id": "A", "type_id": 0}});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": (0..4).map(special).collect::<Vec<_>>(),
        "normalizer": {"type": "BertNormalizer", "clean_text": true,
                       "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [mark(2), sequence, mark(3)], "pair": [mark(2), sequence, mark(3)],
            "special_tokens": {"[CLS]": named(2), "[SEP]": named(3)}},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab},
    });
    fs::write(to.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let marks = json!({"unk_token": "[UNK]", "pad_token": "[PAD]"});
    fs::write(to.join("tokenizer_config.json"), marks.to_string()).unwrap();
    to
}
