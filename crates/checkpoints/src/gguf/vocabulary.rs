//! The vocabulary of a GGUF file: tokens, their kinds, scores and special roles.

use std::collections::HashMap;

use super::error::GgufError;
use super::metadata::{Metadata, bad_value, required};

/// SentencePiece's visible space.
pub(super) const SPACE: &str = "\u{2581}";

/// The warning for a byte-level vocabulary that does not say how text is cut.
const NO_PRE: &str = "metadata tokenizer.ggml.pre is missing, so how text is cut before merging is a guess, llama.cpp's default; if the model's cut is known, write it with `gguf-new-metadata --pre-tokenizer NAME` and convert again";

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// Ordinary text.
    Normal,
    /// Replaces text that no token expresses.
    Unknown,
    /// Never the result of text, such as an end of sequence.
    Control,
    /// Text that is always a token of its own.
    UserDefined,
    /// In the table, but not used.
    Unused,
    /// One byte.
    Byte,
}

/// Tokens of a file, with what is needed to rebuild its tokenizer.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// `gpt2` or `llama`.
    pub(super) model: String,
    /// Name of the pre-tokenizer.
    pub(super) pre: String,
    pub(super) tokens: Vec<String>,
    pub(super) kinds: Vec<TokenKind>,
    /// One per token for `llama`, else empty.
    pub(super) scores: Vec<f32>,
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    /// End of a turn, where it is another token than `eos`.
    pub(super) eot: Option<u32>,
    pub(super) unk: Option<u32>,
    pub(super) pad: Option<u32>,
    pub(super) add_bos: bool,
    pub(super) add_eos: bool,
    pub(super) add_space_prefix: bool,
    pub(super) chat_template: Option<String>,
    /// What was left out or guessed, for the user to know.
    pub(super) warnings: Vec<String>,
}

impl Vocabulary {
    /// The vocabulary in the metadata.
    pub(super) fn read(metadata: &Metadata) -> Result<Self, GgufError> {
        let key = |name: &str| format!("tokenizer.ggml.{name}");
        let model = required(metadata.text(&key("model"))?, &key("model"))?.to_owned();
        if !matches!(model.as_str(), "gpt2" | "llama") {
            let known = "gpt2, llama".to_owned();
            return Err(GgufError::UnknownTokenizer { what: "model", found: model, known });
        }
        let mut warnings = Vec::new();
        let pre = metadata.text(&key("pre"))?.unwrap_or("default").to_owned();
        if model == "gpt2" && !metadata.contains(&key("pre")) {
            warnings.push(NO_PRE.to_owned());
        }
        let mut tokens = required(metadata.texts(&key("tokens"))?, &key("tokens"))?.to_vec();
        let kinds = kinds(metadata, &key("token_type"), tokens.len())?;
        if model == "llama" {
            show_spaces(&mut tokens, &kinds);
        }
        let scores = metadata.floats(&key("scores"))?.unwrap_or_default().to_vec();
        if model == "llama" && scores.len() != tokens.len() {
            let expected = format!("a list of {} numbers, one per token", tokens.len());
            return Err(bad_value(
                &key("scores"),
                format!("a list of {}", scores.len()),
                &expected,
            ));
        }
        let mut id = |name: &str| -> Result<Option<u32>, GgufError> {
            let Some(id) = metadata.integer(&key(name))? else { return Ok(None) };
            let known = u32::try_from(id).ok().filter(|id| (*id as usize) < tokens.len());
            if known.is_none() {
                let (key, count) = (key(name), tokens.len());
                warnings.push(format!(
                    "metadata {key} is {id}, not one of the {count} tokens; the model gets no such token"
                ));
            }
            Ok(known)
        };
        let (sentencepiece, adds_bos) = (model == "llama", adds_bos(&pre));
        Ok(Self {
            bos: id("bos_token_id")?,
            eos: id("eos_token_id")?,
            eot: id("eot_token_id")?,
            unk: id("unknown_token_id")?,
            pad: id("padding_token_id")?,
            add_bos: metadata.flag(&key("add_bos_token"))?.unwrap_or(sentencepiece || adds_bos),
            add_eos: metadata.flag(&key("add_eos_token"))?.unwrap_or(false),
            add_space_prefix: metadata.flag(&key("add_space_prefix"))?.unwrap_or(sentencepiece),
            chat_template: metadata.text("tokenizer.chat_template")?.map(str::to_owned),
            model,
            pre,
            tokens,
            kinds,
            scores,
            warnings,
        })
    }

    /// The text of a token.
    pub(super) fn text(&self, id: Option<u32>) -> Option<&str> {
        id.map(|id| self.tokens[id as usize].as_str())
    }

    /// The id of each token's text; the first of equal texts. Left out is what llama.cpp's converter
    /// fills the list with where the embedding has more rows than there are tokens.
    pub(super) fn ids(&self) -> HashMap<&str, u32> {
        let mut ids = HashMap::with_capacity(self.tokens.len());
        for (id, (token, kind)) in self.tokens.iter().zip(&self.kinds).enumerate() {
            if *kind == TokenKind::Unused && *token == format!("[PAD{id}]") {
                continue;
            }
            ids.entry(token.as_str()).or_insert(id as u32);
        }
        ids
    }

    /// Ids and kinds of the tokens that are never split: control and user-defined ones.
    pub(super) fn added(&self) -> impl Iterator<Item = (u32, &str, TokenKind)> {
        self.tokens.iter().zip(&self.kinds).enumerate().filter_map(|(id, (token, kind))| {
            let added =
                matches!(kind, TokenKind::Control | TokenKind::UserDefined | TokenKind::Unknown);
            added.then_some((id as u32, token.as_str(), *kind))
        })
    }

    /// Whether decoding may leave a token out.
    pub(super) fn is_special(&self, id: u32, kind: TokenKind) -> bool {
        let role = [self.bos, self.eos, self.eot, self.unk, self.pad].contains(&Some(id));
        role || matches!(kind, TokenKind::Control | TokenKind::Unknown)
    }
}

/// Undoes a change by llama.cpp's converter: user-defined tokens get SentencePiece's visible spaces
/// back, as in the text that is merged.
fn show_spaces(tokens: &mut [String], kinds: &[TokenKind]) {
    for (token, kind) in tokens.iter_mut().zip(kinds) {
        if *kind == TokenKind::UserDefined && token.contains(' ') {
            *token = token.replace(' ', SPACE);
        }
    }
}

/// Whether the pre-tokenizer is one with which llama.cpp adds BOS unless the file says otherwise.
fn adds_bos(pre: &str) -> bool {
    matches!(
        pre,
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "pixtral" | "midm-2.0" | "tekken"
    )
}

fn kinds(metadata: &Metadata, key: &str, tokens: usize) -> Result<Vec<TokenKind>, GgufError> {
    let Some(numbers) = metadata.integers(key)? else { return Ok(vec![TokenKind::Normal; tokens]) };
    if numbers.len() != tokens {
        let expected = format!("a list of {tokens} numbers, one per token");
        return Err(bad_value(key, format!("a list of {}", numbers.len()), &expected));
    }
    numbers
        .iter()
        .map(|number| match number {
            0 | 1 => Ok(TokenKind::Normal),
            2 => Ok(TokenKind::Unknown),
            3 => Ok(TokenKind::Control),
            4 => Ok(TokenKind::UserDefined),
            5 => Ok(TokenKind::Unused),
            6 => Ok(TokenKind::Byte),
            other => {
                Err(bad_value(key, format!("a list with the kind {other}"), "kinds from 1 to 6"))
            }
        })
        .collect()
}
