//! `tokenizer.json` and `tokenizer_config.json` rebuilt from a GGUF vocabulary.

use std::collections::HashMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::error::GgufError;
use super::merges::merges_from_scores;
use super::pre_tokenizer::pre_tokenizer;
use super::vocabulary::{SPACE, TokenKind, Vocabulary};

/// `tokenizer.json`.
#[derive(Serialize)]
pub(super) struct TokenizerFile<'a> {
    version: &'static str,
    truncation: Option<()>,
    padding: Option<()>,
    added_tokens: Vec<Value>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Model<'a>,
}

#[derive(Serialize)]
struct Model<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    dropout: Option<f32>,
    unk_token: Option<&'a str>,
    continuing_subword_prefix: Option<&'a str>,
    end_of_word_suffix: Option<&'a str>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    vocab: ById<'a>,
    merges: Vec<(&'a str, &'a str)>,
}

/// The vocabulary as an object, in the order of the ids.
struct ById<'a>(&'a Vocabulary);

impl Serialize for ById<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ids = self.0.ids();
        let mut map = serializer.serialize_map(Some(ids.len()))?;
        for (id, token) in self.0.tokens.iter().enumerate() {
            if ids.get(token.as_str()) == Some(&(id as u32)) {
                map.serialize_entry(token, &id)?;
            }
        }
        map.end()
    }
}

/// `tokenizer.json` of a vocabulary; `merges` are those of a `gpt2` vocabulary.
pub(super) fn tokenizer_file<'a>(
    vocabulary: &'a Vocabulary,
    merges: Option<&'a [String]>,
) -> Result<TokenizerFile<'a>, GgufError> {
    if vocabulary.model == "gpt2" {
        byte_level(vocabulary, merges)
    } else {
        Ok(sentencepiece(vocabulary))
    }
}

/// `tokenizer_config.json`.
pub(super) fn tokenizer_config(vocabulary: &Vocabulary, max_length: usize) -> Value {
    let mut config = Map::new();
    config.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
    config.insert("add_bos_token".into(), vocabulary.add_bos.into());
    config.insert("add_eos_token".into(), vocabulary.add_eos.into());
    config.insert("clean_up_tokenization_spaces".into(), false.into());
    config.insert("model_max_length".into(), max_length.into());
    for (name, id) in [
        ("bos_token", vocabulary.bos),
        ("eos_token", vocabulary.eos),
        ("pad_token", vocabulary.pad),
        ("unk_token", vocabulary.unk),
    ] {
        config.insert(name.into(), vocabulary.text(id).map_or(Value::Null, Value::from));
    }
    if let Some(template) = &vocabulary.chat_template {
        config.insert("chat_template".into(), template.as_str().into());
    }
    config.into()
}

fn byte_level<'a>(
    vocabulary: &'a Vocabulary,
    merges: Option<&'a [String]>,
) -> Result<TokenizerFile<'a>, GgufError> {
    let pre = pre_tokenizer(&vocabulary.pre)?;
    let ids = vocabulary.ids();
    let key = "tokenizer.ggml.merges";
    let merges = merges.ok_or_else(|| GgufError::MissingKey { key: key.to_owned() })?;
    let merges = merges
        .iter()
        .enumerate()
        .map(|(index, merge)| {
            known_pair(merge, &ids)
                .ok_or_else(|| GgufError::BadMerge { index, merge: merge.clone() })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let model = Model { ignore_merges: pre.ignore_merges, ..Model::plain(vocabulary, merges) };
    let decoder = json!({ "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true });
    Ok(assemble(vocabulary, pre.normalizer, pre.pre_tokenizer, decoder, model))
}

/// The two tokens that a rule names; a byte-level token never holds a space.
fn known_pair<'a>(merge: &'a str, ids: &HashMap<&str, u32>) -> Option<(&'a str, &'a str)> {
    let (left, right) = merge.split_once(' ')?;
    let merged = [left, right].concat();
    let known = [left, right, &merged].iter().all(|part| ids.contains_key(part));
    known.then_some((left, right))
}

fn sentencepiece(vocabulary: &Vocabulary) -> TokenizerFile<'_> {
    let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": SPACE });
    let show = json!({ "type": "Replace", "pattern": { "String": SPACE }, "content": " " });
    let mut decoders = vec![show, json!({ "type": "ByteFallback" }), json!({ "type": "Fuse" })];
    let normalizer = if vocabulary.add_space_prefix {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
        json!({ "type": "Sequence", "normalizers": [{ "type": "Prepend", "prepend": SPACE }, replace] })
    } else {
        replace
    };
    let model = Model {
        unk_token: vocabulary.text(vocabulary.unk),
        fuse_unk: true,
        byte_fallback: vocabulary.kinds.contains(&TokenKind::Byte),
        ..Model::plain(vocabulary, merges_from_scores(vocabulary))
    };
    let decoder = json!({ "type": "Sequence", "decoders": decoders });
    assemble(vocabulary, normalizer, Value::Null, decoder, model)
}

impl<'a> Model<'a> {
    fn plain(vocabulary: &'a Vocabulary, merges: Vec<(&'a str, &'a str)>) -> Self {
        Self {
            kind: "BPE",
            dropout: None,
            unk_token: None,
            continuing_subword_prefix: None,
            end_of_word_suffix: None,
            fuse_unk: false,
            byte_fallback: false,
            ignore_merges: false,
            vocab: ById(vocabulary),
            merges,
        }
    }
}

fn assemble<'a>(
    vocabulary: &Vocabulary,
    normalizer: Value,
    pre_tokenizer: Value,
    decoder: Value,
    model: Model<'a>,
) -> TokenizerFile<'a> {
    let added_tokens = vocabulary
        .added()
        .map(|(id, content, kind)| {
            json!({
                "id": id,
                "content": content,
                "single_word": false,
                "lstrip": false,
                "rstrip": false,
                "normalized": false,
                "special": vocabulary.is_special(id, kind),
            })
        })
        .collect();
    TokenizerFile {
        version: "1.0",
        truncation: None,
        padding: None,
        added_tokens,
        normalizer,
        pre_tokenizer,
        post_processor: post_processor(vocabulary),
        decoder,
        model,
    }
}

/// Adds BOS before and EOS after each text, as far as the vocabulary asks for it.
fn post_processor(vocabulary: &Vocabulary) -> Value {
    let bos = vocabulary.bos.filter(|_| vocabulary.add_bos);
    let eos = vocabulary.eos.filter(|_| vocabulary.add_eos);
    if bos.is_none() && eos.is_none() {
        return Value::Null;
    }
    let special = |id: Option<u32>, segment: u32| {
        vocabulary
            .text(id)
            .map(|text| json!({ "SpecialToken": { "id": text, "type_id": segment } }))
    };
    let around = |name: &str, segment: u32| -> Vec<Value> {
        let text = json!({ "Sequence": { "id": name, "type_id": segment } });
        [special(bos, segment), Some(text), special(eos, segment)].into_iter().flatten().collect()
    };
    let tokens: Map<String, Value> = [bos, eos]
        .into_iter()
        .flatten()
        .filter_map(|id| {
            let text = vocabulary.text(Some(id))?;
            Some((text.to_owned(), json!({ "id": text, "ids": [id], "tokens": [text] })))
        })
        .collect();
    let pair = [around("A", 0), around("B", 1)].concat();
    json!({
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": pair,
        "special_tokens": tokens,
    })
}
