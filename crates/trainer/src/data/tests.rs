//! Tests of reading and encoding with tokenizers small enough to be written here.

mod assistant;
mod conversations;
mod encoding;
mod inspecting;
mod loading;
mod turns;
mod windows;

use std::path::Path;

use bestof_checkpoints::{ChatTemplate, Tokenizer};
use bestof_tasks::rows::{ChatMessage, Content};
use serde_json::{Value, json};

use super::{EncodeOptions, Encoder};

/// A tokenizer on disk would come with a folder; this is that folder's content.
pub(super) struct Model {
    pub(super) tokenizer: Tokenizer,
    pub(super) template: Option<ChatTemplate>,
}

impl Model {
    pub(super) fn encoder(&self, options: EncodeOptions) -> Encoder<'_> {
        Encoder::new(&self.tokenizer, self.template.as_ref(), options).unwrap()
    }

    pub(super) fn ids(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, false).unwrap()
    }

    pub(super) fn text(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids, false).unwrap()
    }
}

/// A conversation opened and closed in the manner of many small models.
pub(super) const CHAT: &str = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n\
     {% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}";

pub(super) const BOS: u32 = 0;
pub(super) const EOS: u32 = 1;
const SPECIAL: [&str; 6] = ["<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"];

/// Byte-level BPE with a handful of merges; `bos` says whether texts begin with `<s>`.
pub(super) fn byte_level(bos: bool, template: Option<&str>) -> Model {
    let mut vocabulary: Vec<String> = SPECIAL.iter().map(ToString::to_string).collect();
    vocabulary.extend((0..=255).map(|byte| byte_symbol(byte).to_string()));
    let merges = ["Ġ 4", "Ġ t", "h e", "Ġt he", "Ġ b", "Ġb l", "u e", "Ġ Ġ"];
    vocabulary.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true});
    model(
        &vocabulary,
        &merges,
        &json!({"pre_tokenizer": byte_level, "decoder": byte_level, "normalizer": null}),
        bos,
        template,
    )
}

/// The symbol GPT-2's byte-level tokenizers write for a byte.
fn byte_symbol(byte: u8) -> char {
    let printable = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    if printable(&byte) {
        return char::from(byte);
    }
    let place = (0..byte).filter(|other| !printable(other)).count();
    char::from_u32(256 + place as u32).unwrap()
}

/// A tokenizer that puts a space before every text, as SentencePiece models do.
pub(super) fn with_prefix_space() -> Model {
    let mut vocabulary: Vec<String> = SPECIAL.iter().map(ToString::to_string).collect();
    vocabulary.extend("▁abcd\n".chars().map(String::from));
    vocabulary.push("▁c".to_owned());
    let metaspace =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false});
    model(
        &vocabulary,
        &["▁ c"],
        &json!({"pre_tokenizer": metaspace, "decoder": metaspace, "normalizer": null}),
        true,
        None,
    )
}

fn model(
    vocabulary: &[String],
    merges: &[&str],
    stages: &Value,
    bos: bool,
    template: Option<&str>,
) -> Model {
    let ids: serde_json::Map<String, Value> =
        vocabulary.iter().zip(0..).map(|(piece, id)| (piece.clone(), json!(id))).collect();
    let added: Vec<Value> = SPECIAL
        .iter()
        .zip(0..)
        .map(|(content, id)| {
            json!({"id": id, "content": content, "special": true, "single_word": false,
                   "lstrip": false, "rstrip": false, "normalized": false})
        })
        .collect();
    let sequence = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let post_processor = bos.then(|| {
        let start = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
        json!({"type": "TemplateProcessing",
               "single": [start, sequence("A")],
               "pair": [start, sequence("A"), sequence("B")],
               "special_tokens": {"<s>": {"id": "<s>", "ids": [BOS], "tokens": ["<s>"]}}})
    });
    let mut file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "post_processor": post_processor,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "byte_fallback": false,
                  "continuing_subword_prefix": null, "end_of_word_suffix": null,
                  "fuse_unk": false, "vocab": ids, "merges": merges}
    });
    for (name, stage) in stages.as_object().unwrap() {
        file[name] = stage.clone();
    }
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"bos_token": "<s>", "eos_token": "</s>", "chat_template": template});
    write(folder.path(), "tokenizer.json", &file);
    write(folder.path(), "tokenizer_config.json", &config);
    Model {
        tokenizer: Tokenizer::from_dir(folder.path()).unwrap(),
        template: template.and_then(|_| ChatTemplate::from_dir(folder.path()).unwrap()),
    }
}

fn write(folder: &Path, name: &str, value: &Value) {
    std::fs::write(folder.join(name), value.to_string()).unwrap();
}

pub(super) fn user(text: &str) -> Content {
    Content::Messages(vec![ChatMessage::user(text)])
}

pub(super) fn assistant(text: &str) -> Content {
    Content::Messages(vec![ChatMessage::assistant(text)])
}
