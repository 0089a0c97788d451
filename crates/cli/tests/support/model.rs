//! A whole model folder out of a parity checkpoint and a tokenizer with a token a character.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Id of the token that ends a text.
pub(crate) const EOS: u64 = 2;

/// A chat template in `ChatML`.
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n\
    {{ message.content }}<|im_end|>\n{% endfor %}\
    {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// The ids: `<unk>`, `<s>`, `</s>`, line feed, printable ASCII from 4, `ChatML`'s marks at 99 and 100.
pub(crate) fn id(piece: char) -> u64 {
    if piece == '\n' { 3 } else { u64::from(u32::from(piece)) - 32 + 4 }
}

/// The ids of a text without special tokens.
pub(crate) fn ids(text: &str) -> Vec<u64> {
    text.chars().map(id).collect()
}

/// Writes a LLaMA of two layers, with a context of 1024 tokens, as a whole folder.
pub(crate) fn tiny(dir: &Path) -> PathBuf {
    tiny_from("llama-gqa-untied", dir)
}

/// The same out of another parity checkpoint.
pub(crate) fn tiny_from(name: &str, dir: &Path) -> PathBuf {
    let (from, to) = (super::parity(name), dir.join("model"));
    fs::create_dir_all(&to).unwrap();
    for file in ["model.safetensors", "generation_config.json"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    fs::copy(from.join("config.json"), to.join("config.json")).unwrap();
    set(&to, "config.json", "max_position_embeddings", json!(1024));
    write_tokenizer(&to, 0);
    to
}

/// Sets a field of a JSON file; `null` takes it away.
pub(crate) fn set(dir: &Path, file: &str, field: &str, value: Value) {
    let path = dir.join(file);
    let mut object: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    if value.is_null() {
        object.as_object_mut().unwrap().remove(field);
    } else {
        object[field] = value;
    }
    fs::write(&path, serde_json::to_string_pretty(&object).unwrap()).unwrap();
}

/// The tokenizer's files, with so many words more than the model has room for.
pub(crate) fn write_tokenizer(dir: &Path, more: usize) {
    let mut vocab = serde_json::Map::new();
    let pieces = ["<unk>", "<s>", "</s>", "\n"].map(str::to_owned).into_iter();
    let ascii = (32_u8..127).map(|byte| char::from(byte).to_string());
    let marks = ["<|im_start|>", "<|im_end|>"].map(str::to_owned);
    let extra = (0..more).map(|word| format!("<word{word}>"));
    for (id, piece) in pieces.chain(ascii).chain(marks).chain(extra).enumerate() {
        vocab.insert(piece, json!(id));
    }
    let special: Vec<Value> = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
        .into_iter()
        .map(|piece| {
            json!({"id": vocab[piece], "content": piece, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    let begin = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    let (a, b) = (
        json!({"Sequence": {"id": "A", "type_id": 0}}),
        json!({"Sequence": {"id": "B", "type_id": 0}}),
    );
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special,
        "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"},
                          "behavior": "Isolated", "invert": false},
        "post_processor": {"type": "TemplateProcessing", "single": [begin, a],
            "pair": [begin, a, b],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    });
    let config = json!({
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "chat_template": CHATML,
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1024,
    });
    fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(dir.join("tokenizer_config.json"), config.to_string()).unwrap();
}

/// A safetensors file taken apart: its header, and the bytes of the tensors.
pub(crate) fn take_apart(path: &Path) -> (Value, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + length]).unwrap(), bytes[8 + length..].to_vec())
}

/// And put together again.
pub(crate) fn put_together(path: &Path, header: &Value, tensors: &[u8]) {
    let header = header.to_string().into_bytes();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(tensors);
    fs::write(path, bytes).unwrap();
}

/// Pairs of one wrong digit, a JSON object a line.
pub(crate) fn pairs(count: usize) -> String {
    let pair = |n: usize| {
        json!({"prompt": format!("{n} plus 5 is"), "chosen": format!(" {}", n + 5),
               "rejected": format!(" {}", n + 6)})
    };
    json_lines((0..count).map(pair))
}

/// Completions of the same kind.
pub(crate) fn completions(count: usize) -> String {
    let row =
        |n: usize| json!({"prompt": format!("{n} plus 5 is"), "completion": format!(" {}", n + 5)});
    json_lines((0..count).map(row))
}

/// JSON lines.
pub(crate) fn json_lines(rows: impl IntoIterator<Item = Value>) -> String {
    rows.into_iter().fold(String::new(), |text, row| text + &row.to_string() + "\n")
}

/// A byte-level vocabulary, which GGUF files can hold: a token a character and two merges.
pub(crate) fn byte_level(dir: &Path) {
    let mut vocab = serde_json::Map::new();
    let ascii = (33_u8..127).map(|byte| char::from(byte).to_string());
    let pieces = ["<s>", "</s>", "Ġ", "Ċ"].map(str::to_owned).into_iter().chain(ascii);
    for (id, piece) in pieces.enumerate() {
        vocab.insert(piece, json!(id));
    }
    let special = |id: u64, piece: &str| {
        json!({"id": id, "content": piece, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "added_tokens": [special(0, "<s>"), special(1, "</s>")],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    });
    let config = json!({"bos_token": "<s>", "eos_token": "</s>"});
    fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    fs::write(dir.join("tokenizer_config.json"), config.to_string()).unwrap();
}
