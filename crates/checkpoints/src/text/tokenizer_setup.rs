//! What transformers changes about a `tokenizer.json` by `tokenizer_config.json`: further tokens, and
//! the tokens around a text.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

use super::special_tokens::{SpecialTokens, token_text};
use crate::error::CheckpointError;
use crate::json::{self, Fields};

/// Classes that write the tokens around a text by their flags, whatever `tokenizer.json` says; other
/// classes keep what is there.
const CLASSES_WITH_FLAGS: [&str; 6] = [
    "LlamaTokenizer",
    "LlamaTokenizerFast",
    "CodeLlamaTokenizer",
    "CodeLlamaTokenizerFast",
    "GemmaTokenizer",
    "GemmaTokenizerFast",
];

/// Sets a tokenizer up as transformers does for this folder.
pub(crate) fn apply(
    inner: &mut Tokenizer,
    special: &SpecialTokens,
    dir: &Path,
) -> Result<(), CheckpointError> {
    let path = dir.join("tokenizer_config.json");
    let value = json::read_if_there(&path)?;
    add_tokens(inner, &path, &value)?;
    let fields = Fields { path: &path, value: &value };
    let class = fields.get("tokenizer_class", "a text", |v| v.as_str().map(str::to_owned))?;
    if class.is_some_and(|class| CLASSES_WITH_FLAGS.contains(&class.as_str())) {
        set_processor(inner, special, &fields)?;
    }
    Ok(())
}

fn bad(path: &Path) -> impl FnOnce(tokenizers::Error) -> CheckpointError {
    let path: PathBuf = path.to_path_buf();
    move |source| CheckpointError::BadTokenizer { path, source }
}

/// The tokens of `added_tokens_decoder`, in the order of their ids.
fn add_tokens(inner: &mut Tokenizer, path: &Path, value: &Value) -> Result<(), CheckpointError> {
    let field = "added_tokens_decoder";
    let listed = &value[field];
    if listed.is_null() {
        return Ok(());
    }
    let expected = "an object: token id to token";
    let wrong = |found: &Value| json::bad_field(path, field, found, expected);
    let mut tokens = Vec::new();
    for (id, token) in listed.as_object().ok_or_else(|| wrong(listed))? {
        let text = token_text(token).ok_or_else(|| {
            json::bad_field(path, &format!("{field}.{id}"), token, "a token with a content")
        })?;
        let id: u32 = id.parse().map_err(|_| wrong(&Value::from(id.as_str())))?;
        tokens.push((id, text, token));
    }
    tokens.sort_by_key(|(id, ..)| *id);
    for (id, text, token) in tokens {
        let flag = |name: &str, default: bool| token[name].as_bool().unwrap_or(default);
        let special = flag("special", false);
        let added = AddedToken::from(text.clone(), special)
            .single_word(flag("single_word", false))
            .lstrip(flag("lstrip", false))
            .rstrip(flag("rstrip", false))
            .normalized(flag("normalized", !special));
        let added = [added];
        if special { inner.add_special_tokens(added) } else { inner.add_tokens(added) }
            .map_err(bad(path))?;
        let found = inner.token_to_id(&text);
        if found != Some(id) {
            return Err(CheckpointError::TokenElsewhere {
                path: path.to_path_buf(),
                token: text,
                listed: id,
                found,
            });
        }
    }
    Ok(())
}

/// BOS in front and EOS behind, as `add_bos_token` (true if absent) and `add_eos_token` say.
fn set_processor(
    inner: &mut Tokenizer,
    special: &SpecialTokens,
    fields: &Fields<'_>,
) -> Result<(), CheckpointError> {
    let around = |flag, default, token: &Option<String>, fallback: &str| {
        if !fields.flag(flag)?.unwrap_or(default) {
            return Ok::<_, CheckpointError>(None);
        }
        let text = token.clone().unwrap_or_else(|| fallback.to_owned());
        let missing = || {
            json::bad_field(
                fields.path,
                flag,
                &Value::from(text.as_str()),
                "a token of the vocabulary (bos_token, eos_token) for what is to be added",
            )
        };
        let id = inner.token_to_id(&text).ok_or_else(missing)?;
        Ok(Some((text, id)))
    };
    let bos = around("add_bos_token", true, &special.bos, "<s>")?;
    let eos = around("add_eos_token", false, &special.eos, "</s>")?;
    let one = |text: &str, segment: usize| -> Vec<String> {
        let name = |token: &Option<(String, u32)>| {
            token.as_ref().map(|(text, _)| format!("{text}:{segment}"))
        };
        [name(&bos), Some(format!("${text}:{segment}")), name(&eos)].into_iter().flatten().collect()
    };
    let (single, pair) = (one("A", 0), [one("A", 0), one("B", 1)].concat());
    let tokens: Vec<(String, u32)> = bos.into_iter().chain(eos).collect();
    let built = TemplateProcessing::builder()
        .try_single(single)
        .and_then(|builder| builder.try_pair(pair))
        .and_then(|builder| {
            builder.special_tokens(tokens).build().map_err(|error| error.to_string())
        })
        .map_err(|error| bad(fields.path)(error.into()))?;
    inner.with_post_processor(Some(built));
    Ok(())
}
