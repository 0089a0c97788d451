//! What a `tokenizer.json` must be before it is used: what the library takes on trust.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tokenizers::utils::SysRegex;
use tokenizers::{ModelWrapper, Tokenizer};

use crate::error::CheckpointError;
use crate::gguf::pre_tokenizer::is_published;
use crate::json::bad_field;

/// Largest id: no model has that many embeddings, and tables are as long as the largest id.
const MAX_ID: u32 = (1 << 24) - 1;
/// Tokens that a post-processor puts around a text.
const MAX_AROUND: usize = 1000;
/// Characters of a regular expression.
const MAX_PATTERN: usize = 10_000;
/// Product of the counts of a regular expression, `a{1000}`: it takes as much memory.
const MAX_REPEATS: u64 = 100_000;
/// Largest size of a score: sums over a text must stay finite.
const MAX_SCORE: f64 = 1e30;
/// Longest word that `WordPiece` looks up, in characters: its time grows with the square.
const MAX_WORD: u64 = 10_000;

/// The fields that are looked at; the vocabulary is left to the library.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    added_tokens: Vec<Added>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    dropout: Value,
    #[serde(default)]
    max_input_chars_per_word: Value,
}

/// A file's fields, read and found to be harmless.
pub(crate) struct Checked {
    parts: Parts,
    /// Whether its regular expressions are all known to take no longer than the text is long.
    pub(crate) published: bool,
}

/// Checks what can be checked before the library reads the file.
pub(crate) fn before(path: &Path, text: &str) -> Result<Checked, CheckpointError> {
    let parts: Parts = serde_json::from_str(text).map_err(|source| {
        CheckpointError::BadTokenizer { path: path.to_path_buf(), source: source.into() }
    })?;
    let mut published = true;
    for (field, value) in [
        ("normalizer", &parts.normalizer),
        ("pre_tokenizer", &parts.pre_tokenizer),
        ("decoder", &parts.decoder),
    ] {
        for pattern in patterns(value) {
            published &= is_published(pattern);
            check_pattern(path, &format!("{field}: a regular expression"), pattern)?;
        }
    }
    let model = &parts.model;
    if model.dropout.as_f64().is_some_and(|rate| rate > 0.0) {
        let expected = "0 or null, since a text must have the same tokens every time";
        return Err(bad_field(path, "model.dropout", &model.dropout, expected));
    }
    if model.max_input_chars_per_word.as_u64().is_some_and(|longest| longest > MAX_WORD) {
        let (field, found) = ("model.max_input_chars_per_word", &model.max_input_chars_per_word);
        return Err(bad_field(path, field, found, "at most 10000"));
    }
    check_around(path, &parts.post_processor)?;
    Ok(Checked { parts, published })
}

/// All regular expressions inside a value.
fn patterns(value: &Value) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), vec![value]);
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("Regex").and_then(Value::as_str));
                rest.extend(fields.values());
            }
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    found
}

fn check_pattern(path: &Path, field: &str, pattern: &str) -> Result<(), CheckpointError> {
    let bad = |expected| Err(bad_field(path, field, &Value::from(pattern), expected));
    if pattern.len() > MAX_PATTERN {
        return bad("at most 10000 bytes");
    }
    if repeats(pattern) > MAX_REPEATS {
        return bad("counts in braces whose product is at most 100000");
    }
    Ok(())
}

/// The product of all numbers in braces, the larger one of two.
fn repeats(pattern: &str) -> u64 {
    let counts = pattern.match_indices('{').filter_map(|(at, _)| {
        // A code point or a property, not a count.
        if [r"\x", r"\p", r"\P", r"\o"].iter().any(|escape| pattern[..at].ends_with(escape)) {
            return None;
        }
        let (inside, _) = pattern[at + 1..].split_once('}')?;
        let number = |text: &str| text.trim().parse::<f64>().ok();
        inside.split(',').filter_map(number).reduce(f64::max)
    });
    counts.fold(1, |product: u64, count| product.saturating_mul((count as u64).max(1)))
}

