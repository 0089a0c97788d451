//! Tokenizer and chat template of a model folder as GGUF metadata.

use serde_json::Value;

use super::super::entries::Entries;
use super::super::error::GgufError;
use super::super::pre_tokenizer;
use super::super::vocabulary::SPACE;
use super::refuse::{bad_folder, inexpressible};
use super::scores::scores_from_merges;
use crate::error::CheckpointError;
use crate::folder::ModelFolder;
use crate::json;
use crate::text::Tokenizer;
use crate::text::template_files;

/// `tokenizer.ggml.token_type` of llama.cpp.
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;
/// The score of tokens that are taken out of the text before merging, as llama.cpp's converter has it.
const ADDED_SCORE: f32 = -1000.0;

/// Writes tokens, merges or scores, special tokens and the chat template of a model whose embedding
/// has `rows` rows; returns what llama.cpp will do in another way.
pub(super) fn write(
    folder: &ModelFolder,
    rows: usize,
    entries: &mut Entries,
) -> Result<Vec<String>, CheckpointError> {
    let bad = |source| bad_folder(folder, source);
    let tokenizer = folder.tokenizer()?;
    tokenizer.check_fits(rows)?;
    let file: Value = json::read(&folder.files().join("tokenizer.json"))?;
    let table = Table::new(tokenizer, &file, rows);
    match Kind::of(&file).map_err(bad)? {
        Kind::ByteLevel { pre } => {
            entries.text("tokenizer.ggml.model", "gpt2");
            entries.text("tokenizer.ggml.pre", pre);
            let merges = merges(&file).map_err(bad)?;
            let merges: Vec<String> =
                merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
            entries.texts("tokenizer.ggml.tokens", &table.tokens);
            entries.i32s("tokenizer.ggml.token_type", &table.kinds);
            entries.texts("tokenizer.ggml.merges", &merges);
        }
        Kind::SentencePiece { space_prefix } => {
            let merges = merges(&file).map_err(bad)?;
            let table = table.sentencepiece(tokenizer);
            let scores = table.scores(&merges).map_err(bad)?;
            entries.text("tokenizer.ggml.model", "llama");
            entries.text("tokenizer.ggml.pre", "default");
            entries.texts("tokenizer.ggml.tokens", &table.shown());
            entries.f32s("tokenizer.ggml.scores", &scores);
            entries.i32s("tokenizer.ggml.token_type", &table.kinds);
            entries.flag("tokenizer.ggml.add_space_prefix", space_prefix);
        }
    }
    let warnings = special_tokens(folder, tokenizer, rows, entries)?;
    if let Some(found) = template_files::read(folder.files())? {
        entries.text("tokenizer.chat_template", &found.default.text);
        if let Some(tool_use) = found.tool_use {
            entries.texts("tokenizer.chat_templates", &["tool_use"]);
            entries.text("tokenizer.chat_template.tool_use", &tool_use.text);
        }
    }
    Ok(warnings)
}

/// Texts and kinds of all tokens, one per row of the embedding.
struct Table {
    tokens: Vec<String>,
    kinds: Vec<i32>,
}

impl Table {
    fn new(tokenizer: &Tokenizer, file: &Value, rows: usize) -> Self {
        let ids: Vec<u32> = (0..rows as u32).collect();
        let mut tokens = tokenizer.pieces(&ids);
        let mut kinds = vec![NORMAL; rows];
        let added = file["added_tokens"].as_array().into_iter().flatten();
        for id in added.filter_map(|token| token["id"].as_u64()) {
            if let Some(kind) = kinds.get_mut(id as usize) {
                *kind = USER_DEFINED;
            }
        }
        let vocabulary = &file["model"]["vocab"];
        for (id, (token, kind)) in ids.iter().zip(tokens.iter_mut().zip(&mut kinds)) {
            if tokenizer.id_of(token) != Some(*id) {
                // The embedding often has more rows than there are tokens.
                *token = format!("[PAD{id}]");
                *kind = UNUSED;
            } else if tokenizer.is_special(*id) {
                *kind = CONTROL;
            } else if vocabulary.get(token.as_str()).is_none() {
                *kind = USER_DEFINED;
            }
        }
        Self { tokens, kinds }
    }

