//! Pre-tokenizers of byte-level vocabularies, by their names in GGUF.

use serde_json::{Value, json};

use super::error::GgufError;

/// Words with at most one leading symbol, numbers of up to three digits, symbols, white space.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As Llama 3, but each digit alone.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Words split where capitals follow small letters, each digit alone.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const KNOWN: &str = "default, gpt-2, smollm, starcoder, refact, command-r, llama-bpe, qwen2, deepseek-r1-qwen, tekken";

/// The steps before merging, as `tokenizer.json` spells them.
#[derive(Debug)]
pub(super) struct TextSteps {
    pub(super) normalizer: Value,
    pub(super) pre_tokenizer: Value,
    /// Whether a word that is in the vocabulary becomes its token without merging.
    pub(super) ignore_merges: bool,
}

/// The pre-tokenizer with a name in `tokenizer.ggml.pre`.
pub(super) fn pre_tokenizer(name: &str) -> Result<TextSteps, GgufError> {
    let (normalizer, pre_tokenizer, ignore_merges) = match name {
        "default" | "gpt-2" => (Value::Null, byte_level(true), false),
        "smollm" | "starcoder" | "refact" | "command-r" => {
            let digits = json!({ "type": "Digits", "individual_digits": true });
            (Value::Null, sequence(&digits, &byte_level(true)), false)
        }
        "llama-bpe" | "llama3" | "llama-v3" => (Value::Null, split(LLAMA3), true),
        "qwen2" | "deepseek-r1-qwen" => (json!({ "type": "NFC" }), split(QWEN2), false),
        "tekken" => (Value::Null, split(TEKKEN), true),
        found => {
            return Err(GgufError::UnknownTokenizer {
                what: "pre-tokenizer",
                found: found.to_owned(),
                known: KNOWN.to_owned(),
            });
        }
    };
    Ok(TextSteps { normalizer, pre_tokenizer, ignore_merges })
}

fn split(pattern: &str) -> Value {
    let split = json!({
        "type": "Split",
        "pattern": { "Regex": pattern },
        "behavior": "Isolated",
        "invert": false
    });
    sequence(&split, &byte_level(false))
}

fn sequence(first: &Value, second: &Value) -> Value {
    json!({ "type": "Sequence", "pretokenizers": [first, second] })
}

fn byte_level(use_regex: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex })
}