/// Looks for regular expressions whose time explodes, in texts made of their own characters.
///
/// Oniguruma gives up a match after ten million attempts, which is a panic of its binding: call this guarded.
pub(crate) fn probe(checked: &Checked) -> Result<(), tokenizers::Error> {
    let parts = &checked.parts;
    for value in [&parts.normalizer, &parts.pre_tokenizer, &parts.decoder] {
        for pattern in patterns(value).into_iter().filter(|pattern| !is_published(pattern)) {
            let regex = SysRegex::new(pattern)?;
            let mut characters: Vec<char> =
                pattern.chars().filter(|c| c.is_alphanumeric()).collect();
            characters.extend([' ', 'a', '0', '.']);
            characters.sort_unstable();
            characters.dedup();
            characters.truncate(64);
            for &character in &characters {
                // The end has whatever the expression insists on, so that it is not left at once.
                let run = std::iter::repeat_n(character, 256).chain(['\u{1}']);
                let text: String = run.chain(characters.iter().copied()).collect();
                regex.find_iter(&text).count();
            }
        }
    }
    Ok(())
}

/// A post-processor repeats no text and adds few tokens.
fn check_around(path: &Path, processor: &Value) -> Result<(), CheckpointError> {
    let mut rest = vec![processor];
    while let Some(value) = rest.pop() {
        rest.extend(value["processors"].as_array().into_iter().flatten());
        for (field, texts) in [("single", 1), ("pair", 2)] {
            let pieces = value[field].as_array().map_or(&[][..], Vec::as_slice);
            let sequences = pieces.iter().filter(|piece| !piece["Sequence"].is_null()).count();
            if sequences > texts || pieces.len() > MAX_AROUND {
                let field = format!("post_processor.{field}");
                let expected = "each text once, with at most 1000 tokens around";
                return Err(bad_field(path, &field, &value[field.as_str()], expected));
            }
        }
    }
    Ok(())
}

/// Checks ids, tokens and scores once the library has read the file.
pub(crate) fn after(
    path: &Path,
    checked: &Checked,
    tokenizer: &Tokenizer,
) -> Result<(), CheckpointError> {
    let mut tokens: HashMap<u32, String> = HashMap::new();
    for (token, id) in tokenizer.get_vocab(true) {
        if id > MAX_ID {
            let field = format!("the id of {token:?}");
            return Err(bad_field(path, &field, &Value::from(id), "at most 16777215"));
        }
        if let Some(other) = tokens.insert(id, token.clone()) {
            let field = format!("the id of {token:?}");
            let found = Value::from(format!("{id}, which {other:?} has too"));
            return Err(bad_field(path, &field, &found, "an id of its own"));
        }
    }
    for added in &checked.parts.added_tokens {
        let found = tokenizer.token_to_id(&added.content);
        if found != Some(added.id) {
            return Err(CheckpointError::TokenElsewhere {
                path: path.to_path_buf(),
                token: added.content.clone(),
                listed: added.id,
                found,
            });
        }
    }
    for (token, id) in around(&checked.parts.post_processor) {
        if !u32::try_from(id).is_ok_and(|id| tokens.contains_key(&id)) {
            let field = format!("post_processor: the id of {token}");
            return Err(bad_field(path, &field, &Value::from(id), "an id of the vocabulary"));
        }
    }
    if let ModelWrapper::Unigram(model) = tokenizer.get_model() {
        // A score that JSON cannot hold reads as infinite.
        if let Some((piece, score)) = model.iter().find(|(_, score)| {
            score.abs().partial_cmp(&MAX_SCORE).is_none_or(std::cmp::Ordering::is_gt)
        }) {
            let field = format!("model.vocab: the score of {piece:?}");
            return Err(bad_field(
                path,
                &field,
                &Value::from(score.to_string()),
                "a number within ±1e30",
            ));
        }
    }
    Ok(())
}

/// The tokens that a post-processor adds, with their ids.
fn around(processor: &Value) -> Vec<(String, u64)> {
    let (mut found, mut rest) = (Vec::new(), vec![processor]);
    while let Some(value) = rest.pop() {
        rest.extend(value["processors"].as_array().into_iter().flatten());
        for (token, given) in value["special_tokens"].as_object().into_iter().flatten() {
            let ids = given["ids"].as_array().into_iter().flatten();
            found.extend(ids.filter_map(|id| Some((token.clone(), id.as_u64()?))));
        }
        for field in ["sep", "cls"] {
            if let (Some(token), Some(id)) = (value[field][0].as_str(), value[field][1].as_u64()) {
                found.push((token.to_owned(), id));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_multiplied() {
        assert_eq!(repeats(r"\p{N}{1,3}|\s{2,}"), 6);
        assert_eq!(repeats("a{100000}b{100000}"), 10_000_000_000);
        assert_eq!(repeats("a{99999999999999999999}{2}{,7}"), u64::MAX);
        assert_eq!(repeats("{"), 1);
        assert_eq!(repeats(r"[\x{4000}-\x{9000}]{2}"), 2);
    }
}