    /// Marks the kinds that only SentencePiece has.
    fn sentencepiece(mut self, tokenizer: &Tokenizer) -> Self {
        for (token, kind) in self.tokens.iter().zip(&mut self.kinds) {
            let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
            if *kind == NORMAL && byte.is_some_and(|hex| u8::from_str_radix(hex, 16).is_ok()) {
                *kind = BYTE;
            }
        }
        if let Some(unknown) = tokenizer.unk_id().and_then(|id| self.kinds.get_mut(id as usize)) {
            *unknown = UNKNOWN;
        }
        self
    }

    /// The texts as llama.cpp looks for them: user-defined tokens with plain spaces.
    fn shown(&self) -> Vec<String> {
        let shown = |(token, kind): (&String, &i32)| match *kind {
            USER_DEFINED => token.replace(SPACE, " "),
            _ => token.clone(),
        };
        self.tokens.iter().zip(&self.kinds).map(shown).collect()
    }

    fn scores(&self, merges: &[(String, String)]) -> Result<Vec<f32>, GgufError> {
        let ids = self.tokens.iter().zip(0..).map(|(token, id)| (token.as_str(), id)).collect();
        let added = |id: u32| matches!(self.kinds[id as usize], CONTROL | USER_DEFINED | UNKNOWN);
        let mut scores =
            scores_from_merges(self.tokens.len(), &ids, merges, added).ok_or_else(|| {
                let found = format!("a list of {} rules", merges.len());
                let reason = "the rules of one token have to stand together and name tokens, as in a SentencePiece model";
                inexpressible("model.merges in tokenizer.json", found, reason)
            })?;
        for (score, kind) in scores.iter_mut().zip(&self.kinds) {
            match *kind {
                CONTROL | USER_DEFINED | UNUSED => *score = ADDED_SCORE,
                UNKNOWN | BYTE => *score = 0.0,
                _ => {}
            }
        }
        Ok(scores)
    }
}

