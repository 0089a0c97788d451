//! The special tokens that a folder names.

use std::path::Path;

use serde_json::Value;

use crate::error::CheckpointError;
use crate::json;

/// The texts of a tokenizer's special tokens, where it names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpecialTokens {
    /// Beginning of a sequence.
    pub bos: Option<String>,
    /// End of a sequence.
    pub eos: Option<String>,
    /// Padding.
    pub pad: Option<String>,
    /// Replaces text that the vocabulary cannot express.
    pub unk: Option<String>,
    /// Stands for a token that is to be guessed.
    pub mask: Option<String>,
}

impl SpecialTokens {
    /// The special tokens named in `tokenizer_config.json`, else in `special_tokens_map.json`.
    ///
    /// # Errors
    /// A file is not JSON, or a token in it is neither a text nor an object with a `content`.
    pub fn from_dir(dir: &Path) -> Result<Self, CheckpointError> {
        let mut tokens = Self::default();
        for file in ["tokenizer_config.json", "special_tokens_map.json"] {
            let path = dir.join(file);
            let value = json::read_if_there(&path)?;
            let fields = json::Fields { path: &path, value: &value };
            for (field, slot) in [
                ("bos_token", &mut tokens.bos),
                ("eos_token", &mut tokens.eos),
                ("pad_token", &mut tokens.pad),
                ("unk_token", &mut tokens.unk),
                ("mask_token", &mut tokens.mask),
            ] {
                if slot.is_none() {
                    *slot = fields.get(field, "a text, or an object with a content", token_text)?;
                }
            }
        }
        Ok(tokens)
    }
}

pub(crate) fn token_text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value["content"].as_str()).map(str::to_owned)
}