/// The two kinds of tokenizers of these families.
enum Kind {
    ByteLevel { pre: &'static str },
    SentencePiece { space_prefix: bool },
}

impl Kind {
    fn of(file: &Value) -> Result<Self, GgufError> {
        let refuse = |field: &str, value: &Value, reason: &str| {
            let found: String = value.to_string().chars().take(120).collect();
            Err(inexpressible(format!("{field} in tokenizer.json"), found, reason))
        };
        let model = &file["model"];
        let kind = model["type"].as_str().unwrap_or("BPE");
        if kind != "BPE" {
            return refuse(
                "model.type",
                &model["type"],
                "written are byte-level and SentencePiece BPE",
            );
        }
        for field in ["continuing_subword_prefix", "end_of_word_suffix", "dropout"] {
            let value = &model[field];
            if !value.is_null() && value != "" && value.as_f64() != Some(0.0) {
                return refuse(&format!("model.{field}"), value, "llama.cpp does not know it");
            }
        }
        let (normalizer, cut) = (&file["normalizer"], &file["pre_tokenizer"]);
        if let Some(space_prefix) = space_prefix(normalizer, cut) {
            return Ok(Self::SentencePiece { space_prefix });
        }
        let ignore_merges = model["ignore_merges"] == true;
        match pre_tokenizer::name_of(normalizer, cut, ignore_merges) {
            Some(pre) => Ok(Self::ByteLevel { pre }),
            None => refuse(
                "normalizer, pre_tokenizer and ignore_merges",
                &serde_json::json!([normalizer, cut, ignore_merges]),
                "llama.cpp names no cut that is the same",
            ),
        }
    }
}

/// Whether a space goes before the text; `None` if these are not the steps of a SentencePiece model,
/// which shows spaces as `▁` and does not cut.
fn space_prefix(normalizer: &Value, cut: &Value) -> Option<bool> {
    let (mut shows, mut prefix) = (false, false);
    for step in pre_tokenizer::flat(normalizer, "normalizers") {
        match step["type"].as_str()? {
            "Prepend" if step["prepend"] == SPACE => prefix = true,
            "Replace" if step["pattern"]["String"] == " " && step["content"] == SPACE => {
                shows = true;
            }
            _ => return None,
        }
    }
    for step in pre_tokenizer::flat(cut, "pretokenizers") {
        match step["type"].as_str()? {
            // No space is left to cut at where the normalizer has replaced all.
            "Split" if shows && step["pattern"]["String"] == " " => {}
            "Metaspace" if step["replacement"] == SPACE && step["split"] != true => {
                shows = true;
                prefix |= match step["prepend_scheme"].as_str() {
                    Some(scheme) => scheme != "never",
                    None => step["add_prefix_space"] != false,
                };
            }
            _ => return None,
        }
    }
    shows.then_some(prefix)
}

/// The merge rules, in the spelling of either version of the format.
fn merges(file: &Value) -> Result<Vec<(String, String)>, GgufError> {
    let list = file["model"]["merges"].as_array();
    let list = list.ok_or_else(|| GgufError::MissingKey { key: "model.merges".to_owned() })?;
    let pair = |rule: &Value| match rule {
        Value::String(rule) => {
            rule.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()))
        }
        rule => Some((rule[0].as_str()?.to_owned(), rule[1].as_str()?.to_owned())),
    };
    list.iter()
        .enumerate()
        .map(|(index, rule)| {
            pair(rule).ok_or_else(|| GgufError::BadMerge { index, merge: rule.to_string() })
        })
        .collect()
}

/// Ids of the special tokens, and whether they stand around a text.
fn special_tokens(
    folder: &ModelFolder,
    tokenizer: &Tokenizer,
    rows: usize,
    entries: &mut Entries,
) -> Result<Vec<String>, CheckpointError> {
    let bos = tokenizer.bos_id().or(folder.generation.bos_token_id);
    let ends = &folder.generation.eos_token_ids;
    let eos = tokenizer.eos_id().or_else(|| ends.first().copied());
    let mut more = ends.iter().copied().filter(|id| Some(*id) != eos);
    for (name, id) in [
        ("bos_token_id", bos),
        ("eos_token_id", eos),
        ("eot_token_id", more.next()),
        ("unknown_token_id", tokenizer.unk_id()),
        ("padding_token_id", tokenizer.pad_id()),
    ] {
        if let Some(id) = id.filter(|id| (*id as usize) < rows) {
            entries.u32(&format!("tokenizer.ggml.{name}"), id);
        }
    }
    let (plain, whole) = (tokenizer.encode("a", false)?, tokenizer.encode("a", true)?);
    let around = [(false, false), (true, false), (false, true), (true, true)];
    let found = around.into_iter().find(|(before, after)| {
        let before = bos.filter(|_| *before);
        let after = eos.filter(|_| *after);
        before.into_iter().chain(plain.iter().copied()).chain(after).eq(whole.iter().copied())
    });
    let Some((add_bos, add_eos)) = found else {
        let found = tokenizer.pieces(&whole).join(" ");
        let reason = "around a text can only be the tokens of its beginning and its end";
        return Err(bad_folder(folder, inexpressible("the encoding of \"a\"", found, reason)));
    };
    entries.flag("tokenizer.ggml.add_bos_token", add_bos);
    entries.flag("tokenizer.ggml.add_eos_token", add_eos);
    let unnamed: Vec<u32> = more.collect();
    if unnamed.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "eos_token_id in generation_config.json names more tokens than a GGUF file has places for; {} end no answer unless llama.cpp knows their texts",
        tokenizer.pieces(&unnamed).join(", ")
    )])
}
